//! The stream of a log: how long it keeps what, and which eras the log has had. Those are in its description, which NATS keeps with it,
//! and the newest is in the subjects that it takes: who publishes and does not know of an era reaches nobody, and asks.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::store::{Ready, Store, Trouble, Written, code};
use crate::ids::{CANARY_LOG, LogName};
use crate::log::shared::Failure;
use crate::log::{Epoch, Position, Retention};

/// Eras that are remembered.
const ERAS_MAX: usize = 16;

/// What is kept in any case, for who follows and is a little behind.
const WINDOW_ENTRIES: u64 = 256;
const WINDOW_AGE: Duration = Duration::from_secs(60);

/// How long a canary is kept.
const CANARY_AGE: Duration = Duration::from_secs(60);

/// What NATS counts of a message beside its content, about: subject and headers.
const OVERHEAD: u64 = 256;

/// How often it is tried to make a stream that others make, too.
const TRIES: u32 = 5;

/// What NATS says of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    config: Config,
    pub(super) created: String,
    pub(super) state: State,
}

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    description: String,
    #[serde(default)]
    max_msgs: i64,
    #[serde(default)]
    max_age: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct State {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
    #[serde(default)]
    pub(super) subjects: std::collections::BTreeMap<String, u64>,
}

impl State {
    /// Whether it has no messages.
    pub(super) const fn is_empty(&self) -> bool {
        self.messages == 0
    }
}

/// How much a stream keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    entries: u64,
    age: Duration,
    /// Entries that are shown to who comes later: the others are for who has been there.
    shown: u64,
}

/// A log's stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stream {
    /// The first offset and the epoch of each era; never empty.
    pub(super) eras: Vec<(u64, Epoch)>,
    /// The run in which its eras were last looked at.
    run: u64,
    /// That in which the newest began.
    begun: u64,
    kept: Kept,
    /// The first offset that is kept.
    pub(super) oldest: u64,
    pub(super) head: u64,
    bytes: u64,
}

impl Kept {
    /// As little as any log: until it is known what its rule says.
    const LEAST: Self = Self {
        entries: WINDOW_ENTRIES,
        age: WINDOW_AGE,
        shown: 0,
    };

    /// What a rule says, and somewhat more: who reads on is not to be overtaken at once.
    pub(super) fn new(log: &LogName, rule: &Retention) -> Self {
        let mut age = rule.age_max.max(WINDOW_AGE);
        if log.as_str() == CANARY_LOG {
            age = CANARY_AGE;
        }
        let entries = rule.entries_max.saturating_add(rule.entries_max / 16);
        Self {
            entries: entries.clamp(WINDOW_ENTRIES, i64::MAX as u64),
            age: age.min(Duration::from_nanos(i64::MAX as u64)),
            shown: rule.entries_max,
        }
    }
}

impl Stream {
    pub(super) fn read(info: Info) -> Self {
        let state = info.state;
        let word = |name: &str| {
            let mut words = info.config.description.split(' ');
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let number = |name| word(name).and_then(|text| text.parse().ok());
        let eras = word("eras").unwrap_or_default().split(',').filter_map(era);
        let mut eras: Vec<_> = eras.collect();
        if eras.is_empty() {
            // Not one of ours, or somebody has changed it: nothing that anybody knows of it holds.
            eras.push((1, Epoch::new(0)));
        }
        Self {
            eras,
            run: number("run").unwrap_or(0),
            begun: number("begun").unwrap_or(0),
            kept: Kept {
                entries: info.config.max_msgs.max(0) as u64,
                age: Duration::from_nanos(info.config.max_age.max(0) as u64),
                shown: number("shown").unwrap_or(0),
            },
            oldest: if state.messages == 0 {
                state.last_seq + 1
            } else {
                state.first_seq
            },
            head: state.last_seq,
            bytes: state.bytes,
        }
    }

    /// One that there is not yet.
    fn new(epoch: Epoch, run: u64, kept: Kept) -> Self {
        Self {
            eras: vec![(1, epoch)],
            run,
            begun: run,
            kept,
            oldest: 1,
            head: 0,
            bytes: 0,
        }
    }

    /// Its epoch.
    pub(super) fn epoch(&self) -> Epoch {
        self.eras.last().map_or(Epoch::new(0), |(_, epoch)| *epoch)
    }

    /// Where it ends.
    pub(super) fn end(&self) -> Position {
        Position {
            epoch: self.epoch(),
            offset: self.head,
        }
    }

    /// The oldest that is shown to who comes later.
    pub(super) fn shown(&self) -> u64 {
        let first = (self.head + 1).saturating_sub(self.kept.shown);
        self.oldest.max(first)
    }

    /// Where an epoch's era is, and its last offset.
    pub(super) fn era_of(&self, epoch: Epoch) -> Option<(usize, u64)> {
        let index = self.eras.iter().rposition(|(_, of)| *of == epoch)?;
        let next = self.eras.get(index + 1);
        Some((index, next.map_or(self.head, |(first, _)| first - 1)))
    }

    /// Begins an era behind the head, in a run; all who do so in that run come to the same.
    fn begin_era(&mut self, run: u64, secret: Epoch) {
        let first = self.head + 1;
        let seed = format!("{} {run} {first} {}", secret, self.epoch());
        let mut epoch = hash(&seed);
        if epoch == self.epoch() {
            epoch = Epoch::new(epoch.number().wrapping_add(1));
        }
        self.eras.push((first, epoch));
        if self.eras.len() > ERAS_MAX {
            self.eras.remove(0);
        }
        (self.run, self.begun) = (run, run);
    }

    /// Whether a position in it was lost, if that is not known already: then it has begun an era.
    pub(super) fn lose(&mut self, seen: Position, run: u64, secret: Epoch) -> Lost {
        let found = self.era_of(seen.epoch);
        if found.is_some_and(|(_, last)| seen.offset <= last) {
            return Lost::Nothing;
        }
        let is_newest = found.is_none_or(|(index, _)| index + 1 == self.eras.len());
        if self.begun == run || !is_newest {
            return Lost::Known;
        }
        self.begin_era(run, secret);
        Lost::Now
    }

    fn config(&self, log: &LogName, store: &Store) -> Value {
        let naming = &store.naming;
        let eras = self.eras.iter();
        let eras: Vec<String> = eras
            .map(|(first, epoch)| format!("{first}:{epoch}"))
            .collect();
        let description = format!(
            "tidewire eras={} run={} begun={} shown={}",
            eras.join(","),
            self.run,
            self.begun,
            self.kept.shown
        );
        let said = naming.said(log);
        json!({
            "name": naming.stream(log),
            "description": description,
            "subjects": [naming.era(log, self.epoch())],
            "retention": "limits",
            "discard": "old",
            "storage": "file",
            "num_replicas": store.replicas,
            "max_msgs": self.kept.entries,
            "max_age": self.kept.age.as_nanos() as u64,
            "allow_direct": true,
            "republish": { "src": naming.log(log), "dest": said },
        })
    }
}

/// What is lost of what somebody has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Nothing,
    /// Something; an era was begun for it before.
    Known,
    /// Something; an era is to begin.
    Now,
}

/// Whether a log takes messages.
pub(super) enum Readiness {
    Ready,
    /// There are too many.
    Full,
}

impl Store {
    /// The stream of a log that was there. A NATS that starts says of streams that they are not there which it has and does not know yet:
    /// so one that is not found is made, which it does not do in the place of one that it has.
    ///
    /// # Errors
    /// It has one that it does not know: it is to be asked again.
    pub(super) async fn find_or_make(&self, log: &LogName, new: Epoch) -> Result<Stream, Trouble> {
        if let Some(stream) = self.stream(log).await? {
            return Ok(stream);
        }
        let run = self.known.borrow().run.number;
        let stream = Stream::new(new, run, Kept::LEAST);
        match self.apply("CREATE", log, &stream).await? {
            Ok(stream) => Ok(stream),
            Err(code::OTHER_STREAM | code::OVERLAP) => {
                let unknown = || Trouble::Link(format!("it does not know yet that it has {log}"));
                self.stream(log).await?.ok_or_else(unknown)
            }
            Err(_) => {
                let why = "it takes no more streams".to_owned();
                Err(Trouble::Failed(Failure::Unable(why)))
            }
        }
    }

    /// A log's stream, or `None` if there never was one.
    pub(super) async fn find(&self, log: &LogName, new: Epoch) -> Result<Option<Stream>, Trouble> {
        if let Some(stream) = self.stream(log).await? {
            return Ok(Some(stream));
        }
        if self.record(&self.naming.born(log)).await?.is_none() {
            return Ok(None);
        }
        self.find_or_make(log, new).await.map(Some)
    }

    /// Notes that there is a log, if that is not noted.
    async fn note_born(
        &self,
        log: &LogName,
        born: Option<&Written>,
        epoch: Epoch,
    ) -> Result<(), Trouble> {
        if born.is_none() {
            // Another may have done so meanwhile.
            let name = self.naming.born(log);
            self.write(&name, &epoch.to_string(), 0).await?;
        }
        Ok(())
    }

    /// Sees to it that a log takes messages: that it has a stream that keeps what its rule says, and an era for this run.
    pub(super) async fn prepare(
        &self,
        log: &LogName,
        rule: &Retention,
        new: Epoch,
    ) -> Result<Readiness, Trouble> {
        let kept = Kept::new(log, rule);
        for _ in 0..TRIES {
            let (stream, born) = (self.stream(log), self.record(&self.naming.born(log)));
            let (stream, born) = (stream.await?, born.await?);
            let (run, doubt) = {
                let known = self.known.borrow();
                (known.run.number, known.run.doubt)
            };
            let (what, stream) = match stream {
                Some(mut stream) => {
                    let has_era = stream.run == run || stream.run >= doubt;
                    if !has_era {
                        stream.begin_era(run, self.secret());
                    }
                    if has_era && stream.kept == kept {
                        self.note_born(log, born.as_ref(), stream.epoch()).await?;
                        return Ok(self.ready(log, &stream, rule));
                    }
                    stream.kept = kept;
                    ("UPDATE", stream)
                }
                None => {
                    let epoch = if born.is_some() { new } else { self.fresh() };
                    ("CREATE", Stream::new(epoch, run, kept))
                }
            };
            match self.apply(what, log, &stream).await? {
                Ok(stream) => {
                    self.note_born(log, born.as_ref(), stream.epoch()).await?;
                    return Ok(self.ready(log, &stream, rule));
                }
                Err(code::NO_STREAM | code::OTHER_STREAM | code::OVERLAP) => {}
                Err(_) => return Ok(Readiness::Full),
            }
        }
        let why = format!("{log}: its stream is made by others again and again");
        Err(Trouble::Failed(Failure::Unable(why)))
    }

    /// Makes a stream be so; `Err`: another has been there, or there are too many.
    pub(super) async fn apply(
        &self,
        what: &str,
        log: &LogName,
        stream: &Stream,
    ) -> Result<Result<Stream, u32>, Trouble> {
        let what = format!("STREAM.{what}.{}", self.naming.stream(log));
        match self.api(&what, &stream.config(log, self)).await? {
            Ok(info) => Ok(Ok(Stream::read(info))),
            Err(error)
                if [code::NO_STREAM, code::OTHER_STREAM, code::OVERLAP]
                    .contains(&error.err_code)
                    || code::STREAMS_FULL.contains(&error.err_code) =>
            {
                Ok(Err(error.err_code))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn ready(&self, log: &LogName, stream: &Stream, rule: &Retention) -> Readiness {
        let mut known = self.known.borrow_mut();
        let before = known.ready(log);
        let ready = Ready {
            epoch: stream.epoch(),
            kept: stream.kept,
            has_older: stream
                .eras
                .last()
                .is_some_and(|(first, _)| *first > stream.oldest),
            takes: before.is_some_and(|before| before.epoch == stream.epoch() && before.takes),
            bytes: 0,
        };
        known.note_ready(log, ready);
        drop(known);
        self.trim(log, stream, rule);
        Readiness::Ready
    }

    /// Removes the oldest of what is more than a rule allows. NATS could do that itself, but would keep all of that room free
    /// for each stream.
    fn trim(&self, log: &LogName, stream: &Stream, rule: &Retention) {
        let count = (stream.head + 1).saturating_sub(stream.oldest);
        let bytes = stream.bytes.saturating_sub(count * OVERHEAD);
        let more = bytes.saturating_sub(rule.bytes_max);
        if more <= rule.bytes_max / 16 || count == 0 {
            return;
        }
        // They are as large as they are on average; the newest stays.
        let share = u128::from(count) * u128::from(more) / u128::from(bytes);
        let first = stream.oldest + (share as u64).min(count - 1);
        let what = format!("STREAM.PURGE.{}", self.naming.stream(log));
        drop(self.api::<Value>(&what, &json!({ "seq": first })));
    }

    /// What epochs follow from that begin in streams that there are: the same for all nodes, also for those that do not know yet
    /// that a run is doubted, since two of them may begin the same era. A process that has lost what another had under the same number
    /// comes to others.
    pub(super) fn secret(&self) -> Epoch {
        let known = self.known.borrow();
        hash(&format!("{} {}", known.begun, known.run.id))
    }

    /// The epoch of a log that there has never been.
    pub(super) fn fresh(&self) -> Epoch {
        let known = self.known.borrow();
        hash(&format!("{} {}", known.begun, known.run.doubt))
    }
}

/// FNV-1a, the same in every node.
fn hash(text: &str) -> Epoch {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Epoch::new((hash ^ hash >> 32) as u32)
}

fn era(text: &str) -> Option<(u64, Epoch)> {
    let (first, epoch) = text.split_once(':')?;
    let epoch = u32::from_str_radix(epoch, 16).ok()?;
    Some((first.parse().ok()?, Epoch::new(epoch)))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::super::exchange::Exchange;
    use super::super::naming::Naming;
    use super::super::store::Known;
    use super::*;

    const SECRET: Epoch = Epoch::new(7);

    fn at(epoch: u32, offset: u64) -> Position {
        let epoch = Epoch::new(epoch);
        Position { epoch, offset }
    }

    /// Entries 1 to 5 in one epoch and 6 to 9 in another, which began in run 2.
    fn stream() -> Stream {
        Stream {
            eras: vec![(1, Epoch::new(1)), (6, Epoch::new(2))],
            run: 2,
            begun: 2,
            kept: Kept {
                entries: 1000,
                age: Duration::from_secs(60),
                shown: 3,
            },
            oldest: 3,
            head: 9,
            bytes: 900,
        }
    }

    fn store() -> Store {
        Store {
            exchange: Exchange::new("inbox".to_owned()),
            naming: Rc::new(Naming::new("t:", "n1")),
            replicas: 1,
            known: Rc::new(RefCell::new(Known::default())),
        }
    }

    #[test]
    fn what_a_stream_is_nats_keeps_and_says() {
        let log = LogName::new("a.b").unwrap();
        let stream = stream();
        let config = stream.config(&log, &store());
        assert_eq!(config["subjects"][0], "t.log.a=2eb.00000002.>");
        let info = json!({
            "config": config,
            "created": "now",
            "state": { "messages": 7, "bytes": 900, "first_seq": 3, "last_seq": 9 },
        });
        assert_eq!(Stream::read(serde_json::from_value(info).unwrap()), stream);
    }

    #[test]
    fn a_stream_without_messages_ends_where_it_ended() {
        let info = json!({
            "config": { "description": "of somebody else" },
            "created": "now",
            "state": { "messages": 0, "bytes": 0, "first_seq": 10, "last_seq": 9 },
        });
        let stream = Stream::read(serde_json::from_value(info).unwrap());
        assert_eq!((stream.oldest, stream.head), (10, 9));
        // Nothing that anybody knows of it holds.
        assert_eq!(stream.eras, [(1, Epoch::new(0))]);
    }

    #[test]
    fn who_comes_later_is_shown_no_more_than_the_rule_says() {
        assert_eq!(stream().shown(), 7);
        let few = Stream {
            oldest: 9,
            ..stream()
        };
        assert_eq!(few.shown(), 9);
    }

    #[test]
    fn what_is_lost_begins_one_era_in_a_run_for_all_who_say_so() {
        for (seen, run, lost) in [
            (at(1, 5), 3, Lost::Nothing),
            (at(2, 9), 3, Lost::Nothing),
            // That was told when the next era began.
            (at(1, 6), 3, Lost::Known),
            (at(2, 10), 3, Lost::Now),
            (at(2, 10), 2, Lost::Known),
            (at(9, 1), 3, Lost::Now),
        ] {
            let mut stream = stream();
            assert_eq!(stream.lose(seen, run, SECRET), lost, "{seen} in {run}");
            let begins = usize::from(lost == Lost::Now);
            assert_eq!(stream.eras.len(), 2 + begins, "{seen} in {run}");
        }
        let (mut one, mut other) = (stream(), stream());
        one.lose(at(2, 10), 3, SECRET);
        other.lose(at(2, 12), 3, SECRET);
        assert_eq!(one, other);
        assert_eq!(one.eras[2].0, 10);
        assert_eq!(one.lose(at(2, 12), 3, SECRET), Lost::Known);
        assert_eq!(one.lose(at(2, 12), 4, SECRET), Lost::Known);
    }

    #[test]
    fn as_many_eras_are_remembered_as_fit_and_no_two_are_called_the_same() {
        let mut stream = stream();
        for run in 3..40 {
            stream.begin_era(run, SECRET);
            stream.head += 1;
        }
        assert_eq!(stream.eras.len(), ERAS_MAX);
        let epochs = stream.eras.iter().map(|(_, epoch)| *epoch);
        let epochs: std::collections::HashSet<Epoch> = epochs.collect();
        assert_eq!(epochs.len(), ERAS_MAX);
    }
}
