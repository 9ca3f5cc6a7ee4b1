//! permessage-deflate (RFC 7692): the settings, what two ends agree on, and the codec.
//!
//! The memory of compressors and decompressors is the price of this extension: some 380 KB and 48 KB. It is taken on first
//! use; without context takeover all connections of a thread share it, so that an idle connection owns none.

mod codec;
mod negotiation;

pub(crate) use codec::{Compression, Corrupt, Decompression, with_output_buffer};
pub use negotiation::{BadDeflateResponse, DeflateAgreement};

/// The token in `Sec-WebSocket-Extensions` (RFC 7692 §7), which is registered (RFC 6455 §9.1). [6455-9.1-3]
pub(crate) const EXTENSION_NAME: &str = "permessage-deflate";

/// The window that every inflater has, in bits: "the base-2 logarithm of the LZ77 sliding window size" (§7.1.2).
pub(crate) const WINDOW_BITS_MAX: u8 = 15;

/// The smallest window that the backend compresses with. RFC 7692 knows 8, zlib and its descendants do not.
pub(crate) const WINDOW_BITS_MIN: u8 = 9;

/// What this end is ready to do.
///
/// `server_*` and `client_*` say whose *sending* is meant, on both sides of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The compression level, 1 (fast) to 9 (small). Default 2: in messages that stand alone, the levels above cost up to
    /// three times the time for some percent, and level 1 hardly compresses them at all.
    pub level: u8,
    /// How much memory the compressor may take for its state, 1 to 9. Default 8, as zlib.
    pub memory_level: u8,
    /// Messages below this many bytes go out as they are. Default 128: below, little is won.
    pub compress_bytes_min: usize,
    /// Whether the server may compress a message with what it sent before. Default no: then a message is compressed once for
    /// all connections, and they share one compressor. With it small messages shrink to half, at some 380 KB a connection.
    /// ([by window and memory level](crate::guide::costs)).
    pub server_context_takeover: bool,
    /// Whether the client may. Default no: a server with it owns some 48 KB a connection.
    pub client_context_takeover: bool,
    /// The window of the server's compressor, 9 to 15 bits. Default 15.
    pub server_window_bits: u8,
    /// The window of the client's compressor, 9 to 15 bits. Default 15.
    pub client_window_bits: u8,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 2,
            memory_level: 8,
            compress_bytes_min: 128,
            server_context_takeover: false,
            client_context_takeover: false,
            // "An LZ77 sliding window size of 1,024 or more is RECOMMENDED" (§7.3). [7692-7.3-1]
            server_window_bits: WINDOW_BITS_MAX,
            client_window_bits: WINDOW_BITS_MAX,
        }
    }
}
