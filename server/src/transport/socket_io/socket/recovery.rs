//! Connection state recovery: what a client is given to keep, and shows when it comes back.
//!
//! * `pid`, once, with the answer to CONNECT: the session, and a number for this life of it. A client takes its state for recovered
//!   if it gets the same `pid` again.
//! * an offset, as the last argument of each event: the positions of all logs that it follows. So it says itself where it was, and any
//!   worker of any node can go on there; nothing is kept for it.

use crate::ids::{LogName, RoomName, Session};
use crate::log::{Position, Positions};

/// The longest offset: a client in so many rooms that theirs would be longer cannot be recovered, and is told so by [`NONE`].
const OFFSET_BYTES_MAX: usize = 1 << 10;

/// The offset of who cannot be recovered. An event without one would leave the client with an older one, which does not know of
/// all rooms.
const NONE: &str = "-";

/// What stands between a session and the number of its life.
const DOT: char = '.';

/// The `pid` of a session's next life, told apart from others by `life`.
pub(super) fn pid(session: &Session, life: &str) -> String {
    format!("{}{DOT}{life}", session.as_str())
}

/// The session that a `pid` is of.
pub(super) fn session_of(pid: &str) -> Option<Session> {
    let (session, _) = pid.rsplit_once(DOT)?;
    Session::new(session).ok()
}

/// The positions that an offset tells; `None` if it is none that was given.
pub(super) fn positions_of(offset: &str) -> Option<Vec<(LogName, Position)>> {
    if offset.is_empty() || offset == NONE || offset.len() > OFFSET_BYTES_MAX {
        return None;
    }
    let pairs = Positions::new(offset).pairs();
    let checked = pairs.map(|(log, position)| Some((LogName::new(&log?).ok()?, position?)));
    checked.collect()
}

/// The room that a log is of, if it is one.
pub(super) fn room_of(log: &LogName) -> Option<RoomName> {
    RoomName::new(log.as_str()).ok()
}

/// How far a connection has come in the logs that it follows.
#[derive(Debug, Default)]
pub(super) struct Progress(Vec<(LogName, Position)>);

impl Progress {
    /// Where who comes back was: of others' private messages nothing.
    pub(super) fn go_on(&mut self, from: &[(LogName, Position)], own: &LogName) {
        for (log, at) in from {
            if !log.as_str().starts_with('@') || log == own {
                self.set(log, *at);
            }
        }
    }

    /// Whether it is known where it is in a log.
    pub(super) fn knows(&self, log: &LogName) -> bool {
        self.0.iter().any(|(known, _)| known == log)
    }

    /// It is here in a log now: where that does not go back in one life of the log.
    pub(super) fn set(&mut self, log: &LogName, at: Position) {
        match self.0.iter_mut().find(|(known, _)| known == log) {
            Some((_, known)) if known.epoch == at.epoch && known.offset >= at.offset => {}
            Some((_, known)) => *known = at,
            None => self.0.push((log.clone(), at)),
        }
    }

    /// It follows a log no more.
    pub(super) fn remove(&mut self, log: &str) {
        self.0.retain(|(known, _)| known.as_str() != log);
    }

    /// Where it is in its user's private messages.
    pub(super) fn personal(&self) -> Option<(LogName, Position)> {
        let is_personal = |(log, _): &&(LogName, Position)| log.as_str().starts_with('@');
        self.0.iter().find(is_personal).cloned()
    }

    /// The offset that an event carries.
    pub(super) fn offset(&self) -> String {
        let text = Positions::encode(self.0.iter().map(|(log, at)| (log.as_str(), *at)));
        if text.is_empty() || text.len() > OFFSET_BYTES_MAX {
            return NONE.to_owned();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    fn at(epoch: u32, offset: u64) -> Position {
        let epoch = Epoch::new(epoch);
        Position { epoch, offset }
    }

    fn log(name: &str) -> LogName {
        LogName::new(name).unwrap()
    }

    #[test]
    fn an_offset_tells_the_rooms_and_where_it_was() {
        let mut progress = Progress::default();
        assert_eq!(progress.offset(), NONE);
        for (name, position) in [
            ("a,b", at(1, 7)),
            ("*", at(2, 1)),
            ("@ada", at(3, 2)),
            ("c", at(4, 0)),
            ("a,b", at(1, 6)),
            ("@ada", at(5, 1)),
        ] {
            progress.set(&log(name), position);
        }
        progress.remove("c");
        let offset = progress.offset();
        assert_eq!(offset, "a%2Cb:00000001-7,*:00000002-1,@ada:00000005-1");
        let positions = positions_of(&offset).unwrap();
        let rooms: Vec<_> = positions
            .iter()
            .filter_map(|(log, _)| room_of(log))
            .collect();
        assert_eq!(rooms, [RoomName::new("a,b").unwrap()]);
        let mut again = Progress::default();
        again.go_on(&positions, &log("@ada"));
        assert_eq!(again.offset(), offset);
        let mut other = Progress::default();
        other.go_on(&positions, &log("@bob"));
        assert!(other.knows(&log("*")) && !other.knows(&log("@ada")));
        assert_eq!(progress.personal(), Some((log("@ada"), at(5, 1))));
    }

    #[test]
    fn what_was_not_given_is_no_offset() {
        for offset in [
            "",
            NONE,
            "x",
            "a:1",
            "a:00000001-7,",
            "a:00000001-7,b",
            ":00000001-7",
            "$canary:00000001-7",
            "%ff:00000001-7",
        ] {
            assert_eq!(positions_of(offset), None, "{offset}");
        }
        let mut progress = Progress::default();
        (0..100).for_each(|n| progress.set(&log(&format!("room-{n}")), at(1, n)));
        assert_eq!(progress.offset(), NONE);
        assert_eq!(positions_of(&"a:00000001-7,".repeat(100)), None);
    }

    #[test]
    fn a_session_has_several_lives() {
        let session = Session::new("a.b").unwrap();
        let (one, other) = (pid(&session, "1"), pid(&session, "2"));
        assert_ne!(one, other);
        assert_eq!(session_of(&one), Some(session.clone()));
        assert_eq!(session_of(&other), Some(session));
        assert_eq!(
            (session_of(""), session_of("a"), session_of(".1")),
            (None, None, None)
        );
    }
}
