//! Frames and handshakes on the wire: what is refused, what comes back, and what Wireshark reads.

mod bad_frames;
mod capture;
mod echo_with_node_ws;
mod echo_with_python_websockets;
mod examples;
mod handshake_refusals;
mod no_byte_of_another;
mod ping_and_pong;
mod reader_that_stops_reading;
mod wireshark;
