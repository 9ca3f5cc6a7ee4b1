//! The campaign of a world with a NATS: seeds decide who does what when, and what fails.

use std::time::Duration;

use super::campaign::{client, seeds};
use super::jetstream::Data;
use super::world::{Weather, World};
use crate::ids::LogName;
use crate::log::{ReadFrom, Since};

const MS: u64 = 1000;

/// What may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Nothing: what NATS has answered it has after a restart.
    Nothing,
    /// All: it comes back empty, or with all.
    All,
    /// Nobody trusts a restart; it comes back with what each stream had at some time.
    Any,
}

/// One world from its beginning to when all is well again.
fn live(seed: u64, loss: Loss) -> World {
    let mut world = World::on_nats(seed, 3, loss != Loss::Any);
    let logs: Vec<LogName> = (0..4)
        .map(|number| LogName::new(&format!("room-{number}")).unwrap())
        .collect();
    for node in 0..3 {
        for log in &logs {
            world.follow(node, log, ReadFrom::Since(Since::Oldest));
        }
    }
    world.run_until(4_000 * MS);
    let mut restart_at = None;
    let mut snapshot = world.nats().data.clone();
    while world.time < 20_000 * MS {
        let pause = world.dice.below(20 * MS);
        world.run_until(world.time + pause);
        if restart_at.is_some_and(|at| at <= world.time) {
            restart_at = None;
            restart(&mut world, loss, &snapshot);
        }
        client(&mut world, &logs);
        if world.dice.percent(2) {
            fail(&mut world, loss, &mut restart_at);
        }
        if world.dice.percent(1) {
            snapshot = world.nats().data.clone();
        }
    }
    if restart_at.is_some() {
        let data = world.nats().data.clone();
        world.restart_nats(data, Duration::ZERO);
    }
    world.weather = Weather::default();
    world.run_until(40_000 * MS);
    for log in &logs {
        for node in 0..3 {
            world.publish(node, log.clone(), true);
        }
    }
    world.run_until(45_000 * MS);
    world.check_settled();
    world
}

/// Another process comes.
fn restart(world: &mut World, loss: Loss, snapshot: &Data) {
    let data = match (loss, world.dice.below(4)) {
        (Loss::Nothing, _) | (_, 0) => world.nats().data.clone(),
        (Loss::All, _) | (Loss::Any, 1) => Data::default(),
        (Loss::Any, 2) => world.older(snapshot, false),
        (Loss::Any, _) => world.older(snapshot, true),
    };
    let loading = if world.dice.percent(30) {
        Duration::from_micros(world.dice.below(800 * MS))
    } else {
        Duration::ZERO
    };
    world.restart_nats(data, loading);
}

/// Something fails.
fn fail(world: &mut World, loss: Loss, restart_at: &mut Option<u64>) {
    let node = world.dice.below(3) as usize;
    let time = world.time;
    match world.dice.below(9) {
        0 | 1 if restart_at.is_none() => {
            let is_short = world.dice.percent(50);
            let down = if is_short { 200 * MS } else { 4_000 * MS };
            let down = world.dice.below(down);
            world.kill();
            *restart_at = Some(time + down);
        }
        2 => world.cut(node, true),
        3 => world.cut(node, false),
        4 => {
            let long = world.dice.percent(20);
            let pause = world.dice.below(if long { 9_000 * MS } else { 1_500 * MS });
            world.weather.frozen_until = time + pause;
        }
        5 => world.weather.full_until = time + world.dice.below(500 * MS),
        6 => world.weather.lossy_until = time + world.dice.below(4_000 * MS),
        7 => world.weather.slow_until = time + world.dice.below(2_000 * MS),
        // Who does not come in time may have seen more: then all is doubted.
        8 if loss != Loss::Nothing => {
            world.weather.lonely_until = time + world.dice.below(6_000 * MS);
            world.cut(0, true);
            world.cut(0, false);
        }
        _ => {}
    }
}

#[test]
fn nothing_is_lost_and_nobody_is_told_of_a_gap_where_nats_keeps_all() {
    for seed in seeds(8) {
        println!("seed {seed}");
        let mut world = live(seed, Loss::Nothing);
        assert!(world.acked.len() > 100, "{}", world.acked.len());
        let acked = world.acked.clone();
        world.check_whole();
        world.acked = acked;
        world.check_epochs();
    }
}

#[test]
fn what_an_empty_nats_has_lost_is_told_and_no_place_has_two_messages() {
    let mut acked = 0;
    for seed in seeds(8) {
        println!("seed {seed}");
        let mut world = live(seed, Loss::All);
        acked += world.acked.len();
        world.check_epochs();
    }
    assert!(acked > 100);
}

#[test]
fn whatever_a_nats_loses_that_nobody_trusts_is_told() {
    let mut acked = 0;
    for seed in seeds(8) {
        println!("seed {seed}");
        let mut world = live(seed, Loss::Any);
        acked += world.acked.len();
        world.check_epochs();
    }
    assert!(acked > 100);
}

#[test]
fn what_is_said_keeps_its_order_where_nodes_make_a_stream_at_the_same_time() {
    for seed in 0..10 {
        let mut world = World::on_nats(seed, 3, true);
        world.run_until(1_000 * MS);
        for number in 0..20 {
            let log = LogName::new(&format!("room-{number}")).unwrap();
            for _ in 0..10 {
                for node in 0..3 {
                    world.publish(node, log.clone(), true);
                }
            }
            world.run_until(world.time + 100 * MS);
        }
        world.run_until(world.time + 2_000 * MS);
        assert_eq!(
            (world.acked.len(), world.unavailable),
            (600, 0),
            "seed {seed}"
        );
        world.check_epochs();
    }
}

#[test]
fn the_canary_of_a_node_that_is_gone_is_deleted_and_that_of_one_that_is_silent_is_not() {
    let mut world = World::on_nats(1, 2, true);
    world.publish(1, LogName::canary(), false);
    let canaries = |world: &mut World| {
        let names = world.nats().data.streams.keys();
        let names = names.filter_map(|name| name.strip_prefix("t_canary_"));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    world.run_until(300_000 * MS);
    assert_eq!(canaries(&mut world), ["node-1"]);
    world.end_last_node();
    world.run_until(600_000 * MS);
    assert_eq!(canaries(&mut world), [""; 0]);
    assert_eq!(world.acked.len(), 1);
}
