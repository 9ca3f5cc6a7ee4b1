//! The time that is measured: it begins when the warm-up is over, and the bills at both its ends are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::meter::{self, Meter};
use crate::net;

/// After this long without any reply a run has failed.
const STALLED: u64 = 10_000_000_000;

/// How long a run takes.
#[derive(Debug, Args)]
pub(crate) struct Times {
    /// Seconds that are measured
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Seconds before
    #[arg(long, default_value_t = 0.3)]
    warmup: f64,
}

/// A load, turn by turn.
pub(crate) trait Load {
    /// What came so far, and what is complete: a measurement begins and ends when something has just become so.
    fn counts(&self) -> (u64, u64);

    /// The warm-up is over: what was counted is to be forgotten.
    fn forget(&mut self);

    /// Sends what is to be sent, waits, and takes what came.
    fn turn(&mut self, buffer: &mut [u8]) -> Result<()>;
}

/// What a turn of the loop is part of.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    WarmUp,
    /// What was counted in the warm-up is to be forgotten now.
    Begins,
    Measured,
    Over,
}

/// Where a run is, and what was used when the measured part of it began.
pub(crate) struct Window {
    meter: Meter,
    begin: u64,
    length: u64,
    is_measuring: bool,
    server: BTreeMap<String, Duration>,
    own: Duration,
    machine: Duration,
    progress: u64,
}

impl Window {
    /// Lets the load run for so long.
    ///
    /// # Errors
    /// The load fails, or nothing comes for a long time.
    pub(crate) fn run(pid: u32, times: &Times, load: &mut impl Load) -> Result<Self> {
        let mut window = Self::open(pid, times);
        let mut buffer = vec![0; net::BUFFER];
        let (mut came, mut complete) = load.counts();
        loop {
            let now = load.counts();
            match window.phase(now.0 != came, now.1 != complete)? {
                Phase::WarmUp | Phase::Measured => {}
                Phase::Begins => load.forget(),
                Phase::Over => return Ok(window),
            }
            (came, complete) = load.counts();
            load.turn(&mut buffer)?;
        }
    }

    fn open(pid: u32, times: &Times) -> Self {
        let now = meter::now();
        Self {
            meter: Meter::of(pid),
            begin: now + (times.warmup * 1e9) as u64,
            length: (times.seconds * 1e9) as u64,
            is_measuring: false,
            server: BTreeMap::new(),
            own: Duration::ZERO,
            machine: Duration::ZERO,
            progress: now,
        }
    }

    /// Looks at the time: once a turn, before its events. `has_progress` says whether something came in the last turn,
    /// `is_between` whether this is a moment to begin or to end: between two messages, where there are few.
    ///
    /// # Errors
    /// Nothing has come for a long time.
    fn phase(&mut self, has_progress: bool, is_between: bool) -> Result<Phase> {
        let now = meter::now();
        if has_progress {
            self.progress = now;
        }
        ensure!(now < self.progress + STALLED, "no reply for ten seconds");
        if self.is_measuring {
            let is_over = is_between && now >= self.begin + self.length;
            return Ok(if is_over {
                Phase::Over
            } else {
                Phase::Measured
            });
        }
        // Who is not running yet is not measured: the first replies open the window.
        if now < self.begin || !has_progress || !is_between {
            return Ok(Phase::WarmUp);
        }
        self.is_measuring = true;
        self.server = self.meter.threads();
        self.own = meter::own_run_time();
        self.machine = meter::machine_run_time();
        self.begin = meter::now();
        Ok(Phase::Begins)
    }

    /// What `count` of something cost, with `more` figures of the mode.
    ///
    /// # Errors
    /// Nothing was counted.
    pub(crate) fn close(self, count: u64, more: Value) -> Result<Value> {
        let threads = self.meter.threads().into_iter().map(|(thread, time)| {
            let before = self.server.get(&thread).copied().unwrap_or_default();
            time.saturating_sub(before)
        });
        let threads: Vec<_> = threads.collect();
        let server: Duration = threads.iter().sum();
        let own = meter::own_run_time().saturating_sub(self.own);
        let others = meter::machine_run_time().saturating_sub(self.machine + server + own);
        let wall = (meter::now() - self.begin) as f64 / 1e9;
        ensure!(count > 0, "nothing came in the time that is measured");
        let mut figures = json!({
            "count": count,
            "seconds": wall,
            "per_second": count as f64 / wall,
            "server_us_each": server.as_secs_f64() * 1e6 / count as f64,
            "server_busy": server.as_secs_f64() / wall,
            "threads_busy": threads.iter().map(|time| time.as_secs_f64() / wall).collect::<Vec<_>>(),
            "load_busy": own.as_secs_f64() / wall,
            "others_busy": others.as_secs_f64() / wall,
        });
        if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
            figures.extend(more);
        }
        Ok(figures)
    }
}
