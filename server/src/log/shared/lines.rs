//! An engine's links as it reads and writes them: a line each, from when the link is wanted to when it is not, and by when each has to be
//! of use. What a line is the engine says.

use std::collections::HashMap;
use std::time::Instant;

use crate::log::remote::Link;

/// Lines, by their links.
#[derive(Debug)]
pub(in crate::log) struct Lines<L> {
    lines: HashMap<Link, Awaited<L>, foldhash::fast::RandomState>,
}

/// A line, and when it has to be of use; `None` while its link is being opened, and once it is.
#[derive(Debug)]
struct Awaited<L> {
    line: L,
    ready_by: Option<Instant>,
}

impl<L> Default for Lines<L> {
    fn default() -> Self {
        Self {
            lines: HashMap::default(),
        }
    }
}

impl<L> Lines<L> {
    /// A link is wanted.
    pub(in crate::log) fn add(&mut self, link: Link, line: L) {
        let ready_by = None;
        self.lines.insert(link, Awaited { line, ready_by });
    }

    /// It is not wanted any more.
    pub(in crate::log) fn remove(&mut self, link: Link) {
        self.lines.remove(&link);
    }

    /// The line of a link that is wanted.
    pub(in crate::log) fn get(&self, link: Link) -> Option<&L> {
        self.lines.get(&link).map(|awaited| &awaited.line)
    }

    /// The same, to be changed.
    pub(in crate::log) fn get_mut(&mut self, link: Link) -> Option<&mut L> {
        self.lines.get_mut(&link).map(|awaited| &mut awaited.line)
    }

    /// All lines, in no order.
    pub(in crate::log) fn all(&self) -> impl Iterator<Item = &L> {
        self.lines.values().map(|awaited| &awaited.line)
    }

    /// A link has to be of use by then.
    pub(in crate::log) fn await_ready(&mut self, link: Link, by: Instant) {
        if let Some(awaited) = self.lines.get_mut(&link) {
            awaited.ready_by = Some(by);
        }
    }

    /// A link is of use.
    pub(in crate::log) fn link_ready(&mut self, link: Link) {
        if let Some(awaited) = self.lines.get_mut(&link) {
            awaited.ready_by = None;
        }
    }

    /// The next moment at which a link may be [late](Self::late).
    pub(in crate::log) fn poll_timeout(&self) -> Option<Instant> {
        let awaited = self.lines.values();
        awaited.filter_map(|awaited| awaited.ready_by).min()
    }

    /// Links that are not of use and have to be by now. They are late until they are removed.
    pub(in crate::log) fn late(&self, now: Instant) -> Vec<Link> {
        let is_late = |awaited: &Awaited<L>| awaited.ready_by.is_some_and(|by| by <= now);
        let late = self.lines.iter().filter(|(_, awaited)| is_late(awaited));
        late.map(|(link, _)| *link).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Now;

    #[test]
    fn a_link_is_late_from_its_moment_on_until_it_is_of_use_or_gone() {
        let begin = Now::read().instant;
        let after = |seconds| begin + Duration::from_secs(seconds);
        let [first, second] = [Link(1), Link(2)];
        let mut lines = Lines::default();
        lines.add(first, "first");
        lines.add(second, "second");
        assert_eq!(lines.poll_timeout(), None, "neither is open");
        lines.await_ready(first, after(5));
        lines.await_ready(second, after(3));
        assert_eq!(lines.poll_timeout(), Some(after(3)));
        assert_eq!(lines.late(after(2)), []);
        assert_eq!(lines.late(after(3)), [second]);
        lines.link_ready(second);
        assert_eq!(lines.poll_timeout(), Some(after(5)));
        assert_eq!(lines.late(after(5)), [first]);
        lines.remove(first);
        assert_eq!((lines.late(after(9)), lines.poll_timeout()), (vec![], None));
        assert_eq!(lines.all().collect::<Vec<_>>(), [&"second"]);
    }

    #[test]
    fn a_link_that_is_not_wanted_is_not_waited_for() {
        let now = Now::read().instant;
        let mut lines: Lines<()> = Lines::default();
        lines.await_ready(Link(1), now);
        assert_eq!((lines.late(now), lines.poll_timeout()), (vec![], None));
        assert_eq!(lines.get_mut(Link(1)), None);
    }
}
