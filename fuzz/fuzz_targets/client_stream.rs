//! Any bytes as what a server sends to a client connection, split anywhere. What must hold is in the
//! crate: `tidewire_protocol::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tidewire_protocol::fuzzing::client_stream(data));
