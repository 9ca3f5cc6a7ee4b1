//! The properties of the fuzz targets hold on random bytes too: a check of the targets where no fuzzer runs.
#![cfg(feature = "fuzzing")]

use proptest::prelude::*;
use tidewire_protocol::fuzzing;

/// Bytes that look like frames more often than chance would have it.
fn almost_frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        proptest::sample::select(vec![0x81u8, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8a]),
        any::<u8>(),
    ];
    let payload = proptest::collection::vec(any::<u8>(), 0..100);
    let frame = (first, any::<[u8; 4]>(), payload).prop_map(|(first, key, payload)| {
        let second = 0x80 | payload.len() as u8;
        [&[first, second][..], &key, &payload].concat()
    });
    let frames = proptest::collection::vec(frame, 0..20).prop_map(|frames| frames.concat());
    (any::<[u8; 9]>(), frames).prop_map(|(seed, frames)| [&seed[..], &frames].concat())
}

proptest! {
    #[test]
    fn frame_header_holds(data in proptest::collection::vec(any::<u8>(), 0..20)) {
        fuzzing::frame_header(&data);
    }

    #[test]
    fn server_stream_holds_on_noise(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::server_stream(&data);
    }

    #[test]
    fn server_stream_holds_on_frames(data in almost_frames()) {
        fuzzing::server_stream(&data);
    }
}

/// Arbitrary bytes, and a function of the targets that takes them.
macro_rules! holds_on_noise {
    ($($name:ident: $target:ident, $size:literal;)*) => {
        proptest! {
            $(#[test]
            fn $name(data in proptest::collection::vec(any::<u8>(), 0..$size)) {
                fuzzing::$target(&data);
            })*
        }
    };
}

holds_on_noise! {
    client_stream_holds_on_noise: client_stream, 300;
    handshake_request_holds_on_noise: handshake_request, 300;
    handshake_response_holds_on_noise: handshake_response, 300;
    extension_header_holds_on_noise: extension_header, 100;
    utf8_holds_on_noise: utf8, 100;
    inflate_holds_on_noise: inflate, 300;
    round_trip_holds_on_noise: round_trip, 300;
    prepared_holds_on_noise: prepared, 300;
}
