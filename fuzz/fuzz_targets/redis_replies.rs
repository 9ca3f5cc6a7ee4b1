//! Any bytes as what Redis says to a node, in pieces of any size. What must hold is in the
//! crate: `tidewire::log::redis::wire::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tidewire::log::redis::wire::fuzzing::redis_replies(data));
