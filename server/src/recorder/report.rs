//! An account as it is told: the JSON of `/api/admin/why`, which `tidewire why` and the operator's page read.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidewire_protocol::frame::Opcode;
use tidewire_protocol::{CloseFrame, Direction, Initiator, RecordedFrame, Recorder, Traffic};

use super::account::{Account, TcpState};
use super::cause::{EndCause, First};
use super::hint::hint;

/// The answer to why.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Reports {
    /// Whether frames and ends are recorded.
    pub(crate) recorder: bool,
    /// Those that are open, then those that ended, the newest first.
    pub(crate) connections: Vec<Report>,
    /// Nodes that did not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) silent: Vec<String>,
}

/// What is told of a connection. Times are in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The node that it is at, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    pub(crate) connection: String,
    pub(crate) worker: usize,
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    pub(crate) rooms: usize,
    pub(crate) address: String,
    pub(crate) opened_at: u64,
    /// When it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<u64>,
    pub(crate) duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<EndCause>,
    /// The cause in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) meaning: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) closed_first: Option<First>,
    /// What it looks like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// The Close frame that we sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) close_sent: Option<Close>,
    /// The Close frame that came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) close_received: Option<Close>,
    /// What the protocol or the socket said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The status of the last HTTP answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    pub(crate) unsent_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) behind_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flight: Option<Flight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tcp: Option<TcpState>,
}

/// A Close frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Close {
    /// 1005 where it had none.
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// What the recorder has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Flight {
    pub(crate) received: Way,
    pub(crate) sent: Way,
    /// How long the newest pings were out.
    pub(crate) round_trips_ms: Vec<u64>,
    /// For how long a ping has no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unanswered_ms: Option<u64>,
    /// The newest frames, the oldest of them first.
    pub(crate) frames: Vec<Frame>,
}

/// What went one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Way {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// When the last frame went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_at: Option<u64>,
}

/// A frame's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub(crate) at: u64,
    /// We sent it.
    pub(crate) sent: bool,
    pub(crate) opcode: String,
    pub(crate) fin: bool,
    pub(crate) compressed: bool,
    /// How many frames it stands for.
    pub(crate) frames: u32,
    pub(crate) length: u64,
}

impl Report {
    /// What the connection is called among those of all nodes.
    pub(crate) fn name(&self) -> String {
        let connection = &self.connection;
        match &self.node {
            Some(node) => format!("{node}/{connection}"),
            None => connection.clone(),
        }
    }

    /// What an account comes to.
    pub(crate) fn new(account: &Account) -> Self {
        let end = account.end.as_ref();
        let closed = end.and_then(|end| end.closed.as_deref());
        let recorder = account.recorder.as_deref();
        let mut report = Self {
            node: None,
            connection: account.id.to_string(),
            worker: account.worker,
            kind: account.kind.label().to_owned(),
            user: account.user.as_ref().map(|user| user.as_str().to_owned()),
            rooms: account.rooms,
            address: account.peer.to_string(),
            opened_at: account.opened_ms,
            ended_at: end.map(|_| account.now_ms),
            duration_ms: account.now_ms.saturating_sub(account.opened_ms),
            cause: end.map(|end| end.cause),
            meaning: end.map(|end| end.cause.meaning().to_owned()),
            closed_first: end.map(|end| {
                let initiator = closed.map(|closed| closed.initiator);
                match initiator {
                    Some(Initiator::Local) => First::Server,
                    Some(Initiator::Peer) => First::Client,
                    // Ours may have been decided before the transport ended.
                    Some(Initiator::Transport) | None => end.cause.first(),
                }
            }),
            hint: None,
            close_sent: closed.and_then(|closed| closed.sent.as_ref()).map(close),
            close_received: closed
                .and_then(|closed| closed.received.as_ref())
                .map(close),
            error: end.and_then(|end| {
                let broken = closed.and_then(|closed| closed.error);
                broken
                    .map(|error| error.to_string())
                    .or_else(|| end.error.clone())
            }),
            status: end.map(|end| end.status).filter(|status| *status > 0),
            unsent_bytes: account.unsent_bytes,
            behind_ms: account.behind_ms,
            flight: recorder.map(|recorder| Flight::new(recorder, account)),
            tcp: account.tcp,
        };
        report.hint = hint(&report);
        report
    }

    /// When the last frame went either way; when it opened, if none did.
    pub(crate) fn last_frame_at(&self) -> u64 {
        let ways = self
            .flight
            .as_ref()
            .map(|flight| [flight.received, flight.sent]);
        let last = ways.into_iter().flatten().filter_map(|way| way.last_at);
        last.max().unwrap_or(self.opened_at)
    }
}

fn close(frame: &CloseFrame) -> Close {
    Close {
        code: frame.code.map_or(1005, tidewire_protocol::CloseCode::get),
        reason: frame.reason.clone(),
    }
}

impl Flight {
    fn new(recorder: &Recorder, account: &Account) -> Self {
        let at = |time: Duration| account.clock_ms + time.as_millis() as u64;
        let way = |traffic: &Traffic| Way {
            frames: traffic.frames,
            bytes: traffic.bytes,
            last_at: traffic.last().map(at),
        };
        let round_trips = recorder.round_trips();
        Self {
            received: way(recorder.received()),
            sent: way(recorder.sent()),
            round_trips_ms: round_trips.map(|time| time.as_millis() as u64).collect(),
            unanswered_ms: recorder
                .pinged_at()
                .map(|time| account.now_ms.saturating_sub(at(time))),
            frames: recorder
                .frames()
                .map(|frame| Frame::new(frame, at(frame.at)))
                .collect(),
        }
    }
}

impl Frame {
    fn new(frame: RecordedFrame, at: u64) -> Self {
        let opcode = match frame.opcode {
            Opcode::Continuation => "continuation",
            Opcode::Text => "text",
            Opcode::Binary => "binary",
            Opcode::Close => "close",
            Opcode::Ping => "ping",
            Opcode::Pong => "pong",
        };
        Self {
            at,
            sent: frame.direction == Direction::Sent,
            opcode: opcode.to_owned(),
            fin: frame.fin,
            compressed: frame.compressed,
            frames: frame.frames,
            length: frame.length,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use tidewire_protocol::{Closed, Config, Connection, Message, RecorderClock};

    use super::super::account::{End, Kind};
    use super::*;
    use crate::ids::{ConnId, UserName};

    /// A connection that lasted for a minute and ended so.
    pub(in crate::recorder) fn ended(cause: EndCause) -> Account {
        Account {
            id: ConnId {
                index: 5,
                generation: 17,
            },
            worker: 0,
            peer: "10.0.0.7:4711".parse().unwrap(),
            kind: Kind::Chat,
            user: Some(UserName::new("alice").unwrap()),
            rooms: 2,
            opened_ms: 1_000_000,
            now_ms: 1_060_000,
            clock_ms: 900_000,
            unsent_bytes: 0,
            behind_ms: None,
            recorder: None,
            tcp: None,
            end: Some(End {
                cause,
                closed: None,
                error: None,
                status: 0,
            }),
        }
    }

    #[test]
    fn times_of_frames_are_those_of_the_wall() {
        let clock = RecorderClock::default();
        let mut connection = Connection::server(Arc::new(Config::default()), Instant::now());
        clock.set(Duration::from_secs(100));
        connection.record(&clock);
        connection.send(&Message::text("welcome")).unwrap();
        clock.set(Duration::from_millis(130_250));
        connection.ping(b"").unwrap();
        let mut account = ended(EndCause::ClientEof);
        account.recorder = connection.recorder().cloned().map(Box::new);
        let report = Report::new(&account);
        let flight = report.flight.as_ref().unwrap();
        let frames: Vec<_> = flight
            .frames
            .iter()
            .map(|frame| (frame.at, frame.opcode.as_str(), frame.length))
            .collect();
        assert_eq!(frames, [(1_000_000, "text", 7), (1_030_250, "ping", 0)]);
        assert_eq!(flight.unanswered_ms, Some(29_750));
        assert_eq!(report.last_frame_at(), 1_030_250);
        assert_eq!(report.duration_ms, 60_000);
        assert_eq!(report.closed_first, Some(First::Client));
    }

    #[test]
    fn who_closed_first_is_told_by_the_frames_if_there_are_any() {
        let mut account = ended(EndCause::Kicked);
        let closed = |initiator| Closed {
            initiator,
            sent: Some(CloseFrame::default()),
            received: None,
            error: None,
        };
        for (initiator, first) in [
            (Initiator::Peer, First::Client),
            (Initiator::Local, First::Server),
            (Initiator::Transport, First::Server),
        ] {
            let end = account.end.as_mut().unwrap();
            end.closed = Some(Box::new(closed(initiator)));
            assert_eq!(Report::new(&account).closed_first, Some(first));
        }
        let report = Report::new(&account);
        assert_eq!(report.close_sent.map(|close| close.code), Some(1005));
    }

    #[test]
    fn a_report_is_read_as_it_is_written() {
        let reports = Reports {
            recorder: true,
            connections: vec![Report::new(&ended(EndCause::Unreachable))],
            silent: Vec::new(),
        };
        let text = serde_json::to_string(&reports).unwrap();
        assert!(text.contains(r#""cause":"unreachable""#), "{text}");
        let read: Reports = serde_json::from_str(&text).unwrap();
        assert_eq!(read.connections, reports.connections);
    }
}
