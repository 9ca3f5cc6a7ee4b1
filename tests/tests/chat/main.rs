//! The chat over WebSocket and HTTP: rooms, people, private messages, sessions, and every way to come back.

mod across_transports;
mod content;
mod errors;
mod join_while_others_publish;
mod limits;
mod over_http;
mod presence;
mod private_and_broadcast;
mod relay;
mod resume_matrix;
mod rooms;
mod sessions;
mod several_workers;
mod user_limits;
