//! Campaigns of worlds with a Redis that restarts, with more or less of its data.

use super::{Absence, Fault, MS, NODES, Trouble, any_node, campaign, leave_one_alone};
use crate::ids::LogName;
use crate::log::shared::simulation::redis::Redis;
use crate::log::shared::simulation::world::World;
use crate::log::{ReadFrom, Since};

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

/// What goes wrong where so much may be lost.
struct Restarts {
    loss: Loss,
    absence: Absence,
}

impl Trouble for Restarts {
    fn pass(&mut self, world: &mut World) {
        if !self.absence.is_over(world) {
            return;
        }
        let data = match (self.loss, world.dice.below(4)) {
            (Loss::Nothing, _) | (Loss::Any, 0) => world.servers[0].redis.clone(),
            (Loss::Behind, _) => world.promoted(),
            (Loss::Any, 1) => Redis::new(world.servers[0].redis.saves_always),
            (Loss::Any, _) => world.snapshot.clone(),
        };
        world.restart(data);
        if world.dice.percent(30) {
            world.weather.loading_until = world.time + world.dice.below(800 * MS);
        }
    }

    fn turn(&mut self, world: &mut World, _: &[LogName]) {
        if !world.dice.percent(2) {
            return;
        }
        let node = any_node(world);
        let any_loss = self.loss == Loss::Any;
        match world.dice.below(12) {
            0 => self.absence.begin(world),
            fault @ 1..=6 => Fault::ALL[fault as usize - 1].strike(world, node),
            7 if any_loss => world.servers[0].redis.flush(),
            8 if any_loss => world.snapshot = world.servers[0].redis.clone(),
            9 if any_loss => leave_one_alone(world),
            10 | 11 => {
                let long = world.dice.percent(30);
                let pause = world.dice.below(if long { 8_000 * MS } else { 1_000 * MS });
                world.cut_off_replica(pause);
            }
            _ => {}
        }
    }

    fn end(&mut self, world: &mut World) {
        if self.absence.ends() {
            let data = match self.loss {
                Loss::Nothing | Loss::Any => world.servers[0].redis.clone(),
                Loss::Behind => world.promoted(),
            };
            world.restart(data);
        }
    }
}

/// One world from its beginning to when all is well again.
fn live(seed: u64, loss: Loss) -> World {
    let saves_always = match loss {
        Loss::Nothing => true,
        Loss::Any => seed.is_multiple_of(3),
        Loss::Behind => false,
    };
    let has_replica = loss == Loss::Behind || seed % 4 == 1;
    let world = World::new(seed, NODES, saves_always, has_replica);
    let absence = Absence::default();
    super::live(world, Restarts { loss, absence })
}

#[test]
fn nothing_is_lost_and_nobody_is_told_of_a_gap_where_redis_keeps_all() {
    let live = |seed| live(seed, Loss::Nothing);
    campaign(live, |mut world| {
        assert!(world.acked.len() > 100, "{}", world.acked.len());
        world.check_whole();
    });
}

#[test]
fn whatever_redis_loses_is_told_and_no_place_has_two_messages() {
    campaign(|seed| live(seed, Loss::Any), drop);
}

#[test]
fn what_is_acked_as_with_a_replica_is_there_when_that_takes_over() {
    let live = |seed| live(seed, Loss::Behind);
    campaign(live, |mut world| world.check_acked());
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
        world.nodes[0].pages_asked <= 16,
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
