//! What was measured, as a page.

use super::super::servers::report::short;
use super::subjects::{ALL, RIVALS, Subject};
use super::{CELLS, Cell, Measured};

const INTRODUCTION: &str = "\
One room with 1,000 followers and one publisher, over each transport of the chat: **microseconds of the server's processor for a
delivery**, in user mode and in the kernel, by the kernel's own account, as in [servers](servers.md); then the bytes that a follower
receives for one. `cargo xtask bench transports` runs it again.

* Everybody follows over the same transport, and gets what the publisher says: letters of the size in the row. The publisher
  of SSE and of long-poll speaks over a WebSocket. The log is in memory, the server has one worker.
* *limit* is an epoll server that makes the same system calls and nothing else (`bench/limit`): the better one of a write for
  each message and one for all that a turn brought. The number in brackets is the ratio to it.
* MQTT is 3.1.1, at QoS 0, for Tidewire and for Mosquitto (Debian's, on its WebSocket listener). Socket.IO is over WebSocket; on
  Node it is `sockets.emit` to all who are connected, for Tidewire it is the room's log as on all other transports.
* Server and load have a processor each; all take turns in each round. The load takes apart every frame, packet, event and
  answer, compares what it says byte by byte, and fails if a message is lost, doubled or out of order at any follower. A delivery
  is what was so counted.
* A poll's answer has all messages since the last one, and each takes a request: its cost is that of answers, by messages.";

/// The page.
pub(super) fn of(measured: &[Measured], about: &str) -> String {
    let costs = table(measured, |_, one, limit| {
        let cost = one.cost();
        match limit {
            Some(limit) => format!("{} ({:.2})", short(cost), cost / limit),
            None => short(cost),
        }
    });
    let bytes = table(measured, |_, one, _| format!("{:.0}", one.bytes()));
    format!(
        "# Transports side by side\n\n{INTRODUCTION}\n\n## µs a delivery\n\n{costs}\n{}\n## Bytes a delivery\n\n{bytes}\n{about}\n",
        verdict(measured)
    )
}

/// A column for everybody who was measured; the limit's are one.
fn table(measured: &[Measured], show: impl Fn(Cell, &Measured, Option<f64>) -> String) -> String {
    let is_there = |subject: &Subject| measured.iter().any(|one| one.subject == *subject);
    let subjects: Vec<_> = ALL
        .into_iter()
        .filter(|subject| *subject != Subject::LimitA && *subject != Subject::LimitB)
        .filter(is_there)
        .collect();
    let mut text = format!(
        "| | limit | {} |\n|{}\n",
        subjects
            .iter()
            .map(|subject| subject.title())
            .collect::<Vec<_>>()
            .join(" | "),
        "---|".repeat(subjects.len() + 2)
    );
    for cell in CELLS {
        let find = |subject| find(measured, cell, subject);
        let limit = limit(measured, cell);
        let dash = || "–".to_owned();
        let mut row = vec![limit.map_or_else(dash, |limit| show(cell, limit, None))];
        row.extend(subjects.iter().map(|subject| {
            find(*subject).map_or_else(dash, |one| show(cell, one, limit.map(Measured::cost)))
        }));
        text.push_str(&format!("| {} | {} |\n", cell.name, row.join(" | ")));
    }
    text
}

fn find(measured: &[Measured], cell: Cell, subject: Subject) -> Option<&Measured> {
    measured
        .iter()
        .find(|one| one.cell.name == cell.name && one.subject == subject)
}

/// The better one of the two.
fn limit(measured: &[Measured], cell: Cell) -> Option<&Measured> {
    let limits = [Subject::LimitA, Subject::LimitB];
    let limits = limits
        .into_iter()
        .filter_map(|limit| find(measured, cell, limit));
    limits.min_by(|a, b| a.cost().total_cmp(&b.cost()))
}

/// Ours beside each peer's, by the parts of its cost.
fn verdict(measured: &[Measured]) -> String {
    let mut text = String::new();
    for (ours, theirs) in RIVALS {
        let ratios = CELLS.into_iter().filter_map(|cell| {
            let (ours, theirs) = (
                find(measured, cell, ours)?.cost(),
                find(measured, cell, theirs)?.cost(),
            );
            Some((cell.name, ours / theirs))
        });
        let ratios: Vec<_> = ratios.collect();
        if ratios.is_empty() {
            continue;
        }
        let dearer = ratios.iter().filter(|(_, ratio)| *ratio > 1.0).count();
        let parts = ratios
            .iter()
            .map(|(cell, ratio)| format!("{ratio:.2} ({cell})"));
        let parts: Vec<_> = parts.collect();
        let verdict = match dearer {
            0 => "cheaper in each cell",
            _ => "**not cheaper in each cell**",
        };
        text.push_str(&format!(
            "* {} beside {}: {verdict}; parts of its cost: {}.\n",
            ours.title(),
            theirs.title(),
            parts.join(", ")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(subject: Subject, costs: &[f64]) -> Vec<Measured> {
        let of = |cell| Measured {
            cell,
            subject,
            costs: costs.to_vec(),
            bytes: vec![200.0],
        };
        CELLS.into_iter().map(of).collect()
    }

    #[test]
    fn ratios_are_to_the_better_limit_and_to_the_peer() {
        let all = [
            measured(Subject::LimitA, &[2.0]),
            measured(Subject::LimitB, &[4.0]),
            measured(Subject::Mqtt, &[5.0, 3.0, 9.0]),
            measured(Subject::Mosquitto, &[10.0]),
        ];
        let page = of(&all.into_iter().flatten().collect::<Vec<_>>(), "");
        assert!(page.contains("| | limit | MQTT | *Mosquitto* |"), "{page}");
        assert!(
            page.contains("| 125 B, 1 in flight | 2.00 | 5.00 (2.50) | 10.0 (5.00) |"),
            "{page}"
        );
        assert!(
            page.contains("* MQTT beside *Mosquitto*: cheaper in each cell; parts of its cost: 0.50 (125 B, 1 in flight)"),
            "{page}"
        );
        assert!(
            page.contains("| 1 KiB, 16 in flight | 200 | 200 | 200 |"),
            "{page}"
        );
    }

    #[test]
    fn a_cell_that_is_lost_is_said() {
        let all = [
            measured(Subject::SocketIo, &[1.5]),
            measured(Subject::SocketIoOnNode, &[1.0]),
        ];
        let page = of(&all.into_iter().flatten().collect::<Vec<_>>(), "");
        assert!(
            page.contains("**not cheaper in each cell**; parts of its cost: 1.50"),
            "{page}"
        );
        assert!(
            page.contains("| 125 B, 1 in flight | – | 1.50 | 1.00 |"),
            "{page}"
        );
    }
}
