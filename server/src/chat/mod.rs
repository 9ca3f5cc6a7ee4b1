//! The chat: who is in which room, who may say what, and what follows from it.
//!
//! Pure: commands and `now` come in, effects go out. No sockets, no clock, no threads; entropy is a seed. What a message's
//! place in its log is, the log says: the hub asks for it by [`Effect::Append`] and hears of it in [`Hub::appended`].

mod command;
mod event;
mod followers;
mod hub;
mod relay;
mod room;

pub use command::{BadCommand, Command, Request};
pub use event::Event;
pub use followers::Followers;
pub use hub::{Append, Audience, Effect, Hub, HubConfig, Joiner, Parting};
pub use relay::Relay;
