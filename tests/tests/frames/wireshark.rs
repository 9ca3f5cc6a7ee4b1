//! Wireshark reads our frames: `tshark` captures our port and finds the opcodes, masks, keys and payloads that were
//! sent. `docs/WIRESHARK.md` shows the same by hand.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tidewire_tests::frame::{Frame, opcode};
use tidewire_tests::http::get;
use tidewire_tests::script::tool;
use tidewire_tests::server::signal;
use tidewire_tests::{Chatter, Client, Server, wait_until};

/// What is asked of each frame, in this order.
const FIELDS: [&str; 12] = [
    "tcp.dstport",
    "websocket.fin",
    "websocket.rsv",
    "websocket.opcode",
    "websocket.mask",
    "websocket.masking_key",
    "websocket.payload_length",
    "websocket.payload.text",
    "data.data",
    "websocket.payload.ping",
    "websocket.payload.pong",
    "websocket.payload.close.status_code",
];

#[test]
fn tshark_finds_what_was_sent() {
    let server = Server::start();
    let capture = Capture::start(server.address());
    converse(&server);
    let rows = capture.finish().rows("websocket", &FIELDS);
    let port = server.address().port().to_string();

    // One row a packet, one packet a frame: the conversation waits for each answer.
    let sent = |columns: &str| format!("{port}|{columns}");
    let received = |columns: &str| format!("client|{columns}");
    let expected = [
        sent("1|0x00|1|1|11223344|6|héllo||||"),
        received("1|0x00|1|0||6|héllo||||"),
        sent("1|0x00|2|1|a1b2c3d4|3||010203|||"),
        received("1|0x00|2|0||3||010203|||"),
        // Two fragments; Wireshark shows the text when it is whole.
        sent("0|0x00|1|1|00000001|5|||||"),
        sent("1|0x00|0|1|ffffffff|4|halves ok||||"),
        received("1|0x00|1|0||9|halves ok||||"),
        sent("1|0x00|9|1|37fa213d|4|||6b6e6f63||"),
        received("1|0x00|10|0||4||||6b6e6f63|"),
        // A pong that nobody asked for.
        sent("1|0x00|10|1|37fa213d|5||||686d6d2e2e|"),
        sent("1|0x00|8|1|0a0b0c0d|5|||||1000"),
    ];
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(&from_client_named(row, &port), expected);
    }
    // The server's close frame comes last: same code, not masked.
    assert_eq!(rows.len(), expected.len() + 1, "{rows:#?}");
    let last = from_client_named(&rows[expected.len()], &port);
    assert!(
        last.starts_with("client|1|0x00|8|0||") && last.ends_with("|1000"),
        "{last}"
    );
}

#[test]
fn tshark_finds_frames_that_share_a_packet_and_frames_that_need_many() {
    let server = Server::start();
    let capture = Capture::start(server.address());
    let mut client = Client::open(server.address(), "/echo");
    let together = [
        Frame::text("one"),
        Frame::ping("two"),
        Frame::binary("three"),
    ];
    client
        .wire
        .send(&together.map(|frame| frame.encode()).concat());
    for _ in 0..3 {
        client.expect_frame();
    }
    // A length in 16 bits and one in 64 bits, over several packets.
    for length in [1000, 100_000] {
        client.send_binary(&vec![b'x'; length]);
        assert_eq!(client.expect_binary().len(), length);
    }
    client.close();
    let columns = [
        "websocket.opcode",
        "websocket.payload_length_ext_16",
        "websocket.payload_length_ext_64",
    ];
    let recording = capture.finish();
    let port = server.address().port();
    let rows = recording.rows(&format!("websocket && tcp.dstport == {port}"), &columns);
    assert_eq!(rows, ["1,9,2||", "2|1000|", "2||100000", "8||"]);
    // And all that the server sent adds up: nothing of it is unreadable.
    let to_us = format!("websocket && tcp.srcport == {port}");
    let answers = recording.rows(&to_us, &columns).join(",");
    let mut opcodes: Vec<&str> = answers
        .split(['|', ','])
        .filter(|value| ["1", "2", "8", "10"].contains(value))
        .collect();
    opcodes.sort_unstable();
    assert_eq!(opcodes, ["1", "10", "2", "2", "2", "8"], "{answers}");
}

#[test]
fn tshark_finds_the_handshake() {
    let server = Server::start();
    let capture = Capture::start(server.address());
    Client::open(server.address(), "/echo").close();
    let rows = capture.finish().rows(
        "http.sec_websocket_key || http.sec_websocket_accept",
        &[
            "http.request.uri",
            "http.response.code",
            "http.sec_websocket_version",
            "http.sec_websocket_key",
            "http.sec_websocket_accept",
        ],
    );
    assert_eq!(
        rows,
        [
            "/echo||13|dGhlIHNhbXBsZSBub25jZQ==|",
            "|101|||s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        ]
    );
}

#[test]
fn every_command_and_every_filter_of_the_guide_works() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/WIRESHARK.md");
    let guide = std::fs::read_to_string(guide).expect("docs/WIRESHARK.md");
    let server = Server::start();
    let capture = Capture::start(server.address());
    converse(&server);
    let mut chatter = Chatter::enter(&server, "alice", "lobby");
    chatter.say_acked("lobby", "for the guide", 1);
    chatter.client.close();
    assert_eq!(get(server.address(), "/nowhere").status, 404);
    let recording = capture.finish();

    let commands: Vec<&str> = guide
        .lines()
        .filter(|line| line.starts_with("tshark -r chat.pcapng "))
        .collect();
    assert!(
        commands.len() > 5,
        "the commands of the guide are found: {commands:?}"
    );
    for command in commands {
        println!("{command}");
        let output = recording.run(command);
        assert!(!output.trim().is_empty(), "this shows nothing: {command}");
    }
    // One filter that has them all: a mistake in any of them is a mistake in it.
    let filters: Vec<String> = guide.lines().filter_map(filter_of_row).collect();
    assert!(
        filters.len() > 10,
        "the filters of the guide are found: {filters:?}"
    );
    let filter = format!("({})", filters.join(") || ("));
    recording.run(&format!("tshark -r chat.pcapng -Y '{filter}'"));
}

/// The filter in a row of the guide's table of filters.
fn filter_of_row(line: &str) -> Option<String> {
    let (filter, _) = line.strip_prefix("| `")?.split_once("` |")?;
    let known = ["websocket", "http.", "tcp."]
        .iter()
        .any(|start| filter.starts_with(start));
    // In a table a bar needs a backslash.
    known.then(|| filter.replace("\\|", "|"))
}

/// Sends each kind of frame under a known key, and waits for what it brings before the next.
#[track_caller]
fn converse(server: &Server) {
    let mut client = Client::open(server.address(), "/echo");
    client.send(&Frame::text("héllo").with_key([0x11, 0x22, 0x33, 0x44]));
    assert_eq!(client.expect_text(), "héllo");
    client.send(&Frame::binary([1, 2, 3]).with_key([0xa1, 0xb2, 0xc3, 0xd4]));
    assert_eq!(client.expect_binary(), [1, 2, 3]);
    client.send(&Frame::text("halve").unfinished().with_key([0, 0, 0, 1]));
    client.send(&Frame::continuation("s ok").with_key([0xff; 4]));
    assert_eq!(client.expect_text(), "halves ok");
    client.send(&Frame::ping("knoc"));
    assert_eq!(client.expect_frame().opcode, opcode::PONG);
    client.send(&Frame::pong("hmm.."));
    client.send(&Frame::close(1000, "bye").with_key([0x0a, 0x0b, 0x0c, 0x0d]));
    client.expect_close(1000);
    client.expect_end();
}

/// Puts `client` in place of our own port, which differs from run to run.
fn from_client_named(row: &str, server_port: &str) -> String {
    match row.split_once('|') {
        Some((port, rest)) if port != server_port => format!("client|{rest}"),
        _ => row.to_owned(),
    }
}

/// A `tshark` that writes what passes over our port to a file.
struct Capture {
    tshark: Tshark,
    address: SocketAddr,
    recording: Recording,
}

impl Capture {
    /// Starts to capture, and returns when packets are certainly seen.
    #[track_caller]
    fn start(address: SocketAddr) -> Self {
        let name = format!("tidewire-{}-{}.pcapng", std::process::id(), address.port());
        let recording = Recording {
            file: std::env::temp_dir().join(name),
            port: address.port(),
        };
        let mut command = Command::new(tshark());
        command
            .args([
                "-q",
                "-i",
                "lo",
                "-f",
                &format!("tcp port {}", address.port()),
                "-w",
            ])
            .arg(&recording.file);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let tshark = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let tshark = Tshark(tshark);
        let mut capture = Self {
            tshark,
            address,
            recording,
        };
        wait_until("the capture has begun", || {
            capture.tshark.assert_running();
            capture.sees("begin")
        });
        capture
    }

    /// Sends a request that names `mark`, and says whether the file has one.
    #[track_caller]
    fn sees(&self, mark: &str) -> bool {
        assert_eq!(get(self.address, &format!("/health?{mark}")).status, 200);
        let bytes = std::fs::read(&self.recording.file).unwrap_or_default();
        bytes
            .windows(mark.len())
            .any(|window| window == mark.as_bytes())
    }

    /// Ends the capture when all that was sent so far is in it.
    #[track_caller]
    fn finish(self) -> Recording {
        // What comes after the conversation in the file shows that the conversation is in it.
        wait_until("the capture has all packets", || self.sees("finis"));
        drop(self.tshark);
        self.recording
    }
}

/// A running `tshark`; dropping it ends it and waits until its file is whole.
struct Tshark(Child);

impl Tshark {
    #[track_caller]
    fn assert_running(&mut self) {
        if self
            .0
            .try_wait()
            .expect("the state of our own child")
            .is_none()
        {
            return;
        }
        let mut reason = String::new();
        let stderr = self.0.stderr.as_mut().expect("stderr is piped");
        stderr
            .read_to_string(&mut reason)
            .expect("what tshark wrote");
        panic!(
            "tshark could not capture on the loopback interface: run the test as root, or let your user capture \
             (Debian: `dpkg-reconfigure wireshark-common` and the group `wireshark`). It said:\n{reason}"
        );
    }
}

impl Drop for Tshark {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // By SIGINT it ends its capturing child too; SIGKILL would leave that behind.
            signal(self.0.id(), "INT");
            // Waiting can only fail when it has been waited for.
            let _ = self.0.wait();
        }
    }
}

/// A file of packets; it goes with this value.
struct Recording {
    file: PathBuf,
    port: u16,
}

impl Recording {
    /// The packets that match a display filter: one row each, its fields separated by bars.
    #[track_caller]
    fn rows(&self, filter: &str, fields: &[&str]) -> Vec<String> {
        let fields: String = fields.iter().map(|field| format!(" -e {field}")).collect();
        let output = self.run(&format!(
            "tshark -r chat.pcapng -Y '{filter}' -T fields -E separator='|'{fields}"
        ));
        output.lines().map(str::to_owned).collect()
    }

    /// Runs a command line, written as the guide writes them, on this file and its port.
    #[track_caller]
    fn run(&self, command_line: &str) -> String {
        let file = self.file.to_str().expect("a path in UTF-8");
        let start = format!(
            "{} -d tcp.port=={},http -r {file}",
            tshark().display(),
            self.port
        );
        let command_line = command_line.replacen("tshark -r chat.pcapng", &start, 1);
        let output = Command::new("sh")
            .args(["-c", &command_line])
            .output()
            .expect("a shell");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command_line}: {complaint}");
        String::from_utf8(output.stdout).expect("tshark writes UTF-8")
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // There is none when tshark could not start.
        let _ = std::fs::remove_file(&self.file);
    }
}

#[track_caller]
fn tshark() -> PathBuf {
    tool(
        "tshark",
        &["tshark"],
        "install Wireshark's command line (Debian: `apt-get install tshark`)",
    )
}
