//! How a worker stops. Nobody new is let in; then many clients are let go in batches, while the others are served; then each
//! worker answers what came before, and all close what is left, and end.
//!
//! ```text
//!   No ──many clients──▶ Pacing ──the last batch──▶ Answering ──all workers have──▶ Closing ──▶ the end
//!    └──────────────────few, or SIGINT─────────────────▲    └───────impatience────────▲
//! ```
//!
//! Home hears the signal and tells the others. Who answers reads nothing more and says when all that it had read is answered;
//! once all have, home lets them close: so nobody of the last is told to go before what others were acknowledged has been shown
//! to it. Who went with a batch finds that when it comes back. What was read of a client is answered before it goes; what was
//! not read has no acknowledgement, and is sent again.

use std::mem;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::Worker;
use super::mail::{HOME, Mail};
use super::readers::Reader;
use crate::chat::Event;
use crate::ids::ConnId;
use crate::net::conn::{App, State};
use crate::net::drain::{Drain, HURRY};
use crate::net::notify;
use crate::net::shutdown::Stop;
use crate::recorder::EndCause;
use crate::transport::server_sent_retry;

/// Why connections are closed then.
const STOPPING: &str = "server is stopping";

/// Connections that are named when they did not end in time.
const LEFT_NAMED_MAX: usize = 10;

/// How far a worker is.
#[derive(Debug)]
pub(super) enum Stopping {
    /// Nobody asked it to.
    No,
    /// It lets connections go in batches.
    Pacing {
        drain: Drain,
        /// Those that were there, and how many of them have had their turn.
        all: Vec<ConnId>,
        let_go: usize,
        /// Those of them that have no answer yet.
        unanswered: Vec<ConnId>,
    },
    /// It answers what came before.
    Answering {
        drain: Drain,
        /// Those that have no answer yet, until all have.
        unanswered: Option<Vec<ConnId>>,
        /// Other workers that have not said that all theirs have; only home knows.
        busy: usize,
        /// When to wait no longer.
        until: Instant,
    },
    /// Connections are closed, and given up at that time.
    Closing {
        drain: Drain,
        until: Instant,
        pace: Pace,
    },
}

/// How long connections have to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::net) enum Pace {
    /// As long as peers may take for closing.
    Patient,
    /// Somebody asked twice.
    Hurried,
    /// Three times.
    AtOnce,
}

impl Worker {
    // ---- at home ----

    /// After reading: what was on its way before the signal is answered before the end.
    pub(super) fn stop_if_asked(&mut self) {
        if mem::take(&mut self.signalled)
            && let Some(shutdown) = &mut self.shutdown
            // Several at once are one request to stop: impatience shows in another one later.
            && let Some(&stop) = shutdown.pending().first()
        {
            self.ask_to_stop(stop);
        }
        if let Some(drain) = self.asked_to_stop.take() {
            self.answer_first(drain);
        }
        match self.stopping {
            Stopping::No | Stopping::Closing { .. } => {}
            Stopping::Pacing { .. } => self.let_batch_go(),
            Stopping::Answering { .. } => self.close_if_answered(),
        }
    }

    /// At home: begins to stop all workers; a second time, waits neither for batches nor for answers, and a third time for nothing.
    pub(super) fn ask_to_stop(&mut self, stop: Stop) {
        match self.stopping {
            Stopping::No => self.begin_to_stop(stop),
            Stopping::Pacing { mut drain, .. } | Stopping::Answering { mut drain, .. } => {
                drain.stop = stop;
                self.close_all(drain, Pace::Hurried);
            }
            Stopping::Closing {
                drain,
                pace: Pace::Patient,
                ..
            } => self.close_all(drain, Pace::Hurried),
            Stopping::Closing { drain, .. } => self.close_all(drain, Pace::AtOnce),
        }
    }

    /// At home: tells the other workers, each of which has a clock of its own.
    fn tell_others(&mut self, drain: Drain, mail: impl Fn(Drain) -> Mail) {
        let drain = drain.everywhere(self.clock.stood_for());
        self.peers.post_to_others(|| mail(drain));
    }

    fn begin_to_stop(&mut self, stop: Stop) {
        notify::tell("STOPPING=1");
        info!(event = "stop", signal = ?stop, "the server was told to stop");
        let drain = self.plan(stop);
        if drain.is_paced() {
            self.tell_others(drain, Mail::Drain);
            self.begin_to_pace(drain);
        } else {
            self.tell_others(drain, Mail::Stop);
            self.answer_first(drain);
        }
    }

    /// What is to become of everybody's connections.
    fn plan(&mut self, stop: Stop) -> Drain {
        // This turn has accepted some already.
        self.status.own.connections = self.table.len() as u64;
        let (connections, per_second) = self.status.connections_and_pace();
        let now = self.now.instant;
        let drain = Drain::new(stop, now, connections, per_second, self.drain_time);
        let millis = |time: Duration| time.as_millis() as u64;
        info!(
            event = "drain",
            connections,
            per_second,
            closed_over_ms = millis(drain.paced()),
            back_over_ms = millis(drain.spread()),
            "connections are let go"
        );
        drain
    }

    /// At home: a worker has answered all that its clients had said.
    pub(super) const fn note_answered(&mut self) {
        if let Stopping::Answering { busy, .. } = &mut self.stopping {
            *busy = busy.saturating_sub(1);
        }
    }

    /// At home: another worker has ended. If nobody let it, its clients are lost, and the server is no use to others; what was on
    /// its way there is never answered.
    pub(super) fn note_ended(&mut self) {
        self.peers.one_has_ended();
        if self.closing_for().is_none() {
            self.one_failed = true;
            error!(
                event = "worker_lost",
                "a worker has ended by itself: the server stops"
            );
            let drain = self.plan(Stop::Terminate);
            self.close_all(drain, Pace::Patient);
        }
    }

    /// At home: all workers close their connections.
    fn close_all(&mut self, drain: Drain, pace: Pace) {
        self.tell_others(drain, |drain| Mail::Close(drain, pace));
        self.begin_to_close(drain, pace);
    }

    // ---- batches ----

    /// Takes no more connections. What is asked over HTTP from now on is answered with `Connection: close`.
    fn let_nobody_in(&mut self) {
        self.worked = true;
        self.status.status = "draining";
        self.listener = None;
    }

    /// Lets connections go in batches from now on.
    pub(super) fn begin_to_pace(&mut self, drain: Drain) {
        if let Stopping::No = self.stopping {
            self.let_nobody_in();
            self.stopping = Stopping::Pacing {
                drain,
                all: self.table.ids(),
                let_go: 0,
                unanswered: Vec::new(),
            };
        }
    }

    fn let_batch_go(&mut self) {
        let now = self.now.instant;
        let Stopping::Pacing {
            drain,
            all,
            let_go,
            unanswered,
        } = &mut self.stopping
        else {
            return;
        };
        let (drain, due) = (*drain, drain.due(all.len(), now));
        let mut batch = mem::take(unanswered);
        batch.extend(all.get(*let_go..due).into_iter().flatten());
        *let_go = due;
        self.worked |= !batch.is_empty();
        batch.retain(|&id| {
            let conn = self.table.get_mut(id);
            let is_unanswered = conn.is_some_and(|conn| conn.is_unanswered());
            if !is_unanswered {
                self.close_for_stop(id, drain);
            }
            is_unanswered
        });
        if let Stopping::Pacing { unanswered, .. } = &mut self.stopping {
            *unanswered = batch;
        }
        if self.peers.number() == HOME && (drain.is_last(now) || self.all_have_gone()) {
            self.tell_others(drain, Mail::Stop);
            self.answer_first(drain);
        }
    }

    fn all_have_gone(&self) -> bool {
        self.table.len() == 0 && self.status.connections_of_others() == 0
    }

    // ---- answers ----

    fn answer_first(&mut self, drain: Drain) {
        if let Stopping::No | Stopping::Pacing { .. } = self.stopping {
            self.let_nobody_in();
            let until = self.now.instant + self.http.call_timeout;
            self.stopping = Stopping::Answering {
                drain,
                unanswered: Some(self.table.ids()),
                busy: self.peers.running(),
                until: until.min(drain.answers_until()),
            };
            self.close_if_answered();
        }
    }

    fn close_if_answered(&mut self) {
        let Stopping::Answering {
            drain,
            unanswered,
            busy,
            until,
        } = &mut self.stopping
        else {
            return;
        };
        let is_home = self.peers.number() == HOME;
        let is_late = *until <= self.now.instant;
        if let Some(ids) = unanswered {
            ids.retain(|&id| {
                let conn = self.table.get_mut(id);
                conn.is_some_and(|conn| conn.is_unanswered())
            });
            if !(ids.is_empty() && self.publishing == 0 || is_late) {
                return;
            }
            *unanswered = None;
            if !is_home {
                self.peers.post_home(Mail::Answered);
            }
        }
        if is_home && (*busy == 0 || is_late) {
            let drain = *drain;
            self.close_all(drain, Pace::Patient);
        }
    }

    // ---- the end ----

    /// Closes all connections; later, gives them up the sooner.
    pub(super) fn begin_to_close(&mut self, drain: Drain, pace: Pace) {
        self.let_nobody_in();
        let now = self.now.instant;
        let until = match pace {
            Pace::Patient => now + self.http.close_timeout + Duration::from_secs(1),
            Pace::Hurried => now + HURRY,
            Pace::AtOnce => now,
        };
        let mut until = until.min(drain.closes_until());
        let is_first = self.closing_for().is_none();
        if let Stopping::Closing { until: before, .. } = self.stopping {
            until = until.min(before);
        }
        self.stopping = Stopping::Closing { drain, until, pace };
        if is_first {
            self.leave_cluster();
            for id in self.table.ids() {
                self.close_for_stop(id, drain);
                // It may have waited to be read.
                self.requeue_if_readable(id);
            }
        }
    }

    /// Tells a connection that the server stops, and when to come back.
    pub(super) fn close_for_stop(&mut self, id: ConnId, drain: Drain) {
        let code = drain.stop.close_code();
        self.blame_if_open(id, EndCause::Drain);
        self.hurry_poll(id);
        if drain.stop == Stop::Terminate {
            self.call_back(id, drain.come_back_after(id, self.now.instant));
        }
        self.end_reader(id, code, STOPPING);
        self.say_last(id, code, STOPPING);
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        if conn.stream.is_nowhere() {
            return self.close_silently(id, code, STOPPING);
        }
        match &mut conn.state {
            State::Http(http) => http.drain(&self.http, self.now.instant),
            // One that is closing already goes on closing.
            State::WebSocket(web_socket) => {
                let _ = web_socket
                    .connection
                    .close(code, STOPPING, self.now.instant);
            }
        }
        self.mark_dirty(id);
    }

    /// Tells a client when to come back: who chats by a message, an event stream in its own way, too.
    fn call_back(&mut self, id: ConnId, after: Duration) {
        let millis = after.as_millis() as u64;
        if self.readers.contains_key(&id) && !self.is_poll(id) {
            let retry = server_sent_retry(millis);
            self.with_http(id, |http, _| http.push(&retry));
        }
        let chats = match self.web_socket(id) {
            Some(web_socket) => matches!(web_socket.app, App::Chat(_)),
            None => matches!(self.readers.get(&id), Some(Reader::Chat(_))),
        };
        if chats {
            self.say(id, Event::Reconnect { after: millis });
        }
    }

    /// Whether nobody new is let in.
    pub(super) const fn is_stopping(&self) -> bool {
        !matches!(self.stopping, Stopping::No)
    }

    /// How connections are closed, if they are because the server stops.
    pub(super) const fn closing_for(&self) -> Option<Drain> {
        match self.stopping {
            Stopping::Closing { drain, .. } => Some(drain),
            Stopping::No | Stopping::Pacing { .. } | Stopping::Answering { .. } => None,
        }
    }

    /// When to wait no longer: for the next batch, for answers, or for connections that do not end.
    pub(super) fn stop_waiting_at(&self) -> Option<Instant> {
        match &self.stopping {
            Stopping::No => None,
            Stopping::Pacing { drain, .. } => Some(drain.next_batch(self.now.instant)),
            Stopping::Answering { until, .. } | Stopping::Closing { until, .. } => Some(*until),
        }
    }

    /// Whether this worker can end.
    pub(super) fn is_done(&self) -> bool {
        let is_idle = self.table.len() == 0 && self.memos == 0;
        let all_ended = is_idle && self.peers.running() == 0 && self.has_told_nodes();
        match self.stopping {
            Stopping::Closing { until, .. } => all_ended || until <= self.now.instant,
            Stopping::No | Stopping::Pacing { .. } | Stopping::Answering { .. } => false,
        }
    }

    /// Says which connections did not end in time.
    pub(super) fn tell_who_is_left(&mut self) {
        let ids = self.table.ids();
        if ids.is_empty() {
            return;
        }
        let mut named = Vec::new();
        for &id in ids.iter().take(LEFT_NAMED_MAX) {
            if let Some(conn) = self.table.get_mut(id) {
                let what = match conn.state {
                    State::Http(_) => "HTTP",
                    State::WebSocket(_) => "WebSocket",
                };
                let unsent = conn.unsent_bytes();
                let (ip, port) = (conn.peer.ip, conn.peer.port);
                named.push(format!("{ip} port {port} ({what}, {unsent} bytes unsent)"));
            }
        }
        warn!(
            event = "drain",
            left = ids.len(),
            connections = named.join(", "),
            "connections did not end in time, and are cut"
        );
    }
}
