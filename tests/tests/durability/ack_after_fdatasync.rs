//! What the kernel saw: no acknowledgement is written to a socket before the `fdatasync` that covers its message has
//! returned. strace tells, in the order in which things happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use tidewire_tests::script::tool;
use tidewire_tests::{Chatter, Directory, Launch, wait_until};

const MESSAGES: u64 = 10_000;

/// Messages that wait for their acks at once: so many share a commit.
const WINDOW: u64 = 50;

#[test]
fn no_ack_leaves_before_its_message_is_on_the_disk() {
    let strace = tool(
        "strace",
        &["strace"],
        "install strace (Debian: `apt-get install strace`)",
    );
    let directory = Directory::new();
    let trace = directory.path().join("trace");
    let data = directory.path().join("data");
    let words = [
        strace.to_str().expect("a path in UTF-8"),
        // The server is our child, and strace its: so it is the server that is ended.
        "-D",
        "-f",
        "-s",
        "1000000",
        "-o",
        trace.to_str().expect("a path in UTF-8"),
        "-e",
        "trace=pwrite64,write,fdatasync,fsync,writev,sendto,sendmsg",
    ];
    let server = Launch::default()
        .data(&data)
        .under(&words)
        .arguments(&["--messages-per-second", "0", "--compression", "off"])
        .start();
    let mut speaker = Chatter::enter(&server, "speaker", "lobby");
    let mut acked = 0;
    for seq in 1..=MESSAGES {
        let content = format!("<{seq}>");
        speaker
            .send(&json!({"type": "room_msg", "roomId": "lobby", "content": content, "seq": seq}));
        if seq - acked == WINDOW || seq == MESSAGES {
            while acked < seq {
                acked += 1;
                assert_eq!(speaker.hear_of("ack")["seq"], acked);
            }
        }
    }
    server.signal("TERM");
    let is_end = |line: &str| {
        let call = line.strip_prefix(&server.pid().to_string());
        call.is_some_and(|call| call.trim_start().starts_with("+++ exited with"))
    };
    wait_until("strace has written everything", || {
        std::fs::read_to_string(&trace).is_ok_and(|text| text.lines().any(is_end))
    });
    let found = read(&trace);
    assert_eq!(found.acked.len() as u64, MESSAGES, "each ack was seen");
    assert!(found.commits > 1, "{} commits", found.commits);
    assert_eq!(found.early, [0; 0], "acks before their fdatasync");
}

/// What a trace tells.
#[derive(Default)]
struct Found {
    /// Written, and to be covered by the next `fdatasync` that begins.
    written: Vec<u64>,
    /// Being saved, by the thread that waits for it.
    saving: BTreeMap<String, Vec<u64>>,
    saved: BTreeSet<u64>,
    acked: BTreeSet<u64>,
    early: Vec<u64>,
    commits: usize,
}

fn read(trace: &Path) -> Found {
    let mut found = Found::default();
    let text = std::fs::read_to_string(trace).expect("the trace");
    for line in text.lines() {
        let (thread, call) = line.split_once(' ').expect("a thread and a call");
        found.line(thread, call.trim_start());
    }
    found
}

impl Found {
    fn line(&mut self, thread: &str, call: &str) {
        let is_done = !call.ends_with("<unfinished ...>");
        if call.starts_with("fdatasync(") {
            let written = std::mem::take(&mut self.written);
            self.saving.insert(thread.to_owned(), written);
        }
        if call.starts_with("fdatasync(") || call.starts_with("<... fdatasync resumed>") {
            if is_done {
                assert!(call.ends_with("= 0"), "{call}");
                self.saved
                    .extend(self.saving.remove(thread).unwrap_or_default());
                self.commits += 1;
            }
        } else if call.contains(r#"\"type\":\"ack\""#) {
            // What counts is when writing begins.
            for seq in numbers(call, r#"\"ack\",\"seq\":"#) {
                self.acked.insert(seq);
                if !self.saved.contains(&seq) {
                    self.early.push(seq);
                }
            }
        } else if call.starts_with("pwrite64(") {
            self.written.extend(numbers(call, r#"\"<"#));
        }
    }
}

/// The numbers behind each place where `mark` is.
fn numbers<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = u64> + 'a {
    text.split(mark).skip(1).filter_map(|behind| {
        let end = behind.find(|c: char| !c.is_ascii_digit())?;
        behind[..end].parse().ok()
    })
}

#[test]
fn an_early_ack_would_be_found() {
    let mut found = Found::default();
    found.line("1", r#"pwrite64(3, "..\"<1>\"..\"<2>\"", 9, 0) = 9"#);
    found.line("1", "fdatasync(3 <unfinished ...>");
    found.line("1", r#"pwrite64(3, "\"<3>\"", 9, 0) = 9"#);
    found.line(
        "2",
        r#"writev(9, [{iov_base="{\"type\":\"ack\",\"seq\":1,", iov_len=9}], 1) = 9"#,
    );
    found.line("1", "<... fdatasync resumed>) = 0");
    found.line("2", r#"writev(9, [{iov_base="{\"type\":\"ack\",\"seq\":2,..{\"type\":\"ack\",\"seq\":3,", iov_len=9}], 1) = 9"#);
    assert_eq!(found.early, [1, 3]);
    assert_eq!(found.acked.len(), 3);
}
