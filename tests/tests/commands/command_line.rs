//! What the command line promises: a first line that says where, and errors of one sentence with their exit code.

use std::process::{Command, Output};

use tidewire_tests::launch::binary;
use tidewire_tests::{Launch, Server};

#[test]
fn an_address_in_use_is_one_sentence_and_exit_code_1() {
    let server = Server::start();
    let output = Launch::default()
        .on_port(server.address().port())
        .command()
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error.trim_end().lines().count(), 1, "one sentence: {error}");
    assert!(
        error.contains(&server.address().to_string()),
        "it says which address: {error}"
    );
    assert!(
        output.stdout.is_empty(),
        "nothing is said to listen: {output:?}"
    );
}

#[test]
fn a_wrong_use_is_exit_code_2() {
    for arguments in [
        &["serve", "--no-such-flag"] as &[&str],
        &["no-such-command"],
        &["serve", "--heartbeat", "soon"],
        &["serve", "--listen", "nowhere"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !error.trim().is_empty() && !error.contains("panicked"),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn a_flag_can_come_from_the_environment() {
    let output = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TIDEWIRE_HEARTBEAT", "soon")
        .output();
    let output = output.expect("the binary runs");
    assert_eq!(
        output.status.code(),
        Some(2),
        "the value of TIDEWIRE_HEARTBEAT is read: {output:?}"
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("the variable TIDEWIRE_HEARTBEAT"),
        "who never wrote --heartbeat is told where it is from: {error}"
    );
}

#[test]
fn help_and_version_exit_with_0() {
    for arguments in [&["--help"] as &[&str], &["serve", "--help"], &["--version"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        let is_fine = !text.is_empty() && !text.starts_with("error");
        assert!(is_fine && !text.contains("***"), "{arguments:?}: {text}");
    }
    let help = run(&["serve", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    for flag in [
        "--listen",
        "--data",
        "--heartbeat",
        "--messages-per-second",
        "--connections-max",
        "--handshake-timeout",
    ] {
        assert!(help.contains(flag), "{flag} is in the help: {help}");
    }
}

#[track_caller]
fn run(arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .output()
        .expect("the binary runs")
}
