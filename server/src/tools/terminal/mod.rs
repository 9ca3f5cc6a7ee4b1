//! What commands share that show messages to people: text that cannot harm a terminal, colours, local time. No sockets.

mod palette;
mod text;
mod when;

pub(crate) use palette::Palette;
pub(crate) use text::{Lines, compact, visible, words};
pub(crate) use when::LocalTime;
