//! Any bytes as what an MQTT client sends, in pieces of any size. What must hold is in the crate:
//! `tidewire::transport::mqtt::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tidewire::transport::mqtt::fuzzing::mqtt_packets(data));
