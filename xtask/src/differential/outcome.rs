//! What an implementation made of a sequence: what it handed over, and how it stood at the end.

use std::fmt;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Verdict and messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) events: Vec<Event>,
    pub(super) end: End,
}

/// Something handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// How it stood when all bytes were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// More may come.
    Open,
    /// A Close frame came; without a code in it, this is 1005.
    Closed { code: u16, reason: Vec<u8> },
    /// The sender broke a rule or a limit; this code tells it.
    Failed(u16),
}

impl Event {
    pub(super) const fn is_control(&self) -> bool {
        matches!(self, Self::Ping(_) | Self::Pong(_))
    }

    const fn parts(&self) -> (&str, &Vec<u8>) {
        match self {
            Self::Text(payload) => ("text", payload),
            Self::Binary(payload) => ("binary", payload),
            Self::Ping(payload) => ("ping", payload),
            Self::Pong(payload) => ("pong", payload),
        }
    }
}

/// What a peer's script says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// How many events there were when a final block of DEFLATE ended its inflater.
    pub(super) final_block: Option<usize>,
    /// The bytes of a character that it takes for the beginning of one.
    pub(super) waiting: Vec<u8>,
}

impl Answer {
    /// Reads a line.
    pub(super) fn read(line: &str) -> Result<Self> {
        let answer: Value = serde_json::from_str(line).context("no answer")?;
        let events = answer["events"].as_array().context("no events")?;
        let final_block = answer["final"].as_u64().map(usize::try_from);
        Ok(Self {
            outcome: Outcome {
                events: events.iter().map(event).collect::<Result<_>>()?,
                end: end(&answer["end"])?,
            },
            final_block: final_block.transpose()?,
            waiting: from_hex(&answer["waiting"])?,
        })
    }
}

fn event(value: &Value) -> Result<Event> {
    let payload = from_hex(&value[1])?;
    Ok(match value[0].as_str() {
        Some("text") => Event::Text(payload),
        Some("binary") => Event::Binary(payload),
        Some("ping") => Event::Ping(payload),
        Some("pong") => Event::Pong(payload),
        _ => bail!("there is no event {value}"),
    })
}

fn end(value: &Value) -> Result<End> {
    let code = || u16::try_from(value[1].as_u64().unwrap_or(u64::MAX));
    Ok(match value[0].as_str() {
        Some("open") => End::Open,
        Some("closed") => End::Closed {
            code: code()?,
            reason: from_hex(&value[2])?,
        },
        Some("failed") => End::Failed(code()?),
        _ => bail!("there is no end {value}"),
    })
}

fn from_hex(value: &Value) -> Result<Vec<u8>> {
    let digits = value.as_str().context("hex digits are wanted")?.as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = str::from_utf8(pair)?;
        Ok(u8::from_str_radix(pair, 16)?)
    });
    pairs.collect()
}

/// Bytes as one would paste them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, payload) in self.events.iter().map(Event::parts) {
            let (start, _) = payload.split_at(payload.len().min(16));
            write!(f, "{kind}[{}] {}, ", payload.len(), hex(start))?;
        }
        match &self.end {
            End::Open => f.write_str("open"),
            End::Closed { code, reason } => write!(f, "closed {code} {}", hex(reason)),
            End::Failed(code) => write!(f, "failed {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let answer = r#"{"events": [["text", "6869"], ["ping", ""]], "end": ["closed", 1000, "62"], "final": null, "waiting": "c3"}"#;
        let outcome = Outcome {
            events: vec![Event::Text(b"hi".to_vec()), Event::Ping(Vec::new())],
            end: End::Closed {
                code: 1000,
                reason: b"b".to_vec(),
            },
        };
        let expected = Answer {
            outcome,
            final_block: None,
            waiting: vec![0xc3],
        };
        assert_eq!(Answer::read(answer).expect("it is right"), expected);
        assert!(Answer::read(r#"{"events": [], "end": ["gone"]}"#).is_err());
    }
}
