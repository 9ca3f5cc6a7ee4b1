//! HTTP on the same port: the API, streams, files, and what stands between a client and the server.

mod api;
mod behind_nginx;
mod bodies;
mod files;
mod on_the_same_port;
mod openapi;
mod origins;
mod proxy_protocol;
mod readers;
mod request_smuggling;
