//! Counters: each worker has plain numbers, and publishes them once a turn for whoever is asked for the sum.
//!
//! `/health` shows them as JSON, `/metrics` as Prometheus reads them ([`exposition`]), with what the log's thread and the
//! kernel count; `/ready` says whether messages arrive ([`readiness`]).

mod exposition;
mod histogram;
mod process;
mod readiness;
mod scrape;
mod status;

use serde::Serialize;

pub(crate) use self::exposition::{CONTENT_TYPE, Exposition, Type};
pub(crate) use self::histogram::{Buckets, SharedBuckets};
pub(crate) use self::readiness::{Failure, Readiness, STARTING};
pub(crate) use self::status::{Board, Status};

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It only grows.
    Counter,
    /// What there is now; of all workers, the sum.
    Gauge,
    /// Nanoseconds, which only grow.
    Time,
    /// Nanoseconds now; of all workers, the most.
    LongestTime,
}

/// A number's place at `/metrics`.
struct Described {
    kind: Kind,
    /// Numbers of one family differ in their label.
    family: &'static str,
    /// As `kind="chat"`; empty if the number is alone in its family.
    label: &'static str,
    help: &'static str,
}

/// Makes [`Counters`] of a list: a field each, with its meaning, which is also what those who scrape it are told. A counter
/// called `name` is shown as `tidewire_name_total`; `name: gauge` is one of the other kinds, and `name: gauge as
/// family { label = "value" }` one of several that are shown together, one behind the other, with the help of the first.
macro_rules! counters {
    ($($(#[doc = $meaning:literal])+ $name:ident $(: $kind:ident)?
        $(as $family:ident { $label:ident = $value:literal })?,)+) => {
        /// What a worker counts.
        #[derive(Debug, Clone, Copy, Default, Serialize)]
        pub(crate) struct Counters {
            $($(#[doc = $meaning])+ pub(crate) $name: u64,)+
        }

        impl Counters {
            const COUNT: usize = [$(stringify!($name)),+].len();

            const DESCRIBED: [Described; Self::COUNT] = [$(Described {
                kind: counters!(@kind $($kind)?),
                family: counters!(@family $name $($family)?),
                label: concat!($(stringify!($label), "=\"", $value, "\"")?),
                help: concat!($($meaning),+),
            }),+];

            const fn to_numbers(self) -> [u64; Self::COUNT] {
                [$(self.$name),+]
            }

            const fn from_numbers([$($name),+]: [u64; Self::COUNT]) -> Self {
                Self { $($name),+ }
            }
        }
    };
    (@kind) => { Kind::Counter };
    (@kind counter) => { Kind::Counter };
    (@kind gauge) => { Kind::Gauge };
    (@kind time) => { Kind::Time };
    (@kind longest_time) => { Kind::LongestTime };
    (@family $name:ident) => { stringify!($name) };
    (@family $name:ident $family:ident) => { stringify!($family) };
}

counters! {
    /// Open connections of any kind.
    connections: gauge,
    /// Connections since the start.
    accepted,
    /// Connections turned away because all were taken.
    refused,
    /// Connections closed because they did not read fast enough.
    slow,
    /// TLS handshakes that were completed.
    tls_handshakes,
    /// Connections on which TLS failed, in the handshake or later.
    tls_failures,
    /// Connections and requests turned away because their address had as many connections as it may.
    address_full,
    /// Connections and requests turned away because their address connected too fast.
    address_too_fast,
    /// Messages refused or held back because their address had sent too much.
    address_limited,
    /// Messages refused because their connection had sent too much.
    connection_limited,
    /// Messages refused because their user had sent too much.
    user_limited,
    /// Connections refused because their user had as many as it may.
    user_full,
    /// Joins refused because the connection or its user was in too many rooms.
    rooms_refused,
    /// Times that a sender of the relay was held back because it had sent too much.
    relay_held,
    /// Connections closed because a trusted proxy did not begin them with a PROXY protocol header.
    not_proxied,
    /// Connections turned away because memory was short.
    memory_refused,
    /// Connections closed because memory was short and they held more than others.
    shed,
    /// Times that memory became short.
    memory_short,
    /// Requests and handshakes refused for their token, or for want of one.
    unauthorized,
    /// Connections closed because their token had ended.
    tokens_expired,
    /// Entries that the log took of clients.
    appended,
    /// Entries by which sessions of MQTT outlive the process, that the log took.
    mqtt_sessions_saved,
    /// Those that it did not take: their sessions go on in memory alone.
    mqtt_sessions_unsaved,
    /// Times that the log of a session of MQTT could not be read for a client that came.
    mqtt_sessions_unread,
    /// Turns of the loop.
    turns,
    /// Turns in which nothing was done: a loop that spins shows here.
    idle_turns,
    /// Connections a second that could be taken when many came at once.
    accepts_per_second: gauge,
    /// Time that was spent in turns, and not in waiting for events; a loop that is full takes a second of it a second.
    busy: time,
    /// Open connections by what they are used for.
    chat_sockets: gauge as connections_by_kind { kind = "chat" },
    /// Those that chat in MQTT.
    mqtt_sockets: gauge as connections_by_kind { kind = "mqtt" },
    /// Sessions of Socket.IO, with a WebSocket or without.
    socket_io_sessions: gauge as connections_by_kind { kind = "socket.io" },
    /// WebSockets whose messages come back.
    echo_sockets: gauge as connections_by_kind { kind = "echo" },
    /// WebSockets of the relay.
    relay_sockets: gauge as connections_by_kind { kind = "relay" },
    /// Event streams.
    streams: gauge as connections_by_kind { kind = "sse" },
    /// Polls that wait.
    polls: gauge as connections_by_kind { kind = "poll" },
    /// Connections that speak HTTP otherwise, or have ended and are being closed.
    plain: gauge as connections_by_kind { kind = "http" },
    /// Messages that came, over WebSockets of the chat and the relay and as HTTP publications.
    messages_received,
    /// Messages handed to connections, each once for each of them.
    messages_sent,
    /// Bytes read from connections.
    bytes_received,
    /// Bytes that the kernel took for connections.
    bytes_sent,
    /// Followers that are behind and go on from a cursor.
    behind: gauge,
    /// How long the one that is behind for the longest time has been.
    lag: longest_time,
    /// Bytes that wait for connections whose sockets are full.
    unsent_bytes: gauge,
    /// Rooms that somebody is in.
    rooms: gauge,
    /// Users that are there.
    users: gauge,
    /// WebSockets that ended, by the code that the first Close frame had: 1005 where it had none, 1006 where there was none.
    closed_1000: counter as websocket_closes { code = "1000" },
    /// Its side of the connection goes away.
    closed_1001: counter as websocket_closes { code = "1001" },
    /// What came is no WebSocket.
    closed_1002: counter as websocket_closes { code = "1002" },
    /// A kind of message that is not taken.
    closed_1003: counter as websocket_closes { code = "1003" },
    /// No code.
    closed_1005: counter as websocket_closes { code = "1005" },
    /// No Close frame.
    closed_1006: counter as websocket_closes { code = "1006" },
    /// Text that is not UTF-8.
    closed_1007: counter as websocket_closes { code = "1007" },
    /// A limit or a rule.
    closed_1008: counter as websocket_closes { code = "1008" },
    /// Too large.
    closed_1009: counter as websocket_closes { code = "1009" },
    /// The server failed.
    closed_1011: counter as websocket_closes { code = "1011" },
    /// The server restarts.
    closed_1012: counter as websocket_closes { code = "1012" },
    /// A token expired.
    closed_4001: counter as websocket_closes { code = "4001" },
    /// A newer connection has the session.
    closed_4003: counter as websocket_closes { code = "4003" },
    /// Did not read fast enough.
    closed_4008: counter as websocket_closes { code = "4008" },
    /// Did not answer a ping.
    closed_4009: counter as websocket_closes { code = "4009" },
    /// Any other.
    closed_otherwise: counter as websocket_closes { code = "other" },
}

impl Counters {
    /// Counts the end of a WebSocket.
    pub(crate) const fn count_close(&mut self, code: u16) {
        let counter = match code {
            1000 => &mut self.closed_1000,
            1001 => &mut self.closed_1001,
            1002 => &mut self.closed_1002,
            1003 => &mut self.closed_1003,
            1005 => &mut self.closed_1005,
            1006 => &mut self.closed_1006,
            1007 => &mut self.closed_1007,
            1008 => &mut self.closed_1008,
            1009 => &mut self.closed_1009,
            1011 => &mut self.closed_1011,
            1012 => &mut self.closed_1012,
            4001 => &mut self.closed_4001,
            4003 => &mut self.closed_4003,
            4008 => &mut self.closed_4008,
            4009 => &mut self.closed_4009,
            _ => &mut self.closed_otherwise,
        };
        *counter += 1;
    }

    /// The same of all workers.
    fn sum(all: impl Iterator<Item = Self>) -> Self {
        let mut sum = [0; Self::COUNT];
        for counters in all {
            let numbers = counters.to_numbers().into_iter().zip(&Self::DESCRIBED);
            for (sum, (number, described)) in sum.iter_mut().zip(numbers) {
                *sum = match described.kind {
                    Kind::Counter | Kind::Gauge | Kind::Time => *sum + number,
                    Kind::LongestTime => number.max(*sum),
                };
            }
        }
        Self::from_numbers(sum)
    }
}

/// Durations that a worker counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Durations {
    /// Of turns, from when there were events to when they were dealt with.
    pub(crate) turn: Buckets,
    /// Of messages, from when they came to when they were handed to those at the head.
    pub(crate) delivery: Buckets,
    /// Of canaries, likewise.
    pub(crate) canary: Buckets,
}

impl Durations {
    const COUNT: usize = 3;

    const fn all(&self) -> [&Buckets; Self::COUNT] {
        [&self.turn, &self.delivery, &self.canary]
    }

    fn merge(&mut self, other: &Self) {
        let all = [&mut self.turn, &mut self.delivery, &mut self.canary];
        all.into_iter()
            .zip(other.all())
            .for_each(|(sum, other)| sum.merge(other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_family_are_neighbours_and_of_one_kind() {
        let mut families = std::collections::BTreeSet::new();
        for family in Counters::DESCRIBED.chunk_by(|a, b| a.family == b.family) {
            let (name, kind) = (family[0].family, family[0].kind);
            assert!(families.insert(name), "{name} is in two places");
            assert!(family.iter().all(|of| of.kind == kind), "{name}");
            let labels: std::collections::BTreeSet<_> = family.iter().map(|of| of.label).collect();
            assert_eq!(labels.len(), family.len(), "{name}: two have one label");
        }
    }
}
