//! What the command line says of TLS: the first line, and errors that name the file and what to do.

use std::fs;
use std::path::Path;
use std::process::Output;

use tidewire_tests::{Identity, Launch};

/// Starts a server that is not to start.
#[track_caller]
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let launch = Launch::default().plain().arguments(arguments);
    let Output { status, stderr, .. } = launch.command().output().expect("the binary runs");
    let error = String::from_utf8(stderr).expect("text");
    assert_eq!(error.trim_end().lines().count(), 1, "one sentence: {error}");
    (status.code(), error)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn one_file_without_the_other_is_exit_code_2() {
    for (arguments, told) in [
        (&["--tls-cert", "a.pem"] as &[&str], "--tls-key"),
        (&["--tls-key", "a.pem"], "--tls-cert"),
        (&["--keylog", "a.log"], "--keylog"),
    ] {
        let (code, error) = refused(arguments);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_file_that_is_no_good_is_exit_code_1_and_named() {
    let (one, other) = (Identity::new(), Identity::new());
    let empty = one.directory().join("empty.pem");
    fs::write(&empty, "").expect("a file");
    let (certificate, key, empty) = (one.certificate(), other.key(), text(&empty));
    for (certificate, key, told) in [
        ("no/such.pem", text(&key), "cannot read no/such.pem"),
        (empty, text(&key), "there is no certificate in"),
        (text(&certificate), empty, "there is no private key in"),
        (text(&certificate), text(&key), "is not the key of"),
    ] {
        let (code, error) = refused(&["--tls-cert", certificate, "--tls-key", key]);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn the_first_line_says_https() {
    // Starting it looks for that line.
    let server = Launch::default().tls(&Identity::new()).start();
    assert!(server.websocket_url("/ws").starts_with("wss://"));
}
