//! `tidewire why`: asks a running server why connections ended, and shows it to people: what happened, what it looks like, and
//! the newest frames.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Usage;
use super::operator::Operator;
use super::terminal::{self, Lines, LocalTime};
use crate::ids::UserName;
use crate::recorder::{First, Flight, Frame, Report, Reports};
use crate::transport::admin::{parse_address, parse_connection};

/// How long the server may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// What an answer may have: fifty connections with all they can say.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Tell why a connection ended, or what is known of one that is open
#[derive(Debug, Clone, Args)]
pub struct Why {
    /// A connection as `welcome` names it (c-5-17, or NODE/c-5-17 of another node), a user, or an address (192.0.2.7, 192.0.2.7:4711, ::1)
    #[arg(value_name = "CONNECTION|USER|ADDRESS")]
    subject: String,
    #[command(flatten)]
    operator: Operator,
    /// Take the subject for a user, whatever it looks like
    #[arg(long)]
    user: bool,
    /// Print what the server says, as JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    /// Asks, and prints the answer.
    ///
    /// # Errors
    /// The subject is none, the server cannot be asked, or it knows of no such connection.
    pub fn run(&self, out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
        let query = self.query()?;
        let answer = self.ask(&query)?;
        let reports: Reports = serde_json::from_str(&answer)
            .map_err(|error| format!("the server's answer is not understood: {error}"))?;
        if reports.connections.is_empty() {
            return Err(self.nothing(&reports).into());
        }
        if self.json {
            writeln!(out, "{}", answer.trim_end())?;
            return Ok(true);
        }
        for node in &reports.silent {
            writeln!(
                out,
                "The node {node} does not answer: what it knows is missing.\n"
            )?;
        }
        for (index, report) in reports.connections.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            show(out, report)?;
        }
        Ok(true)
    }

    /// The query that asks for the subject.
    fn query(&self) -> Result<String, Usage> {
        let subject = self.subject.as_str();
        let name = if self.user {
            "user"
        } else if parse_connection(subject).is_some() {
            "connection"
        } else if parse_address(subject).is_some() {
            "address"
        } else {
            "user"
        };
        if name == "user" {
            UserName::new(subject).map_err(|error| Usage(format!("the user's name {error}")))?;
        }
        let value = utf8_percent_encode(subject, NON_ALPHANUMERIC);
        Ok(format!("{name}={value}"))
    }

    fn ask(&self, query: &str) -> Result<String, Box<dyn Error>> {
        let answer = self.operator.get(&format!("why?{query}"), ANSWER_MAX)?;
        let host = answer.host.clone();
        let text = answer.text(ANSWER_BYTES_MAX);
        text.map_err(|error| format!("the answer of {host} cannot be read: {error}").into())
    }

    fn nothing(&self, reports: &Reports) -> String {
        let subject = &self.subject;
        if reports.recorder {
            format!("nothing is known of {subject:?}: no such connection is open, or ended of late")
        } else {
            format!(
                "no connection of {subject:?} is open, and of those that ended nothing is kept: the server runs with \
                 --recorder off"
            )
        }
    }
}

// ---- for people ----

fn show(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let visible = |text: &str| terminal::visible(text, Lines::One);
    let user = report
        .user
        .as_deref()
        .map_or(String::new(), |user| format!(" of {}", visible(user)));
    let (id, kind, address) = (report.name(), &report.kind, &report.address);
    writeln!(out, "{id}: {kind}{user} from {address}")?;
    let local = LocalTime::of_system();
    let opened = local.date(report.opened_at);
    let lasted = span(report.duration_ms);
    match (report.ended_at, report.cause) {
        (Some(ended_at), Some(cause)) => {
            let ended = local.date(ended_at);
            writeln!(out, "  open     {opened} to {ended} ({lasted})")?;
            let meaning = report.meaning.as_deref().unwrap_or_default();
            writeln!(out, "  cause    {cause}: {}", visible(meaning))?;
        }
        _ => writeln!(out, "  open     since {opened} ({lasted})")?,
    }
    if let Some(first) = report.closed_first {
        let first = match first {
            First::Client => "the client",
            First::Server => "the server",
            First::Network => "the network",
        };
        writeln!(out, "  ended by {first}")?;
    }
    if let Some(hint) = &report.hint {
        writeln!(out, "  hint     {}", visible(hint))?;
    }
    for (who, close) in [
        ("sent", &report.close_sent),
        ("got", &report.close_received),
    ] {
        if let Some(close) = close {
            writeln!(out, "  close    {who} {} {:?}", close.code, close.reason)?;
        }
    }
    if let Some(error) = &report.error {
        writeln!(out, "  error    {}", visible(error))?;
    }
    if let Some(status) = report.status {
        writeln!(out, "  answer   status {status}")?;
    }
    show_state(out, report)?;
    if let Some(flight) = &report.flight {
        show_flight(out, report, flight)?;
    }
    Ok(())
}

fn show_state(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    if let Some(behind_ms) = report.behind_ms {
        writeln!(out, "  lag      {} behind in a log", span(behind_ms))?;
    }
    if report.unsent_bytes > 0 {
        writeln!(out, "  unsent   {} bytes", report.unsent_bytes)?;
    }
    if let Some(tcp) = &report.tcp {
        writeln!(
            out,
            "  tcp      round trip {:.1} ms, {} segments sent again, {} not acknowledged, last data out {} and in {} before",
            f64::from(tcp.rtt_us) / 1000.0,
            tcp.retransmits_in_all,
            tcp.unacked,
            span(tcp.last_sent_ms.into()),
            span(tcp.last_received_ms.into()),
        )?;
    }
    Ok(())
}

fn show_flight(out: &mut dyn Write, report: &Report, flight: &Flight) -> io::Result<()> {
    let end = report.opened_at + report.duration_ms;
    for (word, way) in [("in", flight.received), ("out", flight.sent)] {
        let last = way.last_at.map_or(String::new(), |at| {
            format!(", the last {} before", span(end.saturating_sub(at)))
        });
        writeln!(
            out,
            "  {word:<8} {} frames, {} bytes{last}",
            way.frames, way.bytes
        )?;
    }
    if !flight.round_trips_ms.is_empty() {
        let times: Vec<_> = flight.round_trips_ms.iter().map(u64::to_string).collect();
        writeln!(out, "  pings    {} ms", times.join(", "))?;
    }
    if let Some(unanswered) = flight.unanswered_ms {
        writeln!(
            out,
            "  pings    one without an answer for {}",
            span(unanswered)
        )?;
    }
    if !flight.frames.is_empty() {
        writeln!(out, "  frames   seconds before the end")?;
    }
    for frame in &flight.frames {
        writeln!(out, "    {}", line_of(frame, end))?;
    }
    Ok(())
}

fn line_of(frame: &Frame, end: u64) -> String {
    let before = end.saturating_sub(frame.at) as f64 / 1000.0;
    let way = if frame.sent { '>' } else { '<' };
    let several = match frame.frames {
        1 => String::new(),
        frames => format!(" in {frames} frames"),
    };
    let fin = if frame.fin { "" } else { ", more follows" };
    let compressed = if frame.compressed { ", compressed" } else { "" };
    let (opcode, length) = (&frame.opcode, frame.length);
    format!("{before:>10.3} {way} {opcode:<12} {length:>9} bytes{several}{compressed}{fin}")
}

/// A time for people: `0.3 s`, `4 min 10 s`, `2 h 5 min`.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{:.1} s", ms as f64 / 1000.0),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(subject: &str, user: bool) -> Why {
        Why {
            subject: subject.to_owned(),
            operator: Operator::default(),
            user,
            json: false,
        }
    }

    #[test]
    fn a_subject_is_what_it_looks_like() {
        for (subject, query) in [
            ("c-5-17", "connection=c%2D5%2D17"),
            ("alice", "user=alice"),
            ("a b&c", "user=a%20b%26c"),
            ("127.0.0.1:80", "address=127%2E0%2E0%2E1%3A80"),
            ("::1", "address=%3A%3A1"),
        ] {
            assert_eq!(why(subject, false).query(), Ok(query.to_owned()));
        }
        assert_eq!(why("::1", true).query(), Ok("user=%3A%3A1".to_owned()));
        assert!(why("", false).query().is_err());
    }

    #[test]
    fn times_are_for_people() {
        for (ms, text) in [
            (0, "0.0 s"),
            (1_250, "1.2 s"),
            (60_000, "1 min 0 s"),
            (7_500_000, "2 h 5 min"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
