//! How a worker stops: first it answers what came before the signal, then all workers close their connections, and end.
//!
//! Home hears the signal and tells the others. Each reads nothing more and says when all that it had read is answered; once all
//! have, home lets them close: so nobody is told to go before what others were acknowledged has been shown to it.

use std::time::{Duration, Instant};

use super::Worker;
use super::mail::{HOME, Mail};
use crate::ids::ConnId;
use crate::net::conn::State;
use crate::net::shutdown::Stop;
use crate::recorder::EndCause;

/// Why connections are closed then.
const STOPPING: &str = "server is stopping";

/// How far a worker is.
#[derive(Debug)]
pub(super) enum Stopping {
    /// Nobody asked it to.
    No,
    /// It answers what came before.
    Answering {
        stop: Stop,
        /// Those that have no answer yet, until all have.
        unanswered: Option<Vec<ConnId>>,
        /// Other workers that have not said that all theirs have; only home knows.
        busy: usize,
        /// When to wait no longer.
        until: Instant,
    },
    /// Connections are closed, and given up at that time.
    Closing(Stop, Instant),
}

impl Worker {
    /// After reading: what was on its way before the signal is answered before the end.
    pub(super) fn stop_if_asked(&mut self) {
        if std::mem::take(&mut self.signalled)
            && let Some(shutdown) = &mut self.shutdown
            // Several at once are one request to stop: impatience shows in another one later.
            && let Some(&stop) = shutdown.pending().first()
        {
            self.ask_to_stop(stop);
        }
        if let Some(stop) = self.asked_to_stop.take() {
            self.answer_first(stop);
        }
        if let Stopping::Answering { .. } = self.stopping {
            self.close_if_answered();
        }
    }

    /// At home: begins to stop all workers; a second time, does not wait for answers, and a third time for nothing.
    pub(super) fn ask_to_stop(&mut self, stop: Stop) {
        if matches!(self.stopping, Stopping::No) {
            self.peers.post_to_others(|| Mail::Stop(stop));
            self.answer_first(stop);
        } else {
            self.close_all(stop);
        }
    }

    fn answer_first(&mut self, stop: Stop) {
        if let Stopping::No = self.stopping {
            self.stopping = Stopping::Answering {
                stop,
                unanswered: Some(self.table.ids()),
                busy: self.peers.running(),
                until: self.now.instant + self.http.call_timeout,
            };
        }
    }

    fn close_if_answered(&mut self) {
        let Stopping::Answering {
            stop,
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
            let stop = *stop;
            self.close_all(stop);
        }
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
        if !matches!(self.stopping, Stopping::Closing(..)) {
            self.one_failed = true;
            self.close_all(Stop::Terminate);
        }
    }

    /// At home: all workers close their connections.
    fn close_all(&mut self, stop: Stop) {
        self.peers.post_to_others(|| Mail::Close(stop));
        self.begin_to_close(stop);
    }

    /// Closes all connections; a second time, gives them up.
    pub(super) fn begin_to_close(&mut self, stop: Stop) {
        self.worked = true;
        if let Stopping::Closing(..) = self.stopping {
            self.stopping = Stopping::Closing(stop, self.now.instant);
            return;
        }
        let deadline = self.now.instant + self.http.close_timeout + Duration::from_secs(1);
        self.stopping = Stopping::Closing(stop, deadline);
        self.status.status = "draining";
        self.listener = None;
        for id in self.table.ids() {
            self.close_for_stop(id, stop);
            // It may have waited to be read.
            self.requeue_if_readable(id);
        }
    }

    /// Tells a connection that the server stops, if it was told to.
    pub(super) fn close_for_stop(&mut self, id: ConnId, stop: Stop) {
        self.blame_if_open(id, EndCause::Drain);
        self.hurry_poll(id);
        self.end_reader(id, stop.close_code(), STOPPING);
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        match &mut conn.state {
            State::Http(http) => http.drain(&self.http, self.now.instant),
            // One that is closing already goes on closing.
            State::WebSocket(web_socket) => {
                let _ = web_socket
                    .connection
                    .close(stop.close_code(), STOPPING, self.now.instant);
            }
        }
        self.mark_dirty(id);
    }

    /// Why connections are closed, if they are because the server stops.
    pub(super) const fn closing_for(&self) -> Option<Stop> {
        match self.stopping {
            Stopping::Closing(stop, _) => Some(stop),
            Stopping::No | Stopping::Answering { .. } => None,
        }
    }

    /// When to wait no longer: for answers, or for connections that do not end.
    pub(super) const fn stop_waiting_at(&self) -> Option<Instant> {
        match self.stopping {
            Stopping::No => None,
            Stopping::Answering { until, .. } => Some(until),
            Stopping::Closing(_, deadline) => Some(deadline),
        }
    }

    /// Whether this worker can end.
    pub(super) fn is_done(&self) -> bool {
        let all_ended = self.table.len() == 0 && self.peers.running() == 0;
        match self.stopping {
            Stopping::Closing(_, deadline) => all_ended || deadline <= self.now.instant,
            Stopping::No | Stopping::Answering { .. } => false,
        }
    }
}
