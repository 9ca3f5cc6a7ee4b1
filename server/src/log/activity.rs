//! What the log's thread counts, for others to read: it is the only one that writes here, so that nobody waits. Where logs are
//! [elsewhere](super::remote), it counts by what it hands on: whatever the engine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{AppendError, Placed, Reply, StoreError, Usage};
use crate::metrics::{Buckets, Exposition, SharedBuckets, Type};

/// Numbers of the thread that has the store, or links to it.
#[derive(Debug, Default)]
pub struct Activity {
    entries: AtomicU64,
    duplicates: AtomicU64,
    commits: AtomicU64,
    full: AtomicU64,
    failed: AtomicU64,
    unavailable: AtomicU64,
    commit: SharedBuckets,
    reads: AtomicU64,
    logs: AtomicU64,
    bytes: AtomicU64,
    live_bytes: AtomicU64,
    links: AtomicU64,
    links_lost: AtomicU64,
    announced: AtomicU64,
    broken: AtomicU64,
    commands: AtomicU64,
    announcements: AtomicU64,
    catch_ups: AtomicU64,
    heads_checked: AtomicU64,
    holes_found: AtomicU64,
    round_trip: SharedBuckets,
}

/// A number that is scraped.
struct Described {
    kind: Type,
    name: &'static str,
    number: fn(&Activity) -> &AtomicU64,
    help: &'static str,
}

/// Those that are alone under their name.
const DESCRIBED: [Described; 16] = [
    Described {
        kind: Type::Counter,
        name: "log_entries_total",
        number: |of| &of.entries,
        help: "Entries saved, canaries with them: by the number of commits, how large a group is.",
    },
    Described {
        kind: Type::Counter,
        name: "log_duplicates_total",
        number: |of| &of.duplicates,
        help: "Messages that were there already.",
    },
    Described {
        kind: Type::Counter,
        name: "log_commits_total",
        number: |of| &of.commits,
        help: "Groups of entries that were saved, each with one fdatasync.",
    },
    Described {
        kind: Type::Counter,
        name: "log_reads_total",
        number: |of| &of.reads,
        help: "Pages read for history and for those who are behind.",
    },
    Described {
        kind: Type::Gauge,
        name: "logs",
        number: |of| &of.logs,
        help: "Logs that have entries: of rooms, of users, of sessions of MQTT, and the broadcast.",
    },
    Described {
        kind: Type::Gauge,
        name: "log_bytes",
        number: |of| &of.bytes,
        help: "Bytes of all logs: of the segments' files, and in memory.",
    },
    Described {
        kind: Type::Gauge,
        name: "log_live_bytes",
        number: |of| &of.live_bytes,
        help: "Bytes of them that are still kept; the rest is freed with its segment.",
    },
    Described {
        kind: Type::Gauge,
        name: "log_links",
        number: |of| &of.links,
        help: "Connections to where the logs are, if that is elsewhere.",
    },
    Described {
        kind: Type::Counter,
        name: "log_links_lost_total",
        number: |of| &of.links_lost,
        help: "Those that have ended, or could not be opened.",
    },
    Described {
        kind: Type::Counter,
        name: "log_announced_total",
        number: |of| &of.announced,
        help: "Entries of other nodes in logs that are followed here.",
    },
    Described {
        kind: Type::Counter,
        name: "log_broken_total",
        number: |of| &of.broken,
        help: "Times that a log elsewhere had lost something that was followed here.",
    },
    Described {
        kind: Type::Counter,
        name: "log_commands_total",
        number: |of| &of.commands,
        help: "Commands to where the logs are; one takes many messages.",
    },
    Described {
        kind: Type::Counter,
        name: "log_announcements_total",
        number: |of| &of.announcements,
        help: "Times that it was heard from there that a log has more, of own messages, too.",
    },
    Described {
        kind: Type::Counter,
        name: "log_catch_ups_total",
        number: |of| &of.catch_ups,
        help: "Reads of what other nodes appended to logs that are followed here.",
    },
    Described {
        kind: Type::Counter,
        name: "log_heads_checked_total",
        number: |of| &of.heads_checked,
        help: "Logs elsewhere of which it was asked where they end, each once a second.",
    },
    Described {
        kind: Type::Counter,
        name: "log_holes_found_total",
        number: |of| &of.holes_found,
        help: "Those that had more than had been announced: announcements that were lost, or late.",
    },
];

/// What went over the links to where the logs are, since the start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Asked there.
    pub commands: u64,
    /// Heard: that a log has more.
    pub announcements: u64,
    /// Reads of what others appended.
    pub catch_ups: u64,
    /// Logs of which it was asked where they end.
    pub heads_checked: u64,
    /// Those that had more, of which nothing was heard.
    pub holes_found: u64,
    /// From when something was asked to its answer.
    pub(crate) round_trips: Buckets,
}

impl Activity {
    /// So many entries were saved together, which took this long.
    pub(super) fn committed(&self, entries: usize, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries as u64, Ordering::Relaxed);
        self.commit.add(took);
    }

    /// Some could not be saved.
    pub(super) fn not_committed(&self, error: &StoreError) {
        let counter = match error {
            StoreError::Full => &self.full,
            StoreError::Failed(_) => &self.failed,
            StoreError::Unavailable => &self.unavailable,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A message was there already.
    pub(super) fn duplicate(&self) {
        self.duplicates.fetch_add(1, Ordering::Relaxed);
    }

    /// A page was read.
    pub(super) fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs elsewhere have answered this, or tell it.
    pub(crate) fn replied<C>(&self, reply: &Reply<C>) {
        let counter = match reply {
            Reply::Appended(Ok(Placed::New(_)), _) => &self.entries,
            Reply::Appended(Ok(Placed::Duplicate { .. }), _) => &self.duplicates,
            Reply::Appended(Err(AppendError::LogsFull), _) => return,
            Reply::Appended(Err(AppendError::Store(error)), _) => return self.not_committed(error),
            Reply::Page(..) => &self.reads,
            Reply::Found(..) => return,
            Reply::Announced(_) => &self.announced,
            Reply::Broken(_) => &self.broken,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// So much went over the links.
    pub(crate) fn passed(&self, traffic: &Traffic) {
        for (counter, number) in [
            (&self.commands, traffic.commands),
            (&self.announcements, traffic.announcements),
            (&self.catch_ups, traffic.catch_ups),
            (&self.heads_checked, traffic.heads_checked),
            (&self.holes_found, traffic.holes_found),
        ] {
            counter.store(number, Ordering::Relaxed);
        }
        self.round_trip.store(&traffic.round_trips);
    }

    /// So many links to where the logs are, are open.
    pub(crate) fn links_open(&self, count: usize) {
        self.links.store(count as u64, Ordering::Relaxed);
    }

    /// One has ended, or could not be opened.
    pub(crate) fn link_lost(&self) {
        self.links_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// What the store takes now.
    pub(super) fn uses(&self, usage: Usage) {
        for (counter, number) in [
            (&self.logs, usage.logs),
            (&self.bytes, usage.bytes),
            (&self.live_bytes, usage.live_bytes),
        ] {
            counter.store(number, Ordering::Relaxed);
        }
    }

    /// Adds the numbers to what is scraped.
    pub(crate) fn describe(&self, text: &mut Exposition) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for described in DESCRIBED {
            let number = load((described.number)(self));
            text.one(described.kind, described.name, described.help, number);
        }
        let help = "Groups of entries that could not be saved; entries, where logs are elsewhere.";
        let failures = [
            ("reason=\"full\"", load(&self.full)),
            ("reason=\"failed\"", load(&self.failed)),
            ("reason=\"unavailable\"", load(&self.unavailable)),
        ];
        text.many(Type::Counter, "log_commit_failures_total", help, failures);
        let help = "Saving a group: writing and fdatasync, where logs are durable.";
        text.histogram("log_commit_seconds", help, &self.commit.load());
        let help = "Commands to where the logs are, from when they were asked to their answers.";
        text.histogram("log_round_trip_seconds", help, &self.round_trip.load());
    }
}
