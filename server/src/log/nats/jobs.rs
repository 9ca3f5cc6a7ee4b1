//! The commands of a link, each a job: those of one bucket in an order in which their answers are true, and answered in the order in
//! which they were asked.
//!
//! What is appended is not overtaken by what reads behind it. What reads has to know where the log ends before anything is appended
//! behind it, so that nothing of ours comes with a page before we know its place.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::exchange::{Exchange, JobId};
use super::store::Trouble;
use crate::log::shared::Answer;

/// Jobs of a link that run at once and read: what they ask for has to fit into what NATS holds for a client.
const READERS_MAX: usize = 32;

/// What a job comes to.
pub(super) type Outcome = Result<Answer, Trouble>;

/// What it does.
pub(super) type Task = Pin<Box<dyn Future<Output = Outcome>>>;

/// What a job does to its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It reads.
    Reads,
    /// It changes something.
    Writes,
}

/// Something that a job has done, or has not yet.
#[derive(Debug, Clone, Default)]
struct Flag(Rc<Cell<bool>>);

/// A job's place in the row of its bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn {
    /// Those behind it may begin.
    lets_on: Flag,
    is_over: Flag,
    /// The one before it that writes is over.
    before: Option<Flag>,
}

impl Turn {
    /// Those behind the job may begin.
    pub(super) fn let_on(&self) {
        self.lets_on.0.set(true);
    }

    /// Comes once those before the job that write are over.
    pub(super) async fn alone(&self) {
        let is_over = |_: &mut Context<'_>| match &self.before {
            Some(before) if !before.0.get() => Poll::Pending,
            Some(_) | None => Poll::Ready(()),
        };
        poll_fn(is_over).await;
    }
}

/// All of a link.
pub(super) struct Jobs {
    exchange: Exchange,
    number: JobId,
    jobs: BTreeMap<JobId, Job>,
    buckets: HashMap<u8, Row>,
    reading: usize,
    /// Buckets whose next job waits until fewer read.
    crowded: VecDeque<u8>,
}

struct Job {
    task: Task,
    kind: Kind,
    turn: Turn,
    bucket: Option<u8>,
    outcome: Option<Outcome>,
}

/// The jobs of a bucket.
#[derive(Default)]
struct Row {
    /// Those that have not begun.
    waiting: VecDeque<JobId>,
    /// Those that have, and are not over.
    running: Vec<JobId>,
    /// The newest that writes is over.
    written: Option<Flag>,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs")
            .field("open", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

impl Jobs {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            number: 0,
            jobs: BTreeMap::new(),
            buckets: HashMap::new(),
            reading: 0,
            crowded: VecDeque::new(),
        }
    }

    /// Adds a job, which begins when it may: at once if it is about no bucket.
    pub(super) fn add(&mut self, bucket: Option<u8>, kind: Kind, task: impl FnOnce(Turn) -> Task) {
        self.number += 1;
        let id = self.number;
        let mut turn = Turn::default();
        if let (Some(bucket), Kind::Writes) = (bucket, kind) {
            let row = self.buckets.entry(bucket).or_default();
            turn.before = row.written.replace(turn.is_over.clone());
        }
        let job = Job {
            task: task(turn.clone()),
            kind,
            turn,
            bucket,
            outcome: None,
        };
        self.jobs.insert(id, job);
        match bucket {
            Some(bucket) => {
                self.buckets
                    .entry(bucket)
                    .or_default()
                    .waiting
                    .push_back(id);
                self.begin_next(bucket);
            }
            None => self.go_on(id),
        }
    }

    /// A job has got an answer.
    pub(super) fn answered(&mut self, id: JobId) {
        self.go_on(id);
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let Some(bucket) = job.bucket else {
            return;
        };
        if job.outcome.is_some() {
            self.is_over(id, bucket);
        }
        self.begin_next(bucket);
    }

    /// What came of the oldest, if it is over.
    pub(super) fn next_outcome(&mut self) -> Option<Outcome> {
        let first = self.jobs.first_entry()?;
        first.get().outcome.as_ref()?;
        first.remove().outcome
    }

    fn go_on(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if job.outcome.is_some() {
            return;
        }
        self.exchange.runs(id);
        // Nobody wakes it: it is polled when it has got an answer.
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = job.task.as_mut().poll(&mut context) {
            job.outcome = Some(outcome);
            job.turn.let_on();
            job.turn.is_over.0.set(true);
        }
    }

    /// A job of a bucket is over.
    fn is_over(&mut self, id: JobId, bucket: u8) {
        let row = self.buckets.entry(bucket).or_default();
        let before = row.running.len();
        row.running.retain(|running| *running != id);
        let was_reading = self
            .jobs
            .get(&id)
            .is_some_and(|job| job.kind == Kind::Reads);
        if row.running.len() < before && was_reading {
            self.reading -= 1;
            if let Some(bucket) = self.crowded.pop_front() {
                self.begin_next(bucket);
            }
        }
        // One may wait for this one's end.
        let row = self.buckets.entry(bucket).or_default();
        let running = row.running.clone();
        for other in running {
            if self
                .jobs
                .get(&other)
                .is_some_and(|job| job.turn.lets_on.0.get())
            {
                self.go_on(other);
                if self
                    .jobs
                    .get(&other)
                    .is_some_and(|job| job.outcome.is_some())
                {
                    return self.is_over(other, bucket);
                }
            }
        }
    }

    /// Begins what may begin of a bucket.
    fn begin_next(&mut self, bucket: u8) {
        while let Some(row) = self.buckets.get(&bucket)
            && let Some(&id) = row.waiting.front()
        {
            let Some(kind) = self.jobs.get(&id).map(|job| job.kind) else {
                return;
            };
            let mut running = row.running.iter().filter_map(|id| self.jobs.get(id));
            let is_free = match kind {
                Kind::Reads => running.all(|job| job.kind == Kind::Reads),
                Kind::Writes => running.all(|job| job.turn.lets_on.0.get()),
            };
            if !is_free {
                return;
            }
            if kind == Kind::Reads {
                if self.reading >= READERS_MAX {
                    if !self.crowded.contains(&bucket) {
                        self.crowded.push_back(bucket);
                    }
                    return;
                }
                self.reading += 1;
            }
            if let Some(row) = self.buckets.get_mut(&bucket) {
                row.waiting.pop_front();
                row.running.push(id);
            }
            self.go_on(id);
            if self.jobs.get(&id).is_some_and(|job| job.outcome.is_some()) {
                self.is_over(id, bucket);
            }
        }
        let is_idle = |row: &Row| row.waiting.is_empty() && row.running.is_empty();
        if self.buckets.get(&bucket).is_some_and(is_idle) {
            self.buckets.remove(&bucket);
        }
    }
}
