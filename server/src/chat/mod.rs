//! The chat: who is in which room, who may say what, and what follows from it.
//!
//! Pure: commands and `now` come in, effects go out. No sockets, no clock, no threads; entropy is a seed. What a message's
//! place in its log is, the log says: the hub asks for it by [`Effect::Append`] and the answer goes to the sender ([`appended`]).

mod answers;
mod auth;
mod cluster;
mod command;
mod conn_set;
mod effect;
mod event;
mod followers;
mod hub;
mod lingering;
mod member;
mod owned;
mod parked;
mod people;
mod relay;
mod room;
mod wills;

pub use answers::{appended, history, not_kept, not_read};
pub use cluster::{Outgoing, Remarks};
pub use command::check_seq;
pub use command::{BadCommand, Command, Refused, Request, Testament};
pub use conn_set::ConnSet;
pub use effect::{Append, Audience, Effect, Except, Follow, Joiner, Parting, Reading};
pub use event::{Event, Shown, as_followers_see_them};
pub use hub::{Crowd, HISTORY_DEFAULT, HISTORY_MAX, Hub, HubConfig, Somebody, Tally, part_of};
pub use relay::Relay;
