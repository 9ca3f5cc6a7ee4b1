//! Clients that know several nodes by their addresses, with no proxy between: who loses one goes on at the next, by every
//! transport; and what cannot be kept while Redis is away is sent again by itself, and is there once.

use serde_json::json;
use tidewire_tests::script::Script;
use tidewire_tests::{Chatter, Nodes, Redis, Running, Server, wait_until};

const OPTIONS: [&str; 2] = ["--messages-per-second", "0"];

fn two_nodes(redis: &Redis, more: &[&str]) -> Nodes {
    let nodes = Nodes::on(&redis.url(), 2, &[&OPTIONS, more].concat());
    nodes.all().for_each(Server::wait_until_ready);
    nodes
}

#[track_caller]
fn urls(nodes: &Nodes) -> Vec<String> {
    let addresses = nodes.addresses();
    let urls = addresses.iter().map(|address| format!("http://{address}"));
    urls.collect()
}

#[test]
fn the_javascript_client_loses_and_doubles_nothing_by_web_socket() {
    killed_in_turn("websocket", 8);
}

#[test]
fn the_javascript_client_loses_and_doubles_nothing_by_event_stream() {
    killed_in_turn("sse", 4);
}

#[test]
fn the_javascript_client_loses_and_doubles_nothing_by_long_poll() {
    killed_in_turn("poll", 4);
}

/// One node after the other is killed under a conversation.
#[track_caller]
fn killed_in_turn(transport: &str, times: usize) {
    let redis = Redis::start();
    let mut nodes = two_nodes(&redis, &[]);
    let arguments = [
        "kill",
        transport,
        &times.to_string(),
        &urls(&nodes).join(","),
    ];
    let mut script = Script::node("client_in_node.mjs", &arguments);
    for time in 0..times {
        script.expect_line("kill the server");
        let which = time % nodes.count();
        nodes.kill(which);
        script.say("killed");
        // It comes back while they are at the other one.
        nodes.come_back(which);
        nodes.node(which).wait_until_ready();
    }
    script.finish();
}

#[test]
fn tail_goes_on_at_the_next_node_behind_what_it_has() {
    let redis = Redis::start();
    let mut nodes = two_nodes(&redis, &[]);
    let [one, other] = &urls(&nodes)[..] else {
        panic!("there are two nodes");
    };
    let mut bob = Chatter::enter(nodes.node(1), "bob", "r");
    let tail = Running::start(&["tail", one, other, "--room", "r"]);
    bob.say_acked("r", "before", 1);
    tail.expect("bob: before\n");
    nodes.kill(0);
    bob.say_acked("r", "meanwhile", 2);
    tail.expect("bob: meanwhile\n");
    bob.say_acked("r", "after", 3);
    tail.expect("bob: after\n");
    assert_eq!(
        tail.stdout().matches("bob: ").count(),
        3,
        "{}",
        tail.stdout()
    );
}

#[test]
fn chat_begins_at_the_node_that_is_there_and_says_again_what_could_not_be_kept() {
    let mut redis = Redis::start();
    let mut nodes = two_nodes(&redis, &["--log-timeout", "500ms"]);
    let [one, other] = &urls(&nodes)[..] else {
        panic!("there are two nodes");
    };
    nodes.kill(0);
    let mut bob = Chatter::enter(nodes.node(1), "bob", "r");
    let mut chat = Running::start(&["chat", one, other, "--room", "r", "--user", "ada"]);
    chat.write("before\n");
    assert_eq!(bob.hear_of("room_msg")["content"], "before");
    redis.pause();
    chat.write("meanwhile\n");
    wait_until("it is told", || chat.stderr().contains("not sent yet"));
    redis.resume();
    let heard = bob.hear_of("room_msg");
    assert_eq!(
        (&heard["content"], &heard["offset"]),
        (&json!("meanwhile"), &json!(2))
    );
    wait_until("it is told", || {
        chat.stderr().contains("what had waited is kept")
    });
    chat.write("after\n");
    let heard = bob.hear_of("room_msg");
    assert_eq!(
        (&heard["content"], &heard["offset"]),
        (&json!("after"), &json!(3))
    );
}
