//! Between bytes and the chat, without sockets: HTTP on the way in, where each address leads, and who
//! follows which log.

mod api;
mod assets;
mod auth;
mod client;
mod cors;
mod date;
pub mod dialect;
pub mod feeds;
mod http;
mod json;
mod media;
pub mod mqtt;
pub mod protobuf;
mod query;
mod response;
mod routes;
pub mod socket_io;

pub(crate) use api::{
    Call, CaptureRequest, Download, Found, History, Operation, Progress, Publish, Subject,
    Subscription, Upload, WHY_MAX, admin, capture_stream, chat_polled, done, event_stream,
    file_problem, history_page, members, of_connections, of_users, polled, published, rooms,
    server_sent_event, server_sent_position, server_sent_retry, uploaded,
};
pub use client::ForwardedHeader;
pub(crate) use client::{
    Gate, HEADER_BYTES_MAX, NotProxied, Preface, Proxies, TurnedAway, parse_preface, too_many,
};
pub(crate) use cors::Cors;
pub use cors::{BadOrigin, Origin};
pub(crate) use date::Date;
pub(crate) use http::{Accepted, Event, Http, HttpConfig, Turn};
pub(crate) use response::{Response, last_response, overloaded};
pub(crate) use routes::Endpoint;
