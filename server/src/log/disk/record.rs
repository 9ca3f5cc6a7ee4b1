//! What is in a record: an entry, what a log is besides its entries, or that it was forgotten.
//!
//! A record tells all by itself: the name of its log, the epoch and the offset. So any record that is intact can be used,
//! whatever became of its neighbours.

use serde_json::value::RawValue;

use super::format::{put_varint, take_varint, varint_len};
use crate::ids::{LogName, Session, UserName};
use crate::log::extent::Era;
use crate::log::{Draft, Entry, Epoch, Key, Position};

const ENTRY: u8 = 1;
const COPY: u8 = 2;
const STATE: u8 = 3;
const FORGET: u8 = 4;

/// The most eras a log remembers; the oldest is dropped for a new one.
pub(super) const ERAS_MAX: usize = 16;

/// The body of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body<'a> {
    Entry(EntryBody<'a>),
    State(StateBody<'a>),
    /// All records of this log before this one are void.
    Forget(&'a str),
}

/// An entry, lent from the bytes of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryBody<'a> {
    /// It was moved forward when its segment was cleaned, so newer entries of its log may be before it.
    pub(super) copy: bool,
    pub(super) position: Position,
    pub(super) time: u64,
    pub(super) log: &'a str,
    from: &'a str,
    session: &'a str,
    seq: Option<&'a str>,
    pub(super) content: &'a str,
}

/// What a log is besides its entries, as of this record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateBody<'a> {
    pub(super) log: &'a str,
    /// The last offset.
    pub(super) head: u64,
    /// The first offset that is kept.
    pub(super) oldest: u64,
    pub(super) eras: Vec<Era>,
    pub(super) mark: Option<Position>,
}

impl<'a> EntryBody<'a> {
    /// The entry that a draft becomes at `position`.
    pub(super) fn of(draft: &'a Draft, position: Position) -> Self {
        Self {
            copy: false,
            position,
            time: draft.time,
            log: draft.log.as_str(),
            from: draft.from.as_str(),
            session: draft.session.as_str(),
            seq: draft.seq.as_deref().map(RawValue::get),
            content: draft.content.get(),
        }
    }

    pub(super) fn key(&self) -> Option<Key<'a>> {
        self.seq.map(|seq| Key {
            from: self.from,
            session: self.session,
            seq,
        })
    }

    /// The entry to hand out; `None` if a part of it is not what it should be.
    pub(super) fn to_entry(self, log: &LogName) -> Option<Entry> {
        let json = |text: &str| RawValue::from_string(text.to_owned()).ok();
        let seq = match self.seq {
            Some(seq) => Some(json(seq)?),
            None => None,
        };
        Some(Entry {
            position: self.position,
            draft: Draft {
                log: log.clone(),
                from: UserName::new(self.from).ok()?,
                session: Session::new(self.session).ok()?,
                seq,
                content: json(self.content)?,
                time: self.time,
            },
        })
    }

    pub(super) fn encoded_len(&self) -> usize {
        let seq = self.seq.unwrap_or_default().len();
        5 + varint_len(self.position.offset)
            + varint_len(self.time)
            + text_len(self.log)
            + text_len(self.from)
            + text_len(self.session)
            + varint_len(seq as u64 + 1)
            + seq
            + self.content.len()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(if self.copy { COPY } else { ENTRY });
        out.extend_from_slice(&self.position.epoch.number().to_le_bytes());
        put_varint(out, self.position.offset);
        put_varint(out, self.time);
        put_text(out, self.log);
        put_text(out, self.from);
        put_text(out, self.session);
        match self.seq {
            Some(seq) => {
                put_varint(out, seq.len() as u64 + 1);
                out.extend_from_slice(seq.as_bytes());
            }
            None => out.push(0),
        }
        out.extend_from_slice(self.content.as_bytes());
    }

    fn decode(mut bytes: &'a [u8], copy: bool) -> Option<Self> {
        let bytes = &mut bytes;
        let epoch = take_epoch(bytes)?;
        let offset = take_varint(bytes).filter(|offset| *offset > 0)?;
        let position = Position { epoch, offset };
        let time = take_varint(bytes)?;
        let (log, from, session) = (take_text(bytes)?, take_text(bytes)?, take_text(bytes)?);
        let seq = match take_varint(bytes)? {
            0 => None,
            length => Some(take_text_of(bytes, length - 1)?),
        };
        Some(Self {
            copy,
            position,
            time,
            log,
            from,
            session,
            seq,
            content: str::from_utf8(bytes).ok()?,
        })
    }
}

impl<'a> StateBody<'a> {
    fn decode(mut bytes: &'a [u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let log = take_text(bytes)?;
        let (head, oldest) = (take_varint(bytes)?, take_varint(bytes)?);
        let count = take_varint(bytes).filter(|count| (1..=ERAS_MAX as u64).contains(count))?;
        let mut eras = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let first = take_varint(bytes)?;
            let epoch = take_epoch(bytes)?;
            eras.push(Era { first, epoch });
        }
        let mark = if bytes.is_empty() {
            None
        } else {
            let epoch = take_epoch(bytes)?;
            let offset = take_varint(bytes)?;
            Some(Position { epoch, offset })
        };
        (bytes.is_empty() && oldest > 0).then_some(Self {
            log,
            head,
            oldest,
            eras,
            mark,
        })
    }
}

impl<'a> Body<'a> {
    /// Appends the bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Entry(entry) => entry.encode(out),
            Self::State(state) => {
                out.push(STATE);
                put_text(out, state.log);
                put_varint(out, state.head);
                put_varint(out, state.oldest);
                put_varint(out, state.eras.len() as u64);
                for era in &state.eras {
                    put_varint(out, era.first);
                    out.extend_from_slice(&era.epoch.number().to_le_bytes());
                }
                if let Some(mark) = state.mark {
                    out.extend_from_slice(&mark.epoch.number().to_le_bytes());
                    put_varint(out, mark.offset);
                }
            }
            Self::Forget(log) => {
                out.push(FORGET);
                put_text(out, log);
            }
        }
    }

    /// Reads what `encode` wrote; `None` for anything else.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, mut rest) = bytes.split_first()?;
        match kind {
            ENTRY | COPY => EntryBody::decode(rest, kind == COPY).map(Self::Entry),
            STATE => StateBody::decode(rest).map(Self::State),
            FORGET => {
                let log = take_text(&mut rest)?;
                rest.is_empty().then_some(Self::Forget(log))
            }
            _ => None,
        }
    }
}

fn text_len(text: &str) -> usize {
    varint_len(text.len() as u64) + text.len()
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = take_varint(bytes)?;
    take_text_of(bytes, length)
}

fn take_text_of<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a str> {
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    str::from_utf8(text).ok()
}

fn take_epoch(bytes: &mut &[u8]) -> Option<Epoch> {
    let (epoch, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(Epoch::new(u32::from_le_bytes(*epoch)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> EntryBody<'static> {
        EntryBody {
            copy: false,
            position: Position {
                epoch: Epoch::new(0xdead_beef),
                offset: 300,
            },
            time: 1_700_000_000_000,
            log: "room",
            from: "alice",
            session: "s-1",
            seq: Some("17"),
            content: "{\"text\":\"ü\"}",
        }
    }

    #[test]
    fn records_are_read_back() {
        let state = StateBody {
            log: "room",
            head: 9,
            oldest: 3,
            eras: vec![Era {
                first: 1,
                epoch: Epoch::new(5),
            }],
            mark: Some(entry().position),
        };
        let unmarked = StateBody {
            mark: None,
            ..state.clone()
        };
        let bodies = [
            Body::Entry(entry()),
            Body::Entry(EntryBody {
                copy: true,
                seq: None,
                ..entry()
            }),
            Body::State(state),
            Body::State(unmarked),
            Body::Forget("@bob"),
        ];
        for body in bodies {
            let mut bytes = Vec::new();
            body.encode(&mut bytes);
            assert_eq!(Body::decode(&bytes), Some(body.clone()));
            if let Body::Entry(entry) = body {
                assert_eq!(entry.encoded_len(), bytes.len());
            }
        }
    }

    #[test]
    fn a_message_of_200_bytes_costs_less_than_50_more() {
        let content = "x".repeat(200);
        let entry = EntryBody {
            content: &content,
            ..entry()
        };
        // Checksum and length take 6 more.
        assert!(entry.encoded_len() + 6 < 250, "{}", entry.encoded_len());
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for bytes in [
            &[][..],
            &[0],
            &[9, 1],
            &[FORGET, 5, b'a'],
            &[ENTRY, 0, 0],
            &[STATE, 0, 0, 0, 0],
        ] {
            assert_eq!(Body::decode(bytes), None, "{bytes:?}");
        }
    }
}
