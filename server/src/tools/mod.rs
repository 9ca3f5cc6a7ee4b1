//! The commands beside `serve`: each reads its arguments, writes to what it is given, and returns what went wrong.

pub mod log;
