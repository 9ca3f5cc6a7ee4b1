//! The sessions of a server, by user and client id, for clients that come back: to another worker, too. They last as long as the
//! process. A lock is held when a client comes and goes; what is in a session has one of its own, which only its connection takes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::state::State;
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
    table: Mutex<Table>,
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
}

/// A session in the hands of a connection.
#[derive(Debug)]
pub(super) struct Claim {
    key: Key,
    pub(super) state: Arc<Mutex<State>>,
    owner: u64,
    /// It was there before.
    pub(super) is_present: bool,
}

impl Sessions {
    /// None yet; `run` is a number that no other process has.
    pub(crate) fn new(run: u64) -> Self {
        let table = Mutex::default();
        Self { run, table }
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
        let mut table = lock(&self.table);
        table.count += 1;
        let owner = table.count;
        let known = table
            .remove(&key)
            .filter(|entry| !clean && entry.lasts(now));
        let is_present = known.is_some();
        let state = known.map_or_else(
            || {
                let numbers = format!("{:x}.{owner:x}", self.run);
                Arc::new(Mutex::new(State::new(numbers)))
            },
            |entry| entry.state,
        );
        {
            let mut state = lock(&state);
            state.owner = owner;
            state.come_back();
        }
        let entry = Entry {
            state: Arc::clone(&state),
            owner,
            expiry,
            waits: None,
        };
        table.sessions.insert(key.clone(), entry);
        Claim {
            key,
            state,
            owner,
            is_present,
        }
    }

    /// The client is gone, and its session waits for so long, if nobody else has it.
    pub(super) fn release(&self, claim: &Claim, expiry: Duration, now: Instant) {
        let mut table = lock(&self.table);
        let is_ours = |entry: &Entry| entry.owner == claim.owner;
        if !table.sessions.get(&claim.key).is_some_and(is_ours) {
            return;
        }
        let Some(mut entry) = table.remove(&claim.key) else {
            return;
        };
        table.forget(now);
        if expiry.is_zero() {
            return;
        }
        let bytes = claim.key.len() * 2 + lock(&claim.state).bytes();
        (entry.expiry, entry.waits) = (expiry, Some((now + expiry, bytes)));
        table.waiting_bytes += bytes;
        table
            .waiting
            .insert((now + expiry, claim.owner), claim.key.clone());
        table.sessions.insert(claim.key.clone(), entry);
        table.forget(now);
    }
}

impl Claim {
    /// What is in it, if it is still this connection's.
    pub(super) fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        (state.owner == self.owner).then_some(state)
    }

    /// Whether an entry is one that this client has published, over whichever connection.
    pub(super) fn has_said(&self, entry: &log::Entry) -> bool {
        let said = (entry.draft.from.as_str(), entry.draft.session.as_str());
        self.key.split_once('\0') == Some(said)
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
        let (sessions, now) = (Sessions::new(1), Instant::now());
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
        let (sessions, now) = (Sessions::new(1), Instant::now());
        let first = claim(&sessions, "c", false, now);
        sessions.release(&first, HOUR, now);
        assert!(!sessions.claim(("v", "c"), false, HOUR, now).is_present);
        assert!(!claim(&sessions, "c", true, now).is_present);
    }

    #[test]
    fn who_takes_a_session_over_has_it_alone() {
        let (sessions, now) = (Sessions::new(1), Instant::now());
        let older = claim(&sessions, "c", false, now);
        let newer = claim(&sessions, "c", false, now);
        assert!(newer.is_present && newer.state().is_some() && older.state().is_none());
        sessions.release(&older, Duration::ZERO, now);
        assert!(claim(&sessions, "c", false, now).is_present);
    }

    #[test]
    fn a_session_that_is_not_to_last_is_gone_with_its_connection() {
        let (sessions, now) = (Sessions::new(1), Instant::now());
        let first = sessions.claim(("u", "c"), true, Duration::ZERO, now);
        assert!(!claim(&sessions, "c", false, now).is_present, "taken over");
        let other = sessions.claim(("u", "d"), true, Duration::ZERO, now);
        sessions.release(&other, Duration::ZERO, now);
        sessions.release(&first, Duration::ZERO, now);
        assert!(!claim(&sessions, "d", false, now).is_present);
    }

    #[test]
    fn so_many_wait_and_the_next_to_end_is_forgotten() {
        let (sessions, now) = (Sessions::new(1), Instant::now());
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
