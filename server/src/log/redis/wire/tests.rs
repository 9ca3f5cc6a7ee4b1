//! Scripts and wire against a real redis-server, each test with its own: in a directory of its own, on a socket there, ended by its
//! process. That `redis-server` is missing is a failure.

mod appends;
mod cluster;
mod pages;
mod runs;
mod server;

use std::time::Duration;

use serde_json::value::RawValue;

use self::server::{Link, RedisServer};
use crate::ids::{LogName, Session, UserName};
use crate::log::redis::{
    Answer, Appended, Bucket, Command, Extracted, From, Run, RunState, Stored, Trust,
};
use crate::log::{Draft, Epoch, PageMax, Position, Retention};

const EPOCH: Epoch = Epoch::new(77);

const PAGE: PageMax = PageMax {
    entries: 1000,
    bytes: 1 << 20,
};

fn log(name: &str) -> LogName {
    LogName::new(name).unwrap()
}

fn at(epoch: Epoch, offset: u64) -> Position {
    Position { epoch, offset }
}

fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// A message for log `name`; an empty `seq` is none.
fn message(name: &str, seq: &str, content: &str) -> Stored {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    Stored {
        draft: Draft {
            log: log(name),
            from: UserName::new("alice").unwrap(),
            session: Session::new("s").unwrap(),
            seq: (!seq.is_empty()).then(|| raw(seq)),
            content: raw(content),
            time: now(),
        },
        retention: Retention::default(),
    }
}

fn keeps(entries_max: u64, age_max: Duration, bytes_max: u64) -> Retention {
    Retention {
        entries_max,
        age_max,
        bytes_max,
    }
}

impl Link {
    fn greet(&mut self, bucket: Bucket, saves_always: bool) -> Run {
        let run_id = self.process().run_id;
        let greet = Command::Greet {
            bucket,
            run_id,
            saves_always,
        };
        self.run_of(&greet)
    }

    fn open(&mut self, bucket: Bucket, run: u64, trust: Trust) -> Run {
        self.run_of(&Command::Open { bucket, run, trust })
    }

    fn run_of(&mut self, command: &Command) -> Run {
        match self.ask(command) {
            Answer::Run(run) => run,
            other => panic!("{other:?}"),
        }
    }

    /// Greets and opens the run for a log's bucket; its number.
    fn opened(&mut self, name: &str, trust: Trust) -> u64 {
        let bucket = Bucket::of(&log(name));
        let run = self.greet(bucket, true);
        assert_eq!(run.state, RunState::Pending);
        self.open(bucket, run.number, trust).number
    }

    fn append(&mut self, run: u64, epoch: Epoch, messages: Vec<Stored>) -> Vec<Appended> {
        let bucket = Bucket::of(&messages[0].draft.log);
        let append = Command::Append {
            bucket,
            run,
            epoch,
            messages,
        };
        match self.ask(&append) {
            Answer::Appended(appended) => appended,
            other => panic!("{other:?}"),
        }
    }

    fn vouch(&mut self, run: u64, name: &str, seen: Position, epoch: Epoch) -> Vec<LogName> {
        let vouch = Command::Vouch {
            bucket: Bucket::of(&log(name)),
            run,
            seen: vec![(log(name), seen)],
            epoch,
        };
        match self.ask(&vouch) {
            Answer::Broken(logs) => logs,
            other => panic!("{other:?}"),
        }
    }

    fn page(&mut self, name: &str, from: From, max: PageMax) -> Extracted {
        let page = Command::Page {
            log: log(name),
            from,
            max,
            epoch: Epoch::new(99),
        };
        match self.ask(&page) {
            Answer::Page(page) => page,
            other => panic!("{other:?}"),
        }
    }

    fn head(&mut self, name: &str) -> Option<Position> {
        let heads = Command::Heads {
            bucket: Bucket::of(&log(name)),
            logs: vec![log(name)],
        };
        match self.ask(&heads) {
            Answer::Heads(heads) => heads[0],
            other => panic!("{other:?}"),
        }
    }
}

fn offsets(page: &Extracted) -> Vec<u64> {
    let entries = page.entries.iter();
    entries.map(|entry| entry.position.offset).collect()
}
