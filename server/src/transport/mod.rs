//! Between bytes and the chat, without sockets: HTTP on the way in, where each address leads, and who
//! follows which log.

mod assets;
pub mod feeds;
mod http;
mod query;
mod response;
mod routes;

pub(crate) use http::{Accepted, Http, HttpConfig};
pub(crate) use response::overloaded_response;
pub(crate) use routes::Endpoint;
