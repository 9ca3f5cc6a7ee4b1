//! Pages of logs, and where logs end. JetStream reads one message at a time, so that what is wanted is asked for at once, as far as it is
//! known to fit.

use super::jobs::{Outcome, Turn};
use super::store::{Store, Trouble, entry, gone};
use super::streams::Stream;
use crate::ids::LogName;
use crate::log::shared::{Answer, Extracted, Failure, From};
use crate::log::{Entry, Epoch, PageMax, Position};

/// Messages that are asked for at once, first; and at most.
const AT_ONCE: u64 = 16;
const AT_ONCE_MAX: u64 = 64;

/// How often a page is read again whose oldest entries go while it is read.
const TRIES: u32 = 4;

/// A page that is asked for.
pub(super) struct Wanted {
    pub(super) log: LogName,
    pub(super) from: From,
    pub(super) max: PageMax,
    /// For a log whose stream was deleted.
    pub(super) epoch: Epoch,
}

/// A part of a log that is to be read.
struct Part<'a> {
    log: &'a LogName,
    first: u64,
    last: u64,
    max: PageMax,
    /// From the last to the first.
    back: bool,
}

impl Store {
    /// Reads a page.
    pub(super) async fn page(self, turn: Turn, wanted: Wanted) -> Outcome {
        let Wanted {
            log,
            from,
            max,
            epoch,
        } = wanted;
        for _ in 0..TRIES {
            let stream = self.find(&log, epoch).await?;
            let mark = self.mark_of(&log, from).await?;
            turn.let_on();
            let Some(stream) = stream else {
                return Ok(Answer::Page(self.nothing()));
            };
            let (part, oldest) = part(&log, &stream, from, mark, max);
            let Some(entries) = self.read(&part).await? else {
                continue;
            };
            let more = entries.len() as u64 != (part.last + 1).saturating_sub(part.first);
            return Ok(Answer::Page(Extracted {
                oldest,
                head: stream.head,
                mark,
                entries,
                more: more && max.entries > 0,
                eras: stream.eras,
            }));
        }
        Ok(Answer::Failed(Failure::Unable(
            "what is read goes".to_owned(),
        )))
    }

    /// A log that there is not.
    fn nothing(&self) -> Extracted {
        Extracted {
            eras: vec![(1, self.fresh())],
            oldest: 1,
            head: 0,
            mark: None,
            entries: Vec::new(),
            more: false,
        }
    }

    /// Reads entries, oldest first; `None`: one of them is gone.
    async fn read(&self, part: &Part<'_>) -> Result<Option<Vec<Entry>>, Trouble> {
        let stream = self.naming.stream(part.log);
        let (mut entries, mut room) = (Vec::new(), part.max.bytes as u64);
        let count = (part.last + 1).saturating_sub(part.first);
        let (mut done, mut chunk, mut is_full) = (0, AT_ONCE, false);
        while done < count && entries.len() < part.max.entries && !is_full {
            let left = (part.max.entries - entries.len()) as u64;
            let next = chunk.min(left).min(count - done);
            let seqs = (done..done + next).map(|nth| {
                if part.back {
                    part.last - nth
                } else {
                    part.first + nth
                }
            });
            let asked: Vec<_> = seqs.map(|seq| self.message(&stream, seq)).collect();
            for asked in asked {
                let message = asked.await;
                let status = message.headers.status();
                if let Some(status) = status.filter(|status| *status != 404) {
                    return Err(gone(status));
                }
                let found = status.is_none().then(|| entry(part.log, &message));
                match found.flatten() {
                    Some(entry) => {
                        let size = entry.draft.content.get().len() as u64;
                        is_full |= size > room && !entries.is_empty();
                        if is_full {
                            break;
                        }
                        room = room.saturating_sub(size);
                        entries.push(entry);
                    }
                    // What is not found now may be found in a moment: nothing is passed over in silence.
                    None => return Ok(None),
                }
            }
            done += next;
            // As many as will fit, if they are like those.
            let taken = part.max.bytes as u64 - room;
            let each = (taken / entries.len().max(1) as u64).max(1);
            chunk = (room / each + 1).min(AT_ONCE_MAX);
        }
        if part.back {
            entries.reverse();
        }
        Ok(Some(entries))
    }

    /// Where logs end.
    pub(super) async fn heads(self, turn: Turn, logs: Vec<LogName>) -> Outcome {
        let streams = logs.iter().map(|log| self.stream(log));
        let streams: Vec<_> = streams.collect();
        let mut heads = Vec::with_capacity(streams.len());
        for stream in streams {
            heads.push(stream.await?.map(|stream| stream.end()));
        }
        turn.let_on();
        Ok(Answer::Heads(heads))
    }

    // ---- marks ----

    /// Up to where a log's owner has seen it, if that is asked.
    async fn mark_of(&self, log: &LogName, from: From) -> Result<Option<Position>, Trouble> {
        if from != From::Mark {
            return Ok(None);
        }
        let record = self.record(&self.naming.mark(log)).await?;
        Ok(record.and_then(|record| position(&record.text)))
    }

    /// Owners have seen their logs up to there.
    pub(super) async fn note_marks(self, turn: Turn, marks: Vec<(LogName, Position)>) -> Outcome {
        turn.let_on();
        for (log, position) in marks {
            self.note_mark(&log, position).await?;
        }
        Ok(Answer::Done)
    }

    async fn note_mark(&self, log: &LogName, seen: Position) -> Result<(), Trouble> {
        let name = self.naming.mark(log);
        for _ in 0..TRIES {
            let (stream, record) = (self.stream(log), self.record(&name));
            let (stream, record) = (stream.await?, record.await?);
            let Some(stream) = stream else {
                return Ok(());
            };
            let record = record.unwrap_or_default();
            if !is_newer(&stream, seen, position(&record.text)) {
                return Ok(());
            }
            let text = format!("{}-{}", seen.offset, seen.epoch);
            if self.write(&name, &text, record.seq).await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether a mark says more than the one that is known. Some owners tell it themselves: nobody has seen what is not there.
fn is_newer(stream: &Stream, seen: Position, known: Option<Position>) -> bool {
    let Some((era, last)) = stream.era_of(seen.epoch) else {
        return false;
    };
    // An era that is forgotten is older than all that are not.
    let before = known.and_then(|known| Some((stream.era_of(known.epoch)?.0, known.offset)));
    seen.offset <= last && before.is_none_or(|before| (era, seen.offset) > before)
}

/// What is to be read of a log, and what is its oldest entry for who asks.
fn part<'a>(
    log: &'a LogName,
    stream: &Stream,
    from: From,
    mark: Option<Position>,
    max: PageMax,
) -> (Part<'a>, u64) {
    let (kept, shown) = (stream.oldest, stream.shown());
    let mut part = Part {
        log,
        first: shown,
        last: stream.head,
        max,
        back: false,
    };
    let mut oldest = shown;
    match from {
        From::Behind(offset) => (part.first, oldest) = (offset.saturating_add(1), kept),
        From::Mark => {
            let mark = mark.and_then(|mark| Some((mark, stream.era_of(mark.epoch)?)));
            if let Some((mark, (_, last))) = mark {
                (part.first, oldest) = (mark.offset.min(last) + 1, kept);
            }
        }
        From::Oldest => {}
        From::Head => part.max.entries = 0,
        From::Before(before) => {
            part.back = true;
            part.last = before.map_or(stream.head, |before| {
                stream.head.min(before.saturating_sub(1))
            });
        }
    }
    part.first = part.first.max(oldest);
    (part, oldest)
}

fn position(text: &str) -> Option<Position> {
    let (offset, epoch) = text.split_once('-')?;
    Some(Position {
        epoch: Epoch::new(u32::from_str_radix(epoch, 16).ok()?),
        offset: offset.parse().ok()?,
    })
}
