//! `tidewire log`: a look into a data directory.
//!
//! Exit codes: 0, all is well; 1, something is damaged or cannot be done; 2, the words make no sense.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::ids::LogName;
use crate::log::disk::tool::{Inspection, Summary};
use crate::log::disk::{DiskStore, Options};
use crate::log::{Entry, PageMax, Position, Since};

/// Reading takes more than a second from about here on.
const PROGRESS_FROM_BYTES: u64 = 256 << 20;

const PAGE: PageMax = PageMax {
    entries: 1000,
    bytes: 1 << 20,
};

/// Look into a data directory
#[derive(Debug, Clone, Args)]
pub struct Log {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// List the logs: rooms, `@user` for private messages, `*` for broadcasts
    Ls {
        /// The data directory; a server may be using it
        dir: PathBuf,
    },
    /// Print the entries of a log, one JSON object a line
    Show {
        /// The data directory; a server may be using it
        dir: PathBuf,
        /// The log: a room, @user or *
        #[arg(value_parser = log_name)]
        log: LogName,
        /// Only what comes behind this position
        #[arg(long, value_name = "POSITION")]
        since: Option<Position>,
        /// At most so many entries
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Check everything; exit code 1 if something is damaged
    Verify {
        /// The data directory; a server may be using it
        dir: PathBuf,
    },
    /// Print all entries of all logs or of one, one JSON object a line
    Export {
        /// The data directory; a server may be using it
        dir: PathBuf,
        /// Only this log
        #[arg(value_parser = log_name)]
        log: Option<LogName>,
    },
    /// Say what the next start of a server would settle, and settle it with --yes; no server may be using it
    Repair {
        /// The data directory
        dir: PathBuf,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

fn log_name(text: &str) -> Result<LogName, String> {
    LogName::new(text).map_err(|error| format!("the name {error}"))
}

impl Log {
    /// Does it, and writes the answer to `out`. Returns whether all is well.
    ///
    /// # Errors
    /// The directory cannot be used, or `out` cannot be written to.
    pub fn run(&self, out: &mut dyn Write, unix_ms: u64) -> Result<bool, Box<dyn Error>> {
        match &self.command {
            Command::Ls { dir } => list(&inspect(dir)?, out, unix_ms)?,
            Command::Show {
                dir,
                log,
                since,
                limit,
            } => {
                let since = since.map_or(Since::Oldest, Since::After);
                let limit = limit.unwrap_or(u64::MAX);
                return show(&inspect(dir)?, log, since, limit, out);
            }
            Command::Verify { dir } => return verify(&inspect(dir)?, out),
            Command::Export { dir, log } => return export(&inspect(dir)?, log.as_ref(), out),
            Command::Repair { dir, yes } => repair(dir, *yes, out)?,
        }
        Ok(true)
    }
}

fn inspect(dir: &Path) -> Result<Inspection, Box<dyn Error>> {
    let shows = io::stderr().is_terminal();
    let mut is_shown = false;
    let inspection = Inspection::new(dir, &mut |done, total| {
        if shows && total >= PROGRESS_FROM_BYTES {
            is_shown = true;
            let cells = (done * 40 / total.max(1)) as usize;
            let bar = "#".repeat(cells);
            eprint!("\rreading [{bar:<40}] {:>3} %", done * 100 / total.max(1));
        }
    });
    if is_shown {
        eprint!("\r{:60}\r", "");
    }
    Ok(inspection?)
}

fn list(inspection: &Inspection, out: &mut dyn Write, unix_ms: u64) -> io::Result<()> {
    let logs = inspection.logs();
    let width = logs.iter().map(|log| log.name.as_str().chars().count());
    let width = width.max().unwrap_or(0).max(3);
    writeln!(
        out,
        "{:width$}  {:8}  {:>10}  {:>10}  {:>10}  {:>12}  LAST",
        "LOG", "EPOCH", "OLDEST", "HEAD", "ENTRIES", "BYTES"
    )?;
    for log in &logs {
        let Summary {
            name,
            head,
            oldest,
            entries,
            content_bytes,
            newest_time,
        } = log;
        let age = Duration::from_secs(unix_ms.saturating_sub(*newest_time) / 1000);
        writeln!(
            out,
            "{:width$}  {}  {oldest:>10}  {:>10}  {entries:>10}  {content_bytes:>12}  {} ago",
            name.as_str(),
            head.epoch,
            head.offset,
            humantime::format_duration(age)
        )?;
    }
    Ok(())
}

/// An entry as a line.
#[derive(Serialize)]
struct Line<'a> {
    log: &'a str,
    position: Position,
    time: String,
    from: &'a str,
    session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<&'a RawValue>,
    content: &'a RawValue,
}

impl<'a> Line<'a> {
    fn of(entry: &'a Entry) -> Self {
        let draft = &entry.draft;
        let time = UNIX_EPOCH + Duration::from_millis(draft.time.min(1 << 43));
        Self {
            log: draft.log.as_str(),
            position: entry.position,
            time: humantime::format_rfc3339_millis(time).to_string(),
            from: draft.from.as_str(),
            session: draft.session.as_str(),
            seq: draft.seq.as_deref(),
            content: &draft.content,
        }
    }
}

/// Writes entries, and gaps to stderr; returns whether nothing is damaged.
fn show(
    inspection: &Inspection,
    log: &LogName,
    mut since: Since,
    limit: u64,
    out: &mut dyn Write,
) -> Result<bool, Box<dyn Error>> {
    let mut is_whole = true;
    let mut left = limit;
    while left > 0 {
        let max = PageMax {
            entries: PAGE
                .entries
                .min(usize::try_from(left).unwrap_or(usize::MAX)),
            ..PAGE
        };
        let Some(page) = inspection.read(log, &since, max)? else {
            return Err(format!("there is no log {log}: `tidewire log ls` lists them").into());
        };
        if let Some(gap) = &page.gap {
            is_whole &= gap.reason != crate::log::GapReason::Damaged;
            let reason = gap.reason.as_str();
            eprintln!("{log}: gap behind {} up to {}: {reason}", gap.from, gap.to);
        }
        for entry in &page.entries {
            serde_json::to_writer(&mut *out, &Line::of(entry))?;
            writeln!(out)?;
        }
        left -= page.entries.len() as u64;
        if page.entries.is_empty() && page.gap.is_none() {
            break;
        }
        since = Since::After(page.next);
    }
    Ok(is_whole)
}

fn export(
    inspection: &Inspection,
    only: Option<&LogName>,
    out: &mut dyn Write,
) -> Result<bool, Box<dyn Error>> {
    if let Some(log) = only {
        return show(inspection, log, Since::Oldest, u64::MAX, out);
    }
    let mut is_whole = true;
    for log in inspection.logs() {
        is_whole &= show(inspection, &log.name, Since::Oldest, u64::MAX, out)?;
    }
    Ok(is_whole)
}

fn verify(inspection: &Inspection, out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
    let report = inspection.report();
    writeln!(out, "{report}")?;
    for damage in &report.damage {
        writeln!(out, "damaged: {damage}")?;
    }
    let is_whole = report.damage.is_empty();
    writeln!(out, "{}", if is_whole { "ok" } else { "NOT OK" })?;
    Ok(is_whole)
}

fn repair(dir: &Path, yes: bool, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let inspection = inspect(dir)?;
    let report = inspection.report();
    writeln!(out, "{report}")?;
    if report.is_whole() && report.cut.is_none() {
        writeln!(out, "nothing to repair")?;
    } else if yes {
        let (store, _) = DiskStore::open(dir, &Options::default())?;
        drop(store);
        writeln!(
            out,
            "settled; damaged bytes stay where they are, and nothing was removed"
        )?;
    } else {
        writeln!(
            out,
            "that is what would be; nothing has been changed. `--yes` settles it: the unfinished end no longer counts, and epochs change where entries may be lost"
        )?;
    }
    Ok(())
}
