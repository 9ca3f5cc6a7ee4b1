//! What an operator asks for is found out and done here, at home: it has the hub and the archive. What only other workers or other
//! nodes know is [asked of them](super::inquiries).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tidewire_protocol::CloseCode;

use super::Worker;
use super::chat::Chat;
use super::inquiries::Inquiries;
use super::mail::{Mail, Said};
use crate::ids::{ConnId, UserName};
use crate::net::shutdown::Stop;
use crate::recorder::{Account, Archive, EndCause, Sample, Series};
use crate::transport::{Operation, admin};

/// Between two samples of what the operator's page plots.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// How long it is remembered whose a connection was that has left the hub and is not gone yet: several times what closing takes.
const PARTED_KEPT: Duration = Duration::from_secs(60);

/// ... and of how many.
const PARTED_MAX: usize = 65_536;

/// Why connections are closed then.
const KICKED: &str = "disconnected by the operator";

/// What home keeps for an operator.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) archive: Archive,
    series: Series,
    sample_at: Instant,
    started_ms: u64,
    parted: HashMap<ConnId, Parted, foldhash::fast::RandomState>,
    pub(super) inquiries: Inquiries,
}

/// Whose a connection was.
#[derive(Debug)]
struct Parted {
    user: UserName,
    rooms: usize,
    at: Instant,
}

impl Desk {
    pub(super) fn new(now: crate::clock::Now) -> Self {
        Self {
            archive: Archive::default(),
            series: Series::default(),
            sample_at: now.instant,
            started_ms: now.unix_ms,
            parted: HashMap::default(),
            inquiries: Inquiries::default(),
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
            Operation::Drain => {
                tracing::info!(event = "operator_drain", "an operator stops the server");
                self.answer(asker, admin::draining());
                self.ask_to_stop(Stop::Terminate);
            }
            Operation::Why(_)
            | Operation::Connections(_)
            | Operation::Users(_)
            | Operation::Disconnect(_) => self.inquire(asker, operation),
        }
    }

    fn show_overview(&mut self, asker: ConnId, since: u64) {
        let (Some(desk), Chat::Here(hub)) = (&self.desk, &self.chat) else {
            return;
        };
        let overview = admin::Overview {
            status: &self.status,
            started_at: desk.started_ms,
            now: self.now.unix_ms,
            recorder: self.recording.is_on(),
            node: hub.node_name().map(|name| (name, hub.other_nodes() + 1)),
            samples: desk.series.rows(since),
        };
        let response = overview.to_response();
        self.answer(asker, response);
    }

    /// Disconnects all connections of a user that are here; returns how many there are.
    pub(super) fn disconnect(&mut self, user: &UserName) -> usize {
        let Chat::Here(hub) = &mut self.chat else {
            return 0;
        };
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
        connections.len()
    }

    pub(super) fn kick(&mut self, id: ConnId) {
        self.blame_if_open(id, EndCause::Kicked);
        self.close(id, CloseCode::POLICY_VIOLATION, KICKED);
        self.run_effects();
    }
}

/// Milliseconds, to the microsecond.
fn in_ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
