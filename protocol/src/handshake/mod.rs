//! The opening handshake (RFC 6455 §4): HTTP/1.1 heads in, an accept key out.
//!
//! * [`head`]: finds the end of a head in bytes that may come one at a time, in linear time and under limits.
//! * [`server`]: reads a request, refuses it or accepts it.
//! * [`client`]: builds a request and checks the response.
//! * [`header`]: the grammar of the header values that both sides read.

pub mod client;
pub mod head;
pub mod header;
pub mod server;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};

/// The only version of the protocol there is (§4.1).
pub const VERSION: &str = "13";

/// What §1.3 appends to the key before hashing.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` value for a `Sec-WebSocket-Key` value, 28 characters of base64 (§4.2.2).
///
/// ```
/// use tidewire_protocol::handshake::accept_key;
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    BASE64.encode(hash.finalize())
}

/// Whether `key` is "a base64-encoded value that, when decoded, is 16 bytes in length" (§4.2.1).
#[must_use]
pub fn is_valid_key(key: &str) -> bool {
    BASE64.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}
