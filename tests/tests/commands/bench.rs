//! `tidewire bench`: each scenario against a real server, with figures that must agree with each other; servers that stand
//! still, go away or are no server; and the pictures.

use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tidewire_tests::issuer::Issuer;
use tidewire_tests::launch::binary;
use tidewire_tests::script::Script;
use tidewire_tests::server::signal;
use tidewire_tests::{Directory, Server, wait_until};

/// Short enough for a test, long enough for some messages.
const SHORT: [&str; 4] = ["--duration", "500ms", "--warmup", "100ms"];

#[test]
fn every_echo_comes_back() {
    let server = Server::start();
    for arguments in [
        &["--rate", "400"][..],
        &["--rate", "0", "--connections", "3"],
        &["--rate", "400", "--binary", "--size", "16"],
        &["--rate", "50", "--size", "200KiB", "--connections", "2"],
        &["--rate", "400", "--deflate", "--size", "1000"],
    ] {
        let figures = figures(&bench(&server, &[&SHORT, arguments].concat()));
        let [sent, expected, received] = counts(&figures);
        assert!(
            sent > 0 && sent == expected && sent == received,
            "{figures}"
        );
        assert_eq!(figures["errors"], serde_json::json!({}), "{figures}");
        assert_eq!(figures["connections"]["lost"], 0, "{figures}");
        assert_eq!(figures["unexpected"], 0, "{figures}");
        let bytes = sent * number(&figures, "/size");
        assert_eq!(number(&figures, "/bytes/sent"), bytes, "{figures}");
        assert_eq!(number(&figures, "/bytes/received"), bytes, "{figures}");
        expect_latencies(&figures["latency_us"], received);
        let is_closed = arguments[1] == "0";
        let told = if is_closed { "closed" } else { "open" };
        assert_eq!(figures["loop"], told, "{figures}");
    }
}

#[test]
fn what_is_due_is_sent_whatever_the_server_does() {
    let server = Server::start();
    let child = start(
        &server.address().to_string(),
        &[
            "--json",
            "--rate",
            "200",
            "--duration",
            "10s",
            "--warmup",
            "0",
        ],
    );
    wait_until("the connections are there", || {
        server.health().connections >= 50
    });
    // It stands still for three seconds of the ten, and so do the answers.
    thread::sleep(Duration::from_millis(200));
    server.hold_still();
    thread::sleep(Duration::from_secs(3));
    server.signal("CONT");
    let figures = figures(&child.wait_with_output().expect("its output"));
    assert_eq!(counts(&figures), [2000, 2000, 2000], "{figures}");
    let latency = &figures["latency_us"];
    // A generator that waited for its answers would have one late message for each connection, 50 of 2,000, and no more.
    let late = |name: &str| latency[name].as_f64().expect("a percentile") > 200_000.0;
    assert!(late("p90") && late("p99"), "{figures}");
}

#[test]
fn what_is_due_is_sent_or_counted_even_if_it_is_too_much() {
    let server = Server::start();
    let arguments = ["--rate", "2000000", "--duration", "300ms", "--warmup", "0"];
    let figures = figures(&bench(&server, &arguments));
    let [sent, _, received] = counts(&figures);
    let errors = figures["errors"].as_object().expect("an object");
    let errors: u64 = errors.values().filter_map(Value::as_u64).sum();
    assert_eq!(sent + errors, 600_000, "{figures}");
    assert_eq!(sent, received + number(&figures, "/missing"), "{figures}");
}

#[test]
fn a_fan_out_reaches_all_others_of_the_room() {
    let server = Server::start();
    let fanout = ["--scenario", "fanout", "--connections", "9", "--rooms", "3"];
    for arguments in [
        &["--rate", "60"][..],
        &["--rate", "60", "--publishers", "2"],
        &["--rate", "0"],
        &["--rate", "60", "--binary"],
        &["--rate", "60", "--chat"],
        &["--rate", "60", "--chat", "--deflate", "--size", "400"],
    ] {
        let figures = figures(&bench(&server, &[&fanout, &SHORT[..], arguments].concat()));
        let [sent, expected, received] = counts(&figures);
        assert!(sent > 0, "{figures}");
        // Three members a room, of whom one speaks.
        assert_eq!((expected, received), (2 * sent, 2 * sent), "{figures}");
        assert_eq!(figures["errors"], serde_json::json!({}), "{figures}");
        expect_latencies(&figures["latency_us"], received);
    }
}

#[test]
fn what_the_chat_refuses_is_counted_by_its_reason() {
    let server = Server::start_with(&["--messages-per-second", "5"]);
    let arguments = [
        "--scenario",
        "fanout",
        "--chat",
        "--connections",
        "4",
        "--rate",
        "100",
    ];
    let figures = figures(&bench(&server, &[&arguments, &SHORT[..]].concat()));
    let refused = number(&figures, "/errors/refused: rate_limited");
    assert!(refused > 0 && number(&figures, "/missing") > 0, "{figures}");
}

#[test]
fn speakers_of_the_chat_are_users_of_their_own() {
    // Each may say more than that, and together they say ten times as much.
    let limits = ["--user-messages-per-second", "20"];
    let server = Server::start_with(&limits);
    let arguments = ["--scenario", "fanout", "--chat", "--connections", "30"];
    let load = ["--publishers", "20", "--rate", "200"];
    let figures = figures(&bench(&server, &[&arguments, &load[..], &SHORT].concat()));
    assert!(number(&figures, "/sent") > 0, "{figures}");
    assert_eq!(figures["errors"], serde_json::json!({}), "{figures}");
    assert_eq!(figures["missing"], 0, "{figures}");
}

#[test]
fn with_a_token_every_scenario_is_let_in() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token("bench", &[]);
    let shown = ["--token", &token];
    for scenario in [
        &["--rate", "200"][..],
        &["--scenario", "fanout", "--connections", "4", "--rate", "60"],
        &[
            "--scenario",
            "fanout",
            "--connections",
            "4",
            "--rate",
            "60",
            "--chat",
        ],
        &["--scenario", "idle", "--connections", "4"],
        &["--scenario", "connect", "--rate", "50"],
    ] {
        let figures = figures(&bench(&server, &[scenario, &SHORT, &shown].concat()));
        assert!(number(&figures, "/connections/opened") > 0, "{figures}");
        assert_eq!(figures["errors"], serde_json::json!({}), "{figures}");
    }
    expect_sentence(&bench(&server, &SHORT), "401", 1);
}

#[test]
fn a_limit_of_the_tokens_user_is_told_with_its_name() {
    let issuer = Issuer::new();
    let server = issuer.server(&["--user-connections", "3"]);
    let token = issuer.token("bench", &[]);
    let arguments = [
        "--scenario",
        "fanout",
        "--chat",
        "--connections",
        "5",
        "--token",
        &token,
    ];
    let address = server.address().to_string();
    let output = start(&address, &[&arguments[..], &SHORT].concat())
        .wait_with_output()
        .expect("its output");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("refused: too_many_connections"), "{output:?}");
    assert!(text.contains("--user-connections"), "{output:?}");
}

#[test]
fn idle_connections_are_held_and_answer_pings() {
    let server = Server::start_with(&["--heartbeat", "200ms"]);
    let arguments = [
        "--scenario",
        "idle",
        "--connections",
        "20",
        "--duration",
        "3s",
    ];
    let figures = figures(&bench(&server, &arguments));
    let connections = &figures["connections"];
    assert_eq!(connections["opened"], 20, "{figures}");
    assert_eq!(connections["open_at_the_end"], 20, "{figures}");
    assert_eq!(connections["lost"], 0, "{figures}");
    assert!(number(&figures, "/pings") >= 20, "{figures}");
    expect_latencies(&figures["handshake_us"], 20);
}

#[test]
fn connections_that_a_server_drops_are_counted_and_the_run_ends() {
    for (name, told) in [("TERM", "closed with 1012"), ("KILL", "")] {
        let mut server = Server::start();
        let before = server.usage().descriptors;
        let idle = ["--json", "--scenario", "idle", "--connections", "20"];
        let child = start(
            &server.address().to_string(),
            &[&idle[..], &["--duration", "1h"]].concat(),
        );
        wait_until("the connections are there", || {
            server.usage().descriptors >= before + 20
        });
        // The last one is on its way to be counted as open.
        thread::sleep(Duration::from_secs(2));
        server.signal(name);
        server.wait_for_exit();
        let figures = figures(&child.wait_with_output().expect("its output"));
        assert_eq!(figures["connections"]["lost"], 20, "{figures}");
        let causes = figures["errors"].as_object().expect("an object");
        assert!(
            causes.keys().all(|cause| cause.starts_with(told)),
            "{figures}"
        );
        let count = causes.values().filter_map(Value::as_u64).sum::<u64>();
        assert_eq!(count, 20, "{figures}");
    }
}

#[test]
fn handshakes_are_begun_at_their_rate() {
    let server = Server::start();
    // At a rate, room for all: on a busy machine many may be under way.
    for (rate, connections) in [("100", "500"), ("0", "20")] {
        let arguments = [
            "--scenario",
            "connect",
            "--rate",
            rate,
            "--connections",
            connections,
        ];
        let figures = figures(&bench(&server, &[&arguments, &SHORT[..]].concat()));
        let [begun, _, done] = counts(&figures);
        assert!(begun > 0 && begun == done, "{figures}");
        assert_eq!(figures["errors"], serde_json::json!({}), "{figures}");
        expect_latencies(&figures["latency_us"], done);
    }
    wait_until("all have closed", || server.health().connections <= 1);
}

#[test]
fn an_interrupt_ends_it_early_with_its_result() {
    let server = Server::start();
    for arguments in [
        &["--rate", "500"][..],
        &["--scenario", "fanout", "--rate", "50"],
        &["--scenario", "connect", "--rate", "0"],
    ] {
        let all = [
            "--json",
            "--warmup",
            "0",
            "--duration",
            "1h",
            "--connections",
            "20",
        ];
        let child = start(
            &server.address().to_string(),
            &[&all[..], arguments].concat(),
        );
        wait_until("they are there", || server.health().connections >= 20);
        thread::sleep(Duration::from_secs(3));
        signal(child.id(), "INT");
        let figures = figures(&child.wait_with_output().expect("its output"));
        assert_eq!(figures["stopped_early"], true, "{figures}");
        let [sent, expected, received] = counts(&figures);
        assert!(sent > 0 && expected == received, "{figures}");
        wait_until("they have left", || server.health().connections <= 1);
    }
}

#[test]
fn what_is_no_answer_is_not_counted_as_one() {
    let server = Server::start();
    // The chat is no echo server: it says what it thinks of such messages.
    let url = server.websocket_url("/ws");
    let output = start(&url, &["--json", "--rate", "20", "--duration", "300ms"])
        .wait_with_output()
        .expect("its output");
    let figures = figures(&output);
    assert_eq!(number(&figures, "/received"), 0, "{figures}");
    assert!(number(&figures, "/missing") > 0, "{figures}");
    assert!(number(&figures, "/unexpected") > 0, "{figures}");
    assert_eq!(figures["latency_us"], Value::Null, "{figures}");
}

#[test]
fn pictures_are_xml_and_say_what_was_measured() {
    let server = Server::start();
    let directory = Directory::new();
    let path = directory.path().join("picture.svg");
    let file = path.to_str().expect("a path in UTF-8");
    for (arguments, words) in [
        (
            &["--scenario", "echo", "--rate", "300"][..],
            "messages a second",
        ),
        (
            &["--scenario", "fanout", "--connections", "4"],
            "to be received",
        ),
        (
            &["--scenario", "idle", "--connections", "4"],
            "open connections",
        ),
        (&["--scenario", "connect"], "handshakes a second"),
    ] {
        let all = [arguments, &SHORT, &["--svg", file]].concat();
        let output = bench(&server, &all);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        Script::python("picture_texts.py", &[file, words, "90 %", "latency"]).finish();
    }
}

#[test]
fn people_get_lines_of_progress_and_a_table() {
    let server = Server::start();
    let address = server.address().to_string();
    let output = start(&address, &["--duration", "2500ms", "--warmup", "0"])
        .wait_with_output()
        .expect("its output");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(progress.contains("/s in, p50"), "{progress}");
    let result = String::from_utf8_lossy(&output.stdout);
    for words in ["open loop", "p50", "p99.9", "max", "missing", "│█"] {
        assert!(result.contains(words), "{words}: {result}");
    }
    let output = start(&address, &[&SHORT[..], &["--rate", "0"]].concat())
        .wait_with_output()
        .expect("its output");
    let result = String::from_utf8_lossy(&output.stdout);
    assert!(result.contains("closed loop"), "{result}");
}

#[test]
fn a_server_that_is_not_there_is_one_sentence_and_an_exit_code() {
    let server = Server::start();
    let nowhere = server.websocket_url("/nowhere");
    for (url, words, exit) in [
        ("127.0.0.1:1", "is the server running there", 1),
        ("ws://no-such-host.invalid", "no-such-host.invalid", 1),
        (&nowhere, "/nowhere", 1),
        // An address that cannot be one is a wrong use.
        ("ftp://localhost", "ftp://", 2),
    ] {
        let output = start(url, &[]).wait_with_output().expect("its output");
        expect_sentence(&output, words, exit);
    }
    let output = start(&nowhere, &["--svg", "/no/such/directory/x.svg"]);
    let output = output.wait_with_output().expect("its output");
    expect_sentence(&output, "/no/such", 1);
}

#[test]
fn more_connections_than_open_files_is_one_sentence_and_exit_code_1() {
    let output = Command::new("prlimit")
        .arg("--nofile=100:100")
        .arg(binary())
        .args(["bench", "127.0.0.1:1", "--connections", "500"])
        .output()
        .expect("the command `prlimit`");
    expect_sentence(&output, "ulimit -n 532", 1);
}

#[test]
fn a_wrong_use_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["a", "--scenario", "dance"],
        &["a", "--rooms", "2"],
        &["a", "--size", "3"],
        &["a", "--rate", "fast"],
        &[
            "a",
            "--scenario",
            "fanout",
            "--connections",
            "3",
            "--rooms",
            "2",
        ],
        &["a", "--text", "--binary"],
    ] {
        let output = Command::new(binary()).arg("bench").args(arguments).output();
        let output = output.expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

// ---- helpers ----

fn start(url: &str, arguments: &[&str]) -> Child {
    Command::new(binary())
        .args(["bench", url])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn bench(server: &Server, arguments: &[&str]) -> Output {
    start(
        &server.address().to_string(),
        &[&["--json"], arguments].concat(),
    )
    .wait_with_output()
    .expect("its output")
}

/// The one object on stdout.
#[track_caller]
fn figures(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one JSON object on stdout")
}

#[track_caller]
fn number(figures: &Value, path: &str) -> u64 {
    figures
        .pointer(path)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("there is no {path} in {figures}"))
}

/// What was sent, what was to come and what came.
#[track_caller]
fn counts(figures: &Value) -> [u64; 3] {
    ["/sent", "/expected", "/received"].map(|path| number(figures, path))
}

#[track_caller]
fn expect_latencies(latencies: &Value, count: u64) {
    assert_eq!(latencies["count"], count, "{latencies}");
    let names = ["min", "p50", "p90", "p99", "p999", "max"];
    let values = names.map(|name| latencies[name].as_f64().expect("a percentile"));
    assert!(values.is_sorted() && values[0] > 0.0, "{latencies}");
}

#[track_caller]
fn expect_sentence(output: &Output, words: &str, exit: i32) {
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    assert!(error.contains(words), "{words}: {error}");
    assert!(output.stdout.is_empty(), "{output:?}");
}
