//! What `tidewire verify` is asked to do.

use std::time::Duration;

use clap::Args;

use crate::client::{Bearer, Trust};
use crate::config::values::time;

/// Load a server and check that it loses, doubles and reorders nothing.
///
/// Publishers send numbered messages to rooms of their own making and send them again until they are acknowledged;
/// publishers and subscribers follow all these rooms, and come back with their position when they lose the server. Kill it,
/// restart it, cut its connections meanwhile: at the end the whole history is read, and every message must be where its
/// acknowledgement said, once, in order, and shown to everybody. Exit code 0 means that it is so, 1 that it is not.
///
/// A token needs all rights in rooms `verify-*`; all clients are its user then.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The server: ws://HOST:PORT, or wss:// with TLS. Several nodes: clients are spread over them, and who loses one comes back to
    /// the next
    #[arg(required = true, value_name = "URL")]
    pub urls: Vec<String>,
    #[command(flatten)]
    /// Whom to trust.
    pub trust: Trust,
    #[command(flatten)]
    /// By what right.
    pub bearer: Bearer,
    /// Clients that send
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub publishers: u16,
    /// Clients that only follow
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub subscribers: u16,
    /// Further clients that only follow, and read no more than 40 KB a second until the end
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub slow: u16,
    /// Rooms
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rooms: u16,
    /// Rooms that each client is in [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rooms_each: Option<u16>,
    /// Messages a second of all publishers [default: as fast as they are acknowledged]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Messages that a publisher has sent and not seen acknowledged, at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub window: u16,
    /// Messages to send
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub messages: u32,
    /// Time to send messages for, however many they become
    #[arg(long = "for", value_name = "TIME", conflicts_with = "messages", value_parser = time)]
    pub duration: Option<Duration>,
    /// Send messages until standard input ends, which is for what starts this and knows when it has seen enough
    #[arg(long, conflicts_with_all = ["messages", "duration"])]
    pub until_eof: bool,
    /// Bytes of a message
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub bytes: u16,
    /// Cut each connection about every so often: by a Close frame, a FIN or a RST
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub reconnect_every: Option<Duration>,
    /// The newest entries of a room that the server is to keep: one of them that is gone is lost, not expired
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub history_entries: u64,
    /// What was acknowledged may be lost, if followers are told of it by a gap: for logs whose store may lose its newest
    #[arg(long)]
    pub allow_gaps: bool,
    /// Give up after so long without any news from the server
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub patience: Duration,
    /// What cuts connections and chooses rooms; the same again for the same number [default: another one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl Options {
    /// The rooms that a client is in.
    #[must_use]
    pub fn rooms_of(&self, client: u16) -> Vec<u16> {
        let each = self.rooms_each.unwrap_or(self.rooms).min(self.rooms);
        let rooms = (0..each)
            .map(|nth| ((u32::from(client) + u32::from(nth)) % u32::from(self.rooms)) as u16);
        rooms.collect()
    }
}
