//! The rows as Markdown.

use anyhow::{Context, Result};

use super::codec::{Contender, Row};

/// The peers in the order of the columns; the checks of text have others.
const PEERS: [&str; 3] = ["tungstenite", "fastwebsockets", "soketto"];

/// Between these lines of a page stands the table.
const BEGIN: &str = "<!-- codec: written by `cargo xtask bench codec` -->\n";
const END: &str = "<!-- /codec -->";

pub(super) const INTRODUCTION: &str = "\
What one message costs in each crate: nanoseconds of the thread's own time, and instructions. The last column says how many
times as long the fastest peer takes as Tidewire: above 1 Tidewire is faster. `cargo xtask bench codec` runs it again.

* The same bytes, the same process: contenders take turns of 2 ms, 75 rounds; a figure is the median of the rounds, a ratio
  the median of the rounds' ratios, and both are medians over several runs of the program.
* The transport is memory. A read copies what arrived; a write looks at where its bytes are and takes them all, for nothing.
  That is kind to fastwebsockets and soketto, which write each message, or its header and its payload, by themselves where
  Tidewire and tungstenite write once for a whole turn.
* Logging is compiled out of the peers, futures are polled by hand on a transport that never waits, payloads are lent or
  shared where a crate takes them so. soketto does not check text: its caller does, with simdutf8.
* tungstenite has a read buffer of 8 KiB. With 64 KiB it is slower for 125 B and faster from 16 KiB on, by up to 2.6 times
  for 16 KiB of binary; the fastest peer of a row is the same with either. Tidewire reads into 64 KiB, or 2 MiB in the rows
  of one read: its caller owns the buffer.
* Tidewire was tuned on these rows. Short text is checked by std below 128 bytes, which is faster for ASCII, not for the rest.
  \"Send binary\" hands over shared bytes (`send_owned`); text is sent from where it lies (`send_through`), but for the
  messages that wait for the last one of a write.
* A message that several reads bring is copied once more than by fastwebsockets, which waits for all of it before it looks:
  Tidewire checks text as it comes, to refuse what is not UTF-8 at its first wrong byte (Autobahn 6.4).
* Deflate: each message by itself, zlib's level 1; tungstenite and fastwebsockets have none.";

/// The whole table.
pub(super) fn of(rows: &[Row]) -> String {
    let mut lines = vec![
        format!("| | Tidewire | {} | the best of them |", PEERS.join(" | ")),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows.iter().map(line));
    lines.join("\n") + "\n"
}

fn line(row: &Row) -> String {
    let of = |name: &str| {
        row.contenders
            .iter()
            .find(|contender| contender.name == name)
    };
    let ours = row.contenders.first().map_or_else(String::new, cell);
    let peers = PEERS.map(|name| of(name).map_or_else(|| "–".to_owned(), cell));
    let others = row.contenders.iter().skip(1);
    let mut others: Vec<_> = others
        .filter(|contender| !PEERS.contains(&contender.name.as_str()))
        .map(|contender| format!("{}: {}", contender.name, cell(contender)))
        .collect();
    others.insert(0, row.about.clone());
    let ratio = best(row).map_or(f64::NAN, |best| best.ratio);
    let ratio = if ratio < 1.0 {
        format!("{ratio:.2}")
    } else {
        format!("**{ratio:.2}**")
    };
    format!(
        "| {} | {ours} | {} | {ratio} |",
        others.join("; "),
        peers.join(" | ")
    )
}

fn cell(contender: &Contender) -> String {
    let time = match contender.nanoseconds {
        ns if ns < 100.0 => format!("{ns:.1} ns"),
        ns if ns < 10_000.0 => format!("{ns:.0} ns"),
        ns => format!("{:.1} µs", ns / 1000.0),
    };
    format!("{time}, {:.0} i", contender.instructions)
}

fn best(row: &Row) -> Option<&Contender> {
    let peers = row.contenders.iter().skip(1);
    peers.min_by(|a, b| a.ratio.total_cmp(&b.ratio))
}

/// How many rows are won, in words.
pub(super) fn verdict(rows: &[Row]) -> String {
    let ratios = rows.iter().filter_map(|row| Some((row, best(row)?.ratio)));
    let (mut faster, mut much, mut slower) = (0, 0, Vec::new());
    for (row, ratio) in ratios {
        if ratio < 1.0 {
            slower.push(format!("{} ({ratio:.2})", row.about));
        } else {
            faster += 1;
        }
        much += usize::from(ratio >= 1.5);
    }
    let slower = match slower.is_empty() {
        true => "none".to_owned(),
        false => slower.join("; "),
    };
    let all = rows.len();
    format!(
        "At least as fast as the best of them in {faster} of {all} rows, 1.5 times in {much}. Slower: {slower}."
    )
}

/// `page` with the table between its two marks.
pub(super) fn replaced(page: &str, table: &str) -> Result<String> {
    let marked = || {
        let (before, behind) = page.split_once(BEGIN)?;
        Some((before, behind.split_once(END)?.1))
    };
    let (before, behind) = marked().context("the page has no place for the table")?;
    Ok(format!("{before}{BEGIN}{table}{END}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ratio: f64) -> Row {
        let contender = |name: &str, ratio: f64| Contender {
            name: name.to_owned(),
            nanoseconds: 10.0 * ratio,
            ratio,
            instructions: 100.0,
        };
        Row {
            id: "in-1".to_owned(),
            about: "receive".to_owned(),
            contenders: vec![contender("tidewire", 1.0), contender("soketto", ratio)],
        }
    }

    #[test]
    fn a_missing_peer_is_a_dash_and_a_won_row_is_bold() {
        let expected = "| receive | 10.0 ns, 100 i | – | – | 20.0 ns, 100 i | **2.00** |";
        assert_eq!(line(&row(2.0)), expected);
    }

    #[test]
    fn a_lost_row_is_named() {
        let verdict = verdict(&[row(2.0), row(0.5)]);
        assert!(
            verdict.contains("in 1 of 2 rows, 1.5 times in 1"),
            "{verdict}"
        );
        assert!(verdict.ends_with("Slower: receive (0.50)."), "{verdict}");
    }

    #[test]
    fn the_table_goes_between_its_marks() {
        let page = format!("above\n{BEGIN}old{END}\nbelow\n");
        let expected = format!("above\n{BEGIN}new{END}\nbelow\n");
        assert_eq!(replaced(&page, "new").expect("it has marks"), expected);
        assert!(replaced("no marks", "new").is_err());
    }
}
