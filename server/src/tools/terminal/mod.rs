//! What commands share that show messages to people: text that cannot harm a terminal, colours, local time. No sockets.

mod palette;
mod text;
mod when;

pub(super) use palette::Palette;
pub(super) use text::{Lines, compact, visible, words};
pub(super) use when::LocalTime;
