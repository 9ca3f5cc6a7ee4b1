//! Nodes, their links and a Redis or NATS that fails in all ways that are known, on virtual time: what happens follows from a seed. Whoever
//! follows a log there believes nothing, and checks each message that it gets.

mod campaign;
mod follower;
mod jetstream;
mod redis;
mod world;
