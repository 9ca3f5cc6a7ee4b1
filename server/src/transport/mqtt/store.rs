//! The sessions of a server, by user and client id, for clients that come back: to another worker, too. A lock is held when a client comes
//! and goes; what is in a session has one of its own, which only its connection takes.
//!
//! Where logs outlive the process, so do sessions: each is written to a log of its own ([`Memo`]), and what is here is what is known of
//! it. A client that nobody knows here is looked for there; where other nodes write there, too, each is.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::keeping::Keeping;
use super::saved::{Saved, log_of_session};
use super::state::State;
use crate::clock::Now;
use crate::ids::LogName;
use crate::log;

/// Sessions without a connection.
const WAITING_MAX: usize = 65_536;

/// Bytes of those, together.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// How long a session is kept at most without a connection; who asks for more is told.
pub(super) const EXPIRY_MAX: Duration = Duration::from_secs(24 * 3600);

/// User and client id, with what neither has between them.
type Key = Box<str>;

/// All sessions.
pub(crate) struct Sessions {
    /// Tells the numbers of this process' messages from those of others.
    run: u64,
    kept: Kept,
    table: Mutex<Table>,
}

/// Where sessions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In this process, and nowhere else.
    InMemory,
    /// In logs that are this process' alone.
    Here,
    /// In logs that other nodes have, too.
    Elsewhere,
}

/// What is to be written about a session.
#[derive(Debug)]
pub struct Memo {
    /// The session's log.
    pub log: LogName,
    /// The entry.
    pub content: Box<RawValue>,
    /// To be told what became of it.
    pub ticket: Ticket,
}

/// Knows which entry of which session one was.
#[derive(Debug)]
pub struct Ticket {
    state: Arc<Mutex<State>>,
    log: LogName,
    owner: u64,
    term: u64,
    number: u64,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<Key, Entry, foldhash::fast::RandomState>,
    /// Those without a connection, by when they end.
    waiting: BTreeMap<(Instant, u64), Key>,
    waiting_bytes: usize,
    count: u64,
}

struct Entry {
    state: Arc<Mutex<State>>,
    /// The connection that has it, or had it last.
    owner: u64,
    /// How long it waits for the client.
    expiry: Duration,
    /// Since it has no connection: when it ends, and its bytes.
    waits: Option<(Instant, usize)>,
    /// It was here before, or its log was read, or need not be: else what is here is not it.
    is_known: bool,
}

/// A session in the hands of a connection.
#[derive(Debug)]
pub(super) struct Claim {
    key: Key,
    pub(super) state: Arc<Mutex<State>>,
    owner: u64,
    /// Where it is kept, if it is.
    log: Option<LogName>,
    /// It was there before.
    pub(super) is_present: bool,
    /// ... or may be in its log: that is to be [read](Sessions::restore) before anything else.
    pub(super) is_to_be_read: bool,
}

impl Sessions {
    /// None yet; `run` is a number that no other process has.
    pub(crate) fn new(run: u64, kept: Kept) -> Self {
        let table = Mutex::default();
        Self { run, kept, table }
    }

    /// A client comes: its session, or a new one if there is none or it wants to begin anew. Whoever had it has it no more.
    pub(super) fn claim(
        &self,
        (user, client): (&str, &str),
        clean: bool,
        expiry: Duration,
        now: Instant,
    ) -> Claim {
        let key: Key = format!("{user}\0{client}").into();
        let log = (self.kept != Kept::InMemory).then(|| log_of_session(user, client));
        let mut table = lock(&self.table);
        table.count += 1;
        let owner = table.count;
        let older = table.remove(&key);
        // What may still be on its way to the log is of an earlier life than what comes.
        let term = older
            .as_ref()
            .map_or(0, |older| lock(&older.state).keeping.term + 1);
        let known = older.filter(|entry| !clean && entry.lasts(now));
        let is_present = known.as_ref().is_some_and(|known| known.is_known);
        let state = known.map_or_else(
            || Arc::new(Mutex::new(self.begin(owner, term))),
            |entry| entry.state,
        );
        {
            let mut state = lock(&state);
            state.owner = owner;
            state.come_back();
            state.keeping.take_last();
        }
        let is_to_be_read = match self.kept {
            Kept::InMemory => false,
            // One that is there, and is not to be from now on, is forgotten first.
            Kept::Here => !is_present || expiry.is_zero(),
            Kept::Elsewhere => true,
        };
        let entry = Entry {
            state: Arc::clone(&state),
            owner,
            expiry,
            waits: None,
            is_known: is_present || !is_to_be_read,
        };
        table.sessions.insert(key.clone(), entry);
        Claim {
            key,
            state,
            owner,
            log,
            is_present,
            is_to_be_read,
        }
    }

    /// A session with nothing in it.
    fn begin(&self, owner: u64, term: u64) -> State {
        let mut state = State::new(self.numbers(owner));
        state.owner = owner;
        state.keeping = Keeping::new(term, false);
        state
    }

    fn numbers(&self, owner: u64) -> String {
        format!("{:x}.{owner:x}", self.run)
    }

    /// The log of a claimed session was read: what of it holds is what the client goes on with, unless it begins anew. Returns whether its session is
    /// there; `None` if somebody else has it by now.
    pub(super) fn restore(
        &self,
        claim: &Claim,
        found: Option<Saved>,
        clean: bool,
        now: Now,
    ) -> Option<bool> {
        let mut table = lock(&self.table);
        let entry = table.sessions.get_mut(&claim.key);
        entry.filter(|entry| entry.owner == claim.owner)?.is_known = true;
        let mut state = lock(&claim.state);
        let Some(found) = found else {
            if !claim.is_present {
                state.keeping.term = state.keeping.term.max(now.unix_ms);
            }
            return Some(claim.is_present);
        };
        if claim.is_present && found.term <= state.keeping.term {
            // Nobody had it since; what is here is not older.
            return Some(true);
        }
        let term = state.keeping.term.max(found.term + 1).max(now.unix_ms);
        let lasts = found.lasts(now.unix_ms);
        *state = if lasts && !clean {
            found.restore(self.numbers(claim.owner), term)
        } else {
            self.begin(claim.owner, term)
        };
        state.owner = claim.owner;
        state.keeping.set_has_entry(lasts);
        Some(lasts && !clean)
    }

    /// The client is gone, and its session waits for so long, if nobody else has it. Returns what is to be written of it.
    pub(super) fn release(&self, claim: &Claim, expiry: Duration, now: Instant) -> Option<Memo> {
        let mut table = lock(&self.table);
        let is_ours = |entry: &Entry| entry.owner == claim.owner;
        if !table.sessions.get(&claim.key).is_some_and(is_ours) {
            return None;
        }
        let mut entry = table.remove(&claim.key).filter(|entry| entry.is_known)?;
        table.forget(now);
        let memo = claim.last_memo(expiry, now);
        if expiry.is_zero() {
            return memo;
        }
        let bytes = claim.key.len() * 2 + lock(&claim.state).bytes();
        (entry.expiry, entry.waits) = (expiry, Some((now + expiry, bytes)));
        table.waiting_bytes += bytes;
        table
            .waiting
            .insert((now + expiry, claim.owner), claim.key.clone());
        table.sessions.insert(claim.key.clone(), entry);
        table.forget(now);
        memo
    }
}

impl Claim {
    /// What is in it, if it is still this connection's.
    pub(super) fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        (state.owner == self.owner).then_some(state)
    }

    /// Where it is kept, if it is.
    pub(super) const fn log(&self) -> Option<&LogName> {
        self.log.as_ref()
    }

    /// What is to be written of a session that is to wait for so long, with all that has changed.
    pub(super) fn memo(&self, state: &mut State, expiry: Duration, now: Instant) -> Option<Memo> {
        let log = self.log.clone()?;
        Some(memo(
            (&self.state, state),
            (log, self.owner),
            (expiry, false),
            now,
        ))
    }

    /// The same at the end of its connection: once nothing else is on its way, and if there is anything that a client would miss, or
    /// that is to be forgotten.
    fn last_memo(&self, expiry: Duration, now: Instant) -> Option<Memo> {
        let log = self.log.clone()?;
        let mut state = lock(&self.state);
        if state.keeping.is_out() {
            state.keeping.end(expiry);
            return None;
        }
        last((&self.state, &mut state), (log, self.owner), expiry, now)
    }

    /// Whether an entry is one that this client has published, over whichever connection.
    pub(super) fn has_said(&self, entry: &log::Entry) -> bool {
        let said = (entry.draft.from.as_str(), entry.draft.session.as_str());
        self.key.split_once('\0') == Some(said)
    }
}

impl Ticket {
    /// The log has taken the entry, or not. Returns what else is to be written, if the connection has ended meanwhile.
    #[must_use]
    pub fn answered(self, is_kept: bool, now: Instant) -> Option<Memo> {
        let mut state = lock(&self.state);
        state.keeping.answered((self.term, self.number), is_kept);
        if state.owner != self.owner || state.keeping.is_out() {
            return None;
        }
        let expiry = state.keeping.take_last()?;
        let whose = (self.log.clone(), self.owner);
        last((&self.state, &mut state), whose, expiry, now)
    }
}

/// What is written when a connection has ended.
fn last(
    (shared, state): (&Arc<Mutex<State>>, &mut State),
    whose: (LogName, u64),
    expiry: Duration,
    now: Instant,
) -> Option<Memo> {
    let is_worth_it = state.keeping.has_entry() || !expiry.is_zero() && !state.is_empty();
    is_worth_it.then(|| memo((shared, state), whose, (expiry, true), now))
}

fn memo(
    (shared, state): (&Arc<Mutex<State>>, &mut State),
    (log, owner): (LogName, u64),
    (expiry, has_ended): (Duration, bool),
    now: Instant,
) -> Memo {
    let number = state.keeping.begin(!expiry.is_zero(), now);
    let content = Saved::of(state, number, expiry, has_ended).to_json();
    let ticket = Ticket {
        state: Arc::clone(shared),
        log: log.clone(),
        owner,
        term: state.keeping.term,
        number,
    };
    Memo {
        log,
        content,
        ticket,
    }
}

impl Entry {
    /// Whether it is still there for who comes back.
    fn lasts(&self, now: Instant) -> bool {
        match self.waits {
            Some((until, _)) => now < until,
            // The connection that has it is about to end, and it with it if it was to.
            None => !self.expiry.is_zero(),
        }
    }
}

impl Table {
    fn remove(&mut self, key: &str) -> Option<Entry> {
        let entry = self.sessions.remove(key)?;
        if let Some((until, bytes)) = entry.waits {
            self.waiting.remove(&(until, entry.owner));
            self.waiting_bytes -= bytes;
        }
        Some(entry)
    }

    /// Forgets what has ended, and what is too much: those that would have ended first.
    fn forget(&mut self, now: Instant) {
        while let Some((&(until, _), key)) = self.waiting.first_key_value() {
            let is_full =
                self.waiting.len() > WAITING_MAX || self.waiting_bytes > WAITING_BYTES_MAX;
            if now < until && !is_full {
                return;
            }
            let key = key.clone();
            self.remove(&key);
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// What a thread that panicked left is as whole as what one that did not.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn claim(sessions: &Sessions, client: &str, clean: bool, now: Instant) -> Claim {
        sessions.claim(("u", client), clean, HOUR, now)
    }

    #[test]
    fn a_session_waits_for_its_client_and_not_longer_than_it_said() {
        let (sessions, now) = (Sessions::new(1, Kept::InMemory), Instant::now());
        let first = claim(&sessions, "c", false, now);
        assert!(!first.is_present);
        sessions.release(&first, HOUR, now);
        let second = claim(&sessions, "c", false, now + HOUR / 2);
        assert!(second.is_present && Arc::ptr_eq(&first.state, &second.state));
        sessions.release(&second, HOUR, now);
        assert!(!claim(&sessions, "c", false, now + HOUR).is_present);
        assert_eq!(lock(&sessions.table).waiting_bytes, 0);
    }

    #[test]
    fn another_user_has_another_session_and_who_begins_anew_has_a_new_one() {
        let (sessions, now) = (Sessions::new(1, Kept::InMemory), Instant::now());
        let first = claim(&sessions, "c", false, now);
        sessions.release(&first, HOUR, now);
        assert!(!sessions.claim(("v", "c"), false, HOUR, now).is_present);
        assert!(!claim(&sessions, "c", true, now).is_present);
    }

    #[test]
    fn who_takes_a_session_over_has_it_alone() {
        let (sessions, now) = (Sessions::new(1, Kept::InMemory), Instant::now());
        let older = claim(&sessions, "c", false, now);
        let newer = claim(&sessions, "c", false, now);
        assert!(newer.is_present && newer.state().is_some() && older.state().is_none());
        sessions.release(&older, Duration::ZERO, now);
        assert!(claim(&sessions, "c", false, now).is_present);
    }

    #[test]
    fn a_session_that_is_not_to_last_is_gone_with_its_connection() {
        let (sessions, now) = (Sessions::new(1, Kept::InMemory), Instant::now());
        let first = sessions.claim(("u", "c"), true, Duration::ZERO, now);
        assert!(!claim(&sessions, "c", false, now).is_present, "taken over");
        let other = sessions.claim(("u", "d"), true, Duration::ZERO, now);
        sessions.release(&other, Duration::ZERO, now);
        sessions.release(&first, Duration::ZERO, now);
        assert!(!claim(&sessions, "d", false, now).is_present);
    }

    #[test]
    fn so_many_wait_and_the_next_to_end_is_forgotten() {
        let (sessions, now) = (Sessions::new(1, Kept::InMemory), Instant::now());
        for number in 0..WAITING_MAX + 5 {
            let client = number.to_string();
            let claim = claim(&sessions, &client, false, now);
            sessions.release(&claim, HOUR, now);
        }
        let waiting = |sessions: &Sessions| lock(&sessions.table).waiting.len();
        assert!(waiting(&sessions) <= WAITING_MAX);
        assert!(lock(&sessions.table).waiting_bytes <= WAITING_BYTES_MAX);
        assert!(!claim(&sessions, "0", false, now).is_present);
        let last = (WAITING_MAX + 4).to_string();
        assert!(claim(&sessions, &last, false, now).is_present);
        let late = now + 2 * HOUR;
        let claim = claim(&sessions, "x", false, late);
        sessions.release(&claim, HOUR, late);
        assert_eq!(waiting(&sessions), 1);
    }
}
