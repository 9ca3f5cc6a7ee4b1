//! The thread that has the files: what a disk takes its time for is asked for by jobs and comes back through the worker's
//! inbox.
//!
//! Jobs wait in a queue without a limit of its own: each connection has at most one read or some 128 KiB of writes in it,
//! since it is not read, and gets nothing, before its last job is done.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::files::{FileError, FileId, FileStore, Meta, Partial, Stored};
use crate::ids::ConnId;

/// Files that are being sent to us at once.
const UPLOADS_MAX: usize = 256;

/// What is to be done for a connection; the jobs of one are done in order.
#[derive(Debug)]
pub(super) enum Job {
    /// Begin a file.
    Begin(Meta),
    /// Add to it.
    Append(Vec<u8>),
    /// It is whole.
    Finish,
    /// It will not be.
    Abort,
    /// Look for a file.
    Find(FileId),
    /// Read so many bytes of it from there on.
    Read(Stored, u64, usize),
}

/// What became of a job.
#[derive(Debug)]
pub(super) enum Done {
    /// So many bytes were added.
    Appended(usize),
    /// The file is there for good.
    Finished(FileId),
    /// It was found.
    Found(Stored),
    /// These are its bytes.
    Read(Vec<u8>),
    /// That did not go well, and a file that was begun is gone.
    Failed(FileError),
}

/// The worker's end of the thread. Dropping it ends the thread once its jobs are done.
#[derive(Debug)]
pub(super) struct Files {
    jobs: Option<Sender<(ConnId, Job)>>,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    /// Starts the thread; `answer` takes what becomes of jobs, on that thread.
    pub(super) fn start(
        store: FileStore,
        answer: impl Fn(ConnId, Done) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, queue) = channel();
        let thread = Builder::new()
            .name("files".to_owned())
            .spawn(move || Keeper::new(store).run(&queue, answer))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Adds a job.
    pub(super) fn ask(&self, conn: ConnId, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends no earlier than this end of it.
            let _ = jobs.send((conn, job));
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was told on stderr when it happened.
            let _ = thread.join();
        }
    }
}

/// The thread's state.
struct Keeper {
    store: FileStore,
    uploads: HashMap<ConnId, Partial>,
}

impl Keeper {
    fn new(store: FileStore) -> Self {
        Self {
            store,
            uploads: HashMap::new(),
        }
    }

    fn run(mut self, queue: &Receiver<(ConnId, Job)>, answer: impl Fn(ConnId, Done)) {
        for (conn, job) in queue {
            match self.carry_out(conn, job) {
                Ok(None) => {}
                Ok(Some(done)) => answer(conn, done),
                Err(error) => {
                    self.uploads.remove(&conn);
                    answer(conn, Done::Failed(error));
                }
            }
        }
    }

    fn carry_out(&mut self, conn: ConnId, job: Job) -> Result<Option<Done>, FileError> {
        match job {
            Job::Begin(_) if self.uploads.len() >= UPLOADS_MAX => Err(FileError::Busy),
            Job::Begin(meta) => {
                let partial = self.store.begin(&meta)?;
                self.uploads.insert(conn, partial);
                Ok(None)
            }
            // What comes behind a failure finds nothing, and its connection knows.
            Job::Append(bytes) => match self.uploads.get_mut(&conn) {
                Some(partial) => partial
                    .append(&bytes)
                    .map(|()| Some(Done::Appended(bytes.len()))),
                None => Ok(None),
            },
            Job::Finish => match self.uploads.remove(&conn) {
                Some(partial) => self
                    .store
                    .finish(partial)
                    .map(|id| Some(Done::Finished(id))),
                None => Ok(None),
            },
            Job::Abort => {
                self.uploads.remove(&conn);
                Ok(None)
            }
            Job::Find(id) => self.store.find(id).map(|stored| Some(Done::Found(stored))),
            Job::Read(stored, at, len) => {
                let bytes = self.store.read(&stored, at, len)?;
                Ok(Some(Done::Read(bytes)))
            }
        }
    }
}
