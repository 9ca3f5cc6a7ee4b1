//! What happens on one node and is told on the others, a story a test.

use std::collections::BTreeSet;

use serde_json::json;

use super::{A_WHILE, Cluster};
use crate::chat::{Hub, HubConfig};
use crate::ids::NodeName;

#[test]
fn who_joins_and_leaves_on_one_node_is_told_on_the_other_and_is_a_member_there() {
    let mut cluster = Cluster::new(2);
    let alice = cluster.connect(0, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let bob = cluster.connect(1, "bob", None, &["room"]);
    cluster.pass(A_WHILE);
    assert_eq!(
        cluster.lines(),
        [format!("{bob} joined room"), format!("{alice} < bob join")]
    );
    for node in [0, 1] {
        assert_eq!(cluster.members(node, "room"), ["alice", "bob"]);
        assert_eq!(cluster.node(node).hub.rooms(9), [("room", 2)]);
        assert_eq!(cluster.node(node).hub.users_len(), 2);
    }
    cluster.say(1, bob, r#"{"type":"typing","roomId":"room"}"#);
    cluster.pass(A_WHILE);
    assert_eq!(cluster.lines(), [format!("{alice} < bob typing")]);
    cluster.disconnect(1, bob, false);
    cluster.pass(A_WHILE);
    assert_eq!(cluster.lines(), [format!("{alice} < bob leave")]);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_user_on_two_nodes_joins_once_and_leaves_with_the_last() {
    let mut cluster = Cluster::new(3);
    let watcher = cluster.connect(2, "watcher", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    // At the same time: neither node has heard of the other's.
    let one = cluster.connect(0, "alice", None, &["room"]);
    let other = cluster.connect(1, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    let told = |lines: Vec<String>| {
        let to = format!("{watcher} < ");
        let lines = lines.into_iter();
        lines
            .filter_map(|line| line.strip_prefix(&to).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(cluster.lines()), ["alice join"]);
    assert_eq!(cluster.members(2, "room"), ["alice", "watcher"]);
    cluster.disconnect(0, one, false);
    cluster.pass(A_WHILE);
    assert_eq!(told(cluster.lines()), [""; 0]);
    cluster.disconnect(1, other, false);
    cluster.pass(A_WHILE);
    assert_eq!(told(cluster.lines()), ["alice leave"]);
    // ... and both leave at once.
    let one = cluster.connect(0, "alice", None, &["room"]);
    let other = cluster.connect(1, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.disconnect(0, one, false);
    cluster.disconnect(1, other, false);
    cluster.pass(A_WHILE);
    assert_eq!(told(cluster.lines()), ["alice join", "alice leave"]);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_session_that_moves_to_another_node_is_in_its_rooms_again_and_nobody_sees_it_leave() {
    let mut cluster = Cluster::new(3);
    let watcher = cluster.connect(2, "watcher", None, &["a", "b"]);
    let old = cluster.connect(0, "alice", Some("secret"), &["a", "b"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let new = cluster.connect(1, "alice", None, &[]);
    cluster.hello(1, new, "secret");
    cluster.pass(A_WHILE);
    assert_eq!(
        cluster.lines(),
        [
            format!("{old} closed"),
            format!("{new} joined a"),
            format!("{new} joined b")
        ]
    );
    cluster.assert_all_agree(&["a", "b"]);
    cluster.disconnect(1, new, false);
    cluster.pass(A_WHILE);
    let left = ["alice leave"; 2].map(|what| format!("{watcher} < {what}"));
    assert_eq!(cluster.lines(), left);
    // From where it was parked.
    let newest = cluster.connect(2, "alice", None, &[]);
    cluster.hello(2, newest, "secret");
    cluster.pass(A_WHILE);
    let lines = cluster.lines();
    assert!(lines.contains(&format!("{newest} joined b")), "{lines:?}");
    cluster.assert_all_agree(&["a", "b"]);
    assert!(cluster.log.iter().all(|note| !note.contains("secret")));
}

#[test]
fn a_session_that_moves_to_a_node_of_which_a_note_was_missed_is_not_seen_to_leave() {
    let mut cluster = Cluster::new(2);
    let watcher = cluster.connect(0, "watcher", None, &["a"]);
    cluster.connect(0, "alice", Some("secret"), &["a"]);
    cluster.pass(A_WHILE);
    cluster.connect(1, "somebody", None, &[]);
    cluster.turn(1, |_| true);
    cluster.node(0).heard = cluster.log.len();
    cluster.lines();
    let new = cluster.connect(1, "alice", None, &[]);
    cluster.hello(1, new, "secret");
    cluster.pass(A_WHILE);
    let told = format!("{watcher} < ");
    let lines = cluster.lines();
    assert!(
        lines.iter().all(|line| !line.starts_with(&told)),
        "{lines:?}"
    );
    cluster.assert_all_agree(&["a"]);
    // And when it does leave, that is told once its place is held no more.
    cluster.disconnect(1, new, false);
    cluster.pass(HubConfig::default().linger + A_WHILE);
    assert_eq!(cluster.lines(), [format!("{told}alice leave")]);
    cluster.assert_all_agree(&["a"]);
}

#[test]
fn who_names_its_rooms_itself_takes_its_session_over_and_is_back_where_it_was_with_its_hello() {
    let mut cluster = Cluster::new(2);
    let old = cluster.connect(0, "alice", Some("s"), &["a", "b"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let new = cluster.connect(1, "alice", Some("s"), &["a"]);
    cluster.pass(A_WHILE);
    let first = [format!("{new} joined a"), format!("{old} closed")];
    assert_eq!(cluster.lines(), first);
    assert_eq!(cluster.members(0, "b"), [""; 0]);
    cluster.hello(1, new, "s");
    cluster.pass(A_WHILE);
    assert_eq!(cluster.lines(), [format!("{new} joined b")]);
    cluster.assert_all_agree(&["a", "b"]);
}

#[test]
fn polls_that_go_to_one_node_and_then_to_the_other_never_leave() {
    let mut cluster = Cluster::new(2);
    let watcher = cluster.connect(0, "watcher", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    for poll in 0..20 {
        let node = poll % 2;
        let conn = cluster.connect(node, "alice", Some("s"), &["room"]);
        cluster.pass(A_WHILE);
        cluster.disconnect(node, conn, true);
        cluster.pass(4 * A_WHILE);
    }
    let told = cluster.lines();
    let told: Vec<&String> = told.iter().filter(|line| line.contains('<')).collect();
    assert_eq!(told, [&format!("{watcher} < alice join")]);
    cluster.pass(20 * A_WHILE);
    assert_eq!(cluster.lines(), [format!("{watcher} < alice leave")]);
}

#[test]
fn of_two_connections_of_a_session_that_come_at_the_same_time_one_stays() {
    let mut cluster = Cluster::new(2);
    let one = cluster.connect(0, "alice", Some("s"), &["room"]);
    let other = cluster.connect(1, "alice", Some("s"), &["room"]);
    cluster.pass(A_WHILE);
    let closed = cluster.lines();
    let closed: Vec<&String> = closed
        .iter()
        .filter(|line| line.contains("closed"))
        .collect();
    assert_eq!(closed.len(), 1, "{one} or {other}");
    cluster.assert_sessions_are_once();
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_node_that_dies_is_gone_within_half_a_minute_and_one_that_stops_at_once() {
    let mut cluster = Cluster::new(3);
    let watcher = cluster.connect(2, "watcher", None, &["room"]);
    cluster.connect(0, "alice", None, &["room"]);
    cluster.connect(1, "bob", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let told = |lines: Vec<String>| {
        let to = format!("{watcher} < ");
        let lines = lines.into_iter();
        lines
            .filter_map(|line| line.strip_prefix(&to).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    cluster.stop(1);
    assert_eq!(told(cluster.lines()), ["bob leave"]);
    cluster.kill(0);
    cluster.pass(15 * A_WHILE);
    assert_eq!(told(cluster.lines()), [""; 0], "it may be slow");
    cluster.pass(15 * A_WHILE);
    assert_eq!(told(cluster.lines()), ["alice leave"]);
    let remarks = cluster.node(2).hub.take_remarks();
    assert_eq!(remarks.dropped, [NodeName::new("node-0").unwrap()]);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_node_that_begins_again_has_nobody_of_before() {
    let mut cluster = Cluster::new(2);
    let watcher = cluster.connect(1, "watcher", None, &["room"]);
    cluster.connect(0, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    cluster.kill(0);
    cluster.start(0);
    cluster.connect(0, "bob", None, &["room"]);
    cluster.pass(3 * A_WHILE);
    let mut lines = cluster.lines();
    lines.retain(|line| line.starts_with(&format!("{watcher} <")));
    lines.sort();
    let both = ["alice leave", "bob join"].map(|what| format!("{watcher} < {what}"));
    assert_eq!(lines, both);
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn a_node_that_stood_still_is_dropped_and_tells_all_it_has_when_it_goes_on() {
    let mut cluster = Cluster::new(3);
    let watcher = cluster.connect(2, "watcher", None, &["room"]);
    let alice = cluster.connect(0, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    let until = cluster.now + 30 * A_WHILE;
    cluster.node(0).stands_still_until = Some(until);
    cluster.pass(20 * A_WHILE);
    let bob = cluster.connect(1, "bob", None, &["room"]);
    cluster.pass(9 * A_WHILE);
    let told = ["bob join", "alice leave"].map(|what| format!("{watcher} < {what}"));
    let mut lines = cluster.lines();
    lines.retain(|line| line.starts_with(&format!("{watcher} <")));
    assert_eq!(lines, told);
    cluster.pass(20 * A_WHILE);
    let lines = cluster.lines();
    assert!(lines.contains(&format!("{alice} < bob join")), "{lines:?}");
    assert!(lines.contains(&format!("{bob} < alice join")), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    cluster.assert_all_agree(&["room"]);
}

#[test]
fn while_the_log_is_away_nobody_is_dropped() {
    let mut cluster = Cluster::new(3);
    cluster.connect(0, "alice", None, &["room"]);
    cluster.connect(1, "watcher", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.lines();
    for away in [8, 15, 60, 300] {
        cluster.is_away = true;
        cluster.pass(away * A_WHILE);
        cluster.is_away = false;
        cluster.pass(40 * A_WHILE);
        assert_eq!(cluster.lines(), [""; 0], "away for {away} s");
        cluster.assert_all_agree(&["room"]);
    }
}

#[test]
fn what_an_operator_asks_all_others_are_asked_and_answer_in_parts() {
    let mut cluster = Cluster::new(3);
    let names = |hub: &Hub| hub.node_names().cloned().collect::<BTreeSet<_>>();
    let [asker, one, other] =
        ["node-0", "node-1", "node-2"].map(|name| NodeName::new(name).unwrap());
    let hub = &mut cluster.node(0).hub;
    assert_eq!(names(hub), BTreeSet::from([one, other.clone()]));
    hub.take_remarks();
    hub.ask_nodes(7, json!({"users": "x"}));
    cluster.pass(A_WHILE);
    assert_eq!(cluster.node(0).hub.take_remarks().asked, []);
    let heard = cluster.node(1).hub.take_remarks().asked;
    assert_eq!(heard, [(asker.clone(), 7, json!({"users": "x"}))]);
    let hub = &mut cluster.node(2).hub;
    assert_eq!(hub.take_remarks().asked.len(), 1);
    let items: Vec<_> = (0..1000)
        .map(|number| json!({"n": number, "text": "x".repeat(100)}))
        .collect();
    hub.answer_node(&asker, 7, items.clone());
    hub.answer_node(&asker, 8, vec![json!("x".repeat(70_000))]);
    hub.answer_node(&asker, 9, vec![json!("x".repeat(40_000)); 50]);
    cluster.pass(A_WHILE * 4);
    assert_eq!(
        cluster.node(1).hub.take_remarks().found,
        [],
        "it did not ask"
    );
    let mut found = cluster.node(0).hub.take_remarks().found;
    assert!(found.iter().all(|(node, ..)| *node == other));
    let mut all_of = |number| {
        let parts: Vec<_> = found.extract_if(.., |part| part.1 == number).collect();
        let (last, before) = parts.split_last().unwrap();
        assert!(last.2 && before.iter().all(|part| !part.2), "{number}");
        parts
            .into_iter()
            .flat_map(|part| part.3)
            .collect::<Vec<_>>()
    };
    assert_eq!(all_of(7), items);
    assert_eq!(all_of(8).len(), 0, "it fits into no note");
    assert_eq!(all_of(9).len(), 25, "a mebibyte is enough");
    assert!(cluster.log.iter().all(|note| note.len() <= 64 << 10));
}

#[test]
fn who_has_said_goodbye_waits_for_nothing() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, "alice", None, &["room"]);
    cluster.pass(A_WHILE);
    cluster.node(0).hub.leave_cluster();
    assert!(!cluster.node(0).hub.has_told_nodes());
    let now = cluster.time();
    cluster.node(1).hub.begin_to_hear_nodes(now);
    cluster.pass(A_WHILE);
    let hub = &cluster.node(0).hub;
    assert!(hub.has_told_nodes());
    assert_eq!(
        hub.poll_timeout(),
        None,
        "though it was asked for all it has"
    );
    assert_eq!(cluster.members(1, "room"), [""; 0]);
    // What it cannot tell any more, it does not try to for ever.
    cluster.node(1).hub.leave_cluster();
    cluster.is_away = true;
    cluster.pass(A_WHILE);
    assert!(cluster.node(1).hub.has_told_nodes());
}

#[test]
fn another_process_of_the_same_name_is_noticed() {
    let mut cluster = Cluster::new(2);
    let note = r#"{"node":"node-0","life":5,"number":3,"deltas":["beat"]}"#;
    cluster.log.push(note.to_owned());
    cluster.log.push("no note".to_owned());
    cluster.pass(A_WHILE);
    assert!(cluster.node(0).hub.take_remarks().has_namesake);
    assert!(!cluster.node(1).hub.take_remarks().has_namesake);
}
