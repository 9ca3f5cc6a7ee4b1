//! Any bytes as what a client of Engine.IO and Socket.IO says. What must hold is in the
//! crate: `tidewire::transport::socket_io::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tidewire::transport::socket_io::fuzzing::engine_io(data));
