//! Campaigns: seeds decide who does what when, and what fails. Here is what all of them do; what may fail, and what has to hold then, is
//! with each.

mod elsewhere;
mod nats;
mod redis;

use std::ops::Range;

use super::world::{Weather, World};
use crate::ids::LogName;
use crate::log::{ReadFrom, Since};

const MS: u64 = 1000;

/// Nodes of a world.
const NODES: usize = 3;

/// Worlds of a campaign, if the environment does not say how many.
const WORLDS: u64 = 8;

/// What goes wrong in a world.
trait Trouble {
    /// Some time has passed: what was to be away for so long comes back.
    fn pass(&mut self, _: &mut World) {}

    /// Somebody has done something to one of these logs: it is time for something to fail, or not yet.
    fn turn(&mut self, world: &mut World, logs: &[LogName]);

    /// Nothing fails any more: what is away comes back.
    fn end(&mut self, _: &mut World) {}
}

/// Many worlds, one after the other, each from its beginning to when all is well again; then it is looked at.
fn campaign(live: impl Fn(u64) -> World, mut check: impl FnMut(World)) {
    let mut acked = 0;
    for seed in seeds() {
        println!("seed {seed}");
        let world = live(seed);
        acked += world.acked.len();
        check(world);
    }
    assert!(acked > 100, "{acked}");
}

/// The seed that the environment names, or so many as it says.
fn seeds() -> Range<u64> {
    let number = |variable| std::env::var(variable).ok()?.parse().ok();
    if let Some(seed) = number("TIDEWIRE_REDIS_SEED") {
        return seed..seed + 1;
    }
    0..number("TIDEWIRE_REDIS_SEEDS").unwrap_or(WORLDS)
}

/// A world goes on from its beginning to when all is well again.
fn live(mut world: World, mut trouble: impl Trouble) -> World {
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
        trouble.pass(&mut world);
        do_something(&mut world, &logs);
        trouble.turn(&mut world, &logs);
    }
    trouble.end(&mut world);
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

/// A client does something.
fn do_something(world: &mut World, logs: &[LogName]) {
    let node = any_node(world);
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
            let other = any_node(world);
            world.follow(other, &log, World::since(position));
        }
        85..90 => world.follow(node, &log, ReadFrom::Since(Since::Now)),
        90..93 => world.follow(node, &log, ReadFrom::Since(Since::Oldest)),
        _ => world.read_history(node, &log),
    }
}

fn any_node(world: &mut World) -> usize {
    world.dice.below(NODES as u64) as usize
}

/// What can fail wherever the logs are.
#[derive(Debug, Clone, Copy)]
enum Fault {
    CommandsCut,
    AnnouncementsCut,
    Frozen,
    Full,
    Lossy,
    Slow,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::CommandsCut,
        Self::AnnouncementsCut,
        Self::Frozen,
        Self::Full,
        Self::Lossy,
        Self::Slow,
    ];

    /// It happens, to a node or to all.
    fn strike(self, world: &mut World, node: usize) {
        let time = world.time;
        match self {
            Self::CommandsCut => world.cut(node, true),
            Self::AnnouncementsCut => world.cut(node, false),
            Self::Frozen => {
                let long = world.dice.percent(20);
                let pause = world.dice.below(if long { 9_000 * MS } else { 1_500 * MS });
                world.weather.frozen_until = time + pause;
            }
            Self::Full => world.weather.full_until = time + world.dice.below(500 * MS),
            Self::Lossy => world.weather.lossy_until = time + world.dice.below(4_000 * MS),
            Self::Slow => world.weather.slow_until = time + world.dice.below(2_000 * MS),
        }
    }
}

/// The first node is cut off for a while: who does not come in time may have seen more than others.
fn leave_one_alone(world: &mut World) {
    world.weather.lonely_until = world.time + world.dice.below(6_000 * MS);
    world.cut(0, true);
    world.cut(0, false);
}

/// The time in which the process that has the logs is gone, if it is.
#[derive(Debug, Default)]
struct Absence {
    until: Option<u64>,
}

impl Absence {
    /// It is gone for a while, unless it is already.
    fn begin(&mut self, world: &mut World) {
        if self.until.is_none() {
            let is_short = world.dice.percent(50);
            let most = if is_short { 200 * MS } else { 4_000 * MS };
            let time = world.dice.below(most);
            world.kill();
            self.until = Some(world.time + time);
        }
    }

    /// Whether it is to come back now; only once.
    fn is_over(&mut self, world: &World) -> bool {
        self.until.take_if(|until| *until <= world.time).is_some()
    }

    /// Whether it is gone, and is to come back before its time.
    fn ends(&mut self) -> bool {
        self.until.take().is_some()
    }
}
