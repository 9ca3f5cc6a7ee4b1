//! Any messages from one end to the other, split anywhere, compressed in every way. What must hold is in the
//! crate: `tidewire_protocol::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tidewire_protocol::fuzzing::round_trip(data));
