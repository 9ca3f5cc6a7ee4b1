//! Dialects: how what the chat tells becomes messages of a connection, and what a client sends becomes commands of the chat.
//!
//! The chat knows commands ([`chat::Request`](crate::chat::Request)), events ([`chat::Event`](crate::chat::Event)) and entries;
//! which bytes those are is the business of a connection's dialect, and of nobody else. There are two kinds:
//!
//! * **An encoding of the chat's own protocol** (JSON, Protobuf): each event is one message, each message one command, and
//!   nothing is to be known of the connection. It is a variant of [`Dialect`] and of [`Encoding`], and two functions: from a
//!   message to a request, from an event or an entry to a [`Prepared`](tidewire_protocol::Prepared).
//! * **A protocol of its own** (MQTT, Socket.IO), which has acknowledgements, subscriptions and timers of its own. It is a
//!   [`Session`]: a machine without sockets that is told what happens and says what to do by [`Out`].
//!
//! # How a protocol is added
//!
//! 1. A folder `transport/NAME/` with its codec and a machine that is a [`Session`]. It is pure: no sockets, no clock; `now` comes
//!    in. It imports nothing of `net`.
//! 2. For entries that are the same bytes for many connections a variant of [`Encoding`] and an arm in [`Encoding::of_entry`]:
//!    an entry is then encoded once for all, on first use, and the bytes go when the ring lets go of the entry. A session
//!    fetches them by [`Shared::prepared`](super::feeds::Shared::prepared) and sends them by [`Out::send_prepared`]; and where
//!    all entries of a log go to it just so, [`Session::shares`] says that, and the fan-out does not ask it any more.
//! 3. Its address in `routes.rs`: an `Endpoint` of its own, with the subprotocols that it takes;
//!    `net/worker/dispatch.rs` makes the session in `upgrade` (one arm), the rest is there.
//! 4. Its name in [`Protocol`], by which the configuration allows or forbids it.
//!
//! # What a session can rely on
//!
//! * [`Session::opened`] comes first. The chat knows nothing of the connection before [`Out::begin`]: then it is welcomed
//!   ([`Event::Welcome`](crate::chat::Event::Welcome) names user and session), or refused by an `Error` without an id and closed. Begin once.
//!   It follows its user's private messages (`@user`) and the broadcasts (`*`) from then on; what nobody subscribed to is dropped.
//! * Every answer carries the `id` of its request, any JSON value: give each request one, a number for example, to know what is
//!   answered. An `Ack` comes when the entry is kept, never before; an `Error` with the id says why not.
//!   Where a message has no number of its own to be known by when it comes again, `seq` stays away, and the ack with it: give one.
//! * With [`Joiner::chooses`](crate::chat::Joiner::chooses) it follows nothing by itself; `Follow` and `Unfollow` are of private messages and broadcasts.
//! * [`Out::look`] finds the logs that have entries, and tells of each that begins, by their names.
//! * `JoinRoom` makes it a member that follows; `Joined` comes behind the replayed entries. `Publish` needs no membership.
//!   `History` with `limit` 1 is a room's last entry.
//! * Entries come by [`Session::entry`] in the order of their log. While [`Session::has_room`] is false none come: the
//!   connection is behind then, goes on from its cursor when there is room again, and is closed as slow after the lag that is allowed.
//! * Acts are carried out in order, and what follows from one may be told before the next is carried out. Nothing is called
//!   from within a call: each writes to its own [`Out`].
//! * [`Session::closing`] comes before the server closes, with a code and a reason as of a WebSocket: the last word in its own
//!   language. [`Session::ended`] is the last call, however the connection ended. What is to be published then is a
//!   [`Will`](crate::chat::Command::Will), which the chat has been given before: a connection may end where nobody asks it any more.
//! * Who shows a token in its own way gives it to [`Joiner::token`](crate::chat::Joiner::token): the hub looks at it.
//! * What is to outlive the process goes into a log of the server's own by [`Out::keep`], is read by [`Out::recall`], and is written
//!   a last time at the end by [`Session::last_memo`]. A server that stops waits for the answers.
//! * A session need not have a socket: where a request over HTTP begins one (`Call::Open`), it has a place among
//!   connections and a name ([`Sid`]), by which requests on any connection, at any worker, [knock](Session::knock) at it, and a
//!   WebSocket may give it its own ([`Out::take_socket`]).
//! * Rates, sizes and the memory budget are seen to outside: each [`Out::ask`] is counted as a message of so many bytes.

mod encoding;
mod knock;
mod protocol;
mod session;

pub(in crate::transport) use encoding::Encodings;
pub use encoding::{Encoding, Told};
pub use knock::{Answer, Knock, Refusal, Sid};
pub use protocol::{Protocol, Protocols};
pub use session::{Act, Out, Session};

use super::protobuf;
use crate::chat::{BadCommand, Request};

/// What a connection of the chat speaks.
#[derive(Debug)]
pub enum Dialect {
    /// A text message each, as docs/PROTOCOL.md says.
    Json,
    /// A binary message each, as docs/tidewire.v1.proto says.
    Protobuf,
    /// A protocol with a state of its own. A pointer to a fat one: there are tens of thousands that have none.
    Session(Box<Box<dyn Session>>),
}

impl Dialect {
    /// What is spoken at the chat's address under a subprotocol.
    #[must_use]
    pub(crate) fn of_the_chat(subprotocol: Option<&str>) -> Self {
        if subprotocol == Some(protobuf::PROTOCOL) {
            Self::Protobuf
        } else {
            Self::Json
        }
    }

    /// In which bytes everybody who speaks it gets an event; none where a session makes them.
    #[must_use]
    pub const fn encoding(&self) -> Option<Encoding> {
        match self {
            Self::Json => Some(Encoding::Json),
            Self::Protobuf => Some(Encoding::Protobuf),
            Self::Session(_) => None,
        }
    }
}

/// What a client said: a request, or why it is none.
pub type Parsed<'a> = Result<Request<'a>, BadCommand<'a>>;

/// The same with all that it borrows.
pub fn owned(parsed: Parsed<'_>) -> Parsed<'static> {
    match parsed {
        Ok(request) => Ok(request.into_owned()),
        Err(bad) => Err(bad.into_owned()),
    }
}
