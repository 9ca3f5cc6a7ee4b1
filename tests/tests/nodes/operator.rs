//! An operator at one node sees and does what is at the others: users and connections of all, why one of them ended, and whom to
//! disconnect; and is told which node does not answer.

use serde_json::{Value, json};
use tidewire_tests::browser::people;
use tidewire_tests::http::{get, send};
use tidewire_tests::{Chatter, Nodes, Redis, Server, command, wait_until};

/// Nobody here is read all the time, and nobody is a silent client.
const OPTIONS: [&str; 4] = ["--canary", "200ms", "--heartbeat", "10m"];

/// So many nodes that know of each other.
fn nodes(redis: &Redis, count: usize) -> Nodes {
    let nodes = Nodes::on(&redis.url(), count, &OPTIONS);
    for node in nodes.all() {
        wait_until("the nodes have heard of each other", || {
            admin(node, "overview")["nodes"] == count
        });
    }
    nodes
}

fn admin(server: &Server, target: &str) -> Value {
    get(server.address(), &format!("/api/admin/{target}")).json()
}

/// What all nodes say: one that is held up is asked again.
#[track_caller]
fn of_all(server: &Server, target: &str) -> Value {
    let mut answer = Value::Null;
    wait_until("all nodes answer", || {
        answer = admin(server, target);
        answer["silent"].is_null()
    });
    answer
}

fn disconnect(server: &Server, user: &str) -> Value {
    let target = format!("/api/admin/users/{user}/disconnect");
    send(server.address(), "POST", &target, "", b"").json()
}

#[test]
fn all_nodes_are_one_list() {
    let redis = Redis::start();
    let nodes = nodes(&redis, 3);
    let ada = Chatter::enter(nodes.node(0), "ada", "lobby");
    let far = Chatter::enter(nodes.node(1), "ada", "lobby");
    let bob = Chatter::enter(nodes.node(2), "bob", "lobby");
    for node in nodes.all() {
        let users = of_all(node, "users");
        let user = |index: usize| {
            let user = &users["users"][index];
            (user["user"].clone(), user["connections"].clone())
        };
        assert_eq!(user(0), ("ada".into(), 2.into()), "{users}");
        assert_eq!(user(1), ("bob".into(), 1.into()), "{users}");
        let found = of_all(node, "connections?search=AD");
        let found = found["connections"].as_array().expect("a list");
        let mut at: Vec<_> = found.iter().map(|one| &one["node"]).collect();
        at.sort_by_key(|node| node.to_string());
        assert_eq!(at, ["n1", "n2"], "{found:?}");
        assert_eq!(of_all(node, "users?limit=1")["users"][1], Value::Null);
    }
    drop((ada, far, bob));
}

#[test]
fn why_finds_a_connection_of_another_node_by_any_of_its_names() {
    let redis = Redis::start();
    let nodes = nodes(&redis, 2);
    let mut far = Chatter::enter(nodes.node(1), "far", "lobby");
    let open = of_all(nodes.node(0), "why?user=far")["connections"][0].clone();
    let (id, address) = (open["connection"].clone(), open["address"].clone());
    let (id, address) = (id.as_str().expect("a name"), address.as_str().expect("one"));
    assert_eq!((&open["node"], &open["rooms"]), (&"n2".into(), &1.into()));
    for subject in [
        format!("connection=n2/{id}"),
        format!("address={address}"),
        "user=far".to_owned(),
    ] {
        let found = of_all(nodes.node(0), &format!("why?{subject}"));
        assert_eq!(found["connections"][0]["user"], "far", "{subject}: {found}");
    }
    // By a node that is not there, and by our own.
    for name in [format!("n9/{id}"), "n1/c-9999-9".to_owned()] {
        let found = of_all(nodes.node(0), &format!("why?connection={name}"));
        assert_eq!(found["connections"], Value::Array(Vec::new()), "{name}");
    }
    far.client
        .send(&tidewire_tests::Frame::close(1001, "bye").with_key([1; 4]));
    far.client.expect_close(1001);
    drop(far);
    let mut found = Value::Null;
    wait_until("it has ended there", || {
        found = admin(nodes.node(0), &format!("why?connection=n2/{id}"));
        found["connections"][0]["cause"] == "client_close"
    });
    let frames = &found["connections"][0]["flight"]["frames"];
    assert!(
        frames.as_array().is_some_and(|frames| frames.len() > 1),
        "{found}"
    );
    let url = format!("http://{}", nodes.node(0).address());
    wait_until("the command says so, too", || {
        let (code, told, _) = command::run(&["why", "--url", &url, &format!("n2/{id}")], b"");
        code == Some(0) && told.contains(&format!("n2/{id}: chat of far"))
    });
}

#[test]
fn a_user_is_disconnected_from_all_nodes_and_all_are_counted() {
    let redis = Redis::start();
    let nodes = nodes(&redis, 2);
    let mut nuisances = [0, 1, 1].map(|node| Chatter::enter(nodes.node(node), "nuisance", "lobby"));
    let mut other = Chatter::enter(nodes.node(1), "other", "lobby");
    let answer = disconnect(nodes.node(0), "nuisance");
    // One that is held up does it later, and is named.
    let (silent, count) = (&answer["silent"], &answer["disconnected"]);
    assert!(
        (silent.is_null() && *count == 3) || (*silent == json!(["n2"]) && *count == 1),
        "{answer}"
    );
    for nuisance in &mut nuisances {
        assert_eq!(nuisance.hear_close(), Some(1008));
    }
    drop(nuisances);
    wait_until("all have been kicked", || {
        let reports = admin(nodes.node(1), "why?user=nuisance");
        let reports = reports["connections"].as_array().expect("a list");
        reports.len() == 3 && reports.iter().all(|report| report["cause"] == "kicked")
    });
    assert_eq!(disconnect(nodes.node(0), "nobody")["disconnected"], 0);
    other.say_acked("lobby", "it is quiet here", 1);
}

#[test]
fn hundreds_of_connections_come_in_parts() {
    let redis = Redis::start();
    let nodes = nodes(&redis, 2);
    let crowd: Vec<_> = (0..300)
        .map(|number| {
            // As long as names may be: what is told of all does not fit into one note.
            let name = format!("{number:0>3}{}", "x".repeat(120));
            Chatter::enter(nodes.node(1), &name, "lobby")
        })
        .collect();
    let found = of_all(nodes.node(0), "connections?limit=1000&search=xxx");
    let list = found["connections"].as_array().expect("a list");
    assert_eq!(list.len(), 300);
    assert!(found.to_string().len() > 100_000);
    drop(crowd);
}

#[test]
fn who_does_not_answer_is_named() {
    let redis = Redis::start();
    let nodes = nodes(&redis, 2);
    let near = Chatter::enter(nodes.node(0), "near", "lobby");
    nodes.node(1).signal("STOP");
    let users = admin(nodes.node(0), "users");
    nodes.node(1).signal("CONT");
    assert_eq!(users["silent"], json!(["n2"]), "{users}");
    assert_eq!(users["users"][0]["user"], "near", "{users}");
    wait_until("it answers again", || {
        admin(nodes.node(0), "users")["silent"] == Value::Null
    });
    drop(near);
}

#[test]
fn the_page_shows_the_nodes() {
    let redis = Redis::start();
    let nodes = nodes(&redis, 2);
    let near = Chatter::enter(nodes.node(0), "Ada", "harbour");
    let mut far = Chatter::enter(nodes.node(1), "Linus", "harbour");
    let page = people("page/admin_nodes.mjs", nodes.node(0));
    page.finish();
    assert_eq!(far.hear_close(), Some(1008));
    drop(near);
}
