//! The Tidewire server.
