//! One capture: what connections tell it goes through a bounded queue to a thread of its own, which writes until the time or
//! the bytes are spent, nobody takes them, or the server ends.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::outlet::Sink;
use crate::capture::{Filter, Record, Scribe, pcapng};
use crate::clock::Now;

/// Captures that run at once: each costs its queue, and a copy of all that it is about.
const CAPTURES_MAX: usize = 4;

/// What may wait for the thread.
const QUEUE_RECORDS_MAX: usize = 16 << 10;
const QUEUE_BYTES_MAX: usize = 16 << 20;

/// A connection that lost something goes on when no more than this waits: not to lose the next at once.
const QUEUE_BYTES_LOW: usize = QUEUE_BYTES_MAX / 2;

/// What is written at once.
const WRITE_BYTES: usize = 64 << 10;

/// How often it is told how much was captured; who reads sees from that, too, that the capture is there.
const STATISTICS_EVERY: Duration = Duration::from_secs(1);

/// Kept free for what is said at the end.
const LAST_WORDS_BYTES: u64 = 4 << 10;

/// A running capture, as those see it who have something for it.
#[derive(Debug)]
pub(in crate::net) struct Capture {
    /// No other has it.
    pub(in crate::net) number: u64,
    pub(in crate::net) filter: Filter,
    begun: Now,
    records: SyncSender<Record>,
    shared: Arc<Shared>,
}

/// What both ends of the queue count.
#[derive(Debug, Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    lost_records: AtomicU64,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    Taken,
    Lost,
    /// The capture has ended.
    Over,
}

/// When a capture ends by itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) struct Bounds {
    pub(in crate::net) time: Option<Duration>,
    pub(in crate::net) bytes: u64,
}

/// Why there is no capture.
#[derive(Debug)]
pub(in crate::net) enum StartError {
    /// Enough others run.
    TooMany,
    /// The system has no thread for it.
    Thread(io::Error),
}

/// Those that run; shared by all workers.
#[derive(Debug, Clone, Default)]
pub(in crate::net) struct Captures(Arc<Running>);

#[derive(Debug, Default)]
struct Running {
    count: AtomicUsize,
    numbers: AtomicU64,
    /// Waited for when the server ends: their files are to be whole.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Captures {
    /// Starts one, which calls `at_end` with its number when it has ended.
    ///
    /// # Errors
    /// There are enough, or the system has no thread.
    pub(in crate::net) fn start(
        &self,
        filter: Filter,
        bounds: Bounds,
        sink: Sink,
        at_end: impl FnOnce(u64) + Send + 'static,
    ) -> Result<Arc<Capture>, StartError> {
        let Some(place) = self.take_place() else {
            return Err(StartError::TooMany);
        };
        let (records, queue) = sync_channel(QUEUE_RECORDS_MAX);
        let shared = Arc::new(Shared::default());
        let capture = Capture {
            number: self.0.numbers.fetch_add(1, Ordering::Relaxed),
            filter,
            begun: Now::read(),
            records,
            shared: Arc::clone(&shared),
        };
        let writer = Writer {
            sink,
            bounds,
            begun: capture.begun,
            shared,
            scribe: Scribe::default(),
            out: Vec::new(),
            written: 0,
        };
        let (number, title) = (capture.number, format!("captured: {}", capture.filter));
        let run = move || {
            writer.run(&queue, &title);
            drop((queue, place));
            at_end(number);
        };
        let thread = Builder::new().name("capture".to_owned()).spawn(run);
        let thread = thread.map_err(StartError::Thread)?;
        let mut threads = self
            .0
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(Arc::new(capture))
    }

    fn take_place(&self) -> Option<CountedPlace> {
        let taken = self
            .0
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < CAPTURES_MAX).then_some(count + 1)
            });
        taken.ok().map(|_| CountedPlace(Arc::clone(&self.0)))
    }

    /// Waits until all have ended: nobody has anything for them any more.
    pub(in crate::net) fn wait(&self) {
        let mut threads = self
            .0
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A panic was told when it happened.
            let _ = thread.join();
        }
    }
}

/// One of the captures that may run, given back when it is dropped.
struct CountedPlace(Arc<Running>);

impl Drop for CountedPlace {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Capture {
    /// A moment of this process as nanoseconds since 1970.
    pub(super) fn time(&self, at: Instant) -> u64 {
        nanoseconds(self.begun, at)
    }

    /// Hands over a record, if there is room for it.
    pub(super) fn offer(&self, record: Record) -> Offered {
        let weight = record.weight();
        let queued = &self.shared.queued_bytes;
        if queued.fetch_add(weight, Ordering::Relaxed) + weight <= QUEUE_BYTES_MAX {
            match self.records.try_send(record) {
                Ok(()) => return Offered::Taken,
                Err(TrySendError::Disconnected(_)) => return Offered::Over,
                Err(TrySendError::Full(_)) => {}
            }
        }
        queued.fetch_sub(weight, Ordering::Relaxed);
        self.shared.lost_records.fetch_add(1, Ordering::Relaxed);
        Offered::Lost
    }

    /// Whether there is so much room that who lost something may go on.
    pub(super) fn has_room(&self) -> bool {
        self.shared.queued_bytes.load(Ordering::Relaxed) <= QUEUE_BYTES_LOW
    }

    /// Something was lost before it could be offered.
    pub(super) fn count_lost(&self) {
        self.shared.lost_records.fetch_add(1, Ordering::Relaxed);
    }
}

fn nanoseconds(begun: Now, at: Instant) -> u64 {
    let since = at.saturating_duration_since(begun.instant);
    begun.unix_ms * 1_000_000 + since.as_nanos() as u64
}

/// The thread's part.
struct Writer {
    sink: Sink,
    bounds: Bounds,
    begun: Now,
    shared: Arc<Shared>,
    scribe: Scribe,
    /// Blocks that the sink has not got yet.
    out: Vec<u8>,
    written: u64,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Record>, title: &str) {
        pcapng::begin(&mut self.out, title);
        let why = self.write_until_it_ends(queue);
        let time = self.time();
        let room = self.room();
        self.scribe.finish(time, why, &mut self.out, room);
        self.say_statistics(why);
        // Who does not take it has gone.
        let _ = self.flush();
        self.sink.end();
        let (packets, lost) = (self.scribe.packets(), self.lost());
        tracing::info!(
            event = "capture_ended",
            why,
            packets,
            lost,
            bytes = self.written,
            "A capture has ended."
        );
    }

    /// Returns why it ended.
    fn write_until_it_ends(&mut self, queue: &Receiver<Record>) -> &'static str {
        let until = self.bounds.time.map(|time| self.begun.instant + time);
        let mut say_at = self.begun.instant;
        loop {
            let now = Now::read().instant;
            if until.is_some_and(|until| until <= now) {
                return "the time of the capture is over";
            }
            if say_at <= now {
                self.say_statistics("");
                say_at = now + STATISTICS_EVERY;
            }
            if self.flush().is_err() {
                return "nobody takes the capture";
            }
            let next = until.map_or(say_at, |until| until.min(say_at));
            match queue.recv_timeout(next.saturating_duration_since(now)) {
                Ok(record) => {
                    // What waits already is written with it.
                    let others = std::iter::from_fn(|| queue.try_recv().ok());
                    for record in std::iter::once(record).chain(others) {
                        if !self.write(&record) {
                            return "the capture has its size";
                        }
                        if self.out.len() >= WRITE_BYTES {
                            break;
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return "the server ends",
            }
        }
    }

    /// Returns whether there was room for it in the file.
    fn write(&mut self, record: &Record) -> bool {
        self.shared
            .queued_bytes
            .fetch_sub(record.weight(), Ordering::Relaxed);
        let room = self.room();
        self.scribe.write_if_it_fits(record, &mut self.out, room)
    }

    /// How long what was not handed on yet may be.
    const fn room(&self) -> u64 {
        let spent = self.written + LAST_WORDS_BYTES;
        self.bounds.bytes.saturating_sub(spent)
    }

    fn say_statistics(&mut self, comment: &str) {
        let (packets, lost, time) = (self.scribe.packets(), self.lost(), self.time());
        pcapng::statistics(&mut self.out, time, packets, lost, comment);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.written += self.out.len() as u64;
        self.sink.write(std::mem::take(&mut self.out))
    }

    fn lost(&self) -> u64 {
        self.shared.lost_records.load(Ordering::Relaxed)
    }

    fn time(&self) -> u64 {
        nanoseconds(self.begun, Now::read().instant)
    }
}
