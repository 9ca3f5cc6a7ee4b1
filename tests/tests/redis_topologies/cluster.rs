//! A cluster says which of its primaries has what.

use std::thread::sleep;
use std::time::Duration;

use tidewire_tests::redis_cluster::{RedisCluster, SHARDS};
use tidewire_tests::{Nodes, Server, wait_until};

use crate::load::Load;

const OPTIONS: [&str; 2] = ["--canary", "200ms"];

/// Enough that each primary has some: those of the first four are with the first.
const ROOMS: usize = 6;

#[track_caller]
#[test]
fn a_slot_that_moves_while_its_room_is_published_to_loses_nothing() {
    let cluster = RedisCluster::start_steady();
    let nodes = Nodes::on(&cluster.url(&[0, 1]), 2, &OPTIONS);
    nodes.all().for_each(Server::wait_until_ready);
    let load = Load::start(&nodes, ROOMS, true);
    for _ in 0..3 {
        let (from, slot) = cluster.owner_of("pulse-0");
        let before = load.acked(0);
        // Long enough that messages come while it is neither here nor there.
        let time = Duration::from_millis(200);
        cluster.move_slot(&slot, from, (from + 1) % SHARDS, time);
        load.goes_on(&nodes);
        assert!(load.acked(0) > before);
        assert_ne!(cluster.owner_of("pulse-0").0, from);
    }
    for room in 0..ROOMS {
        load.is_all_there(&nodes, room);
    }
    load.finish(&nodes);
}

#[test]
fn a_primary_that_is_killed_holds_up_its_own_rooms_only_until_its_replica_takes_over() {
    let mut cluster = RedisCluster::start();
    // The one server that nodes are told of is the one that dies: they have learned of the others.
    let nodes = Nodes::on(&cluster.url(&[0]), 2, &OPTIONS);
    nodes.all().for_each(Server::wait_until_ready);
    let load = Load::start(&nodes, ROOMS, true);
    let owners: Vec<usize> = (0..ROOMS)
        .map(|room| cluster.owner_of(&format!("pulse-{room}")).0)
        .collect();
    let others: Vec<usize> = (0..ROOMS).filter(|room| owners[*room] != 0).collect();
    assert!(!others.is_empty(), "{owners:?}");
    sleep(Duration::from_millis(300));
    cluster.kill(0);
    for room in others {
        load.room_goes_on(&nodes, room);
    }
    cluster.wait_for_replica(0);
    load.goes_on(&nodes);
    cluster.come_back(0);
    wait_until("it is a replica", || !cluster.is_primary(0));
    load.goes_on(&nodes);
    load.finish(&nodes);
}
