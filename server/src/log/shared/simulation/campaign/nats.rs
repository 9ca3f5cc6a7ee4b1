//! Campaigns of worlds with a NATS that restarts, with more or less of its data.

use std::time::Duration;

use super::{Absence, Fault, MS, NODES, Trouble, any_node, campaign, leave_one_alone};
use crate::ids::LogName;
use crate::log::shared::simulation::jetstream::Data;
use crate::log::shared::simulation::world::World;

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

/// What goes wrong where so much may be lost.
struct Restarts {
    loss: Loss,
    absence: Absence,
    /// What it had at some time.
    snapshot: Data,
}

impl Trouble for Restarts {
    fn pass(&mut self, world: &mut World) {
        if !self.absence.is_over(world) {
            return;
        }
        let data = match (self.loss, world.dice.below(4)) {
            (Loss::Nothing, _) | (_, 0) => world.nats().data.clone(),
            (Loss::All, _) | (Loss::Any, 1) => Data::default(),
            (Loss::Any, 2) => world.older(&self.snapshot, false),
            (Loss::Any, _) => world.older(&self.snapshot, true),
        };
        let loading = if world.dice.percent(30) {
            Duration::from_micros(world.dice.below(800 * MS))
        } else {
            Duration::ZERO
        };
        world.restart_nats(data, loading);
    }

    fn turn(&mut self, world: &mut World, _: &[LogName]) {
        if world.dice.percent(2) {
            self.fail(world);
        }
        if world.dice.percent(1) {
            self.snapshot = world.nats().data.clone();
        }
    }

    fn end(&mut self, world: &mut World) {
        if self.absence.ends() {
            let data = world.nats().data.clone();
            world.restart_nats(data, Duration::ZERO);
        }
    }
}

impl Restarts {
    /// Something fails.
    fn fail(&mut self, world: &mut World) {
        let node = any_node(world);
        match world.dice.below(9) {
            0 | 1 => self.absence.begin(world),
            fault @ 2..=7 => Fault::ALL[fault as usize - 2].strike(world, node),
            // Then all is doubted.
            8 if self.loss != Loss::Nothing => leave_one_alone(world),
            _ => {}
        }
    }
}

/// One world from its beginning to when all is well again.
fn live(seed: u64, loss: Loss) -> World {
    let world = World::on_nats(seed, NODES, loss != Loss::Any);
    let restarts = Restarts {
        loss,
        absence: Absence::default(),
        snapshot: Data::default(),
    };
    super::live(world, restarts)
}

#[test]
fn nothing_is_lost_and_nobody_is_told_of_a_gap_where_nats_keeps_all() {
    let live = |seed| live(seed, Loss::Nothing);
    campaign(live, |mut world| {
        assert!(world.acked.len() > 100, "{}", world.acked.len());
        let acked = world.acked.clone();
        world.check_whole();
        world.acked = acked;
        world.check_epochs();
    });
}

#[test]
fn what_an_empty_nats_has_lost_is_told_and_no_place_has_two_messages() {
    let live = |seed| live(seed, Loss::All);
    campaign(live, |mut world| world.check_epochs());
}

#[test]
fn whatever_a_nats_loses_that_nobody_trusts_is_told() {
    let live = |seed| live(seed, Loss::Any);
    campaign(live, |mut world| world.check_epochs());
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
