//! How much may be said, and by how many: what a connection and a user send in a time, the connections that a user has, and
//! their rooms.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use super::{Hub, HubConfig};
use crate::chat::answers::rate_limited;
use crate::chat::command::{BadCommand, Command, Refused, Request};
use crate::chat::effect::Effect;
use crate::clock::Now;
use crate::ids::{ConnId, Session, UserName};
use crate::limit::{Allowance, Spent};

/// Users of whom is known what they sent of late. Where more send at once, the others have only the limits of their connections.
const SPENDERS_MAX: usize = 65_536;

/// Users up to which it is not worth to look who can be forgotten.
const SWEPT_FROM: usize = 1024;

/// What was refused since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages, since their connection had sent too much.
    pub connection_limited: u64,
    /// Messages, since their user had.
    pub user_limited: u64,
    /// Connections, since their user had too many.
    pub connections_refused: u64,
    /// Joins, since the connection or the user was in too many rooms.
    pub rooms_refused: u64,
}

/// What users have sent of late: who has sent nothing for long enough is forgotten.
#[derive(Debug)]
pub(super) struct Spending {
    users: HashMap<UserName, Spent, foldhash::fast::RandomState>,
    sweep_at: usize,
    swept_at: Duration,
}

impl Default for Spending {
    fn default() -> Self {
        Self {
            users: HashMap::default(),
            sweep_at: SWEPT_FROM,
            swept_at: Duration::ZERO,
        }
    }
}

impl Spending {
    fn take(
        &mut self,
        user: &UserName,
        allowance: &Allowance,
        messages: f32,
        bytes: f32,
        now: Duration,
    ) -> Result<(), Duration> {
        if allowance.is_none() {
            return Ok(());
        }
        if let Some(spent) = self.users.get_mut(user) {
            return spent.take(allowance, messages, bytes, now);
        }
        self.sweep(allowance, now);
        if self.users.len() >= SPENDERS_MAX {
            return Ok(());
        }
        let spent = self.users.entry(user.clone());
        let spent = spent.or_insert_with(|| Spent::nothing(allowance, now));
        spent.take(allowance, messages, bytes, now)
    }

    /// Once a second at most: a crowd that sends all the time is not looked through for each of its messages.
    fn sweep(&mut self, allowance: &Allowance, now: Duration) {
        let is_due = self.swept_at + Duration::from_secs(1) <= now;
        if self.users.len() < self.sweep_at || !is_due {
            return;
        }
        self.users
            .retain(|_, spent| !spent.is_rested(allowance, now));
        self.swept_at = now;
        self.sweep_at = SWEPT_FROM.max(2 * self.users.len());
        self.users.shrink_to(self.sweep_at);
    }
}

impl HubConfig {
    /// What a connection may send.
    #[must_use]
    pub const fn connection(&self) -> Allowance {
        Allowance {
            messages: self.messages,
            bytes: self.bytes,
        }
    }
}

impl Hub {
    /// What was refused since the start.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// A connection says something, but its address has sent too much, and may again after `wait`.
    pub fn refuse_to_hear(
        &mut self,
        conn: ConnId,
        parsed: Result<Request<'_>, BadCommand<'_>>,
        wait: Duration,
    ) {
        if self.people.get(conn).is_none() {
            return;
        }
        match parsed {
            Ok(request) => self.refuse_for_now(conn, request, wait),
            Err(bad) => self.bad_message(conn, bad),
        }
    }

    /// Somebody publishes over HTTP.
    ///
    /// # Errors
    /// The user has sent too much: the time after which it may again.
    pub fn spend_as(&mut self, user: &UserName, bytes: usize, now: Now) -> Result<(), Duration> {
        let since_start = self.since_start(now);
        let limit = self.config.user;
        let spent = self
            .spending
            .take(user, &limit, 1.0, bytes as f32, since_start);
        self.tally.user_limited += u64::from(spent.is_err());
        spent
    }

    /// Takes what a message costs from its connection and its user.
    pub(super) fn spend(
        &mut self,
        conn: ConnId,
        request: &Request<'_>,
        bytes: usize,
        now: Duration,
    ) -> Result<(), Duration> {
        let connection = self.config.connection();
        let Some(member) = self.people.get_mut(conn) else {
            return Ok(());
        };
        let messages = match &request.command {
            // Each of its rooms hears of the one that leaves and of the one that comes.
            Command::Hello {
                user: Some(user), ..
            } if member.user.as_str() != &**user => (1 + 2 * member.rooms.len()) as f32,
            command if command.is_free() => 0.0,
            Command::Hello { .. }
            | Command::JoinRoom { .. }
            | Command::LeaveRoom { .. }
            | Command::RoomMsg { .. }
            | Command::PrivateMsg { .. }
            | Command::Broadcast { .. }
            | Command::Publish { .. }
            | Command::Follow { .. }
            | Command::Unfollow { .. }
            | Command::Will(_)
            | Command::Typing { .. }
            | Command::History { .. }
            | Command::Presence { .. }
            | Command::Heartbeat => 1.0,
        };
        let bytes = bytes as f32;
        let spent = member.spent.take(&connection, messages, bytes, now);
        self.tally.connection_limited += u64::from(spent.is_err());
        spent?;
        let limit = self.config.user;
        let spent = self
            .spending
            .take(&member.user, &limit, messages, bytes, now);
        self.tally.user_limited += u64::from(spent.is_err());
        spent
    }

    pub(super) fn refuse_for_now(&mut self, conn: ConnId, request: Request<'_>, wait: Duration) {
        let seq = request.command.seq().map(ToOwned::to_owned);
        let event = rate_limited(wait, seq, request.id.map(Cow::into_owned));
        self.effects.push(Effect::Send(conn, event));
    }

    /// Whether a user may have one more connection; one that takes the place of an older one it may always have. The newest is
    /// refused and not the oldest closed: clients that come back by themselves would chase each other.
    pub(super) fn check_connections(
        &mut self,
        user: &UserName,
        session: &Session,
    ) -> Result<(), Refused> {
        let max = self.config.connections_per_user_max;
        if max == 0
            || self.people.connection_count(user) < max
            || self.people.has_connected(user, session)
        {
            return Ok(());
        }
        self.tally.connections_refused += 1;
        Err(Refused {
            code: "too_many_connections",
            message: format!("A user can have {max} connections at most: close one."),
        })
    }

    /// How many further rooms a connection may join.
    pub(super) fn rooms_left(&self, conn: ConnId) -> usize {
        let Some(member) = self.people.get(conn) else {
            return 0;
        };
        let own = self.config.rooms_per_connection_max;
        let own = own.saturating_sub(member.rooms.len());
        match self.config.rooms_per_user_max {
            0 => own,
            max => own.min(max.saturating_sub(self.people.room_count(&member.user))),
        }
    }
}
