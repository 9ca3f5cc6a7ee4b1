//! Which process of NATS has the data, whether it takes messages yet, and what nodes have seen of it: one record for all, since one
//! process has all. What is said of runs in [`shared`](crate::log::shared) holds.

use super::jobs::Outcome;
use super::store::{Store, Trouble, Written, code};
use super::streams::{Info, Lost, Stream};
use crate::ids::LogName;
use crate::log::shared::{Answer, Failure, Run, RunState, Trust};
use crate::log::{Epoch, Position};

use serde_json::json;

/// What the record is called.
const RUN: &str = "run";

/// How long a node is there that has said so. As long as its lease.
const LEASE_NANOS: u64 = 15_000_000_000;

/// The run before which there was nothing.
const FIRST_RUN: u64 = 1;

/// How often it is tried to write what others write, too.
const TRIES: u32 = 20;

/// What is known of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Larger with each.
    pub(super) number: u64,
    /// `p` (pending), `w` (open, whole) or `d` (open, doubtful).
    state: char,
    /// A log that was last looked at in a run before this begins a new era with its next message.
    pub(super) doubt: u64,
    /// What it has acknowledged it has after a restart.
    saves: bool,
    /// So did all before it that were written to since one was opened.
    kept: bool,
    /// What the process calls itself.
    pub(super) id: String,
}

impl Record {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            number: words.next()?.parse().ok()?,
            state: words.next()?.parse().ok()?,
            doubt: words.next()?.parse().ok()?,
            saves: words.next()? == "1",
            kept: words.next()? == "1",
            id: words.next()?.to_owned(),
        })
    }

    fn text(&self) -> String {
        let [saves, kept] = [self.saves, self.kept].map(u8::from);
        let (number, state, doubt, id) = (self.number, self.state, self.doubt, &self.id);
        format!("{number} {state} {doubt} {saves} {kept} {id}")
    }

    /// The record of a process that nobody knows yet, behind this one.
    fn next(before: Option<&Self>, id: &str, saves: bool) -> Self {
        let kept = before.is_none_or(|before| {
            // Nothing was written in a run that was never opened.
            if before.state == 'p' {
                before.kept
            } else {
                before.saves
            }
        });
        Self {
            number: before.map_or(0, |before| before.number) + 1,
            state: 'p',
            doubt: before.map_or(0, |before| before.doubt),
            saves,
            kept,
            id: id.to_owned(),
        }
    }

    fn open(&mut self, trust: Trust) {
        if trust == Trust::Whole && self.saves && self.kept {
            self.state = 'w';
        } else {
            (self.state, self.doubt) = ('d', self.number);
        }
    }

    fn is_pending(&self) -> bool {
        self.state == 'p'
    }

    fn run(&self) -> Run {
        let state = match self.state {
            'p' => RunState::Pending,
            'w' => RunState::Open(Trust::Whole),
            _ => RunState::Open(Trust::Doubtful),
        };
        Run {
            number: self.number,
            state,
        }
    }
}

impl Store {
    /// What is there before any command: the streams that are not logs, and what is known of this process.
    pub(super) async fn set_up(self, run_id: String, saves: bool) -> Outcome {
        let (state, nodes) = (self.naming.state(), self.naming.nodes());
        let made = self.make(&state, &self.naming.record(">"), 0).await?;
        self.make(&nodes, &self.naming.node(None), LEASE_NANOS)
            .await?;
        self.known.borrow_mut().begun = made.created;
        for _ in 0..TRIES {
            let (written, record) = self.read_run().await?;
            if let Some(record) = &record
                && record.id == run_id
            {
                self.known.borrow_mut().run = record.clone();
                return Ok(Answer::Done);
            }
            let next = Record::next(record.as_ref(), &run_id, saves);
            if self.write(RUN, &next.text(), written.seq).await? {
                self.known.borrow_mut().run = next;
                return Ok(Answer::Done);
            }
        }
        Err(Trouble::Link("others write what it is called".to_owned()))
    }

    /// Makes a stream of which the newest of each subject counts, unless it is there.
    async fn make(&self, stream: &str, subject: &str, age: u64) -> Result<Info, Trouble> {
        let config = json!({
            "name": stream,
            "subjects": [subject],
            "storage": "file",
            "num_replicas": self.replicas,
            "max_msgs_per_subject": 1,
            "max_age": age,
            "allow_direct": true,
        });
        let what = format!("STREAM.CREATE.{stream}");
        match self.api(&what, &config).await? {
            Ok(info) => Ok(info),
            Err(error) if [code::OTHER_STREAM, code::OVERLAP].contains(&error.err_code) => {
                let what = format!("STREAM.INFO.{stream}");
                let info = self.api(&what, &serde_json::Value::Null).await?;
                info.map_err(|error| Trouble::Link(error.description))
            }
            Err(error) => Err(Trouble::Link(error.description)),
        }
    }

    async fn read_run(&self) -> Result<(Written, Option<Record>), Trouble> {
        let written = self.record(RUN).await?.unwrap_or_default();
        let record = Record::read(&written.text);
        Ok((written, record))
    }

    /// What the run is.
    pub(super) async fn greet(self) -> Outcome {
        let known = self.known.borrow().run.clone();
        if !known.is_pending() {
            return Ok(Answer::Run(known.run()));
        }
        let (_, record) = self.read_run().await?;
        match record {
            Some(record) if record.number == known.number => {
                self.known.borrow_mut().run = record.clone();
                Ok(Answer::Run(record.run()))
            }
            Some(_) | None => Err(Trouble::Link("it is another NATS now".to_owned())),
        }
    }

    /// Opens a run, unless it is open.
    pub(super) async fn open(self, run: u64, trust: Trust) -> Outcome {
        for _ in 0..TRIES {
            let known = self.known.borrow().run.clone();
            if known.number == run && !known.is_pending() {
                return Ok(Answer::Run(known.run()));
            }
            let (written, record) = self.read_run().await?;
            let Some(mut record) = record.filter(|record| record.number == run) else {
                return Ok(Answer::Failed(Failure::Stale));
            };
            if record.is_pending() {
                record.open(trust);
                if !self.write(RUN, &record.text(), written.seq).await? {
                    continue;
                }
            }
            self.known.borrow_mut().run = record;
        }
        Err(Trouble::Link("others write what it is".to_owned()))
    }

    /// This node has seen these logs up to there.
    pub(super) async fn vouch(
        self,
        run: u64,
        seen: Vec<(LogName, Position)>,
        new: Epoch,
    ) -> Outcome {
        let streams = seen.iter().map(|(log, _)| self.stream(log));
        let streams: Vec<_> = streams.collect();
        let mut broken = Vec::new();
        for ((log, seen), stream) in seen.into_iter().zip(streams) {
            let mut stream = match stream.await? {
                Some(stream) => stream,
                // Nothing has the epochs of what was there before it.
                None if run == FIRST_RUN => {
                    self.break_off(&log);
                    broken.push(log);
                    continue;
                }
                None => self.find_or_make(&log, new).await?,
            };
            match stream.lose(seen, run, self.secret()) {
                Lost::Nothing => continue,
                Lost::Known => {}
                Lost::Now => self.tell_lost(&log, &stream).await?,
            }
            broken.push(log);
        }
        Ok(Answer::Broken(broken))
    }

    async fn tell_lost(&self, log: &LogName, stream: &Stream) -> Result<(), Trouble> {
        // Should somebody have deleted it meanwhile, it is another when it comes back.
        drop(self.apply("UPDATE", log, stream).await?);
        self.break_off(log);
        Ok(())
    }

    fn break_off(&self, log: &LogName) {
        self.known.borrow_mut().forget(log);
        self.exchange.tell(&self.naming.broken(log));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut record = Record::next(None, "N1", true);
        assert_eq!(Record::read(&record.text()), Some(record.clone()));
        record.open(Trust::Whole);
        assert_eq!(record.text(), "1 w 0 1 1 N1");
        assert_eq!(Record::read(&record.text()), Some(record));
        assert_eq!(Record::read("nonsense"), None);
    }

    #[test]
    fn a_run_is_whole_only_behind_one_that_has_saved_what_it_took() {
        let mut first = Record::next(None, "N1", false);
        first.open(Trust::Doubtful);
        let mut second = Record::next(Some(&first), "N2", true);
        second.open(Trust::Whole);
        assert_eq!((second.state, second.doubt), ('d', 2));
        // One that was never opened has written nothing.
        let third = Record::next(Some(&second), "N3", false);
        let mut fourth = Record::next(Some(&third), "N4", true);
        fourth.open(Trust::Whole);
        assert_eq!((fourth.state, fourth.doubt), ('w', 2));
    }
}
