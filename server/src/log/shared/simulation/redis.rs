//! Redis as the engine sees it: what each command does to the data and what it answers, whole or not at all. Its data can be saved and
//! be what it was then, or gone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ids::LogName;
use crate::log::shared::{
    Answer, Appended, Bucket, Command, Extracted, Failure, From, Node, Run, RunState, Stored, Trust,
};
use crate::log::{Entry, Epoch, PageMax, Position};

/// A process of Redis and its data.
#[derive(Debug, Clone)]
pub(super) struct Redis {
    pub(super) run_id: u64,
    pub(super) saves_always: bool,
    buckets: Vec<Shelf>,
    nodes: BTreeMap<String, (u64, Vec<String>)>,
    /// What is announced, in order.
    pub(super) announced: Vec<(LogName, Option<Position>)>,
}

#[derive(Debug, Clone, Default)]
struct Shelf {
    run: Option<Process>,
    logs: BTreeMap<LogName, Log>,
    fresh: Option<Epoch>,
}

#[derive(Debug, Clone)]
struct Process {
    id: String,
    number: u64,
    state: RunState,
    saves: bool,
    /// The run before was one that saves always, and so was every one that wrote.
    kept: bool,
    /// Logs that were not written since this run are doubted.
    doubt: u64,
}

#[derive(Debug, Clone)]
struct Log {
    eras: Vec<(u64, Epoch)>,
    head: u64,
    entries: BTreeMap<u64, Arc<Entry>>,
    keys: HashMap<(String, String, String), u64>,
    wrote: u64,
    /// The run in which its era began.
    begun: u64,
    mark: Option<Position>,
}

/// What a process is called.
pub(super) fn run_id(number: u64) -> String {
    format!("run{number}")
}

impl Redis {
    pub(super) fn new(saves_always: bool) -> Self {
        Self {
            run_id: 1,
            saves_always,
            buckets: Bucket::all().map(|_| Shelf::default()).collect(),
            nodes: BTreeMap::new(),
            announced: Vec::new(),
        }
    }

    /// What is in a bucket goes elsewhere.
    pub(super) fn give(&mut self, bucket: Bucket, to: &mut Self) {
        let here = usize::from(bucket.number());
        to.buckets[here] = std::mem::take(&mut self.buckets[here]);
        if here == 0 {
            to.nodes = std::mem::take(&mut self.nodes);
        }
    }

    /// All data is gone, and the process is the same.
    pub(super) fn flush(&mut self) {
        self.buckets = Bucket::all().map(|_| Shelf::default()).collect();
        self.nodes.clear();
    }

    /// Does one command, at a time in milliseconds.
    pub(super) fn run(&mut self, command: &Command, time: u64) -> Answer {
        match command {
            Command::Greet {
                bucket,
                run_id,
                saves_always,
            } => self.shelf(*bucket).greet(run_id, *saves_always),
            Command::Vouch {
                bucket,
                run,
                seen,
                epoch,
            } => self.vouch(*bucket, *run, seen, *epoch),
            Command::Open { bucket, run, trust } => self.shelf(*bucket).open(*run, *trust),
            Command::Append {
                bucket,
                run,
                epoch,
                messages,
            } => self.append(*bucket, *run, *epoch, messages),
            Command::Page {
                log,
                from,
                max,
                epoch,
            } => self.page(log, *from, *max, *epoch),
            Command::Heads { bucket, logs } => {
                let shelf = self.shelf(*bucket);
                let head = |name| shelf.logs.get(name).map(Log::position);
                Answer::Heads(logs.iter().map(head).collect())
            }
            Command::Mark { bucket, marks } => {
                for (name, position) in marks {
                    if let Some(log) = self.shelf(*bucket).logs.get_mut(name) {
                        log.mark = Some(*position);
                    }
                }
                Answer::Done
            }
            Command::Beat {
                node,
                lease,
                vouched,
                leaves,
            } => {
                if *leaves {
                    self.nodes.remove(node);
                } else {
                    let until = time + lease.as_millis() as u64;
                    self.nodes.insert(node.clone(), (until, vouched.clone()));
                }
                self.nodes_at(time)
            }
        }
    }

    fn shelf(&mut self, bucket: Bucket) -> &mut Shelf {
        &mut self.buckets[usize::from(bucket.number())]
    }

    fn page(&mut self, log: &LogName, from: From, max: PageMax, epoch: Epoch) -> Answer {
        let shelf = self.shelf(Bucket::of(log));
        let page = shelf.logs.get(log).map(|log| log.page(from, max));
        Answer::Page(page.unwrap_or_else(|| Extracted {
            eras: vec![(1, *shelf.fresh.get_or_insert(epoch))],
            oldest: 1,
            head: 0,
            mark: None,
            entries: Vec::new(),
            more: false,
        }))
    }

    /// Nodes that are there; what the others have said is over.
    fn nodes_at(&mut self, time: u64) -> Answer {
        self.nodes.retain(|_, (until, _)| *until > time);
        let nodes = self.nodes.iter();
        let node = |(name, (_, vouched)): (&String, &(u64, Vec<String>))| Node {
            name: name.clone(),
            vouched: vouched.clone(),
        };
        Answer::Nodes(nodes.map(node).collect())
    }

    fn vouch(
        &mut self,
        bucket: Bucket,
        run: u64,
        seen: &[(LogName, Position)],
        epoch: Epoch,
    ) -> Answer {
        let shelf = self.shelf(bucket);
        if !shelf.is_run(run) {
            return Answer::Failed(Failure::Stale);
        }
        let mut broken = Vec::new();
        for (name, seen) in seen {
            let log = shelf.logs.entry(name.clone());
            let is_new = matches!(log, std::collections::btree_map::Entry::Vacant(_));
            let log = log.or_insert_with(|| Log::new(epoch, run));
            let is_there = log.is_there(*seen);
            if is_new || (!is_there && log.begun != run) {
                if !is_new {
                    log.begin_era(epoch, run);
                }
                broken.push(name.clone());
            }
        }
        let announced = broken.iter().map(|name| (name.clone(), None));
        self.announced.extend(announced);
        Answer::Broken(broken)
    }

    fn append(&mut self, bucket: Bucket, run: u64, epoch: Epoch, messages: &[Stored]) -> Answer {
        let shelf = self.shelf(bucket);
        if !shelf.is_open(run) {
            return Answer::Failed(Failure::Stale);
        }
        let doubt = shelf.run.as_ref().map_or(0, |run| run.doubt);
        let mut appended = Vec::new();
        let mut announced = Vec::new();
        for stored in messages {
            let name = &stored.draft.log;
            let fresh = &mut shelf.fresh;
            let log = shelf.logs.entry(name.clone());
            let log = log.or_insert_with(|| Log::new(*fresh.get_or_insert(epoch), run));
            let key = stored.draft.key();
            let key = key.map(|key| (key.from.into(), key.session.into(), key.seq.into()));
            if let Some(first) = key.as_ref().and_then(|key| log.keys.get(key))
                && let Some(entry) = log.entries.get(first)
            {
                appended.push(Appended::Before {
                    position: entry.position,
                    time: entry.draft.time,
                });
                continue;
            }
            if log.wrote < doubt {
                log.begin_era(epoch, run);
            }
            log.wrote = run;
            log.head += 1;
            if let Some(key) = key {
                log.keys.insert(key, log.head);
            }
            let position = log.position();
            let draft = stored.draft.clone();
            let entry = Arc::new(Entry { position, draft });
            log.entries.insert(log.head, entry);
            while log.entries.len() as u64 > stored.retention.entries_max.max(8) {
                log.entries.pop_first();
            }
            appended.push(Appended::At(position));
            announced.push((name.clone(), Some(position)));
        }
        self.announced.extend(announced);
        Answer::Appended(appended)
    }
}

impl Shelf {
    fn is_run(&self, number: u64) -> bool {
        let run = self.run.as_ref();
        run.is_some_and(|run| run.number == number)
    }

    fn is_open(&self, number: u64) -> bool {
        let run = self.run.as_ref();
        self.is_run(number) && run.is_some_and(|run| run.state != RunState::Pending)
    }

    fn greet(&mut self, id: &str, saves: bool) -> Answer {
        if self.run.as_ref().is_none_or(|run| run.id != id) {
            let before = self.run.as_ref();
            let kept = before.is_none_or(|before| {
                if before.state == RunState::Pending {
                    before.kept
                } else {
                    before.saves
                }
            });
            self.run = Some(Process {
                id: id.to_owned(),
                number: before.map_or(0, |before| before.number) + 1,
                state: RunState::Pending,
                saves,
                kept,
                doubt: before.map_or(0, |before| before.doubt),
            });
        }
        self.told()
    }

    fn open(&mut self, number: u64, trust: Trust) -> Answer {
        if !self.is_run(number) {
            return Answer::Failed(Failure::Stale);
        }
        if let Some(run) = self
            .run
            .as_mut()
            .filter(|run| run.state == RunState::Pending)
        {
            if trust == Trust::Whole && run.saves && run.kept {
                run.state = RunState::Open(Trust::Whole);
            } else {
                run.state = RunState::Open(Trust::Doubtful);
                run.doubt = number;
                self.fresh = None;
            }
        }
        self.told()
    }

    fn told(&self) -> Answer {
        let run = self.run.as_ref().expect("it was greeted");
        Answer::Run(Run {
            number: run.number,
            state: run.state,
        })
    }
}

impl Log {
    fn new(epoch: Epoch, run: u64) -> Self {
        Self {
            eras: vec![(1, epoch)],
            head: 0,
            entries: BTreeMap::new(),
            keys: HashMap::new(),
            wrote: run,
            begun: run,
            mark: None,
        }
    }

    fn position(&self) -> Position {
        Position {
            epoch: self.eras.last().expect("there is one").1,
            offset: self.head,
        }
    }

    fn begin_era(&mut self, epoch: Epoch, run: u64) {
        let first = self.head + 1;
        self.eras.retain(|(begin, _)| *begin < first);
        self.eras.push((first, epoch));
        (self.begun, self.wrote) = (run, run);
    }

    /// Whether it has all that was seen of it.
    fn is_there(&self, seen: Position) -> bool {
        let era = self.eras.iter().position(|(_, epoch)| *epoch == seen.epoch);
        era.is_some_and(|era| {
            let next = self.eras.get(era + 1);
            seen.offset <= next.map_or(self.head, |(first, _)| first - 1)
                // What an older one lost was told when the next began.
                || era + 1 < self.eras.len()
        })
    }

    fn page(&self, from: From, max: PageMax) -> Extracted {
        let oldest = self.entries.keys().next().copied();
        let oldest = oldest.unwrap_or(self.head + 1);
        let behind = match from {
            From::Behind(offset) => offset,
            From::Mark => self.mark.map_or(0, |mark| mark.offset),
            From::Oldest => 0,
            From::Head | From::Before(_) => u64::MAX - 1,
        };
        let entries = self.entries.range(behind + 1..).map(|(_, entry)| entry);
        let mut entries: Vec<Entry> = entries
            .take(max.entries)
            .map(|entry| (**entry).clone())
            .collect();
        if let From::Before(before) = from {
            let older = self.entries.range(..before.unwrap_or(u64::MAX));
            let older = older.rev().take(max.entries);
            entries = older.map(|(_, entry)| (**entry).clone()).collect();
            entries.reverse();
        }
        Extracted {
            eras: self.eras.clone(),
            oldest,
            head: self.head,
            mark: self.mark,
            entries,
            more: false,
        }
    }
}
