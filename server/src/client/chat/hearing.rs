//! What the server says, and what a client makes of it: where it is in its rooms, and news for its owner.

use super::{BROADCASTS, Broadcasts, Chat};
use crate::client::message::{Entry, Heard, Log};
use crate::client::news::News;
use crate::log::Position;

impl Chat {
    /// Takes what the server says; returns what to answer.
    pub(super) fn hear(&mut self, text: &str) -> Option<String> {
        let news = match Heard::parse(text) {
            Some(Heard::Welcome { user }) => {
                self.welcomed(user);
                return None;
            }
            Some(Heard::Other) => return None,
            Some(Heard::History { room, position, .. }) if room == BROADCASTS => {
                self.saw_broadcast(position);
                return None;
            }
            Some(Heard::Gap {
                room, to, reason, ..
            }) if self.rooms.index_of(&room).is_none() => {
                if room == BROADCASTS {
                    self.saw_broadcast(to);
                }
                Some(News::PersonalGap { log: room, reason })
            }
            Some(heard) => self.take(heard),
            None => None,
        };
        let Some(news) = news else {
            self.nonsense(text);
            return None;
        };
        let mut answer = None;
        if let News::History { room, position, .. } = &news {
            answer = self.rooms.page(*room, *position);
        }
        self.news.push_back(news);
        answer
    }

    /// Notes what was heard; nothing where it is of a room that the client does not know.
    fn take(&mut self, heard: Heard) -> Option<News> {
        Some(match heard {
            Heard::Ack {
                seq,
                room,
                position,
                dup,
            } => {
                self.forget(seq);
                self.rooms.acknowledged(&room, position);
                News::Ack {
                    seq,
                    room,
                    position,
                    dup,
                }
            }
            Heard::Entry(entry) => return self.shown(entry),
            Heard::Joined {
                room,
                position,
                members,
            } => {
                let room = self.rooms.index_of(&room)?;
                self.rooms.joined(room, position);
                News::Joined {
                    room,
                    position,
                    members,
                }
            }
            Heard::Gap {
                room,
                from,
                to,
                reason,
                is_answer,
            } => {
                let room = self.rooms.index_of(&room)?;
                if !is_answer {
                    self.rooms.seen(room, to);
                }
                News::Gap {
                    room,
                    from,
                    to,
                    reason,
                }
            }
            Heard::History {
                room,
                entries,
                position,
                more,
            } => News::History {
                room: self.rooms.index_of(&room)?,
                entries,
                position,
                more,
            },
            Heard::Came { room, user } => News::Came(self.rooms.index_of(&room)?, user),
            Heard::Left { room, user } => News::Left(self.rooms.index_of(&room)?, user),
            Heard::Presence { room, members } => {
                News::Presence(self.rooms.index_of(&room)?, members)
            }
            Heard::Error {
                code,
                message,
                seq: Some(seq),
            } => News::Refused { seq, code, message },
            Heard::Error {
                code,
                message,
                seq: None,
            } => {
                self.is_denied |= code == "rate_limited";
                News::Denied { code, message }
            }
            Heard::Welcome { .. } | Heard::Other => return None,
        })
    }

    fn shown(&mut self, entry: Entry) -> Option<News> {
        Some(match &entry.log {
            Log::Room(name) => {
                let room = self.rooms.index_of(name)?;
                self.rooms.seen(room, entry.position);
                News::Entry(room, entry)
            }
            Log::Broadcast => {
                self.saw_broadcast(entry.position);
                News::Personal(entry)
            }
            Log::Private => News::Personal(entry),
        })
    }

    fn saw_broadcast(&mut self, position: Position) {
        if self.broadcasts != Broadcasts::Unminded {
            self.broadcasts = Broadcasts::At(position);
        }
    }

    fn welcomed(&mut self, user: String) {
        self.is_welcome = true;
        self.backoff.reset();
        self.news.push_back(News::Opened { user });
        let positions = self.rooms.positions();
        self.news
            .extend(positions.map(|(index, position)| News::Following(index, position)));
    }

    fn nonsense(&mut self, text: &str) {
        let shown = text.chars().take(200).collect();
        self.news.push_back(News::Nonsense(shown));
    }
}
