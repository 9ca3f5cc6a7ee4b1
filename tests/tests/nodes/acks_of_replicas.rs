//! `--redis-ack replicas=1`, with a real primary and a real replica: an ack says that the replica has the message, also where that was
//! in the log already; without the replica publishing is refused, soon, and everything else goes on.

use serde_json::json;
use tidewire_tests::http::{Response, assert_problem, get, send};
use tidewire_tests::nodes::Nodes;
use tidewire_tests::redis::{Redis, RedisLaunch};
use tidewire_tests::{Server, wait_until};

const OPTIONS: [&str; 6] = [
    "--canary",
    "200ms",
    "--log-timeout",
    "3s",
    "--redis-ack",
    "replicas=1",
];

fn publish(server: &Server, seq: u64) -> Response {
    let body = json!({"content": "x", "from": "alice", "session": "s", "seq": seq}).to_string();
    let target = "/api/rooms/lobby/messages";
    send(server.address(), "POST", target, "", body.as_bytes())
}

#[test]
fn nothing_is_acknowledged_that_the_replica_does_not_have() {
    let redis = Redis::start();
    let mut replica = RedisLaunch::default().replica_of(&redis).start();
    wait_until("the replica is in step", || replica.is_in_step_with(&redis));
    let nodes = Nodes::on(&redis.url(), 2, &OPTIONS);
    nodes.all().for_each(Server::wait_until_ready);
    assert_eq!(publish(nodes.node(0), 1).json()["offset"], 1);

    replica.kill();
    assert_problem(&publish(nodes.node(0), 2), 503, "unavailable");
    // It is in the log, and sent again it is found there: that is not enough, at whichever node.
    for node in nodes.all() {
        assert_problem(&publish(node, 2), 503, "unavailable");
        wait_until("the node says that it is not ready", || {
            node.unready() == "unavailable"
        });
        let page = get(node.address(), "/api/rooms/lobby/messages").json();
        let messages = page["messages"].as_array().expect("messages");
        assert_eq!(messages.len(), 2, "{page}");
    }

    replica.come_back();
    for node in nodes.all() {
        node.wait_until_ready();
        let again = publish(node, 2).json();
        let place = (&again["offset"], &again["dup"]);
        assert_eq!(place, (&json!(2), &json!(true)), "{again}");
    }
}
