//! What becomes of what is below a connection.

/// What the owner of the transport is to do once [`Connection::poll_transmit`](crate::Connection::poll_transmit) has nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Go on reading and writing.
    Keep,
    /// End our half (`shutdown(SHUT_WR)`) and go on reading. Only a server is told so: a client waits for it.
    HalfClose,
    /// Drop the transport and the connection.
    Drop,
}
