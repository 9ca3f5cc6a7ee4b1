//! What grows, and how a message's cost is measured at a size of it.

use std::process::Command;

use anyhow::Result;

use super::super::arena::Arena;
use super::super::crowd::Crowd;
use super::super::load::number;
use super::super::stage::{self, Server, built};

/// Something that grows.
pub(super) struct Series {
    /// What the command line and the plot call it.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Whose colour it has in the plot.
    pub(super) class: &'static str,
    pub(super) sizes: &'static [u64],
    load: Load,
}

#[derive(Clone, Copy)]
enum Load {
    /// Rooms with two in each, on so many pairs of connections.
    Rooms(u64),
    /// So many connections speak, the others are silent.
    Some(u64),
    All,
    AllOnLimit,
    /// Room history, where the server keeps it.
    History(&'static str),
}

const CONNECTIONS: &[u64] = &[100, 1000, 5000, 15_000];
const ENTRIES: &[u64] = &[1, 1000, 100_000, 1_000_000];

/// A room keeps as many entries as it was filled with, but never so few that followers could miss some: by default it keeps
/// 10,000 and 64 MiB. So a history stays as long as it is while messages come.
const ENTRIES_MIN: u64 = 100;

/// As in `bench servers`, but by words: a template without spaces.
const SPEAK: &str = r#"--path /ws?room=bench --without-sender --template {"type":"room_msg","roomId":"bench","content":"{}"}"#;

pub(super) const ALL: [Series; 7] = [
    Series {
        name: "rooms on 20",
        about: "Rooms with two in each, on 10 pairs of connections; 10 messages in flight, in one room after the other",
        class: "tidewire-chat",
        sizes: &[10, 100, 1000],
        load: Load::Rooms(10),
    },
    Series {
        name: "rooms on 200",
        about: "The same on 100 pairs: a connection may be in 128 rooms",
        class: "tidewire-disk",
        sizes: &[100, 1000, 10_000],
        load: Load::Rooms(100),
    },
    Series {
        name: "100 of them speak",
        about: "Connections of which 100 speak: echo of 125 B, each with one message in flight",
        class: "tidewire",
        sizes: CONNECTIONS,
        load: Load::Some(100),
    },
    Series {
        name: "all speak",
        about: "Connections that all speak: the processor's caches hold fewer and fewer of the kernel's sockets",
        class: "sockudo-ws",
        sizes: CONNECTIONS,
        load: Load::All,
    },
    Series {
        name: "all speak, limit",
        about: "The same on the limit (`bench/limit`), which does nothing for a message but the system calls",
        class: "limit",
        sizes: CONNECTIONS,
        load: Load::AllOnLimit,
    },
    Series {
        name: "history, memory",
        about: "Entries in a room's log in memory: 125 B to 10 followers, 16 messages in flight",
        class: "tungstenite",
        sizes: ENTRIES,
        load: Load::History("memory"),
    },
    Series {
        name: "history, disk",
        about: "The same with the log on the disk",
        class: "axum",
        sizes: ENTRIES,
        load: Load::History("DATA"),
    },
];

impl Series {
    /// Microseconds of the server for each message, or delivery.
    pub(super) fn measure(&self, arena: &Arena, size: u64, seconds: f64) -> Result<f64> {
        let data = match self.load {
            Load::History(data) => data,
            Load::Rooms(_) | Load::Some(_) | Load::All | Load::AllOnLimit => "memory",
        };
        let server = if matches!(self.load, Load::AllOnLimit) {
            Server::limit(arena, "echo edge")?
        } else {
            let entries = size.max(ENTRIES_MIN);
            let keep = format!("--history-entries {entries} --history-bytes 16GiB");
            let options = format!("--workers 1 --data {data} {keep}");
            Server::tidewire("growth", arena.server(&stage::tidewire()), &options)?
        };
        let load = |words: &str| -> Command { server.load(arena.load(&built("load")), words) };
        let measured = |words: String| {
            let times = format!("--seconds {seconds} --warmup {}", seconds * 0.4);
            let figures = stage::figures(&mut load(&format!("{words} {times}")))?;
            number(&figures, "/server_us_each")
        };
        match self.load {
            Load::Rooms(pairs) => {
                measured(format!("rooms --path /ws --rooms {size} --pairs {pairs}"))
            }
            Load::Some(speaking) => {
                let silent = format!(
                    "crowd --path /echo --sources 8 --connections {}",
                    size.saturating_sub(speaking).max(1)
                );
                let crowd = Crowd::gather(load(&silent))?;
                let cost = measured(format!("echo --path /echo --connections {speaking}"))?;
                crowd.leave()?;
                Ok(cost)
            }
            Load::All => measured(format!(
                "echo --path /echo --sources 8 --connections {size}"
            )),
            Load::AllOnLimit => measured(format!("echo --dots --sources 8 --connections {size}")),
            Load::History(_) => {
                let fill = format!("fill --path /ws?room=bench --messages {size}");
                stage::figures(&mut load(&fill))?;
                measured(format!("fanout {SPEAK} --followers 11 --depth 16"))
            }
        }
    }
}
