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

/// How far a job is.
#[derive(Debug, Clone, Default)]
struct Stage {
    /// Those behind it may begin.
    lets_on: Flag,
    is_over: Flag,
}

/// A job's place in the row of its bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn {
    own: Stage,
    /// The one before it that writes.
    before: Option<Stage>,
}

impl Turn {
    /// Those behind the job may begin.
    pub(super) fn let_on(&self) {
        self.own.lets_on.0.set(true);
    }

    /// Those behind the job that have not gone on yet wait until it lets them on again.
    pub(super) fn hold(&self) {
        self.own.lets_on.0.set(false);
    }

    /// Comes once the one before the job that writes lets it on.
    pub(super) async fn let_on_by_others(&self) {
        self.once(|before| before.lets_on.0.get() || before.is_over.0.get())
            .await;
    }

    /// Comes once those before the job that write are over.
    pub(super) async fn alone(&self) {
        self.once(|before| before.is_over.0.get()).await;
    }

    async fn once(&self, is_so: impl Fn(&Stage) -> bool) {
        let poll = |_: &mut Context<'_>| match &self.before {
            Some(before) if !is_so(before) => Poll::Pending,
            Some(_) | None => Poll::Ready(()),
        };
        poll_fn(poll).await;
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
    /// The newest that writes.
    written: Option<Stage>,
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
            turn.before = row.written.replace(turn.own.clone());
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
        if let Some(bucket) = self.jobs.get(&id).and_then(|job| job.bucket) {
            self.go_on_together(bucket);
            self.begin_next(bucket);
        }
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
            job.turn.own.is_over.0.set(true);
        }
    }

    /// The running jobs of a bucket go on: what one has done another may wait for.
    fn go_on_together(&mut self, bucket: u8) {
        while let Some(row) = self.buckets.get(&bucket) {
            let running = row.running.clone();
            let over = running.into_iter().find(|id| {
                self.go_on(*id);
                self.is_over(*id)
            });
            let Some(over) = over else {
                return;
            };
            self.leaves(over, bucket);
        }
    }

    fn is_over(&self, id: JobId) -> bool {
        self.jobs.get(&id).is_some_and(|job| job.outcome.is_some())
    }

    /// A job of a bucket is over.
    fn leaves(&mut self, id: JobId, bucket: u8) {
        if let Some(row) = self.buckets.get_mut(&bucket) {
            row.running.retain(|running| *running != id);
        }
        let job = self.jobs.get(&id);
        if job.is_some_and(|job| job.kind == Kind::Reads) {
            self.reading -= 1;
            if let Some(bucket) = self.crowded.pop_front() {
                self.begin_next(bucket);
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
                Kind::Writes => running.all(|job| job.turn.own.lets_on.0.get()),
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
            if self.is_over(id) {
                self.leaves(id, bucket);
            }
        }
        let is_idle = |row: &Row| row.waiting.is_empty() && row.running.is_empty();
        if self.buckets.get(&bucket).is_some_and(is_idle) {
            self.buckets.remove(&bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use bytes::Bytes;

    use super::super::text::{Headers, Message};
    use super::*;
    use Kind::{Reads, Writes};

    /// Jobs that say what they do.
    struct Bench {
        exchange: Exchange,
        jobs: Jobs,
        done: Rc<RefCell<Vec<String>>>,
    }

    impl Bench {
        fn new() -> Self {
            let exchange = Exchange::new("inbox".to_owned());
            Self {
                jobs: Jobs::new(exchange.clone()),
                exchange,
                done: Rc::default(),
            }
        }

        /// A job that asks once, between its beginning and its end; who writes lets others on when it has asked.
        fn add(&mut self, name: &'static str, bucket: u8, kind: Kind) {
            let (exchange, done) = (self.exchange.clone(), Rc::clone(&self.done));
            self.jobs.add(Some(bucket), kind, |turn| {
                Box::pin(async move {
                    done.borrow_mut().push(format!("{name} begins"));
                    let asked = exchange.ask(name, &[], b"");
                    if kind == Writes {
                        turn.let_on();
                    }
                    asked.await;
                    done.borrow_mut().push(format!("{name} ends"));
                    Ok(Answer::Done)
                })
            });
        }

        /// The question with this number is answered.
        fn answer(&mut self, number: u64) {
            let message = Message {
                subject: format!("inbox.{number}"),
                sid: 1,
                headers: Headers::default(),
                body: Bytes::new(),
            };
            let job = self.exchange.answered(message).expect("it was asked");
            self.jobs.answered(job);
        }

        /// What was done since the last call.
        fn done(&self) -> Vec<String> {
            std::mem::take(&mut self.done.borrow_mut())
        }

        fn outcomes(&mut self) -> usize {
            std::iter::from_fn(|| self.jobs.next_outcome()).count()
        }
    }

    #[test]
    fn outcomes_come_in_the_order_in_which_jobs_were_added() {
        let mut bench = Bench::new();
        bench.add("a", 1, Reads);
        bench.add("b", 2, Reads);
        bench.answer(2);
        assert_eq!(bench.outcomes(), 0);
        bench.answer(1);
        assert_eq!(bench.outcomes(), 2);
        assert_eq!(bench.done(), ["a begins", "b begins", "b ends", "a ends"]);
    }

    #[test]
    fn who_reads_waits_for_who_writes_before_and_who_writes_for_who_is_let_on() {
        let mut bench = Bench::new();
        bench.add("a", 1, Writes);
        bench.add("b", 1, Writes);
        bench.add("c", 1, Reads);
        assert_eq!(bench.done(), ["a begins", "b begins"]);
        bench.answer(2);
        assert_eq!(bench.done(), ["b ends"]);
        bench.answer(1);
        assert_eq!(bench.done(), ["a ends", "c begins"]);
        // It has not said yet that it knows where the log ends.
        bench.add("d", 1, Writes);
        assert_eq!(bench.done(), [""; 0]);
        bench.answer(3);
        assert_eq!(bench.done(), ["c ends", "d begins"]);
    }

    #[test]
    fn who_is_behind_a_job_that_is_held_waits_until_it_lets_on_again() {
        let mut bench = Bench::new();
        let (exchange, done) = (bench.exchange.clone(), Rc::clone(&bench.done));
        bench.jobs.add(Some(1), Writes, |turn| {
            Box::pin(async move {
                let first = exchange.ask("first", &[], b"");
                turn.let_on();
                first.await;
                turn.hold();
                exchange.ask("look", &[], b"").await;
                done.borrow_mut().push("again".to_owned());
                let again = exchange.ask("again", &[], b"");
                turn.let_on();
                again.await;
                Ok(Answer::Done)
            })
        });
        let (exchange, done) = (bench.exchange.clone(), Rc::clone(&bench.done));
        bench.jobs.add(Some(1), Writes, |turn| {
            Box::pin(async move {
                exchange.ask("look", &[], b"").await;
                turn.let_on_by_others().await;
                done.borrow_mut().push("behind it".to_owned());
                Ok(Answer::Done)
            })
        });
        bench.answer(1);
        bench.answer(2);
        assert_eq!(bench.done(), [""; 0]);
        bench.answer(3);
        assert_eq!(bench.done(), ["again", "behind it"]);
        bench.answer(4);
        assert_eq!(bench.outcomes(), 2);
    }

    #[test]
    fn no_more_than_so_many_read_at_once_and_the_next_begins_when_one_is_over() {
        let mut bench = Bench::new();
        for bucket in 0..=READERS_MAX as u8 {
            bench.add("a", bucket, Reads);
        }
        assert_eq!(bench.done().len(), READERS_MAX);
        bench.answer(3);
        assert_eq!(bench.done(), ["a ends", "a begins"]);
    }
}
