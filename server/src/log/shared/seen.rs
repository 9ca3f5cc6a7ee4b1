//! What this node has shown to anybody: up to where, log by log, as much as a bound allows. A Redis that comes back is told.

use std::collections::HashMap;
use std::mem;

use crate::ids::LogName;
use crate::log::Position;

/// Logs that are remembered for sure in each bucket; up to twice as many are.
const LOGS_MAX: usize = 8192;

type Positions = HashMap<LogName, Position, foldhash::fast::RandomState>;

/// The logs of one bucket.
#[derive(Debug, Default)]
pub(super) struct Seen {
    young: Positions,
    /// Those that were not seen since `young` was empty.
    old: Positions,
    /// Some are forgotten.
    forgot: bool,
}

impl Seen {
    /// Somebody is shown a log up to here.
    pub(super) fn note(&mut self, log: &LogName, position: Position) {
        // No message is lost before the first.
        if position.offset == 0 {
            return;
        }
        if let Some(known) = self.young.get_mut(log.as_str()) {
            *known = newer(*known, position);
            return;
        }
        let before = self.old.remove(log.as_str());
        if self.young.len() == LOGS_MAX {
            let forgotten = mem::replace(&mut self.old, mem::take(&mut self.young));
            self.forgot |= !forgotten.is_empty();
        }
        let position = before.map_or(position, |known| newer(known, position));
        self.young.insert(log.clone(), position);
    }

    /// All that is remembered.
    pub(super) fn positions(&self) -> Vec<(LogName, Position)> {
        let both = self.young.iter().chain(&self.old);
        both.map(|(log, position)| (log.clone(), *position))
            .collect()
    }

    /// Whether there was more.
    pub(super) const fn forgot_some(&self) -> bool {
        self.forgot
    }
}

/// Another epoch is one that came later.
fn newer(known: Position, position: Position) -> Position {
    if known.epoch == position.epoch && known.offset > position.offset {
        known
    } else {
        position
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

    #[test]
    fn the_newest_position_of_each_log_is_remembered() {
        let mut seen = Seen::default();
        let log = LogName::new("a").unwrap();
        for position in [at(1, 0), at(1, 5), at(1, 3), at(2, 4)] {
            seen.note(&log, position);
        }
        assert_eq!(seen.positions(), [(log, at(2, 4))]);
    }

    #[test]
    fn what_was_not_seen_for_long_is_forgotten_and_that_is_known() {
        let mut seen = Seen::default();
        let name = |number: usize| LogName::new(&format!("room-{number}")).unwrap();
        seen.note(&name(0), at(1, 9));
        for number in 1..2 * LOGS_MAX - 1 {
            seen.note(&name(number), at(1, 1));
            seen.note(&name(0), at(1, 2));
        }
        assert!(!seen.forgot_some());
        assert_eq!(seen.positions().len(), 2 * LOGS_MAX - 1);
        seen.note(&name(2 * LOGS_MAX), at(1, 1));
        seen.note(&name(2 * LOGS_MAX + 1), at(1, 1));
        assert!(seen.forgot_some());
        let positions = seen.positions();
        assert!(positions.len() <= 2 * LOGS_MAX);
        assert!(positions.contains(&(name(0), at(1, 9))));
    }
}
