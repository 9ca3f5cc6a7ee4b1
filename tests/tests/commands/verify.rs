//! `tidewire verify`: clean where a server keeps its promises, however its connections end; and not clean where it does not.

use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use tidewire_tests::issuer::Issuer;
use tidewire_tests::launch::binary;
use tidewire_tests::proxy::{Fault, Proxy};
use tidewire_tests::{Launch, Server, wait_until};

#[test]
fn a_server_that_is_left_alone_is_clean() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let output = verify(&server.address().to_string(), &["--messages", "3000"]);
    let text = expect_clean(&output);
    // 8 publishers who follow too, 8 subscribers, and one who comes at the end: but for everybody's own messages.
    for row in [
        "messages 3,000",
        "acknowledged 3,000",
        "deliveries 48,000",
        "read from the history 3,000",
        "gaps 0",
    ] {
        assert!(text.contains(row), "{row}: {text}");
    }
}

#[test]
fn connections_that_are_cut_and_slow_readers_cost_nothing() {
    let server = Server::start_with(&["--messages-per-second", "0", "--lag-max", "300ms"]);
    let arguments = [
        "--messages",
        "4000",
        "--rate",
        "2000",
        "--reconnect-every",
        "250ms",
        "--slow",
        "2",
    ];
    let output = verify(&server.address().to_string(), &arguments);
    let text = expect_clean(&output);
    assert!(!text.contains("reconnects 0"), "{text}");
}

#[test]
fn a_network_that_resets_ends_and_stalls_connections_costs_nothing() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let proxy = Proxy::start(server.address());
    let arguments = [
        "--messages",
        "4000",
        "--rate",
        "1500",
        "--publishers",
        "4",
        "--subscribers",
        "4",
    ];
    let mut child = start(&proxy.address().to_string(), &arguments);
    let faults = [
        Fault::Stall,
        Fault::Reset,
        Fault::Stall,
        Fault::Finish,
        Fault::Reset,
    ];
    for (index, fault) in faults.into_iter().cycle().take(60).enumerate() {
        // Here and there, in an order that looks like none.
        proxy.strike(index * 7 + 3, fault);
        thread::sleep(Duration::from_millis(40));
        if child
            .try_wait()
            .expect("the state of our own child")
            .is_some()
        {
            break;
        }
    }
    let text = expect_clean(&child.wait_with_output().expect("its output"));
    assert!(!text.contains("reconnects 0"), "{text}");
}

#[test]
fn messages_that_the_server_refuses_for_their_rate_are_sent_again() {
    // So few that a machine with other things to do is over them, too.
    let server = Server::start_with(&["--messages-per-second", "100"]);
    let arguments = ["--messages", "1200", "--publishers", "2"];
    let text = expect_clean(&verify(&server.address().to_string(), &arguments));
    assert!(!text.contains("refused, and sent again 0"), "{text}");
}

#[test]
fn a_server_that_forgets_what_it_acknowledged_is_found_out() {
    let output = verify_one_that_forgets(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = text_of(&output);
    assert!(
        text.contains("NOT CLEAN") && text.contains("acknowledged, but lost:"),
        "{text}"
    );
    assert!(!text.contains("gaps 0"), "who comes back is told: {text}");
}

#[test]
fn a_server_that_asks_for_tokens_is_verified_with_one() {
    let issuer = Issuer::new();
    let server = issuer.server(&[
        "--messages-per-second",
        "0",
        "--user-messages-per-second",
        "0",
    ]);
    let address = server.address().to_string();
    let rights = ["join", "publish", "read"];
    let token = issuer.token_for("verifier", &rights, "verify-*");
    let load = [
        "--messages",
        "2000",
        "--reconnect-every",
        "300ms",
        "--rate",
        "2000",
    ];
    let text = expect_clean(&verify(
        &address,
        &[&load[..], &["--token", &token]].concat(),
    ));
    assert!(text.contains("acknowledged 2,000"), "{text}");
    // In the environment nobody else on the machine sees it.
    let output = Command::new(binary())
        .args(["verify", &format!("ws://{address}"), "--messages", "100"])
        .env("TIDEWIRE_TOKEN", &token)
        .output()
        .expect("the binary runs");
    expect_clean(&output);
}

#[test]
fn a_token_that_is_missing_or_grants_too_little_is_one_sentence_and_exit_code_1() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let address = server.address().to_string();
    let mute = issuer.token_for("verifier", &["join", "read"], "*");
    let deaf = issuer.token_for("verifier", &["publish"], "*");
    for (shown, words) in [
        (&["--token", mute.as_str()][..], "publish"),
        (&["--token", &deaf], "join"),
        (&[], "--token"),
    ] {
        let output = verify(&address, shown);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn what_is_lost_may_be_allowed_where_it_is_told() {
    let text = expect_clean(&verify_one_that_forgets(&["--allow-gaps"]));
    assert!(text.contains("lost, and told by a gap"), "{text}");
    assert!(text.contains("are lost, and a gap said so."), "{text}");
}

/// A server is killed under load and has forgotten everything, since its rooms were in memory.
#[track_caller]
fn verify_one_that_forgets(arguments: &[&str]) -> Output {
    let settings = ["--messages-per-second", "0"];
    let mut server = Server::start_with(&settings);
    let address = server.address();
    let arguments = [&["--for", "8s", "--rate", "400"], arguments].concat();
    let child = start(&address.to_string(), &arguments);
    wait_until("the clients are there", || {
        server.health().connections >= 16
    });
    thread::sleep(Duration::from_millis(500));
    server.kill();
    let again = Launch::default().arguments(&settings);
    let _again = again.on_port(address.port()).start();
    child.wait_with_output().expect("its output")
}

#[test]
fn who_finds_nobody_at_one_of_several_servers_goes_to_the_next() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let also = format!("ws://{}", server.address());
    let arguments = [
        &also,
        "--messages",
        "1500",
        "--rooms",
        "4",
        "--rooms-each",
        "1",
    ];
    // Every other client begins where nobody is.
    let text = expect_clean(&verify("127.0.0.1:1", &arguments));
    // In each room are two publishers, who get the others' messages, two who follow, and who comes at the end.
    assert!(text.contains("deliveries 6,000"), "{text}");
    assert!(!text.contains("reconnects 0"), "{text}");
}

#[test]
fn it_sends_until_its_input_ends_where_that_is_asked_for() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut command = Command::new(binary());
    command.args(["verify", &format!("ws://{}", server.address())]);
    command.args(["--until-eof", "--rate", "200"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().expect("the binary runs");
    server.wait_for_count("appended", 50);
    drop(child.stdin.take());
    let text = expect_clean(&child.wait_with_output().expect("its output"));
    assert!(text.contains("gaps 0"), "{text}");
}

#[test]
fn a_server_that_is_not_there_is_one_sentence_and_exit_code_1() {
    let output = verify("127.0.0.1:1", &["--patience", "200ms"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    // An address that cannot be one is a wrong use.
    let output = verify("ftp://localhost", &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("ftp://"),
        "{output:?}"
    );
}

fn start(address: &str, arguments: &[&str]) -> Child {
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("ws://{address}")
    };
    Command::new(binary())
        .args(["verify", &url, "--seed", "1"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn verify(address: &str, arguments: &[&str]) -> Output {
    start(address, arguments)
        .wait_with_output()
        .expect("its output")
}

#[track_caller]
fn expect_clean(output: &Output) -> String {
    let text = text_of(output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{output:?}");
    assert!(text.contains(": clean"), "{text}");
    text
}

/// What it printed, with single spaces.
fn text_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
