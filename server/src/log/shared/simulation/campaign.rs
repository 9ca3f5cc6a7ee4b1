//! The campaign: seeds decide who does what when, and what fails.

use super::world::World;
use crate::ids::LogName;
use crate::log::{ReadFrom, Since};

const MS: u64 = 1000;

/// How much may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Nothing: what Redis has answered it has after a restart.
    Nothing,
    /// It comes back with what it had at some time, or empty.
    Any,
    /// A replica takes its place, which may be behind: an ack says that it has the message.
    Behind,
}

/// One world from its beginning to when all is well again.
fn live(seed: u64, loss: Loss) -> World {
    let saves_always = match loss {
        Loss::Nothing => true,
        Loss::Any => seed.is_multiple_of(3),
        Loss::Behind => false,
    };
    let has_replica = loss == Loss::Behind || seed % 4 == 1;
    let mut world = World::new(seed, 3, saves_always, has_replica);
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
    while world.time < 20_000 * MS {
        let pause = world.dice.below(20 * MS);
        world.run_until(world.time + pause);
        if restart_at.is_some_and(|at| at <= world.time) {
            restart_at = None;
            let data = match (loss, world.dice.below(4)) {
                (Loss::Nothing, _) | (Loss::Any, 0) => world.servers[0].redis.clone(),
                (Loss::Behind, _) => world.promoted(),
                (Loss::Any, 1) => super::redis::Redis::new(saves_always),
                (Loss::Any, _) => world.snapshot.clone(),
            };
            world.restart(data);
            if world.dice.percent(30) {
                world.weather.loading_until = world.time + world.dice.below(800 * MS);
            }
        }
        client(&mut world, &logs);
        if world.dice.percent(2) {
            fail(&mut world, loss, &mut restart_at);
        }
    }
    if restart_at.is_some() {
        let data = match loss {
            Loss::Nothing | Loss::Any => world.servers[0].redis.clone(),
            Loss::Behind => world.promoted(),
        };
        world.restart(data);
    }
    world.weather = super::world::Weather::default();
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

/// Somebody does something.
pub(super) fn client(world: &mut World, logs: &[LogName]) {
    let node = world.dice.below(3) as usize;
    let log = logs[world.dice.below(logs.len() as u64) as usize].clone();
    match world.dice.below(100) {
        0..80 => {
            for _ in 0..1 + world.dice.below(4) {
                let has_key = world.dice.percent(60);
                world.publish(node, log.clone(), has_key);
            }
        }
        80..85 => {
            let position = world.unfollow(node, &log);
            let other = world.dice.below(3) as usize;
            world.follow(other, &log, World::since(position));
        }
        85..90 => world.follow(node, &log, ReadFrom::Since(Since::Now)),
        90..93 => world.follow(node, &log, ReadFrom::Since(Since::Oldest)),
        _ => world.read_history(node, &log),
    }
}

/// Something fails.
fn fail(world: &mut World, loss: Loss, restart_at: &mut Option<u64>) {
    let node = world.dice.below(3) as usize;
    let time = world.time;
    match world.dice.below(12) {
        0 if restart_at.is_none() => {
            let is_short = world.dice.percent(50);
            let down = world
                .dice
                .below(if is_short { 200 * MS } else { 4_000 * MS });
            world.kill();
            *restart_at = Some(time + down);
        }
        1 => world.cut(node, true),
        2 => world.cut(node, false),
        3 => {
            let long = world.dice.percent(20);
            let pause = world.dice.below(if long { 9_000 * MS } else { 1_500 * MS });
            world.weather.frozen_until = time + pause;
        }
        4 => world.weather.full_until = time + world.dice.below(500 * MS),
        5 => world.weather.lossy_until = time + world.dice.below(4_000 * MS),
        6 => world.weather.slow_until = time + world.dice.below(2_000 * MS),
        7 if loss == Loss::Any => world.servers[0].redis.flush(),
        8 if loss == Loss::Any => world.snapshot = world.servers[0].redis.clone(),
        9 if loss == Loss::Any => {
            world.weather.lonely_until = time + world.dice.below(6_000 * MS);
            world.cut(0, true);
            world.cut(0, false);
        }
        10 | 11 => {
            let long = world.dice.percent(30);
            let pause = world.dice.below(if long { 8_000 * MS } else { 1_000 * MS });
            world.cut_off_replica(pause);
        }
        _ => {}
    }
}

pub(super) fn seeds(default: u64) -> std::ops::Range<u64> {
    let seed = std::env::var("TIDEWIRE_REDIS_SEED").ok();
    if let Some(seed) = seed.and_then(|seed| seed.parse().ok()) {
        return seed..seed + 1;
    }
    let count = std::env::var("TIDEWIRE_REDIS_SEEDS").ok();
    0..count
        .and_then(|count| count.parse().ok())
        .unwrap_or(default)
}

#[test]
fn nothing_is_lost_and_nobody_is_told_of_a_gap_where_redis_keeps_all() {
    for seed in seeds(8) {
        println!("seed {seed}");
        let mut world = live(seed, Loss::Nothing);
        assert!(world.acked.len() > 100, "{}", world.acked.len());
        world.check_whole();
    }
}

#[test]
fn whatever_redis_loses_is_told_and_no_place_has_two_messages() {
    let mut acked = 0;
    for seed in seeds(8) {
        println!("seed {seed}");
        acked += live(seed, Loss::Any).acked.len();
    }
    assert!(acked > 100);
}

#[test]
fn what_is_acked_as_with_a_replica_is_there_when_that_takes_over() {
    let mut acked = 0;
    for seed in seeds(8) {
        println!("seed {seed}");
        let mut world = live(seed, Loss::Behind);
        acked += world.acked.len();
        world.check_acked();
    }
    assert!(acked > 100);
}

#[test]
fn while_no_replica_answers_pages_are_read_on_the_same_link() {
    let mut world = World::new(1, 1, true, true);
    let log = LogName::new("room").unwrap();
    world.follow(0, &log, ReadFrom::Since(Since::Oldest));
    world.publish(0, log.clone(), true);
    world.run_until(1_000 * MS);
    assert_eq!(world.acked.len(), 1);
    world.cut_off_replica(20_000 * MS);
    let (mut asked, mut longest) = (None, 0);
    while world.time < 18_000 * MS {
        world.publish(0, log.clone(), false);
        if asked.is_none() {
            world.read_history(0, &log);
            asked = Some(world.time);
        }
        world.run_until(world.time + 50 * MS);
        if let Some(begun) = asked.take_if(|_| world.asked_history == 0) {
            longest = longest.max(world.time - begun);
        }
    }
    assert_eq!(world.acked.len(), 1);
    assert!(longest < 2_500 * MS, "a page took {} ms", longest / MS);
    assert_eq!(world.nodes[0].core.links, 2, "a link was given up");
}

#[test]
fn of_thousands_who_wait_for_redis_few_ask_at_a_time() {
    let mut world = World::new(1, 1, true, false);
    let log = LogName::new("room").unwrap();
    world.run_until(1_000 * MS);
    world.kill();
    for _ in 0..2_000 {
        world.read_history(0, &log);
    }
    let data = world.servers[0].redis.clone();
    world.restart(data);
    world.run_until(20_000 * MS);
    world.check_settled();
    assert!(
        world.nodes[0].pages_asked <= 8,
        "{}",
        world.nodes[0].pages_asked
    );
}

#[test]
fn messages_of_a_node_whose_clock_is_wrong_have_the_time_of_redis() {
    let mut world = World::new(1, 2, true, false);
    let log = LogName::new("room").unwrap();
    world.nodes[1].clock_behind = 900_000;
    world.follow(0, &log, ReadFrom::Since(Since::Oldest));
    world.run_until(1_000 * MS);
    for node in [0, 1] {
        world.publish(node, log.clone(), true);
    }
    world.run_until(3_000 * MS);
    assert_eq!(world.acked.len(), 2);
    world.check_settled();
}

#[test]
fn nobody_is_waited_for_where_redis_has_nothing() {
    let mut world = World::new(1, 2, true, false);
    let log = LogName::new("room").unwrap();
    world.follow(1, &log, ReadFrom::Since(Since::Oldest));
    world.publish(0, log, true);
    world.run_until(500 * MS);
    assert_eq!(world.acked.len(), 1);
}

#[test]
fn nodes_that_know_each_other_wait_no_longer_than_until_all_are_back() {
    for seed in 0..20 {
        let mut world = World::new(seed, 3, true, false);
        let log = LogName::new("room").unwrap();
        for node in 0..3 {
            world.follow(node, &log, ReadFrom::Since(Since::Oldest));
        }
        world.run_until(6_000 * MS);
        for round in 1..4 {
            let begun = world.time;
            world.kill();
            world.run_until(begun + round * 300 * MS);
            let data = world.servers[0].redis.clone();
            world.restart(data);
            let acked = world.acked.len();
            world.publish(0, log.clone(), true);
            // Each tries again within half a second, and says what it has seen; then all look within 200 ms.
            world.run_until(world.time + 1_000 * MS);
            assert_eq!(world.acked.len(), acked + 1, "seed {seed}, round {round}");
        }
    }
}
