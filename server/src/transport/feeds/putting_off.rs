//! Pages that cannot be read for now, since the logs are away: who waits for one goes on waiting, and is not slow for that.

use super::{Feeds, Read};
use crate::ids::ConnId;

impl Feeds {
    /// A page is read later. Returns who waits for it: it is not to be asked for again if nobody does.
    pub fn put_off(&mut self, read: &Read) -> Vec<ConnId> {
        let mut waiting = Vec::new();
        for reader in self.reads.waiting(read) {
            let cursors = self.cursors.get_mut(&reader.conn);
            let mut cursors = cursors.into_iter().flatten();
            if let Some(cursor) = cursors.find(|cursor| cursor.ticket == reader.ticket) {
                cursor.fell_behind = None;
                waiting.push(reader.conn);
            }
        }
        waiting
    }
}
