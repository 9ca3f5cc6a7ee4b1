//! A batch of messages: each is published in its turn, and has its place when JetStream says so. The number that a message has is a
//! part of its subject, and a stream takes the first message of a subject only: so one that is sent again gets the place of the
//! first, for as long as that is kept.

use std::collections::HashSet;

use super::jobs::{Outcome, Turn};
use super::store::{Published, Store, Trouble, entry, found};
use super::streams::{Kept, Readiness};
use crate::log::shared::{Answer, Appended, Failure, Stored};
use crate::log::{Draft, Epoch, Position};

/// What a message needs beside its content, at most.
const AROUND_MAX: usize = 4096;

/// How often a message is sent that nobody took: its log has begun an era, was deleted, or is being made by another node.
const TRIES: u32 = 8;

/// A log's size is looked at again after so many bytes, or a sixteenth of what it may have.
const LOOKED_AT_MIN: u64 = 64 << 10;

/// Messages on their way, and what is known of them.
struct Batch {
    messages: Vec<Stored>,
    places: Vec<Option<Appended>>,
}

impl Batch {
    /// Those that have no place yet.
    fn left(&self) -> Vec<usize> {
        let places = self.places.iter().enumerate();
        let left = places.filter(|(_, place)| place.is_none());
        left.map(|(index, _)| index).collect()
    }
}

impl Store {
    /// Appends messages; those behind this job may be published once these are.
    pub(super) async fn append(self, turn: Turn, new: Epoch, messages: Vec<Stored>) -> Outcome {
        let payload_max = self.known.borrow().payload_max;
        let is_large =
            |stored: &Stored| stored.draft.content.get().len() + AROUND_MAX > payload_max;
        let places = messages.iter();
        let places = places.map(|stored| is_large(stored).then_some(Appended::Refused));
        let mut batch = Batch {
            places: places.collect(),
            messages,
        };
        let mut tries = 0;
        while tries < TRIES {
            if self.prepare_all(&mut batch, new).await? {
                // What is before it may be published to an era that has ended, and come back.
                turn.alone().await;
            }
            self.find_older(&mut batch).await?;
            turn.let_on_by_others().await;
            let came_back = self.publish_all(&mut batch, &turn).await?;
            if batch.places.iter().all(Option::is_some) {
                break;
            }
            tries += u32::from(came_back);
            // What is sent again is not to overtake what was sent before it.
            turn.alone().await;
        }
        let places: Option<Vec<_>> = batch.places.into_iter().collect();
        let nobody = || Failure::Unable("nobody takes messages of this log".to_owned());
        Ok(places.map_or_else(|| Answer::Failed(nobody()), Answer::Appended))
    }

    /// Sees to it that the messages' logs take them; returns whether something had to be asked for that.
    async fn prepare_all(&self, batch: &mut Batch, new: Epoch) -> Result<bool, Trouble> {
        let (mut done, mut full) = (HashSet::new(), HashSet::new());
        let mut asked = false;
        for index in batch.left() {
            let (log, rule) = {
                let stored = &batch.messages[index];
                (&stored.draft.log, &stored.retention)
            };
            if done.insert(log) && !self.is_ready(&batch.messages[index]) {
                asked = true;
                match self.prepare(log, rule, new).await? {
                    Readiness::Ready => {}
                    Readiness::Full => drop(full.insert(log.clone())),
                }
            }
            if full.contains(log) {
                batch.places[index] = Some(Appended::LogsFull);
            }
        }
        Ok(asked)
    }

    fn is_ready(&self, stored: &Stored) -> bool {
        let log = &stored.draft.log;
        let limit = LOOKED_AT_MIN.max(stored.retention.bytes_max / 16);
        let mut known = self.known.borrow_mut();
        let ready = known.ready(log);
        ready.is_some_and(|ready| {
            ready.kept == Kept::new(log, &stored.retention) && ready.bytes < limit
        })
    }

    /// Finds messages that an older era has: their subjects were others.
    async fn find_older(&self, batch: &mut Batch) -> Result<(), Trouble> {
        let mut asked = Vec::new();
        for index in batch.left() {
            let draft = &batch.messages[index].draft;
            let mut known = self.known.borrow_mut();
            let has_older = known.ready(&draft.log).is_some_and(|ready| ready.has_older);
            drop(known);
            if has_older && draft.seq.is_some() {
                asked.push((index, self.older(draft)));
            }
        }
        for (index, asked) in asked {
            if let Some(message) = found(asked.await)? {
                let log = &batch.messages[index].draft.log;
                batch.places[index] = entry(log, &message).map(|entry| Appended::Before {
                    position: entry.position,
                    time: entry.draft.time,
                });
            }
        }
        Ok(())
    }

    /// Publishes what is left: of a log that has not taken anything yet the first message only. A stream that another node has just
    /// made may say what it is before it takes messages: of two that are published at once the second may be the only one that it takes.
    /// Returns whether some came back; each other time at least one log is found to take messages.
    async fn publish_all(&self, batch: &mut Batch, turn: &Turn) -> Result<bool, Trouble> {
        let (mut asked, mut tried, mut came_back) = (Vec::new(), HashSet::new(), false);
        let left = batch.left();
        let count = left.len();
        for index in left {
            let draft = &batch.messages[index].draft;
            let mut known = self.known.borrow_mut();
            let Some(ready) = known.ready(&draft.log) else {
                came_back = true;
                continue;
            };
            if !ready.takes && !tried.insert(&draft.log) {
                continue;
            }
            ready.bytes += draft.content.get().len() as u64;
            let epoch = ready.epoch;
            drop(known);
            asked.push((index, epoch, self.publish(draft, epoch)));
        }
        if asked.len() == count {
            turn.let_on();
        }
        for (index, epoch, published) in asked {
            let draft = &batch.messages[index].draft;
            let place = match published.await? {
                Published::At(offset) => Some(Appended::At(Position { epoch, offset })),
                Published::Before(offset) => self.first(draft, offset).await?,
                Published::Nowhere => {
                    turn.hold();
                    self.known.borrow_mut().forget(&draft.log);
                    None
                }
                Published::Refused(why) => {
                    tracing::warn!(event = "nats_refused", why, "JetStream takes no message");
                    Some(Appended::Refused)
                }
            };
            if place.is_some()
                && let Some(ready) = self.known.borrow_mut().ready(&draft.log)
            {
                ready.takes = true;
            }
            came_back |= place.is_none();
            batch.places[index] = place;
        }
        Ok(came_back)
    }

    /// The message that was sent before with the same number; `None`: it is gone meanwhile.
    async fn first(&self, draft: &Draft, offset: u64) -> Result<Option<Appended>, Trouble> {
        let stream = self.naming.stream(&draft.log);
        let Some(message) = found(self.message(&stream, offset).await)? else {
            return Ok(None);
        };
        let first = entry(&draft.log, &message);
        Ok(first.map(|first| Appended::Before {
            position: first.position,
            time: first.draft.time,
        }))
    }
}
