//! Campaigns in which Redis is not where it was: a replica takes over with an older tail, elsewhere, also while its primary does not
//! know that; buckets of a cluster move, and its masters are replaced, one at a time or all.

use super::{Fault, MS, NODES, Trouble, any_node, campaign};
use crate::ids::LogName;
use crate::log::shared::Bucket;
use crate::log::shared::simulation::world::{Topology, World};
use crate::log::{ReadFrom, Since};

/// What this does goes wrong sometimes.
struct Sometimes<F>(F);

impl<F: FnMut(&mut World, &[LogName])> Trouble for Sometimes<F> {
    fn turn(&mut self, world: &mut World, logs: &[LogName]) {
        if world.dice.percent(2) {
            (self.0)(world, logs);
        }
    }
}

/// One world from its beginning to when all is well again.
fn live(seed: u64, topology: Topology, fail: impl FnMut(&mut World, &[LogName])) -> World {
    let saves_always = seed.is_multiple_of(2);
    let world = World::with(seed, NODES, saves_always, false, topology);
    super::live(world, Sometimes(fail))
}

/// What goes wrong wherever Redis is.
fn fail_anywhere(world: &mut World) {
    let node = any_node(world);
    let fault = world.dice.below(Fault::ALL.len() as u64 + 1);
    match Fault::ALL.get(fault as usize) {
        Some(fault) => fault.strike(world, node),
        None => world.weather.unguided_until = world.time + world.dice.below(5_000 * MS),
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
fn whatever_a_primary_that_is_elsewhere_has_lost_is_told_and_no_place_has_two_messages() {
    let live = |seed| {
        live(seed, Topology::Sentinel, |world, _| {
            if world.dice.percent(40) {
                replace_one(world);
            } else {
                fail_anywhere(world);
            }
        })
    };
    campaign(live, drop);
}

#[test]
fn buckets_that_move_lose_nothing_and_each_key_is_there_once() {
    let live = |seed| {
        live(seed, Topology::Cluster, |world, logs| {
            if world.dice.percent(60) {
                move_one(world, logs);
            } else {
                fail_anywhere(world);
            }
        })
    };
    let mut redirected = [0; 3];
    campaign(live, |mut world| {
        for (all, of_one) in redirected.iter_mut().zip(world.redirected) {
            *all += of_one;
        }
        world.check_once();
        world.check_acked();
    });
    println!("moved, asked, to try again: {redirected:?}");
    assert!(redirected.iter().all(|count| *count > 0), "{redirected:?}");
}

#[test]
fn whatever_a_master_of_a_cluster_has_lost_is_told_and_no_place_has_two_messages() {
    let live = |seed| {
        live(seed, Topology::Cluster, |world, logs| {
            match world.dice.below(3) {
                0 => move_one(world, logs),
                1 => replace_one(world),
                _ => fail_anywhere(world),
            }
        })
    };
    campaign(live, drop);
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
