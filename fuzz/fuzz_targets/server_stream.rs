//! Any bytes as what a client sends to a server connection, split anywhere. What must hold is in the
//! crate: `tidewire_protocol::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tidewire_protocol::fuzzing::server_stream(data));
