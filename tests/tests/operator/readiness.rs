//! `/ready` answers 200 while messages come back from the log, and says why not otherwise. What proves it is a message of the
//! server's own, in a log that nobody else can name.

use std::path::Path;

use serde_json::{Value, json};
use tidewire_tests::http::{get, send};
use tidewire_tests::script::tool;
use tidewire_tests::{Chatter, Directory, Launch, Server, SmallDisk, wait_until};

/// Often enough that a test need not wait: it is late after three times as long.
const CANARY: [&str; 2] = ["--canary", "200ms"];

fn ready(server: &Server) -> (u16, Value) {
    let response = get(server.address(), "/ready");
    (response.status, response.json())
}

/// Waits until it is not, for this reason.
#[track_caller]
fn wait_until_unready(server: &Server, reason: &str) {
    wait_until(
        &format!("it is not ready, with the reason {reason}"),
        || {
            let (status, body) = ready(server);
            status == 503 && body["status"] == "unready" && body["reason"] == reason
        },
    );
}

#[test]
fn a_server_is_ready_once_a_message_has_come_back() {
    let server = Server::start_with(&CANARY);
    let mut body = Value::Null;
    wait_until("the server is ready", || {
        let (status, told) = ready(&server);
        body = told;
        status == 200
    });
    assert_eq!(
        (&body["status"], body.get("reason")),
        (&json!("ready"), None)
    );
    assert_eq!(body["canary"]["interval_ms"], 200);
    let latency = body["canary"]["latency_ms"].as_f64();
    assert!(latency.is_some_and(|latency| latency > 0.0), "{body}");
    assert!(body["canary"]["age_ms"].is_u64(), "{body}");
    wait_until("the log says so", || {
        server.log().contains("event=canary_green")
    });
}

#[test]
fn nobody_can_name_the_log_of_the_canary() {
    let server = Server::start_with(&CANARY);
    server.wait_until_ready();
    let mut curious = Chatter::connect(&server, "userId=curious");
    for request in [
        json!({"type": "join_room", "roomId": "$canary"}),
        json!({"type": "history", "roomId": "$canary", "since": ""}),
        json!({"type": "room_msg", "roomId": "$canary", "content": 1}),
        json!({"type": "presence", "roomId": "$canary"}),
    ] {
        curious.provoke(&request.to_string());
    }
    let address = server.address();
    for target in [
        "/sse?room=$canary",
        "/poll?room=$canary&since=",
        "/api/rooms/$canary/messages",
        "/api/rooms/%24canary/messages?since=",
    ] {
        assert_eq!(get(address, target).status, 400, "{target}");
    }
    let body = br#"{"content":1}"#;
    assert_eq!(
        send(address, "POST", "/api/rooms/$canary/messages", "", body).status,
        400
    );
    assert_eq!(get(address, "/api/rooms").json(), json!({"rooms": []}));
}

#[test]
fn canaries_are_not_kept() {
    let directory = Directory::new();
    let launch = Launch::default()
        .data(&directory.path().join("data"))
        .arguments(&["--canary", "10ms"]);
    let mut server = launch.start();
    let entries = |server: &Server| {
        let text = get(server.address(), "/metrics").text().to_owned();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("tidewire_log_entries_total "));
        line.expect("a count of entries")
            .parse::<u64>()
            .expect("a number")
    };
    wait_until("many canaries were sent", || entries(&server) > 100);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let server = launch.start();
    wait_until("the log says what was found", || {
        server.log().contains("event=recovered")
    });
    assert!(
        server.log().contains("opened 1 entries in 1 logs"),
        "{}",
        server.log()
    );
    server.wait_until_ready();
}

#[test]
fn a_disk_that_hangs_is_told_and_so_is_its_return() {
    let strace = tool(
        "strace",
        &["strace"],
        "install strace (Debian: `apt-get install strace`)",
    );
    let directory = Directory::new();
    let trace = directory.path().join("trace");
    let words = [
        strace.to_str().expect("a path in UTF-8"),
        "-D",
        "-f",
        "-o",
        trace.to_str().expect("a path in UTF-8"),
        "-e",
        "trace=fdatasync",
        // The tenth takes six seconds, in which thirty canaries would have come.
        "-e",
        "inject=fdatasync:delay_enter=6000000:when=10",
    ];
    let server = Launch::default()
        .data(&directory.path().join("data"))
        .under(&words)
        .arguments(&CANARY)
        .start();
    wait_until_unready(&server, "canary_lost");
    server.wait_until_ready();
    let log = server.log();
    let told = |event: &str| {
        log.find(event)
            .unwrap_or_else(|| panic!("{event} is not in the log: {log}"))
    };
    assert!(
        told("event=canary_red reason=canary_lost") > told("event=canary_green"),
        "{log}"
    );
}

#[test]
fn a_full_disk_is_told_until_there_is_space() {
    let disk = SmallDisk::mount();
    let server = Launch::default()
        .data(&disk.data())
        .arguments(&CANARY)
        .start();
    server.wait_until_ready();
    fill(&disk.data());
    wait_until_unready(&server, "storage_full");
    let address = server.address();
    let refused = send(
        address,
        "POST",
        "/api/rooms/lobby/messages",
        "",
        br#"{"content":1}"#,
    );
    assert_eq!(refused.status, 507, "{refused:?}");
    wait_until("the log says so", || {
        server.log().contains("event=storage_trouble")
    });
    disk.free_space();
    server.wait_until_ready();
}

/// Takes what is left of a disk.
fn fill(data: &Path) {
    use std::io::Write as _;
    let mut rest = std::fs::File::create(data.join("rest")).expect("a file on the disk");
    while rest.write_all(&[7; 4096]).is_ok() {}
}

#[test]
fn every_worker_is_ready_however_the_start_goes() {
    for _ in 0..10 {
        let server = Server::start_with(&["--workers", "4", "--canary", "200ms"]);
        server.wait_until_ready();
        let metrics = get(server.address(), "/metrics").text().to_owned();
        for worker in 0..4 {
            let series = format!("tidewire_canary_age_seconds{{worker=\"{worker}\"}} ");
            assert!(metrics.contains(&series), "{metrics}");
        }
    }
}
