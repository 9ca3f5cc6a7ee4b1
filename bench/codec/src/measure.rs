//! Time: everybody in turn, round after round, so that a slow moment of the machine hits all alike; then medians.
//!
//! Times are the thread's own, and ratios are taken within a round: on a machine that others use too, both keep still
//! where the time of day does not.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::contenders::Job;
use crate::rows::Row;

/// How long one turn of one contender takes, about: short, so that a round is one moment.
const TURN: Duration = Duration::from_millis(2);

/// Turns of each contender; odd, so that the median is one of them.
const ROUNDS: usize = 75;

/// What a contender took.
pub(crate) struct Measured {
    /// The median over the rounds, in nanoseconds per message.
    pub(crate) nanoseconds: f64,
    /// How many times as long as the first contender in the same round; the median.
    pub(crate) ratio: f64,
}

/// What the contenders took, in order.
pub(crate) fn measure(row: &Row) -> Vec<Measured> {
    let mut contenders: Vec<_> = row
        .contenders
        .iter()
        .map(|contender| {
            let mut job = (contender.job)();
            check(row, contender.name, &mut job);
            let messages = messages_in_a_turn(row.step, &mut job);
            (job, messages)
        })
        .collect();
    let count = contenders.len();
    let mut times = vec![vec![0.0; ROUNDS]; count];
    for round in 0..ROUNDS {
        for place in 0..count {
            // Another one is first in every round.
            let turn = (round + place) % count;
            let (job, messages) = &mut contenders[turn];
            times[turn][round] = time(job, *messages).as_nanos() as f64 / *messages as f64;
        }
    }
    let ours = times[0].clone();
    let measured = |times: Vec<f64>| Measured {
        ratio: median(times.iter().zip(&ours).map(|(time, ours)| time / ours)),
        nanoseconds: median(times.into_iter()),
    };
    times.into_iter().map(measured).collect()
}

/// Who does not do the work cannot win.
fn check(row: &Row, name: &str, job: &mut Job) {
    let bytes = job(row.step);
    if let Some(expected) = row.bytes {
        let id = row.id;
        assert_eq!(
            bytes,
            expected * row.step,
            "{id}: {name} did something else"
        );
    }
}

fn messages_in_a_turn(step: u64, job: &mut Job) -> u64 {
    let mut messages = step;
    loop {
        let took = time(job, messages);
        if took >= TURN / 2 {
            let scaled = messages as f64 * TURN.as_secs_f64() / took.as_secs_f64();
            return (scaled as u64 / step).max(1) * step;
        }
        messages *= 2;
    }
}

fn time(job: &mut Job, messages: u64) -> Duration {
    let started = thread_time();
    job(messages);
    thread_time().saturating_sub(started)
}

fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
