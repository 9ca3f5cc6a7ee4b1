//! Any bytes as text in pieces, against std. What must hold is in the
//! crate: `tidewire_protocol::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tidewire_protocol::fuzzing::utf8(data));
