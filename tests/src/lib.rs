//! What the integration tests share: a server as a real process, clients written by hand on blocking sockets,
//! and runners for the foreign clients (Node, Python, Chromium).
//!
//! It uses nothing of `tidewire-protocol` on purpose: a codec that tests itself agrees with itself. Helpers panic
//! with a sentence, because in a test a panic is the report. Nothing here asserts how long something takes:
//! what must happen is polled for with a generous deadline ([`wait::PATIENCE`]).

pub mod browser;
pub mod bystanders;
pub mod chat;
pub mod command;
pub mod crowd;
pub mod daemon;
pub mod deflated;
pub mod dice;
pub mod directory;
pub mod event_stream;
pub mod example;
pub mod frame;
pub mod http;
pub mod http_chat;
pub mod issuer;
pub mod launch;
pub mod log_server;
pub mod nats;
pub mod nginx;
pub mod nodes;
pub mod proxy;
pub mod pulse;
pub mod redis;
pub mod redis_cluster;
pub mod redis_proxy;
pub mod resp;
pub mod script;
pub mod sentinels;
pub mod server;
pub mod shared_log;
pub mod small_disk;
pub mod tls;
pub mod tshark;
pub mod verify;
pub mod wait;
pub mod websocket;
pub mod wire;

pub use chat::Chatter;
pub use command::Running;
pub use dice::Dice;
pub use directory::Directory;
pub use event_stream::EventStream;
pub use example::Example;
pub use frame::Frame;
pub use http_chat::{PollChatter, StreamChatter};
pub use issuer::Issuer;
pub use launch::Launch;
pub use log_server::LogServer;
pub use nats::Nats;
pub use nodes::Nodes;
pub use pulse::Pulse;
pub use redis::{Redis, RedisLaunch};
pub use redis_cluster::RedisCluster;
pub use redis_proxy::RedisProxy;
pub use sentinels::{Sentinels, SentinelsLaunch};
pub use server::Server;
pub use small_disk::SmallDisk;
pub use tls::Identity;
pub use verify::Verify;
pub use wait::wait_until;
pub use websocket::{Client, Message};
