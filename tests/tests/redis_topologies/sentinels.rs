//! Sentinels say where the primary is.

use std::thread::sleep;
use std::time::Duration;

use tidewire_tests::redis::{Redis, RedisLaunch};
use tidewire_tests::resp::Value as Answer;
use tidewire_tests::wait::wait_within;
use tidewire_tests::{Chatter, Identity, Nodes, Sentinels, SentinelsLaunch, Server, wait_until};

use crate::load::Load;

const OPTIONS: [&str; 2] = ["--canary", "200ms"];

/// What Sentinels take to see to it that one is a replica: they look every ten seconds, and not for half a minute after they stood still.
const SENTINELS_MAX: Duration = Duration::from_secs(120);

/// What a Redis answers; nothing where it ends the connection, as one does whose part has changed.
fn ask(redis: &Redis, words: &[&str]) -> Option<Answer> {
    redis.try_client().ok()?.ask(words).ok()
}

fn role(redis: &Redis) -> Option<String> {
    let answer = ask(redis, &["ROLE"])?;
    Some(answer.parts().first()?.text().to_owned())
}

/// A primary and its replica, in step.
#[track_caller]
fn pair(launch: &RedisLaunch) -> [Redis; 2] {
    let primary = launch.clone().start();
    let replica = launch.clone().replica_of(&primary).start();
    wait_until("the replica is in step", || {
        replica.is_in_step_with(&primary)
    });
    [primary, replica]
}

#[test]
fn a_primary_that_is_killed_is_left_for_the_one_that_takes_its_place_and_not_returned_to() {
    let [mut primary, replica] = pair(&RedisLaunch::default());
    let sentinels = Sentinels::start(&primary, 1);
    let nodes = Nodes::on(&sentinels.url(), 2, &OPTIONS);
    nodes.all().for_each(Server::wait_until_ready);
    let load = Load::start(&nodes, 2, true);
    sleep(Duration::from_millis(300));
    primary.kill();
    sentinels.wait_for_another(primary.address());
    load.goes_on(&nodes);
    // It is a primary as before until the Sentinels find it.
    primary.come_back();
    load.goes_on(&nodes);
    wait_within(
        SENTINELS_MAX,
        "there is one primary, which the Sentinels know",
        || {
            // They may have chosen once more, on a machine that is slow.
            let known = sentinels.primary(0);
            let mut servers = [&primary, &replica].into_iter();
            servers.all(|redis| {
                let is_known = Some(redis.address()) == known;
                role(redis).is_some_and(|role| (role == "master") == is_known)
            })
        },
    );
    load.goes_on(&nodes);
    load.finish(&nodes);
}

#[test]
fn a_primary_that_is_changed_under_load_loses_nothing_that_is_not_told() {
    let redis = pair(&RedisLaunch::default());
    let sentinels = Sentinels::start(&redis[0], 1);
    let nodes = Nodes::on(&sentinels.url(), 2, &OPTIONS);
    nodes.all().for_each(Server::wait_until_ready);
    let load = Load::start(&nodes, 2, true);
    let chosen = sentinels.fail_over(redis[0].address());
    assert_eq!(chosen, redis[1].address());
    load.goes_on(&nodes);
    wait_within(SENTINELS_MAX, "each node has its two links there", || {
        let clients = ask(&redis[1], &["CLIENT", "LIST"]);
        let lines = clients.iter().flat_map(|clients| clients.text().lines());
        let of_nodes = lines.filter(|line| line.contains("name=tidewire-"));
        of_nodes.count() == 4
    });
    wait_within(SENTINELS_MAX, "the other is its replica", || {
        redis[0].is_in_step_with(&redis[1])
    });
    load.goes_on(&nodes);
    load.finish(&nodes);
}

#[test]
fn users_and_tls_are_spoken_with_the_sentinels_and_with_redis() {
    let identity = Identity::new();
    let settings = RedisLaunch::default()
        .tls(&identity)
        .user("tidewire", "hunter2")
        .setting("tls-replication yes")
        .setting("masteruser tidewire")
        .setting("masterauth hunter2");
    let [primary, _replica] = pair(&settings);
    let launch = SentinelsLaunch::default()
        .watching_as("tidewire", "hunter2")
        .user("guard", "swordfish")
        .tls(&identity);
    let sentinels = launch.start(&primary, 1);
    let ca = identity.certificate();
    let ca = ca.to_str().expect("a path of ours");
    let options = ["--log-ca", ca, "--sentinel-login", "guard:swordfish"];
    let nodes = Nodes::on(&sentinels.url(), 2, &[&OPTIONS[..], &options].concat());
    nodes.all().for_each(Server::wait_until_ready);
    let mut alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    let mut bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    alice.say_acked("lobby", "hidden", 1);
    assert_eq!(bob.hear_of("room_msg")["content"], "hidden");
    sentinels.fail_over(primary.address());
    nodes.all().for_each(Server::wait_until_ready);
    for node in nodes.all() {
        let log = node.log();
        assert!(log.contains("rediss+sentinel://tidewire:***@"), "{log}");
        assert!(
            !log.contains("hunter2") && !log.contains("swordfish"),
            "{log}"
        );
    }
}

#[test]
fn without_sentinels_links_stay_and_who_comes_anew_waits_and_says_why() {
    let [primary, _replica] = pair(&RedisLaunch::default());
    let mut sentinels = Sentinels::start(&primary, 1);
    let mut nodes = Nodes::on(&sentinels.url(), 2, &OPTIONS);
    nodes.all().for_each(Server::wait_until_ready);
    let mut alice = Chatter::enter(nodes.node(0), "alice", "lobby");
    sentinels.kill();
    nodes.kill(1);
    nodes.come_back(1);
    let why = |node: &Server| node.log().contains("event=primary_unknown");
    wait_until("both say so", || nodes.all().all(why));
    alice.say_acked("lobby", "still here", 1);
    nodes.node(0).wait_until_ready();
    // Whichever of them is found first.
    let why = nodes.node(1).unready();
    let reasons = ["starting", "canary_lost", "unavailable"];
    assert!(reasons.into_iter().any(|reason| why == reason), "{why}");
    sentinels.come_back();
    nodes.node(1).wait_until_ready();
    let mut bob = Chatter::enter(nodes.node(1), "bob", "lobby");
    alice.say_acked("lobby", "together", 2);
    assert_eq!(bob.hear_of("room_msg")["content"], "together");
    let known = |node: &Server| node.log().contains("event=primary_known");
    wait_until("both say so", || nodes.all().all(known));
}
