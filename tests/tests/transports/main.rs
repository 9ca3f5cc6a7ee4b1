//! The chat in other protocols: Protobuf, MQTT, Engine.IO and Socket.IO, and all of them in one room.

mod engine_io;
mod mqtt;
mod mqtt_clients;
mod mqtt_sessions;
mod one_conversation;
mod protobuf;
mod socket_io;
mod socket_io_clients;
