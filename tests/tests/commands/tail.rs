//! `tidewire tail`: every message once and in order, however often the server or the connection goes, and gaps that are said.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidewire_tests::command::run;
use tidewire_tests::http::get;
use tidewire_tests::launch::binary;
use tidewire_tests::proxy::{Fault, Proxy};
use tidewire_tests::{Chatter, Directory, Launch, Running, Server, wait_until};

#[test]
fn the_newest_come_first_and_then_what_is_said() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "r");
    say(&mut bob, "r", 1..=15);
    let all = tail(&server, &["--room", "r"]);
    all.expect("message 15\n");
    let newest = tail(&server, &["--room", "r", "-n", "2"]);
    newest.expect("message 15\n");
    let none = tail(&server, &["--room", "r", "-n", "0"]);
    wait_until("all of them are there", || {
        let presence = get(server.address(), "/api/rooms/r/presence").json();
        presence["members"]
            .as_array()
            .is_some_and(|list| list.len() == 4)
    });
    say(&mut bob, "r", 16..=17);
    for (tail, first) in [(&all, 6), (&newest, 14), (&none, 16)] {
        tail.expect("message 17\n");
        let expected: Vec<_> = (first..=17)
            .map(|n| format!("{n}  bob: message {n}"))
            .collect();
        assert_eq!(without_time(&tail.stdout()), expected);
    }
}

#[test]
fn a_server_that_wants_it_slower_is_asked_again() {
    let server = Server::start_with(&["--messages-per-second", "2"]);
    let mut bob = Chatter::enter(&server, "bob", "c");
    bob.say_acked("c", "here", 1);
    let rooms = ["a", "b", "c", "d", "e"].map(|room| ["--room", room]);
    let tail = tail(&server, rooms.as_flattened());
    tail.expect("bob: here\n");
    wait_until("it is in all rooms", || {
        rooms.iter().all(|[_, room]| {
            let target = format!("/api/rooms/{room}/presence");
            let presence = get(server.address(), &target).json();
            presence["members"]
                .as_array()
                .is_some_and(|list| !list.is_empty())
        })
    });
    assert_eq!(tail.stderr(), "");
}

#[test]
fn json_is_what_the_server_says_in_one_line_each() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "r");
    for (seq, content) in [
        json!("a\nb\u{1b}[2J\u{9b}\u{202e}"),
        json!({"a": [1, {"b": null}], "c d": "e\u{7f}"}),
        json!(12.5),
    ]
    .iter()
    .enumerate()
    {
        let message = json!({"type": "room_msg", "roomId": "r", "content": content, "seq": seq});
        // With space between the parts, as nobody has to send it.
        let text = serde_json::to_string_pretty(&message).expect("a value");
        bob.client.send_text(&text);
        bob.hear_of("ack");
    }
    let mut tail = tail(&server, &["--room", "r", "--since", "", "--json"]);
    tail.expect("12.5}\n");
    tail.signal("INT");
    assert!(!tail.wait().success());
    let stdout = tail.stdout();
    let lines: Vec<Value> = stdout.lines().map(|line| parse(line)).collect();
    let page = get(server.address(), "/api/rooms/r/messages?since=").json();
    assert_eq!(Value::Array(lines), page["messages"]);
    let raw = stdout.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(raw, None, "{stdout:?}");
    assert!(!stdout.contains('\u{202e}'), "{stdout:?}");
}

#[test]
fn servers_that_go_and_come_back_make_no_hole_and_no_double() {
    let data = Directory::new();
    let launch = Launch::default().data(data.path());
    let mut server = launch.start();
    let address = server.address();
    let tail = tail(&server, &["--room", "q", "--room", "r", "--since", ""]);
    let mut last = 0;
    for round in 0..4 {
        for room in ["q", "r"] {
            let mut bob = Chatter::enter(&server, "bob", room);
            say(&mut bob, room, last + 1..=last + 20);
        }
        last += 20;
        if round % 2 == 0 {
            tail.expect(&format!("r  {last}  "));
        }
        server.kill();
        server = launch.clone().on_port(address.port()).start();
    }
    let last_line = format!("message {last}\n");
    wait_until("both rooms are told to their end", || {
        tail.stdout().matches(&last_line).count() == 2
    });
    for room in ["q", "r"] {
        let shown: Vec<_> = without_time(&tail.stdout())
            .into_iter()
            .filter(|line| line.starts_with(room))
            .collect();
        let expected: Vec<_> = (1..=last)
            .map(|n| format!("{room}  {n}  bob: message {n}"))
            .collect();
        assert_eq!(shown, expected);
    }
    wait_until("it is told", || tail.stderr().contains("connected again"));
}

#[test]
fn a_network_that_cuts_connections_makes_no_hole_and_no_double() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let proxy = Proxy::start(server.address());
    let url = proxy.address().to_string();
    let mut bob = Chatter::enter(&server, "bob", "r");
    let tail = Running::start(&["tail", &url, "--room", "r", "--since", ""]);
    say(&mut bob, "r", 0..=0);
    tail.expect("message 0\n");
    for round in 0..10 {
        say(&mut bob, "r", round * 50 + 1..=round * 50 + 50);
        proxy.strike(
            0,
            if round % 2 == 0 {
                Fault::Reset
            } else {
                Fault::Finish
            },
        );
    }
    tail.expect("message 500\n");
    let expected: Vec<_> = (0..=500)
        .map(|n| format!("{}  bob: message {n}", n + 1))
        .collect();
    assert_eq!(without_time(&tail.stdout()), expected);
}

#[test]
fn it_begins_behind_the_position_that_is_given() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "r");
    bob.join("a:b");
    say(&mut bob, "r", 1..=3);
    say(&mut bob, "a:b", 1..=3);
    let position = |room: &str| {
        let target = format!("/api/rooms/{room}/messages?since=&limit=2");
        let page = get(server.address(), &target).json();
        page["position"].as_str().expect("a position").to_owned()
    };
    let one = tail(&server, &["--room", "r", "--since", &position("r")]);
    one.expect("message 3\n");
    assert_eq!(without_time(&one.stdout()), ["3  bob: message 3"]);
    let pairs = format!("r:{},a%3Ab:{}", position("r"), position("a:b"));
    let two = tail(
        &server,
        &["--room", "r", "--room", "a:b", "--since", &pairs],
    );
    two.expect("r  3  ");
    two.expect("a:b  3  ");
    assert_eq!(two.stdout().lines().count(), 2, "{}", two.stdout());
}

#[test]
fn what_the_server_has_let_go_of_is_said() {
    let server = Server::start_with(&["--history-entries", "5"]);
    let mut bob = Chatter::enter(&server, "bob", "r");
    say(&mut bob, "r", 1..=2);
    let page = get(server.address(), "/api/rooms/r/messages?since=").json();
    let position = page["position"].as_str().expect("a position");
    say(&mut bob, "r", 3..=20);
    let tail_json = tail(&server, &["--room", "r", "--since", position, "--json"]);
    tail_json.expect("message 20\"}\n");
    let stdout = tail_json.stdout();
    let gap = parse(stdout.lines().next().expect("a first line"));
    assert_eq!(gap["type"], "gap", "{gap}");
    assert_eq!(
        (&gap["from"], &gap["reason"]),
        (&json!(position), &json!("expired"))
    );
    // What follows is dense behind the gap.
    let to = gap["to"].as_str().and_then(|to| to.rsplit_once('-'));
    let to: u64 = to
        .and_then(|(_, offset)| offset.parse().ok())
        .expect("a position");
    let offsets: Vec<_> = stdout
        .lines()
        .skip(1)
        .map(|line| parse(line)["offset"].clone())
        .collect();
    assert_eq!(offsets, (to + 1..=20).map(Value::from).collect::<Vec<_>>());
    let tail = tail(&server, &["--room", "r", "--since", position]);
    tail.expect("message 20\n");
    let stdout = tail.stdout();
    let told = format!("-- r: missing behind {position:?} up to ");
    assert!(
        stdout.starts_with(&told) && stdout.contains("(expired)\n"),
        "{stdout}"
    );
}

#[test]
fn it_ends_quietly_when_nobody_reads_and_by_the_signal_when_interrupted() {
    let server = Server::start();
    let url = server.address().to_string();
    let mut child = Command::new(binary())
        .args(["tail", &url, "--room", "r"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    wait_until("it is there", || server.health().connections == 2);
    // Nothing is said that it could fail to write.
    drop(child.stdout.take());
    let mut status = None;
    wait_until("it has ended", || {
        status = child.try_wait().expect("our own child");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    let output = child.wait_with_output().expect("its output");
    assert!(output.stderr.is_empty(), "{output:?}");
    let mut tail = tail(&server, &["--room", "r"]);
    wait_until("it is there", || server.health().connections == 2);
    tail.signal("INT");
    let status = tail.wait();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(2), "a shell calls it 130: {status}");
}

#[test]
fn words_that_make_no_sense_are_exit_code_2_and_no_server_is_1() {
    for words in [
        &["--room", "r", "--since", "x"][..],
        &["--room", "r", "--since", "q:00000001-1"],
        &["--room", "r", "--since", "r:x"],
        &["--room", "@r"],
        &["--room", "r", "--since", "", "-n", "3"],
        &[],
    ] {
        let (code, stdout, stderr) = run(&[&["tail", "127.0.0.1:1"][..], words].concat(), b"");
        assert_eq!(
            (code, stdout.as_str()),
            (Some(2), ""),
            "{words:?}: {stderr}"
        );
        assert!(!stderr.is_empty(), "{words:?}");
    }
    let (code, _, stderr) = run(&["tail", "127.0.0.1:1", "--room", "r"], b"");
    assert_eq!((code, stderr.lines().count()), (Some(1), 1), "{stderr}");
}

fn tail(server: &Server, words: &[&str]) -> Running {
    let url = server.address().to_string();
    Running::start(&[&["tail", &url][..], words].concat())
}

#[track_caller]
fn say(chatter: &mut Chatter, room: &str, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        chatter.say_acked(room, &format!("message {number}"), number);
    }
}

/// The lines without their dates and times.
fn without_time(stdout: &str) -> Vec<String> {
    let line = |line: &str| {
        let is_date = |at: &usize| line.get(at + 6..at + 7) == Some("-");
        let mut dates = line.match_indices("  20").map(|(at, _)| at);
        let at = dates.find(is_date);
        let at = at.unwrap_or_else(|| panic!("no date: {line}"));
        format!("{}{}", &line[..at], &line[at + 21..])
    };
    stdout.lines().map(line).collect()
}

#[track_caller]
fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
