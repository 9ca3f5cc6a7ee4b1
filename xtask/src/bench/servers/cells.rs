//! What is measured: the cells, each a way to load a server.

use regex_lite::Regex;

/// What a cell asks of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Echo,
    Deflate,
    Fanout,
    Latency,
    Connect,
    Idle,
    IdleDeflate,
}

impl Group {
    /// Memory, not time.
    pub(super) const fn is_idle(self) -> bool {
        matches!(self, Self::Idle | Self::IdleDeflate)
    }
}

/// One line of a table.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) group: Group,
    /// What `--cells` looks for, too.
    pub(super) name: String,
    /// The size of a message, for the plot.
    pub(super) bytes: usize,
    /// Options of the load.
    pub(super) load: String,
    /// Part of a quick run.
    is_quick: bool,
}

/// Those of a full or a quick run whose name `wanted` finds.
pub(super) fn select(is_quick: bool, wanted: Option<&Regex>) -> Vec<Cell> {
    let mut cells = all();
    cells.retain(|cell| {
        (!is_quick || cell.is_quick) && wanted.is_none_or(|wanted| wanted.is_match(&cell.name))
    });
    cells
}

fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    echo(&mut cells);
    cells.push(cell(
        Group::Deflate,
        "deflate 1 KiB JSON, 50 connections, 32 in flight",
        1024,
        "--bytes 1024 --kind json --deflate --depth 32",
    ));
    fanout(&mut cells);
    cells.push(cell(
        Group::Latency,
        "latency of a fan-out to 1000, 125 B, at half of the capacity",
        125,
        "--followers 1000",
    ));
    cells.push(cell(
        Group::Connect,
        "connect, upgrade, close, 50 at a time",
        0,
        "--connections 50 --sources 64",
    ));
    let idle = "--connections 9000";
    cells.push(cell(Group::Idle, "idle, 9000 connections", 0, idle));
    let deflate = "--connections 9000 --deflate";
    let name = "idle, 9000 connections with deflate";
    cells.push(cell(Group::IdleDeflate, name, 0, deflate));
    for cell in &mut cells {
        cell.is_quick = QUICK.contains(&cell.name.as_str());
    }
    cells
}

/// One of each sort.
const QUICK: [&str; 7] = [
    "echo 125 B binary, 50 connections, 1 in flight",
    "echo 125 B ASCII, 50 connections, 32 in flight",
    "echo 16 KiB binary, 50 connections, 32 in flight",
    "deflate 1 KiB JSON, 50 connections, 32 in flight",
    "fan-out to 1000, 125 B, 1 publisher, 1 in flight",
    "fan-out to 1000, 125 B, 1 publisher, 16 in flight",
    "connect, upgrade, close, 50 at a time",
];

fn cell(group: Group, name: impl Into<String>, bytes: usize, load: impl Into<String>) -> Cell {
    Cell {
        group,
        name: name.into(),
        bytes,
        load: load.into(),
        is_quick: false,
    }
}

const KINDS: [(&str, &str); 3] = [("binary", "binary"), ("ASCII", "ascii"), ("CJK", "cjk")];

fn echo(cells: &mut Vec<Cell>) {
    for bytes in [16, 125, 1 << 10, 16 << 10, 64 << 10, 1 << 20] {
        for depth in [1, 32] {
            for (kind, option) in KINDS {
                // 50 times 32 MiB in flight are more than the kernel's memory for TCP.
                let depth = if bytes == 1 << 20 {
                    depth.min(4)
                } else {
                    depth
                };
                if option == "cjk" && (depth == 1 || bytes == 16) {
                    continue;
                }
                cells.push(echo_cell(50, bytes, kind, option, depth));
            }
        }
    }
    cells.push(echo_cell(1000, 125, "binary", "binary", 1));
    cells.push(echo_cell(1000, 125, "binary", "binary", 32));
}

fn echo_cell(connections: usize, bytes: usize, kind: &str, option: &str, depth: usize) -> Cell {
    let size = size(bytes);
    cell(
        Group::Echo,
        format!("echo {size} {kind}, {connections} connections, {depth} in flight"),
        bytes,
        format!("--connections {connections} --bytes {bytes} --kind {option} --depth {depth}"),
    )
}

fn fanout(cells: &mut Vec<Cell>) {
    for followers in [1000, 9000] {
        for bytes in [125, 1 << 10, 16 << 10] {
            for (publishers, depth) in [(1, 1), (1, 16), (16, 1)] {
                // 9,000 times 16 times 16 KiB in flight are more than the kernel's memory for TCP.
                if followers * bytes * publishers * depth > 1 << 30 {
                    continue;
                }
                let (size, plural) = (size(bytes), if publishers == 1 { "" } else { "s" });
                cells.push(cell(
                    Group::Fanout,
                    format!(
                        "fan-out to {followers}, {size}, {publishers} publisher{plural}, {depth} in flight"
                    ),
                    bytes,
                    format!(
                        "--followers {followers} --bytes {bytes} --publishers {publishers} --depth {depth}"
                    ),
                ));
            }
        }
    }
}

/// As people say it.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_quick_ones_exist() {
        let mut names: Vec<_> = all().into_iter().map(|cell| cell.name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(select(true, None).len(), QUICK.len());
    }

    #[test]
    fn cells_are_chosen_by_pattern() {
        let wanted = Regex::new("^echo 1 KiB .* 32 in").expect("a pattern");
        assert_eq!(select(false, Some(&wanted)).len(), 3);
        assert_eq!(select(true, Some(&wanted)).len(), 0);
    }
}
