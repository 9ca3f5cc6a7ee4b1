//! Any bytes as a request in Protobuf: what is one is the same after it was written and read again, and a content of bytes, or
//! whatever looks like one, says the same in both languages.
#![no_main]

#[path = "../../server/src/transport/protobuf/binary.rs"]
mod binary;
#[rustfmt::skip]
#[path = "../../server/src/transport/protobuf/schema.rs"]
mod schema;

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use serde_json::value::RawValue;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = schema::Request::decode(data) {
        let again = schema::Request::decode(request.encode_to_vec().as_slice());
        assert_eq!(again.as_ref(), Ok(&request));
    }
    let content = binary::content_of(data);
    assert_eq!(binary::bytes_of(&content).as_deref(), Some(data));
    if let Ok(content) = serde_json::from_slice::<Box<RawValue>>(data)
        && let Some(bytes) = binary::bytes_of(&content)
    {
        assert_eq!(binary::content_of(&bytes).get(), content.get());
    }
});
