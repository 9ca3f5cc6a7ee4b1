//! Between bytes and the chat, without sockets: HTTP on the way in, and where each address leads.

mod assets;
mod http;
mod query;
mod response;
mod routes;

pub(crate) use http::{Accepted, Http, HttpConfig};
pub(crate) use response::overloaded_response;
pub(crate) use routes::Endpoint;
