//! The secrets of sessions: written only where the flag says so, and then Wireshark reads what was said.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tidewire_tests::script::tool;
use tidewire_tests::server::signal;
use tidewire_tests::{Client, Directory, Identity, Launch, wait_until};

const SAID: &str = "nobody else can read this";

/// A `tshark` that captures a port.
struct Capture(Child);

impl Drop for Capture {
    fn drop(&mut self) {
        // By SIGINT it ends its capturing child too, and waiting fails only when it has ended.
        signal(self.0.id(), "INT");
        let _ = self.0.wait();
    }
}

impl Capture {
    #[track_caller]
    fn start(address: SocketAddr, file: &Path) -> Self {
        let advice = "install Wireshark's command line (Debian: `apt-get install tshark`)";
        let port = format!("tcp port {}", address.port());
        let tshark = Command::new(tool("tshark", &["tshark"], advice))
            .args(["-q", "-i", "lo", "-f", &port, "-w"])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tshark runs");
        let capture = Self(tshark);
        see(address, file, "begin");
        capture
    }
}

/// Says something that is no TLS until it is in the file: then so is what came before.
#[track_caller]
fn see(address: SocketAddr, file: &Path, mark: &str) {
    wait_until(
        "the capture has what was said (only who may capture can run this test)",
        || {
            let mut socket = TcpStream::connect(address).expect("the server accepts");
            write!(socket, "GET /{mark}").expect("the server takes it");
            let bytes = fs::read(file).unwrap_or_default();
            bytes
                .windows(mark.len())
                .any(|window| window == mark.as_bytes())
        },
    );
}

#[test]
fn tshark_reads_what_was_said_with_the_secrets_and_nothing_without() {
    let directory = Directory::new();
    let (secrets, file) = (
        directory.path().join("secrets.log"),
        directory.path().join("chat.pcapng"),
    );
    let path = secrets.to_str().expect("a path in UTF-8");
    let server = Launch::default()
        .tls(&Identity::shared())
        .arguments(&["--keylog", path])
        .start();
    let capture = Capture::start(server.address(), &file);
    let mut client = Client::open(server.address(), "/echo");
    client.send_text(SAID);
    assert_eq!(client.expect_text(), SAID);
    see(server.address(), &file, "finis");
    drop(capture);
    let read = |keys: &str| {
        let output = Command::new("tshark")
            .arg("-r")
            .arg(&file)
            .args(["-d", &format!("tcp.port=={},tls", server.address().port())])
            .args(["-o", &format!("tls.keylog_file:{keys}")])
            .args([
                "-Y",
                "websocket",
                "-T",
                "fields",
                "-e",
                "websocket.payload.text",
            ])
            .output()
            .expect("tshark runs");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(read(path), format!("{SAID}\n{SAID}\n"));
    assert_eq!(read("/dev/null"), "");
}

#[test]
fn the_variable_alone_writes_no_secret_and_with_the_flag_it_says_where() {
    let directory = Directory::new();
    let path = directory.path().join("secrets.log");
    let launch = || {
        Launch::default()
            .tls(&Identity::shared())
            .variable("SSLKEYLOGFILE", &path)
    };
    let server = launch().start();
    drop(Client::open(server.address(), "/echo"));
    assert!(!path.exists(), "nobody asked for it");
    let server = launch().arguments(&["--keylog"]).start();
    drop(Client::open(server.address(), "/echo"));
    let secrets = fs::read_to_string(&path).expect("the file");
    for label in ["SERVER_TRAFFIC_SECRET_0 ", "CLIENT_TRAFFIC_SECRET_0 "] {
        assert!(secrets.contains(label), "{secrets}");
    }
}
