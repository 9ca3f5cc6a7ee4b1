//! Which process of Redis has a bucket, whether it takes messages, and who else is there. A process that is new is told what this
//! node has seen, and is opened once all who may have seen something have done so, or did not come in time.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::core::{Ask, Core, Shelf};
use super::masters::Purpose;
use super::tokens;
use crate::clock::Now;
use crate::ids::LogName;
use crate::log::Position;
use crate::log::shared::{self, Bucket, Command, Node, RunState, Trust};

/// How often nodes look whether all have told what they have seen.
const PEERS_EVERY: Duration = Duration::from_millis(200);

/// How often they look in vain before they do without those that do not come, and before they believe that all whom they do not know
/// yet have come: 3 s, but not of a time in which Redis does not answer, since then nobody can come.
const LOOKS_MAX: u32 = 15;

/// How often a node says that it is there.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// How long that holds.
const LEASE: Duration = Duration::from_secs(15);

/// Positions in one command: a script is not to take long.
const VOUCHED_MAX: usize = 256;

/// The number of a run before which Redis had nothing in the bucket.
const FIRST_RUN: u64 = 1;

/// What is known of the process that has a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// Nothing, or it was asked.
    Unknown,
    /// It waits until nodes have told what they have seen.
    Pending(u64),
    /// It takes messages.
    Open(u64),
}

/// How far a bucket's process has been greeted.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    /// Greetings and vouchings that are not answered.
    unanswered: usize,
    /// All that was seen of it was told; how often this node looked since then whether others have.
    looks: Option<u32>,
    /// The run that was told all of it; not where some is forgotten.
    vouched: Option<u64>,
}

impl Greeting {
    /// Its process is another, or its link is.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What was seen is to be told anew.
    const fn begin(&mut self) {
        (self.looks, self.vouched) = (None, None);
    }

    /// Whether nothing is open.
    pub(super) const fn is_over(&self) -> bool {
        self.unanswered == 0
    }
}

/// The other nodes.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// Those that were there when it was asked last; `None` before the first time.
    alive: Option<HashSet<String>>,
    beat_at: Option<Instant>,
    /// They are being asked.
    is_asking: bool,
}

impl<C> Core<C> {
    /// Greets all buckets of a master.
    pub(super) fn greet_all(&mut self, index: usize) {
        let buckets: Vec<Bucket> = self.shelves_of(index).map(|(bucket, _)| bucket).collect();
        for bucket in buckets {
            let shelf = self.shelf(bucket);
            if shelf.moves_to.is_none() {
                shelf.greeting.forget();
                self.greet(index, bucket);
            }
        }
        self.peers.beat_at = Some(self.now.instant);
    }

    pub(super) fn greet(&mut self, index: usize, bucket: Bucket) {
        let Some(hello) = self.masters[index].hello.clone() else {
            return;
        };
        let greet = Command::Greet {
            bucket,
            run_id: hello.run_id,
            saves_always: hello.saves_always,
        };
        self.shelf(bucket).greeting.unanswered += 1;
        self.ask_master(index, Ask::Command(greet), Purpose::Greet(bucket));
    }

    /// A greeting, or what was seen, was not taken.
    pub(super) fn not_greeted(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        shelf.greeting.unanswered = shelf.greeting.unanswered.saturating_sub(1);
        shelf.greeting.begin();
        shelf.run = Run::Unknown;
    }

    /// A greeting, or what was seen, was on a link that has ended: of a bucket's own master all begins with its next link, and of one
    /// that is to get it nothing does.
    pub(super) fn greeting_lost(&mut self, index: usize, bucket: Bucket) {
        if self.shelf(bucket).master != Some(index) {
            self.not_greeted(bucket);
            self.pause(bucket);
        }
    }

    /// The run that a bucket was asked for is not the one that it has.
    pub(super) fn run_changed(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        if !matches!(shelf.run, Run::Unknown) && shelf.moves_to.is_none() {
            shelf.run = Run::Unknown;
            // What was seen of it is to be told again.
            shelf.greeting.begin();
            if let Some(index) = shelf.master {
                self.greet(index, bucket);
            }
        }
    }

    /// A master's link is gone.
    pub(super) fn no_greeting(&mut self, index: usize) {
        for (_, shelf) in self.shelves_of(index) {
            shelf.run = Run::Unknown;
            shelf.greeting.forget();
        }
        if self.shelves.first().and_then(|shelf| shelf.master) == Some(index) {
            self.peers.is_asking = false;
        }
    }

    /// Who is there is kept elsewhere from now on.
    pub(super) const fn peers_move(&mut self) {
        self.peers.is_asking = false;
        self.peers.beat_at = Some(self.now.instant);
    }

    pub(super) fn greeted(&mut self, index: usize, bucket: Bucket, run: shared::Run) {
        let shelf = self.shelf(bucket);
        shelf.greeting.unanswered = shelf.greeting.unanswered.saturating_sub(1);
        if shelf.moves_to.is_some() {
            return;
        }
        let known = shelf.run;
        if !matches!(known, Run::Pending(number) | Run::Open(number) if number == run.number) {
            // Ahead of whatever is appended in this run.
            shelf.greeting.begin();
            self.vouch(index, bucket, run.number);
        }
        let hello = self.masters[index].hello.as_ref();
        let saves_always = hello.is_none_or(|hello| hello.saves_always);
        if run.state == RunState::Pending && (!saves_always || run.number == FIRST_RUN) {
            // Whatever anybody says, it may have lost something, or has nothing that could lack its end: there is nothing to wait
            // for. Who has seen a log that is gone finds it in another era.
            let trust = if saves_always {
                Trust::Whole
            } else {
                self.tell_doubt(
                    bucket,
                    run.number,
                    "it may acknowledge what it does not keep",
                );
                Trust::Doubtful
            };
            self.open(bucket, run.number, trust);
        }
        self.run_told(bucket, run);
        self.note_vouched(bucket);
        if matches!(known, Run::Pending(_)) && run.state != RunState::Pending {
            self.greet_pending(index);
        }
    }

    /// Another has opened a bucket, and the others of its master with it.
    fn greet_pending(&mut self, index: usize) {
        let is_pending =
            |shelf: &Shelf<C>| matches!(shelf.run, Run::Pending(_)) && shelf.greeting.is_over();
        let pending = self.shelves_of(index);
        let pending = pending.filter(|(_, shelf)| is_pending(shelf));
        let pending: Vec<Bucket> = pending.map(|(bucket, _)| bucket).collect();
        for bucket in pending {
            self.greet(index, bucket);
        }
    }

    /// What a bucket's run is now.
    pub(super) fn run_told(&mut self, bucket: Bucket, run: shared::Run) {
        let shelf = self.shelf(bucket);
        if shelf.moves_to.is_some() {
            return;
        }
        let was_pending = matches!(shelf.run, Run::Pending(_));
        shelf.run = match run.state {
            RunState::Pending => Run::Pending(run.number),
            RunState::Open(_) => Run::Open(run.number),
        };
        if let (Run::Open(_), Some(index)) = (shelf.run, shelf.master) {
            if was_pending && run.state == RunState::Open(Trust::Doubtful) {
                self.tell_doubt(bucket, run.number, "it is not certain that it has kept all");
            }
            self.masters[index].commands.works();
            self.is_open_now(bucket);
        }
    }

    /// Says why logs begin new eras: once of each process, and not of one that had nothing.
    fn tell_doubt(&mut self, bucket: Bucket, run: u64, why: &str) {
        let index = self.shelf(bucket).master.filter(|_| run != FIRST_RUN);
        let Some(master) = index.and_then(|index| self.masters.get_mut(index)) else {
            return;
        };
        let process = master.hello.as_ref().map(|hello| hello.run_id.clone());
        if std::mem::replace(&mut master.doubted, process.clone()) != process {
            tracing::warn!(
                event = "logs_doubted",
                why,
                "where the logs are was restarted, and something may be lost: rooms begin a new epoch with their next message"
            );
        }
    }

    /// A bucket takes messages from now on, unless there is something else to wait for.
    pub(super) fn is_open_now(&mut self, bucket: Bucket) {
        if self.may_have_some_already(bucket) {
            // Before anything is read of it: what the last link may have left there is still its senders'.
            self.send_appends(bucket);
        }
        self.list(bucket);
        self.check_heads(bucket);
    }

    fn vouch(&mut self, index: usize, bucket: Bucket, run: u64) {
        let seen = self.shelf(bucket).seen.positions();
        for seen in seen.chunks(VOUCHED_MAX) {
            let epoch = self.new_epoch();
            let vouch = Command::Vouch {
                bucket,
                run,
                seen: seen.to_vec(),
                epoch,
            };
            self.shelf(bucket).greeting.unanswered += 1;
            self.ask_master(index, Ask::Command(vouch), Purpose::Vouch(bucket));
        }
    }

    pub(super) fn vouched(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        shelf.greeting.unanswered = shelf.greeting.unanswered.saturating_sub(1);
        let is_open = shelf.is_open();
        self.note_vouched(bucket);
        if is_open {
            self.is_open_now(bucket);
        }
    }

    /// There is no such run any more that was told so.
    pub(super) fn vouched_in_vain(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        shelf.greeting.unanswered = shelf.greeting.unanswered.saturating_sub(1);
        self.run_changed(bucket);
    }

    /// Nobody said who is there.
    pub(super) const fn nodes_not_told(&mut self) {
        self.peers.is_asking = false;
    }

    /// Once all that was seen of a bucket is told, others are told so; of all of a master at once.
    fn note_vouched(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        let (Run::Open(run) | Run::Pending(run)) = shelf.run else {
            return;
        };
        if !shelf.greeting.is_over() || shelf.greeting.looks.is_some() {
            return;
        }
        shelf.greeting.looks = Some(0);
        // Who has forgotten some cannot say that nothing is missing.
        shelf.greeting.vouched = (!shelf.seen.forgot_some()).then_some(run);
        let master = shelf.master;
        let mut shelves = self.shelves.iter();
        if !shelves.any(|shelf| shelf.master == master && !shelf.greeting.is_over()) {
            // Not before the one that is on its way is answered.
            self.peers.beat_at = Some(self.now.instant);
            self.beat_if_due();
        }
    }

    fn open(&mut self, bucket: Bucket, run: u64, trust: Trust) {
        let open = Command::Open { bucket, run, trust };
        self.ask(bucket, Ask::Command(open), Purpose::Open(bucket));
    }

    // ---- who is there ----

    /// The master that is told who is there: that of the first bucket.
    fn beaten(&self) -> Option<usize> {
        let shelf = self.shelves.first()?;
        let index = shelf.master.filter(|_| shelf.moves_to.is_none())?;
        self.masters[index].hello.is_some().then_some(index)
    }

    pub(super) fn next_beat(&self) -> Option<Instant> {
        let at = self.peers.beat_at.filter(|_| !self.peers.is_asking);
        self.beaten().and(at)
    }

    pub(super) fn beat_if_due(&mut self) {
        if self.next_beat().is_some_and(|at| at <= self.now.instant) {
            self.beat();
        }
    }

    fn beat(&mut self) {
        let Some(index) = self.beaten() else {
            return;
        };
        let beat = Command::Beat {
            node: self.node.clone(),
            lease: LEASE,
            vouched: self.vouched_runs(),
            leaves: self.leaves,
        };
        self.ask_master(index, Ask::Command(beat), Purpose::Beat);
        self.peers.is_asking = true;
        let every = if self.any_pending() {
            PEERS_EVERY
        } else {
            BEAT_EVERY
        };
        self.peers.beat_at = (!self.leaves).then(|| self.now.instant + every);
    }

    /// This server ends.
    pub(in crate::log) fn leave(&mut self, now: Now) {
        self.now = now;
        self.leaves = true;
        self.beat();
    }

    fn any_pending(&self) -> bool {
        let mut shelves = self.shelves.iter();
        shelves.any(|shelf| matches!(shelf.run, Run::Pending(_)))
    }

    /// Those that are there, and what they have told.
    pub(super) fn nodes_told(&mut self, nodes: &[Node]) {
        self.peers.is_asking = false;
        let mut looked = HashSet::new();
        for bucket in Bucket::all() {
            let is_left = self.open_if_told(bucket, nodes);
            if let Some(index) = self.shelf(bucket).master.filter(|_| is_left)
                && looked.insert(index)
                && self.shelf(bucket).greeting.is_over()
            {
                // Another may have opened it meanwhile.
                self.greet(index, bucket);
            }
        }
        if self.any_pending() {
            let soon = self.now.instant + PEERS_EVERY;
            self.peers.beat_at = self.peers.beat_at.map(|at| at.min(soon));
        } else {
            let others = nodes.iter().map(|node| &node.name);
            let others = others.filter(|name| **name != self.node);
            self.peers.alive = Some(others.cloned().collect());
        }
    }

    /// Opens what waits, if all who may have seen something of it have told that, or it is too late; returns whether it is left.
    fn open_if_told(&mut self, bucket: Bucket, nodes: &[Node]) -> bool {
        let shelf = &mut self.shelves[usize::from(bucket.number())];
        let (Run::Pending(run), Some(looks)) = (shelf.run, &mut shelf.greeting.looks) else {
            return false;
        };
        *looks += 1;
        let is_late = *looks > LOOKS_MAX;
        let master = shelf.master.and_then(|index| self.masters.get(index));
        let Some(hello) = master.and_then(|master| master.hello.as_ref()) else {
            return false;
        };
        let has_vouched = |node: &Node| {
            let mut tokens = node.vouched.iter();
            tokens.any(|token| tokens::covers(token, &hello.run_id, run, bucket))
        };
        let told = |name: &String| {
            let mut nodes = nodes.iter();
            nodes.any(|node| node.name == *name && has_vouched(node))
        };
        let alive = self.peers.alive.as_ref();
        let knows_all = alive.is_some_and(|alive| alive.iter().all(told));
        // Who has just come knows nobody: all who are there come meanwhile.
        let is_whole = nodes.iter().all(has_vouched) && (knows_all || (alive.is_none() && is_late));
        if !is_whole && !is_late {
            return true;
        }
        let trust = if is_whole {
            Trust::Whole
        } else {
            let silent = alive.into_iter().flatten().filter(|name| !told(name));
            let others = nodes.iter().filter(|node| !has_vouched(node));
            let mut silent: Vec<&str> = silent.map(String::as_str).collect();
            silent.extend(others.map(|node| node.name.as_str()));
            silent.sort_unstable();
            silent.dedup();
            let silent = silent.join(", ");
            let why = format!("{silent} did not say in time what was seen there");
            self.tell_doubt(bucket, run, &why);
            Trust::Doubtful
        };
        self.open(bucket, run, trust);
        false
    }

    /// What other nodes are told: which buckets' processes have been told what this one has seen.
    fn vouched_runs(&self) -> Vec<String> {
        let mut runs: BTreeMap<(usize, u64), Vec<Bucket>> = BTreeMap::new();
        for (bucket, shelf) in Bucket::all().zip(&self.shelves) {
            if let (Some(run), Some(index)) = (shelf.greeting.vouched, shelf.master) {
                runs.entry((index, run)).or_default().push(bucket);
            }
        }
        let token = |((index, run), buckets): ((usize, u64), Vec<Bucket>)| {
            let hello = self.masters.get(index)?.hello.as_ref()?;
            Some(tokens::token(&hello.run_id, run, &buckets))
        };
        runs.into_iter().filter_map(token).collect()
    }

    /// A log is shown up to here.
    pub(super) fn saw(&mut self, bucket: Bucket, log: &LogName, position: Position) {
        self.shelf(bucket).seen.note(log, position);
    }
}
