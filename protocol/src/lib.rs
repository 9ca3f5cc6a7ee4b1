//! WebSocket without I/O.
