//! `tidewire chat`: lines through a pipe and a conversation on a terminal, with nothing lost, doubled or out of order when the
//! server goes and comes back, and nothing of what others write obeyed by the terminal.

use std::io::{Read as _, Write as _};

use serde_json::json;
use tidewire_tests::command::run;
use tidewire_tests::http::get;
use tidewire_tests::proxy::{Fault, Proxy};
use tidewire_tests::script::Script;
use tidewire_tests::{Chatter, Directory, Launch, Running, Server, wait_until};

// ---- in a pipe ----

#[test]
fn every_line_of_a_pipe_is_kept_once_and_in_order_also_over_the_rate() {
    let server = Server::start_with(&["--messages-per-second", "20"]);
    let mut lines: Vec<String> = (0..60).map(|number| format!("line {number}")).collect();
    // No line is a command, and none is nothing.
    lines.extend(["/quit".to_owned(), String::new(), "  x ".to_owned()]);
    let input = lines.join("\n");
    let (code, stdout, stderr) = once(&server, input.as_bytes());
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
    assert_eq!(contents(&server, "r"), lines);
}

#[test]
fn who_has_sent_all_says_goodbye() {
    let server = Server::start();
    let (code, ..) = once(&server, b"hi\n");
    assert_eq!(code, Some(0));
    let why = || get(server.address(), "/api/admin/why?user=ada").json();
    wait_until("the connection has ended", || {
        why()["connections"][0]["cause"].is_string()
    });
    let why = why();
    assert_eq!(why["connections"][0]["cause"], "client_close", "{why:#}");
}

#[test]
fn who_only_sends_needs_nobody_to_read() {
    let server = Server::start();
    let mut child = std::process::Command::new(tidewire_tests::launch::binary())
        .args(["chat", &server.address().to_string()])
        .args(["--room", "r", "--once"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(b"hi\n").expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("our own child").success());
    assert_eq!(contents(&server, "r"), ["hi"]);
}

#[test]
fn a_line_that_cannot_be_sent_is_named_and_the_others_are_sent() {
    let server = Server::start();
    let mut input = b"one\n".to_vec();
    input.extend(b"\xff\n");
    input.extend(vec![b'x'; 70 << 10]);
    input.extend(b"\ntwo\n");
    input.extend(vec![b'y'; 200 << 10]);
    let (code, _, stderr) = once(&server, &input);
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(contents(&server, "r"), ["one", "two"]);
    for told in ["line 2 ", "not kept: ", "line 5 "] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
}

#[test]
fn a_message_that_the_server_does_not_keep_is_told_and_exit_code_1() {
    let mut script = Script::python("refusing_server.py", &[]);
    let url = format!("127.0.0.1:{}", script.next_line());
    let arguments = ["chat", &url, "--room", "r", "--once"];
    let (code, _, stderr) = run(&arguments, b"a\nno\nbye\nb\n");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("!! not kept: No space."), "{stderr}");
    for line in ["a", "bye", "b"] {
        assert_eq!(script.next_line(), line, "each once: {stderr}");
    }
    let (code, _, stderr) = run(&arguments, b"no\n");
    assert_eq!(code, Some(1), "{stderr}");
}

#[test]
fn a_server_that_names_people_as_none_should_cannot_write_to_the_terminal() {
    let mut script = Script::python("refusing_server.py", &[]);
    let url = format!("127.0.0.1:{}", script.next_line());
    let mut chat = Running::start(&["chat", &url, "--room", "r"]);
    chat.expect("bob: hi");
    chat.write("no\n");
    chat.expect_error("No space");
    chat.end_input();
    assert_eq!(chat.wait().code(), Some(1));
    for text in [chat.stdout(), chat.stderr()] {
        assert!(text.contains('␛'), "it is shown: {text:?}");
        let raw = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(raw, None, "{text:?}");
        assert!(!text.contains("\nbob"), "one message, one line: {text:?}");
    }
}

#[test]
fn what_others_say_comes_as_lines_until_the_input_ends() {
    let server = Server::start();
    let mut chat = pipe(&server, "ada");
    let mut bob = Chatter::enter(&server, "bob", "r");
    chat.expect_error("bob is here");
    bob.say("r", "hello\nthere\u{1b}[2J");
    bob.send(&json!({"type": "private_msg", "toUser": "ada", "content": {"b": [1, 2]}}));
    bob.send(&json!({"type": "broadcast", "content": "all"}));
    bob.send(&json!({"type": "room_msg", "roomId": "r", "content": {
        "text": "see", "files": [{"url": "/files/x", "name": "a.png", "type": "image/png", "size": 2048}]}}));
    for shown in ["a.png", "[private]", "[to all]"] {
        chat.expect(shown);
    }
    chat.write("mine\n");
    wait_until("ada's line is kept", || {
        contents(&server, "r").contains(&"mine".to_owned())
    });
    chat.end_input();
    assert_eq!(chat.wait().code(), Some(0));
    let host = server.address();
    let lines = [
        "bob: hello␊there␛[2J".to_owned(),
        "bob [private]: {\"b\":[1,2]}".to_owned(),
        "bob [to all]: all".to_owned(),
        format!("bob: see␊[file] a.png (image/png, 2.0 KiB): http://{host}/files/x"),
    ];
    let shown = chat.stdout();
    let mut shown: Vec<_> = shown.lines().map(without_time).collect();
    // A private message, a broadcast and one of the room are of three logs, which have no order among them.
    shown.sort_unstable();
    let mut expected: Vec<_> = lines.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(shown, expected);
}

#[test]
fn history_is_shown_on_entering_where_it_is_asked_for() {
    let server = Server::start();
    let (code, ..) = once(&server, b"a\nb\nc\n");
    assert_eq!(code, Some(0));
    let url = server.address().to_string();
    let (code, stdout, _) = run(&["chat", &url, "--room", "r", "--history", "2"], b"");
    let shown: Vec<_> = stdout.lines().map(without_time).collect();
    assert_eq!((code, &shown[..]), (Some(0), &["ada: b", "ada: c"][..]));
    let (_, stdout, _) = run(&["chat", &url, "--room", "r"], b"");
    assert_eq!(stdout, "");
}

#[test]
fn servers_that_go_and_come_back_lose_and_double_nothing_in_a_pipe() {
    let data = Directory::new();
    let launch = Launch::default().data(data.path());
    let mut server = launch.start();
    let address = server.address();
    let mut ada = pipe(&server, "ada");
    let mut bob = pipe(&server, "bob");
    let mut said = 0;
    let mut say = |chat: &mut Running, count: u32| {
        for _ in 0..count {
            said += 1;
            chat.write(&format!("message {said}\n"));
        }
        said
    };
    for round in 0..4 {
        let last = say(&mut ada, 10);
        if round % 2 == 0 {
            // While they are on their way, or after all of them have come.
            bob.expect(&format!("message {last}\n"));
        }
        server.kill();
        say(&mut ada, 5);
        server = launch.clone().on_port(address.port()).start();
    }
    let last = say(&mut ada, 1);
    bob.expect(&format!("message {last}\n"));
    for chat in [&mut ada, &mut bob] {
        chat.end_input();
        assert_eq!(chat.wait().code(), Some(0), "{}", chat.stderr());
    }
    let all: Vec<String> = (1..=last)
        .map(|number| format!("message {number}"))
        .collect();
    assert_eq!(contents(&server, "r"), all);
    let shown = bob.stdout();
    let shown: Vec<_> = shown.lines().map(without_time).collect();
    let expected: Vec<_> = all.iter().map(|text| format!("ada: {text}")).collect();
    assert_eq!(shown, expected);
    assert_eq!(ada.stdout(), "", "nobody else said anything");
    assert!(bob.stderr().contains("connected again"), "{}", bob.stderr());
}

#[test]
fn a_network_that_cuts_connections_loses_and_doubles_nothing_in_a_pipe() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let proxy = Proxy::start(server.address());
    let url = proxy.address().to_string();
    let mut ada = Running::start(&["chat", &url, "--room", "r", "--user", "ada"]);
    let bob = Running::start(&["chat", &url, "--room", "r", "--user", "bob"]);
    for chat in [&ada, &bob] {
        chat.expect_error(" here: ");
    }
    let faults = [Fault::Reset, Fault::Finish];
    for number in 0..200 {
        ada.write(&format!("message {number}\n"));
        if number % 20 == 10 {
            proxy.strike(number / 20, faults[number / 20 % 2]);
        }
    }
    bob.expect("message 199\n");
    ada.end_input();
    assert_eq!(ada.wait().code(), Some(0), "{}", ada.stderr());
    let all: Vec<String> = (0..200).map(|number| format!("message {number}")).collect();
    assert_eq!(contents(&server, "r"), all);
    let shown = bob.stdout();
    let shown: Vec<_> = shown.lines().map(without_time).collect();
    let expected: Vec<_> = all.iter().map(|text| format!("ada: {text}")).collect();
    assert_eq!(shown, expected);
    assert_eq!(ada.stdout(), "");
}

#[test]
fn a_broadcast_that_came_while_nobody_was_connected_is_shown() {
    let data = Directory::new();
    let launch = Launch::default().data(data.path());
    let mut server = launch.start();
    let address = server.address();
    let proxy = Proxy::start(address);
    let url = proxy.address().to_string();
    let chat = Running::start(&["chat", &url, "--room", "r"]);
    chat.expect_error("1 here");
    let broadcast = |server: &Server, text: &str| {
        let mut bob = Chatter::connect(server, "userId=bob");
        bob.send(&json!({"type": "broadcast", "content": text, "seq": 1}));
        bob.hear_of("ack");
    };
    broadcast(&server, "first");
    chat.expect("[to all]: first\n");
    // Held back by a stalled connection, which is then lost with it.
    proxy.strike(0, Fault::Stall);
    broadcast(&server, "second");
    proxy.strike(0, Fault::Reset);
    chat.expect("[to all]: second\n");
    server.kill();
    server = launch.on_port(address.port()).start();
    broadcast(&server, "third");
    chat.expect("[to all]: third\n");
    assert_eq!(chat.stdout().lines().count(), 3, "{}", chat.stdout());
}

#[test]
fn who_listens_no_more_ends_it_also_before_its_input() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "r");
    let mut child = std::process::Command::new(tidewire_tests::launch::binary())
        .args(["chat", &server.address().to_string(), "--room", "r"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    bob.hear_of("system");
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let reader = std::thread::spawn(move || stdout.read_exact(&mut [0]));
    // Who is there hears what is said once it has joined, which the others are told a moment before.
    wait_until("it has heard something", || {
        bob.say("r", "x");
        reader.is_finished()
    });
    reader.join().expect("a reader").expect("a message");
    let mut status = None;
    wait_until("it has ended, though its input has not", || {
        status = child.try_wait().expect("our own child");
        status.is_some()
    });
    // What was not read of the input has no place.
    assert_eq!(status.and_then(|status| status.code()), Some(1));
}

#[test]
fn no_server_is_one_sentence_and_an_exit_code() {
    for (url, input, told, exit) in [
        ("127.0.0.1:1", "x\n", "is a server running there?", 1),
        ("localhost:1", "", "is a server running there?", 1),
        // An address that cannot be one is a wrong use.
        ("ftp://localhost", "", "ftp://", 2),
    ] {
        let (code, _, stderr) = run(&["chat", url, "--once"], input.as_bytes());
        assert_eq!(code, Some(exit), "{url}: {stderr}");
        assert!(
            stderr.contains(told) && stderr.lines().count() == 1,
            "{url}: {stderr}"
        );
    }
    let server = Server::start();
    let echo = server.websocket_url("/echo");
    let (code, _, stderr) = run(&["chat", &echo, "--once", "--patience", "3s"], b"x\n");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("a message was not acknowledged"),
        "{stderr}"
    );
    for words in [
        &["--room", "@x"][..],
        &["--user", ""],
        &["--history", "1001"],
    ] {
        let (code, ..) = run(&[&["chat", "h"][..], words].concat(), b"");
        assert_eq!(code, Some(2), "{words:?}");
    }
}

// ---- on a terminal ----

#[test]
fn a_conversation_on_a_terminal() {
    let server = Server::start();
    let (code, ..) = once(&server, b"before 1\nbefore 2\n");
    assert_eq!(code, Some(0));
    let mut chat = terminal(&server.address().to_string(), "ada", &["--history", "1"]);
    chat.expect("-- r: 1 here: ada");
    chat.expect("r> ");
    assert!(chat.stdout().contains("before 2") && !chat.stdout().contains("before 1"));
    let mut bob = Chatter::enter(&server, "bob", "r");
    chat.expect("-- bob is here");
    bob.say("r", "hi\n\u{1b}]0;owned\u{7}\u{9b}31m");
    // Coloured name, no raw escape, and a second line that cannot be taken for somebody else's.
    chat.expect("bob\u{1b}[0m: hi");
    chat.expect("      ␛]0;owned␇\u{fffd}31m");
    assert!(!chat.stdout().contains("\u{1b}]0;"));
    chat.write("hello bob\r");
    assert_eq!(bob.hear_of("room_msg")["content"], "hello bob");
    chat.write("/msg bob just you\r");
    assert_eq!(bob.hear_of("private_msg")["content"], "just you");
    bob.send(&json!({"type": "private_msg", "toUser": "ada", "content": "and you"}));
    chat.expect("[private]\u{1b}[0m: and you");
    chat.write("/who\r");
    chat.expect("-- 2 here: ada, bob");
    chat.write("/history 5\r");
    chat.expect("before 1");
    chat.write(&format!("/msg {} x\r", "u".repeat(129)));
    chat.expect("!! not kept: ");
    chat.write("/hepl\r");
    chat.expect("there is no /hepl");
    bob.client.close();
    chat.expect("-- bob has left");
    chat.write("/join q\r");
    chat.expect("-- q: 1 here: ada");
    chat.write("in another room\r");
    wait_until("it is kept there", || {
        contents(&server, "q") == ["in another room"]
    });
    chat.write("/quit\r");
    assert_eq!(chat.wait().code(), Some(0), "{}", chat.stderr());
}

#[test]
fn lines_that_come_at_once_are_each_said() {
    let server = Server::start();
    let mut chat = terminal(&server.address().to_string(), "ada", &[]);
    chat.expect("r> ");
    let lines: Vec<String> = (1..=40).map(|number| format!("line {number}")).collect();
    // As by a paste that the terminal does not mark.
    chat.write(&format!("{}\r", lines.join("\r")));
    wait_until("all are kept", || {
        contents(&server, "r").len() == lines.len()
    });
    assert_eq!(contents(&server, "r"), lines);
    chat.write("/quit\r");
    assert_eq!(chat.wait().code(), Some(0), "{}", chat.stderr());
}

#[test]
fn a_private_message_that_waited_is_not_lost_to_once() {
    let server = Server::start();
    let mut bob = Chatter::enter(&server, "bob", "r");
    let message = json!({"type": "private_msg", "toUser": "ada", "content": "psst", "seq": 1});
    bob.send(&message);
    bob.hear_of("ack");
    let address = server.address().to_string();
    let arguments = ["chat", &address, "--room", "r", "--user", "ada", "--once"];
    let mut errors = String::new();
    wait_until("it is shown", || {
        let (code, out, error) = run(&arguments, b"hello\n");
        assert_eq!((code, out.as_str()), (Some(0), ""));
        errors.push_str(&error);
        errors.contains("psst")
    });
}

#[test]
fn a_server_that_goes_and_comes_back_loses_and_doubles_nothing_on_a_terminal() {
    let data = Directory::new();
    let launch = Launch::default().data(data.path());
    let mut server = launch.start();
    let address = server.address();
    let mut chat = terminal(&address.to_string(), "ada", &[]);
    chat.expect("r> ");
    let mut expected = Vec::new();
    for round in 0..3 {
        let said = format!("online {round}");
        chat.write(&format!("{said}\r"));
        expected.push(said.clone());
        wait_until("it is kept", || contents(&server, "r").contains(&said));
        server.kill();
        wait_until("it is told", || count(&chat, "disconnected") == round + 1);
        let said = format!("offline {round}");
        chat.write(&format!("{said}\r"));
        expected.push(said);
        wait_until("it is told that it waits", || {
            count(&chat, "not sent yet") == round + 1
        });
        // It is still being edited when the server comes back.
        chat.write("/who");

        server = launch.clone().on_port(address.port()).start();
        wait_until("it is kept", || {
            count(&chat, "what had waited is kept") == round + 1
        });
        // The line that was being edited is still there.
        chat.write("\r");
        wait_until("it answers", || count(&chat, "-- 1 here: ada") == round + 1);
        let said = format!("bob {round}");
        let mut bob = Chatter::enter(&server, "bob", "r");
        bob.say_acked("r", &said, 1);
        expected.push(said.clone());
        chat.expect(&said);
    }
    assert_eq!(contents(&server, "r"), expected);
    for round in 0..3 {
        assert_eq!(count(&chat, &format!(": bob {round}")), 1);
        for own in ["online", "offline"] {
            let shown_back = format!(": {own} {round}");
            assert_eq!(
                count(&chat, &shown_back),
                0,
                "our own is only what we typed"
            );
        }
    }
    // ^D leaves.
    chat.write("\u{4}");
    assert_eq!(chat.wait().code(), Some(0), "{}", chat.stderr());
}

#[test]
fn colours_are_not_for_everybody() {
    let server = Server::start();
    let url = server.address().to_string();
    let arguments = ["chat", &url, "--room", "r", "--user", "ada"];
    let mut chat = Running::on_terminal_with(&arguments, &[("NO_COLOR", "1")]);
    chat.expect("r> ");
    let mut bob = Chatter::enter(&server, "bob", "r");
    chat.expect("-- bob is here");
    bob.say("r", "plain");
    chat.expect(" bob: plain");
    assert!(!chat.stdout().contains("[0m"), "{:?}", chat.stdout());
    // ^C leaves, too.
    chat.write("\u{3}");
    assert_eq!(chat.wait().code(), Some(0));
}

// ---- helpers ----

fn once(server: &Server, input: &[u8]) -> (Option<i32>, String, String) {
    let url = server.address().to_string();
    run(
        &["chat", &url, "--room", "r", "--user", "ada", "--once"],
        input,
    )
}

fn pipe(server: &Server, user: &str) -> Running {
    let url = server.address().to_string();
    let chat = Running::start(&["chat", &url, "--room", "r", "--user", user]);
    chat.expect_error(" here: ");
    chat
}

fn terminal(url: &str, user: &str, more: &[&str]) -> Running {
    let arguments = ["chat", url, "--room", "r", "--user", user];
    Running::on_terminal_with(&[&arguments[..], more].concat(), &[])
}

/// The contents of a room, as texts.
fn contents(server: &Server, room: &str) -> Vec<String> {
    let target = format!("/api/rooms/{room}/messages?since=&limit=1000");
    let page = get(server.address(), &target).json();
    let messages = page["messages"].as_array().expect("a page of messages");
    let text = |message: &serde_json::Value| message["content"].as_str().map(str::to_owned);
    messages.iter().filter_map(text).collect()
}

/// A line without its date and time.
#[track_caller]
fn without_time(line: &str) -> &str {
    assert_eq!(line.get(10..11), Some(" "), "a date begins it: {line}");
    line.get(20..).expect("a date, a time, and more")
}

fn count(chat: &Running, text: &str) -> usize {
    chat.stdout().matches(text).count()
}
