//! What the server says, and what a client makes of it: where it is in its rooms, and news for its owner.

use std::time::Duration;

use super::{BROADCASTS, Broadcasts, Chat};
use crate::client::message::{Entry, Heard, Log};
use crate::client::news::{News, is_for_later};
use crate::log::Position;

/// The longest time that a server may send a client away for.
const AWAY_MAX: Duration = Duration::from_secs(600);

impl Chat {
    /// Takes what the server says; returns what to answer.
    pub(super) fn hear(&mut self, text: &str) -> Option<String> {
        let news = match Heard::parse(text) {
            Some(Heard::Welcome { user }) => {
                self.welcomed(user);
                return None;
            }
            Some(Heard::Other) => return None,
            Some(Heard::Reconnect { after }) => {
                self.away = Some(after.min(AWAY_MAX));
                return None;
            }
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
        let room_of = |name: &str| self.rooms.index_of(name);
        Some(match heard {
            Heard::Entry(entry) => return self.shown(entry),
            Heard::Gap { .. } => return self.gap(heard),
            Heard::Ack { .. } => return self.acknowledged(heard),
            Heard::Joined {
                room,
                position,
                members,
            } => {
                let room = room_of(&room)?;
                self.rooms.joined(room, position);
                News::Joined {
                    room,
                    position,
                    members,
                }
            }
            Heard::History {
                room,
                entries,
                position,
                more,
            } => News::History {
                room: room_of(&room)?,
                entries,
                position,
                more,
            },
            Heard::Came { room, user } => News::Came(room_of(&room)?, user),
            Heard::Left { room, user } => News::Left(room_of(&room)?, user),
            Heard::Presence { room, members } => News::Presence(room_of(&room)?, members),
            Heard::Error { code, message, seq } => self.refused(code, message, seq),
            Heard::Welcome { .. } | Heard::Reconnect { .. } | Heard::Other => return None,
        })
    }

    fn acknowledged(&mut self, heard: Heard) -> Option<News> {
        let Heard::Ack {
            seq,
            room,
            position,
            dup,
        } = heard
        else {
            return None;
        };
        self.forget(seq);
        self.rooms.acknowledged(&room, position);
        Some(News::Ack {
            seq,
            room,
            position,
            dup,
        })
    }

    fn gap(&mut self, heard: Heard) -> Option<News> {
        let Heard::Gap {
            room,
            from,
            to,
            reason,
            is_answer,
        } = heard
        else {
            return None;
        };
        let room = self.rooms.index_of(&room)?;
        if !is_answer {
            self.rooms.seen(room, to);
        }
        Some(News::Gap {
            room,
            from,
            to,
            reason,
        })
    }

    fn refused(&mut self, code: String, message: String, seq: Option<u64>) -> News {
        match seq {
            Some(seq) => News::Refused { seq, code, message },
            None => {
                self.is_denied |= is_for_later(&code);
                News::Denied { code, message }
            }
        }
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
