//! The commands that are clients speak TLS: `chat`, `tail`, `verify`, `bench`, `why` and `capture`, with whom they are told to trust and nobody else.

use tidewire_tests::command::run;
use tidewire_tests::{Chatter, Identity, Launch, Running, Server};

struct Secured {
    server: Server,
    ca: String,
}

impl Secured {
    fn start() -> Self {
        let identity = Identity::shared();
        let ca = identity.certificate().into_os_string().into_string();
        Self {
            server: Launch::default().tls(&identity).start(),
            ca: ca.expect("a path in UTF-8"),
        }
    }

    /// A command on this server, which trusts it.
    #[track_caller]
    fn run(&self, command: &str, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
        let url = self.server.websocket_url("");
        let words = [&[command, &url, "--ca", &self.ca], arguments].concat();
        run(&words, input.as_bytes())
    }
}

#[test]
fn what_is_said_in_a_terminal_comes_out_of_another() {
    let secured = Secured::start();
    let long = "long ".repeat(5000);
    let said = format!("one\ntwo\n{long}\n");
    let (code, _, stderr) = secured.run("chat", &["--once", "--user", "alice"], &said);
    assert_eq!(code, Some(0), "{stderr}");
    let url = secured.server.websocket_url("/ws");
    let tail = Running::start(&["tail", &url, "--ca", &secured.ca, "--room", "lobby"]);
    tail.expect("two");
    tail.expect(long.trim_end());
}

#[test]
fn nothing_is_lost_over_tls() {
    let secured = Secured::start();
    let arguments = ["--messages", "2000", "--reconnect-every", "500ms"];
    let (code, stdout, stderr) = secured.run("verify", &arguments, "");
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("Nothing was lost"), "{stdout}");
}

#[test]
fn a_load_is_counted_over_tls() {
    let secured = Secured::start();
    for scenario in ["echo", "fanout", "idle", "connect"] {
        let few = [
            "-s", scenario, "-c", "10", "-d", "1s", "--size", "40KiB", "--json",
        ];
        let (code, stdout, stderr) = secured.run("bench", &few, "");
        assert_eq!(code, Some(0), "{stderr}");
        let figures: serde_json::Value = serde_json::from_str(&stdout).expect("one object");
        assert!(
            figures["url"]
                .as_str()
                .is_some_and(|url| url.starts_with("wss://")),
            "{figures}"
        );
    }
}

#[test]
fn an_operator_asks_over_tls() {
    let secured = Secured::start();
    let _ada = Chatter::enter(&secured.server, "ada", "lobby");
    let url = secured
        .server
        .websocket_url("")
        .replace("wss://", "https://");
    let stranger = Identity::new();
    let stranger = stranger.certificate();
    let stranger = stranger.to_str().expect("a path in UTF-8");
    let plain = url.replace("https://", "http://");
    let why = ["why", "ada"];
    let capture = ["capture", "--out", "-", "--time", "1s"];
    for (command, told) in [
        (&why[..], "chat of ada from 127.0.0.1:"),
        (&capture, "GET /ws HTTP/1.1"),
    ] {
        let ask = |url: &str, ca| run(&[command, &["--url", url, "--ca", ca]].concat(), b"");
        let (code, stdout, stderr) = ask(&url, &secured.ca);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(
            stdout.contains(told),
            "{told:?} is not in {} bytes",
            stdout.len()
        );
        for (url, ca, told) in [
            (&url, stranger, "certificate"),
            (&url, "no/such.pem", "cannot read no/such.pem"),
            (&plain, stranger, "https://"),
        ] {
            let (code, stdout, stderr) = ask(url, ca);
            assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
            assert!(stderr.contains(told), "{told:?} is not in: {stderr}");
        }
    }
}

#[test]
fn who_is_not_trusted_is_not_spoken_with() {
    let secured = Secured::start();
    let stranger = Identity::new();
    let certificate = stranger.certificate();
    let stranger = certificate.to_str().expect("a path in UTF-8");
    let url = secured.server.websocket_url("");
    let key = Identity::shared().key();
    let key = key.to_str().expect("a path in UTF-8");
    let plain = url.replace("wss://", "ws://");
    for (url, ca, told) in [
        (&url, stranger, "certificate"),
        (&url, "no/such.pem", "cannot read no/such.pem"),
        (&url, key, "there is no certificate to trust in"),
        // The server does not speak this, and says so.
        (&plain, stranger, "400"),
    ] {
        let (code, _, stderr) = run(&["chat", url, "--once", "--ca", ca], b"x\n");
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains(told) && stderr.lines().count() == 1,
            "{told:?} is not in: {stderr}"
        );
    }
}
