//! What there is to see in a conversation, and how it is written: messages for standard output, and what is about them, which
//! is not part of what is piped on.

use crate::client::{Entry, Log};
use crate::tools::terminal::{Lines, LocalTime, Palette, visible, words};

/// Something to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Show {
    /// A message.
    Entry(Entry),
    /// The room that was entered, and who is in it.
    Entered { room: String, members: Vec<String> },
    /// Who is in the room, as was asked.
    Here(Vec<String>),
    /// Somebody came.
    Came(String),
    /// Somebody left.
    Left(String),
    /// The connection ended; this many messages wait for the next one.
    Lost { reason: String, waiting: usize },
    /// There is a connection again.
    Back,
    /// A message was taken, and waits for a connection.
    Waits,
    /// A message waits for the server, which can keep nothing for now.
    Delayed,
    /// Everything that had to wait has its place.
    AllKept,
    /// A message has no place, and will have none.
    NotKept { text: String, why: String },
    /// Messages are missing.
    Gap { log: String, reason: String },
    /// A request was refused, or something else is to be known.
    Note(String),
}

/// What was written, and where it belongs.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What somebody said: for standard output.
    Message,
    /// What somebody said to the person alone, which may come only once.
    Private,
    /// Who comes and goes.
    About,
    /// What went wrong.
    Warning,
}

/// Writes what there is to see.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) palette: Palette,
    pub(super) time: LocalTime,
    /// The server, for the addresses of files.
    pub(super) host: String,
    /// A person reads it now; or it is one line for each message, with date and second.
    pub(super) is_for_people: bool,
}

impl Writer {
    /// Writes it, with the line's end.
    pub(super) fn write(&self, show: &Show, now_ms: u64) -> Written {
        let about = |text: &str| Written {
            text: self.palette.dim(&format!("-- {text}")) + "\n",
            kind: Kind::About,
        };
        let warning = |text: &str| Written {
            text: self.palette.warning(&format!("!! {text}")) + "\n",
            kind: Kind::Warning,
        };
        match show {
            Show::Entry(entry) => Written {
                text: self.entry(entry, now_ms),
                kind: match entry.log {
                    Log::Private => Kind::Private,
                    Log::Room(_) | Log::Broadcast => Kind::Message,
                },
            },
            Show::Entered { room, members } => {
                about(&format!("{}: {}", one_line(room), people(members)))
            }
            Show::Here(members) => about(&people(members)),
            Show::Came(user) => about(&format!("{} is here", one_line(user))),
            Show::Left(user) => about(&format!("{} has left", one_line(user))),
            Show::Lost { reason, waiting } => {
                let waiting = match waiting {
                    0 => String::new(),
                    1 => "; a message waits".to_owned(),
                    count => format!("; {count} messages wait"),
                };
                let reason = one_line(reason);
                warning(&format!("disconnected ({reason}), trying again{waiting}"))
            }
            Show::Back => about("connected again"),
            Show::Waits => warning("not sent yet: it waits for the connection"),
            Show::Delayed => {
                warning("not sent yet: the server cannot keep it now, it is sent again")
            }
            Show::AllKept => about("what had waited is kept"),
            Show::NotKept { text, why } => {
                let text: String = one_line(text).chars().take(60).collect();
                warning(&format!("not kept: {} ({text})", one_line(why)))
            }
            Show::Gap { log, reason } => warning(&format!(
                "messages of {} are missing here ({})",
                one_line(log),
                one_line(reason)
            )),
            Show::Note(note) => about(&visible(note, Lines::Indented(3))),
        }
    }

    fn entry(&self, entry: &Entry, now_ms: u64) -> String {
        let mark = match entry.log {
            Log::Room(_) => "",
            Log::Private => " [private]",
            Log::Broadcast => " [to all]",
        };
        let text = words(&entry.content, &self.host);
        let from = self.palette.name(&one_line(&entry.from));
        if self.is_for_people {
            let time = self.palette.dim(&self.time.clock(entry.time, now_ms));
            let (mark, text) = (
                self.palette.private(mark),
                visible(&text, Lines::Indented(6)),
            );
            format!("{time} {from}{mark}: {text}\n")
        } else {
            let time = self.time.date(entry.time);
            let text = visible(&text, Lines::One);
            format!("{time} {from}{mark}: {text}\n")
        }
    }
}

fn one_line(text: &str) -> String {
    visible(text, Lines::One)
}

/// `3 here: ada, bob, cyd`; of a crowd only some.
fn people(members: &[String]) -> String {
    const NAMED_MAX: usize = 30;
    let names: Vec<_> = members
        .iter()
        .take(NAMED_MAX)
        .map(|name| one_line(name))
        .collect();
    let more = match members.len() - names.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    format!("{} here: {}{more}", members.len(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Content;
    use crate::log::{Epoch, Position};

    fn write(show: &Show) -> String {
        let writer = Writer {
            palette: Palette::plain(),
            time: LocalTime::of_system(),
            host: "h".to_owned(),
            is_for_people: false,
        };
        writer.write(show, 0).text
    }

    #[test]
    fn nothing_that_others_chose_reaches_the_terminal_raw() {
        let evil = "a\x1b]0;owned\x07\u{9b}31m\r\nb: hi\u{202e}".to_owned();
        let (epoch, offset) = (Epoch::new(1), 1);
        let entry = Entry {
            log: Log::Private,
            position: Position { epoch, offset },
            time: 1,
            from: evil.clone(),
            content: Content::Text(evil.clone()),
        };
        let files = format!(
            r#"{{"text":{0},"files":[{{"url":{0},"name":{0},"type":{0}}}]}}"#,
            serde_json::to_string(&evil).unwrap()
        );
        let all = [
            Show::Entry(entry.clone()),
            Show::Entry(Entry {
                content: Content::Json(files),
                ..entry
            }),
            Show::Entered {
                room: evil.clone(),
                members: vec![evil.clone()],
            },
            Show::Here(vec![evil.clone()]),
            Show::Came(evil.clone()),
            Show::Left(evil.clone()),
            Show::Lost {
                reason: evil.clone(),
                waiting: 2,
            },
            Show::Back,
            Show::Waits,
            Show::Delayed,
            Show::AllKept,
            Show::NotKept {
                text: evil.clone(),
                why: evil.clone(),
            },
            Show::Gap {
                log: evil.clone(),
                reason: evil.clone(),
            },
            Show::Note(evil),
        ];
        for show in all {
            let text = write(&show);
            let line = text.strip_suffix('\n').unwrap();
            let raw = line.chars().filter(|c| c.is_control() && *c != '\n');
            assert_eq!(raw.count(), 0, "{text:?}");
            let is_note = matches!(show, Show::Note(_));
            assert!(is_note || !line.contains('\n'), "{text:?}");
            assert!(
                !line.contains("\nb:") && !line.contains('\u{202e}'),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_crowd_is_counted() {
        let names: Vec<_> = (0..40).map(|n| n.to_string()).collect();
        let text = people(&names);
        assert!(
            text.starts_with("40 here: 0, 1, ") && text.ends_with("29 and 10 more"),
            "{text}"
        );
        assert_eq!(people(&[]), "0 here: ");
    }
}
