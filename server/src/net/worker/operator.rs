//! What an operator asks for is found out and done here, at home: it has the hub and the archive, and asks the other workers for
//! what only they know.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_protocol::CloseCode;

use super::Worker;
use super::chat::Chat;
use super::mail::{Mail, Said};
use super::recording::is_plain_http;
use crate::ids::{ConnId, UserName};
use crate::net::shutdown::Stop;
use crate::recorder::{Account, Archive, EndCause, Sample, Series};
use crate::transport::{Operation, Subject, admin};

/// Between two samples of what the operator's page plots.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// How long it is remembered whose a connection was that has left the hub and is not gone yet: several times what closing takes.
const PARTED_KEPT: Duration = Duration::from_secs(60);

/// ... and of how many.
const PARTED_MAX: usize = 65_536;

/// Questions that wait for other workers; a further one is refused.
const INQUIRIES_MAX: usize = 32;

/// Connections that one answer to why tells of.
const WHY_MAX: usize = 50;

/// Why connections are closed then.
pub(super) const KICKED: &str = "disconnected by the operator";

/// What home keeps for an operator.
#[derive(Debug)]
pub(super) struct Desk {
    archive: Archive,
    series: Series,
    sample_at: Instant,
    started_ms: u64,
    parted: HashMap<ConnId, Parted, foldhash::fast::RandomState>,
    inquiries: HashMap<u32, Inquiry>,
    asked: u32,
}

/// Whose a connection was.
#[derive(Debug)]
struct Parted {
    user: UserName,
    rooms: usize,
    at: Instant,
}

/// A question that other workers were asked for an operator.
#[derive(Debug)]
struct Inquiry {
    asker: ConnId,
    operation: Operation,
    found: Vec<Account>,
    /// Workers that have not answered.
    missing: usize,
}

/// What a worker is asked: which of its connections there are.
#[derive(Debug)]
pub(in crate::net) struct Question {
    which: Which,
    max: usize,
}

#[derive(Debug)]
enum Which {
    /// These.
    These(Vec<ConnId>),
    /// Those of an address, and if it names a port, the one of that.
    Address(SocketAddr),
    /// These, and those whose address or name has this in it.
    Like(Vec<ConnId>, String),
}

impl Desk {
    pub(super) fn new(now: crate::clock::Now) -> Self {
        Self {
            archive: Archive::default(),
            series: Series::default(),
            sample_at: now.instant,
            started_ms: now.unix_ms,
            parted: HashMap::default(),
            inquiries: HashMap::default(),
            asked: 0,
        }
    }

    /// When the next sample is due.
    pub(super) const fn sample_at(&self) -> Instant {
        self.sample_at
    }
}

impl Worker {
    // ---- what happens meanwhile ----

    /// Takes a sample, if it is time for one.
    pub(super) fn sample(&mut self) {
        let now = self.now.instant;
        let is_due = |desk: &Desk| desk.sample_at <= now;
        if !self.desk.as_deref().is_some_and(is_due) {
            return;
        }
        self.worked = true;
        self.take_stock();
        let Some(desk) = &mut self.desk else {
            return;
        };
        desk.sample_at = now + SAMPLE_INTERVAL;
        let sum = self.status.sum();
        let readiness = &self.status.board.readiness;
        let canary = readiness.delay(self.status.uptime(now));
        let ends = self.status.ends.iter();
        let real = ends.filter(|(cause, _)| *cause != EndCause::HttpDone);
        desk.series.push(Sample {
            time: self.now.unix_ms,
            connections: sum.connections,
            messages_in: sum.messages_received,
            messages_out: sum.messages_sent,
            appended: sum.appended,
            behind: sum.behind,
            ended: real.map(|(_, count)| count).sum(),
            canary_ms: canary.map(in_ms),
            lag_ms: Duration::from_nanos(sum.lag).as_millis() as u64,
        });
        desk.parted
            .retain(|_, parted| parted.at + PARTED_KEPT > now);
    }

    /// A connection is about to leave the hub, which then does not know any more whose it was.
    pub(super) fn note_parting(&mut self, id: ConnId) {
        if !self.recording.is_on() {
            return;
        }
        if let (Chat::Here(hub), Some(desk)) = (&self.chat, &mut self.desk)
            && desk.parted.len() < PARTED_MAX
            && let Some((user, rooms)) = hub.who(id)
        {
            let (user, at) = (user.clone(), self.now.instant);
            desk.parted.insert(id, Parted { user, rooms, at });
        }
    }

    /// Keeps the account of a connection that is gone.
    pub(super) fn keep(&mut self, mut account: Account) {
        let Some(desk) = &mut self.desk else {
            return;
        };
        if let Some(Parted { user, rooms, .. }) = desk.parted.remove(&account.id) {
            (account.user, account.rooms) = (Some(user), rooms);
        }
        desk.archive.add(account);
    }

    // ---- operations ----

    /// Does what an operator asks for, or has it done at home.
    pub(super) fn operate(&mut self, asker: ConnId, operation: Operation) {
        let Chat::Here(hub) = &self.chat else {
            return self.peers.tell_home(Said::Operate(asker, operation));
        };
        match operation {
            Operation::Overview { since } => self.show_overview(asker, since),
            Operation::Rooms(list) => {
                let response = admin::rooms_found(&hub.rooms_like(&list.search, list.limit));
                self.answer(asker, response);
            }
            Operation::Users(list) => {
                let response = admin::users(&hub.users_like(&list.search, list.limit));
                self.answer(asker, response);
            }
            Operation::Disconnect(user) => self.disconnect(asker, &user),
            Operation::Drain => {
                tracing::info!(event = "operator_drain", "an operator stops the server");
                self.answer(asker, admin::draining());
                self.ask_to_stop(Stop::Terminate);
            }
            Operation::Why(_) | Operation::Connections(_) => self.inquire(asker, operation),
        }
    }

    fn show_overview(&mut self, asker: ConnId, since: u64) {
        let Some(desk) = &self.desk else {
            return;
        };
        let overview = admin::Overview {
            status: &self.status,
            started_at: desk.started_ms,
            now: self.now.unix_ms,
            recorder: self.recording.is_on(),
            samples: desk.series.rows(since),
        };
        let response = overview.to_response();
        self.answer(asker, response);
    }

    /// Disconnects all connections of a user, on other nodes, too; those of this one are counted.
    fn disconnect(&mut self, asker: ConnId, user: &UserName) {
        let Chat::Here(hub) = &mut self.chat else {
            return;
        };
        hub.kick_elsewhere(user);
        let connections = hub.connections_of(user);
        tracing::info!(
            event = "operator_disconnect",
            user = user.as_str(),
            connections = connections.len(),
            "an operator disconnects a user"
        );
        for &conn in &connections {
            if self.peers.is_ours(conn) {
                self.kick(conn);
            } else {
                self.peers.post_to_owner(conn, Mail::Kick(conn));
            }
        }
        self.answer(asker, admin::disconnected(connections.len()));
    }

    pub(super) fn kick(&mut self, id: ConnId) {
        self.blame_if_open(id, EndCause::Kicked);
        self.close(id, CloseCode::POLICY_VIOLATION, KICKED);
        self.run_effects();
    }

    // ---- questions to all workers ----

    fn inquire(&mut self, asker: ConnId, operation: Operation) {
        let Some(question) = self.question(&operation) else {
            return;
        };
        let found = self.find_accounts(&question);
        let missing = self.peers.others();
        let mut inquiry = Inquiry {
            asker,
            operation,
            found,
            missing,
        };
        if missing == 0 {
            return self.conclude(inquiry);
        }
        let Some(desk) = &mut self.desk else {
            return;
        };
        if desk.inquiries.len() >= INQUIRIES_MAX {
            inquiry.found.clear();
            return self.answer(asker, admin::busy());
        }
        desk.asked = desk.asked.wrapping_add(1);
        let number = desk.asked;
        desk.inquiries.insert(number, inquiry);
        let question = Arc::new(question);
        self.peers
            .post_to_others(|| Mail::Ask(number, Arc::clone(&question)));
    }

    /// What workers are to be asked for an operation.
    fn question(&self, operation: &Operation) -> Option<Question> {
        let Chat::Here(hub) = &self.chat else {
            return None;
        };
        let (which, max) = match operation {
            Operation::Why(Subject::Connection(id)) => (Which::These(vec![*id]), WHY_MAX),
            Operation::Why(Subject::User(user)) => {
                (Which::These(hub.connections_of(user).to_vec()), WHY_MAX)
            }
            Operation::Why(Subject::Address(address)) => (Which::Address(*address), WHY_MAX),
            Operation::Connections(list) => {
                let users = hub.connections_like(&list.search, list.limit);
                (Which::Like(users, list.search.clone()), list.limit)
            }
            Operation::Overview { .. } | Operation::Rooms(_) | Operation::Users(_) => return None,
            Operation::Disconnect(_) | Operation::Drain => return None,
        };
        Some(Question { which, max })
    }

    /// Which of this worker's connections are meant.
    fn find_accounts(&mut self, question: &Question) -> Vec<Account> {
        let max = question.max;
        let ours = |ids: &[ConnId]| -> Vec<ConnId> {
            let ours = ids.iter().filter(|id| self.peers.is_ours(**id));
            ours.copied().take(max).collect()
        };
        let ids = match &question.which {
            Which::These(ids) => ours(ids),
            Which::Address(address) => self
                .table
                .find(max, |_, conn| is_from(conn.peer.into(), *address)),
            Which::Like(ids, text) => {
                let mut found = ours(ids);
                let more = self.table.find(max, |id, conn| {
                    // Pages ask over a dozen connections, which nobody looks for.
                    let is_like = text.is_empty() && !is_plain_http(conn)
                        || !text.is_empty()
                            && SocketAddr::from(conn.peer).to_string().contains(text)
                        || id.to_string() == *text;
                    is_like && !found.contains(&id)
                });
                found.extend(more);
                found.truncate(max);
                found
            }
        };
        ids.into_iter().filter_map(|id| self.account(id)).collect()
    }

    /// Another worker is asked, and answers.
    pub(super) fn answer_home(&mut self, number: u32, question: &Question) {
        let found = self.find_accounts(question);
        self.peers.post_home(Mail::Found(number, found));
    }

    /// At home: a worker has answered.
    pub(super) fn note_found(&mut self, number: u32, found: Vec<Account>) {
        let Some(desk) = &mut self.desk else {
            return;
        };
        let Some(inquiry) = desk.inquiries.get_mut(&number) else {
            return;
        };
        inquiry.found.extend(found);
        inquiry.missing -= 1;
        if inquiry.missing == 0
            && let Some(inquiry) = desk.inquiries.remove(&number)
        {
            self.conclude(inquiry);
        }
    }

    /// Tells an operator what was found.
    fn conclude(&mut self, mut inquiry: Inquiry) {
        let (Chat::Here(hub), Some(desk)) = (&self.chat, &self.desk) else {
            return;
        };
        for account in &mut inquiry.found {
            if let Some((user, rooms)) = hub.who(account.id) {
                (account.user, account.rooms) = (Some(user.clone()), rooms);
            }
        }
        let mut accounts: Vec<&Account> = inquiry.found.iter().collect();
        let response = match &inquiry.operation {
            Operation::Why(subject) => {
                let left = WHY_MAX.saturating_sub(accounts.len());
                let is_meant = |account: &Account| match subject {
                    Subject::Connection(id) => account.id == *id,
                    Subject::User(user) => account.user.as_ref() == Some(user),
                    Subject::Address(address) => is_from(account.peer, *address),
                };
                accounts.extend(desk.archive.find(left, is_meant));
                admin::reports(self.recording.is_on(), &accounts)
            }
            Operation::Connections(list) => {
                accounts.truncate(list.limit);
                admin::connections(&accounts)
            }
            Operation::Overview { .. } | Operation::Rooms(_) | Operation::Users(_) => return,
            Operation::Disconnect(_) | Operation::Drain => return,
        };
        self.answer(inquiry.asker, response);
    }
}

/// Milliseconds, to the microsecond.
fn in_ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// Whether a peer is at an address, in which port 0 stands for any.
fn is_from(peer: SocketAddr, address: SocketAddr) -> bool {
    peer.ip() == address.ip() && (address.port() == 0 || address.port() == peer.port())
}
