//! Connections that something is to be done with in a turn; what is added while it is done is for the next.

use std::mem;

use crate::ids::ConnId;

/// A list that is worked off and filled again without an allocation.
#[derive(Debug, Default)]
pub(super) struct Worklist {
    ids: Vec<ConnId>,
    /// The list that was worked off last, empty.
    spare: Vec<ConnId>,
}

impl Worklist {
    pub(super) fn push(&mut self, id: ConnId) {
        self.ids.push(id);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// All that are to be worked on now; [`give_back`](Self::give_back) the list.
    pub(super) fn take(&mut self) -> Vec<ConnId> {
        mem::replace(&mut self.ids, mem::take(&mut self.spare))
    }

    /// Keeps the memory of a list that is worked off.
    pub(super) fn give_back(&mut self, mut list: Vec<ConnId>) {
        list.clear();
        self.spare = list;
    }
}
