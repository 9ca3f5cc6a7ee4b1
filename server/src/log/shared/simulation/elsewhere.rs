//! Campaigns in which Redis is not where it was: a replica takes over with an older tail, elsewhere, also while its primary does not
//! know that; buckets of a cluster move, and its masters are replaced, one at a time or all.

use super::campaign::{client, seeds};
use super::world::{Topology, Weather, World};
use crate::ids::LogName;
use crate::log::shared::Bucket;
use crate::log::{ReadFrom, Since};

const MS: u64 = 1000;

/// Nodes of a world.
const NODES: usize = 3;

/// One world from its beginning to when all is well again.
fn live(seed: u64, topology: Topology, mut fail: impl FnMut(&mut World, &[LogName])) -> World {
    let mut world = World::with(seed, NODES, seed.is_multiple_of(2), false, topology);
    let logs: Vec<LogName> = (0..4)
        .map(|number| LogName::new(&format!("room-{number}")).unwrap())
        .collect();
    for node in 0..NODES {
        for log in &logs {
            world.follow(node, log, ReadFrom::Since(Since::Oldest));
        }
    }
    world.run_until(4_000 * MS);
    while world.time < 20_000 * MS {
        let pause = world.dice.below(20 * MS);
        world.run_until(world.time + pause);
        client(&mut world, &logs);
        if world.dice.percent(2) {
            fail(&mut world, &logs);
        }
    }
    world.weather = Weather::default();
    world.run_until(40_000 * MS);
    for log in &logs {
        for node in 0..NODES {
            world.publish(node, log.clone(), true);
        }
    }
    let acked = world.acked.len();
    world.run_until(45_000 * MS);
    assert_eq!(world.acked.len() - acked, NODES * logs.len(), "all goes on");
    world.check_settled();
    world
}

/// What goes wrong wherever Redis is.
fn fail_anywhere(world: &mut World) {
    let node = world.dice.below(NODES as u64) as usize;
    let time = world.time;
    match world.dice.below(7) {
        0 => world.cut(node, true),
        1 => world.cut(node, false),
        2 => {
            let long = world.dice.percent(20);
            let pause = world.dice.below(if long { 9_000 * MS } else { 1_500 * MS });
            world.weather.frozen_until = time + pause;
        }
        3 => world.weather.full_until = time + world.dice.below(500 * MS),
        4 => world.weather.lossy_until = time + world.dice.below(4_000 * MS),
        5 => world.weather.slow_until = time + world.dice.below(2_000 * MS),
        _ => world.weather.unguided_until = time + world.dice.below(5_000 * MS),
    }
}

/// A master is replaced by what its replica has.
fn replace_one(world: &mut World) {
    let masters = world.masters();
    let server = masters[world.dice.below(masters.len() as u64) as usize];
    let time = world.dice.below(3_000 * MS);
    match world.dice.below(3) {
        0 => world.hold_back_replica(server),
        1 => world.lose(server, time),
        _ => world.replace(server, time),
    }
}

#[test]
fn whatever_a_primary_that_is_elsewhere_has_lost_is_told_and_no_place_has_two_messages() {
    let mut acked = 0;
    for seed in seeds(8) {
        println!("seed {seed}");
        let world = live(seed, Topology::Sentinel, |world, _| {
            if world.dice.percent(40) {
                replace_one(world);
            } else {
                fail_anywhere(world);
            }
        });
        acked += world.acked.len();
    }
    assert!(acked > 100);
}

#[test]
fn buckets_that_move_lose_nothing_and_each_key_is_there_once() {
    let mut acked = 0;
    let mut redirected = [0; 3];
    for seed in seeds(8) {
        println!("seed {seed}");
        let mut world = live(seed, Topology::Cluster, |world, logs| {
            if world.dice.percent(60) {
                move_one(world, logs);
            } else {
                fail_anywhere(world);
            }
        });
        acked += world.acked.len();
        for (all, of_one) in redirected.iter_mut().zip(world.redirected) {
            *all += of_one;
        }
        world.check_once();
        world.check_acked();
    }
    assert!(acked > 100);
    println!("moved, asked, to try again: {redirected:?}");
    assert!(redirected.iter().all(|count| *count > 0), "{redirected:?}");
}

#[test]
fn whatever_a_master_of_a_cluster_has_lost_is_told_and_no_place_has_two_messages() {
    let mut acked = 0;
    for seed in seeds(8) {
        println!("seed {seed}");
        let world = live(seed, Topology::Cluster, |world, logs| {
            match world.dice.below(3) {
                0 => move_one(world, logs),
                1 => replace_one(world),
                _ => fail_anywhere(world),
            }
        });
        acked += world.acked.len();
    }
    assert!(acked > 100);
}

/// The bucket of a log moves to another master, or that of those who are there.
fn move_one(world: &mut World, logs: &[LogName]) {
    let masters = world.masters();
    let to = masters[world.dice.below(masters.len() as u64) as usize];
    let log = &logs[world.dice.below(logs.len() as u64) as usize];
    let bucket = if world.dice.percent(20) {
        Bucket::all().next().expect("the first")
    } else {
        Bucket::of(log)
    };
    world.begin_move(bucket, to);
}

#[test]
fn a_master_that_is_gone_holds_up_its_own_logs_only() {
    for seed in 0..10 {
        let mut world = World::with(seed, 2, true, false, Topology::Cluster);
        let name = |number: usize| LogName::new(&format!("room-{number}")).unwrap();
        let server_of =
            |world: &World, log: &LogName| world.owners[usize::from(Bucket::of(log).number())];
        let logs: Vec<LogName> = (0..100).map(name).collect();
        let away = server_of(&world, &logs[0]);
        let here = logs.iter().find(|log| server_of(&world, log) != away);
        let here = here.expect("they are spread").clone();
        for log in [&logs[0], &here] {
            world.follow(1, log, ReadFrom::Since(Since::Oldest));
        }
        world.run_until(3_000 * MS);
        world.lose(away, 10_000 * MS);
        world.run_until(4_000 * MS);
        for _ in 0..20 {
            world.publish(0, here.clone(), true);
            world.publish(0, logs[0].clone(), false);
            world.run_until(world.time + 100 * MS);
        }
        world.run_until(9_000 * MS);
        assert_eq!(
            (world.acked.len(), world.unavailable),
            (20, 20),
            "seed {seed}"
        );
        world.run_until(20_000 * MS);
        world.publish(0, logs[0].clone(), true);
        world.run_until(22_000 * MS);
        assert_eq!(world.acked.len(), 21, "seed {seed}");
        world.check_settled();
    }
}
