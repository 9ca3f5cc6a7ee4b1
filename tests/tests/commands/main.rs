//! The command line and the tools for the terminal.

mod bench;
mod chat;
mod command_line;
mod completions_and_manual;
mod pauses;
mod tail;
mod token;
mod verify;
