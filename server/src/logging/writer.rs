//! The queue of lines and the thread that writes them. A reader that does not read costs lines, which are counted, and nothing
//! else: nobody who logs ever waits.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, Builder};
use std::time::Duration;

/// Lines that may wait; each has some KiB at most, and nearly all have 150 bytes.
const LINES_MAX: usize = 4096;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 64 << 10;

/// How long the end waits for what is queued: a reader that hangs must not keep the process.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// How long a pipe that is full and does not wait is left alone.
const FULL_WAIT: Duration = Duration::from_millis(10);

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines that found the queue full, since the process began.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

#[derive(Debug)]
enum Job {
    Line(String),
    /// All before this is written.
    Flush(SyncSender<()>),
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub(super) struct Queue(SyncSender<Job>);

impl Queue {
    /// Starts the thread.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(LINES_MAX);
        Builder::new()
            .name("logger".to_owned())
            .spawn(move || write_all(&receiver, out))?;
        Ok(Self(sender))
    }

    /// Adds a line, or drops it.
    pub(super) fn push(&self, line: String) {
        if self.0.try_send(Job::Line(line)).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written, but not for long.
    pub(super) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        match self.0.try_send(Job::Flush(done)) {
            Ok(()) => {
                let _ = wait.recv_timeout(FLUSH_WAIT);
            }
            // Nobody reads, or nobody writes.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

fn write_all(jobs: &Receiver<Job>, mut out: impl Write) {
    let mut buffer = String::new();
    while let Ok(first) = jobs.recv() {
        let mut flushed = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter()) {
            match job {
                Job::Line(line) => buffer.push_str(&line),
                Job::Flush(done) => flushed.push(done),
            }
            if buffer.len() >= WRITE_BYTES {
                write(&mut out, &mut buffer);
            }
        }
        write(&mut out, &mut buffer);
        for done in flushed {
            // Who waited for it may have given up.
            let _ = done.send(());
        }
    }
}

/// Standard error may be closed: then there is nobody to tell.
fn write(out: &mut impl Write, buffer: &mut String) {
    let mut rest = buffer.as_bytes();
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => break,
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process has the same pipe or terminal, and has made it one that does not wait.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_WAIT),
            Err(_) => break,
        }
    }
    let _ = out.flush();
    buffer.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, mpsc};

    /// Takes nothing until told to.
    struct Stuck(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_nobody_waits() {
        let (go_on, stuck) = mpsc::channel();
        let written = Arc::default();
        let queue = Queue::start(Stuck(stuck, Arc::clone(&written))).unwrap();
        let before = dropped();
        let pushed = 3 * LINES_MAX as u64;
        for number in 0..pushed {
            queue.push(format!("{number}\n"));
        }
        let lost = dropped() - before;
        assert!(lost > LINES_MAX as u64 / 2, "{lost} of {pushed}");
        drop(go_on);
        // The queue has room as soon as the thread goes on.
        while written.lock().unwrap().len() < 3 {
            thread::yield_now();
        }
        queue.flush();
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "in the order in which they came");
        assert_eq!(numbers.len() as u64 + lost, pushed);
    }

    /// A pipe that does not wait, and has room for three bytes each other time.
    struct Narrow {
        is_full: bool,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.is_full = !self.is_full;
            if self.is_full {
                return Err(ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(3);
            self.written
                .lock()
                .unwrap()
                .extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_that_does_not_wait_gets_whole_lines() {
        let written = Arc::default();
        let out = Narrow {
            is_full: false,
            written: Arc::clone(&written),
        };
        write(&mut { out }, &mut "a line\nanother\n".to_owned());
        assert_eq!(*written.lock().unwrap(), b"a line\nanother\n");
    }
}
