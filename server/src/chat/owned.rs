//! Requests with all that they borrow: a request is read where its connection is, and goes to the hub, which may be at another worker.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::command::{BadCommand, Command, Request, Testament};

impl Request<'_> {
    /// The same, with all that it borrows.
    #[must_use]
    pub fn into_owned(self) -> Request<'static> {
        Request {
            command: self.command.into_owned(),
            id: owned(self.id),
        }
    }
}

impl BadCommand<'_> {
    /// The same, with all that it borrows.
    #[must_use]
    pub fn into_owned(self) -> BadCommand<'static> {
        BadCommand {
            refused: self.refused,
            seq: owned(self.seq),
            id: owned(self.id),
        }
    }
}

fn owned<T: ToOwned + ?Sized + 'static>(value: Option<Cow<'_, T>>) -> Option<Cow<'static, T>> {
    value.map(|value| Cow::Owned(value.into_owned()))
}

impl Command<'_> {
    /// The same, with all that it borrows.
    fn into_owned(self) -> Command<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let own_json = |json: Cow<'_, RawValue>| Cow::Owned(json.into_owned());
        match self {
            Self::Hello {
                user,
                session,
                token,
            } => Command::Hello {
                user: owned(user),
                session: owned(session),
                token: owned(token),
            },
            Self::JoinRoom { room, since } => Command::JoinRoom {
                room: own(room),
                since: owned(since),
            },
            Self::LeaveRoom { room } => Command::LeaveRoom { room: own(room) },
            Self::RoomMsg { room, content, seq } => Command::RoomMsg {
                room: owned(room),
                content: own_json(content),
                seq: owned(seq),
            },
            Self::PrivateMsg {
                to_user,
                content,
                seq,
            } => Command::PrivateMsg {
                to_user: own(to_user),
                content: own_json(content),
                seq: owned(seq),
            },
            Self::Broadcast { content, seq } => Command::Broadcast {
                content: own_json(content),
                seq: owned(seq),
            },
            Self::Publish {
                log,
                content,
                seq,
                comes_back,
            } => Command::Publish {
                log: own(log),
                content: own_json(content),
                seq: owned(seq),
                comes_back,
            },
            Self::Follow { log, since } => Command::Follow {
                log: own(log),
                since: owned(since),
            },
            Self::Unfollow { log } => Command::Unfollow { log: own(log) },
            Self::Will(will) => Command::Will(will.map(|will| Testament {
                log: own(will.log),
                content: own_json(will.content),
                delay: will.delay,
            })),
            Self::Typing { room } => Command::Typing { room: own(room) },
            Self::History {
                room,
                since,
                before,
                limit,
            } => Command::History {
                room: own(room),
                since: owned(since),
                before: owned(before),
                limit,
            },
            Self::Presence { room } => Command::Presence { room: own(room) },
            Self::Heartbeat => Command::Heartbeat,
        }
    }
}
