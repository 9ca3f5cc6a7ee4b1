//! Logs that last as long as the process: they give places, and keep the heads.

use std::collections::HashMap;

use super::{Epoch, LogsFull, Position};
use crate::ids::LogName;

/// The most logs there can be: a name is some 100 bytes, and anybody may invent one.
const LOGS_MAX: usize = 1 << 20;

/// All logs of a server, in memory. A new process begins a new epoch, since everything before it is gone.
#[derive(Debug)]
pub struct MemoryLog {
    epoch: Epoch,
    heads: HashMap<LogName, u64, foldhash::fast::RandomState>,
}

impl MemoryLog {
    /// Empty logs of this epoch.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, heads: HashMap::default() }
    }

    /// Gives the next entry of a log its position.
    ///
    /// # Errors
    /// The log would be a new one, and there are as many as there can be.
    pub fn append(&mut self, log: &LogName) -> Result<Position, LogsFull> {
        let offset = if let Some(head) = self.heads.get_mut(log.as_str()) {
            *head += 1;
            *head
        } else if self.heads.len() < LOGS_MAX {
            self.heads.insert(log.clone(), 1);
            1
        } else {
            return Err(LogsFull);
        };
        Ok(Position { epoch: self.epoch.clone(), offset })
    }

    /// The position of the newest entry; offset 0 where there is none.
    #[must_use]
    pub fn head(&self, log: &LogName) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.heads.get(log.as_str()).copied().unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RoomName;

    #[test]
    fn offsets_are_dense_from_1_in_each_log() {
        let mut log = MemoryLog::new(Epoch::new(7));
        let (a, b) = (RoomName::new("a").unwrap().log(), LogName::broadcast());
        assert_eq!(log.head(&a).to_string(), "00000007-0");
        assert_eq!([&a, &a, &b, &a].map(|name| log.append(name).unwrap().offset), [1, 2, 1, 3]);
        assert_eq!(log.head(&a).to_string(), "00000007-3");
    }
}
