//! Compressing and decompressing messages (RFC 7692 §7.2), with the memory for it shared where it can be.

use std::cell::RefCell;
use std::fmt;

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

use super::{DeflateConfig, WINDOW_BITS_MAX, WINDOW_BITS_MIN};

/// What a flushed message ends with, and what the wire leaves out: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the
/// tail end" (§7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// How much is inflated before its size and its text are checked.
const STEP_BYTES: usize = 16 << 10;

/// Idle codecs that a thread keeps of each kind; more than one is used at once only by messages that come in parts.
const POOL_MAX: usize = 4;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::new()) };
}

/// What the connections of a thread share.
struct Pool {
    compressors: Vec<Compressor>,
    #[expect(
        clippy::vec_box,
        reason = "connections own them as boxes, and these are the same"
    )]
    decompressors: Vec<Box<Decompressor>>,
    output: Vec<u8>,
    inflated: Vec<u8>,
}

impl Pool {
    const fn new() -> Self {
        Self {
            compressors: Vec::new(),
            decompressors: Vec::new(),
            output: Vec::new(),
            inflated: Vec::new(),
        }
    }
}

struct Compressor {
    deflate: Deflate,
    settings: Settings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Settings {
    level: u8,
    memory_level: u8,
    window_bits: u8,
}

/// The compressing half of a connection: a few bytes, and a compressor only where it keeps its window.
pub(crate) struct Compression {
    /// `None` while nothing was sent; and always without context takeover.
    own: Option<Box<Compressor>>,
    /// Shorter messages go out as they are; [`NEVER`]: all do.
    bytes_min: u32,
    settings: Settings,
    context_takeover: bool,
}

/// No message is compressed, which is always allowed.
const NEVER: u32 = u32::MAX;

impl Compression {
    pub(crate) fn new(config: &DeflateConfig, window_bits: u8, context_takeover: bool) -> Self {
        // The backend has no window as small as that peer's.
        let impossible = window_bits < WINDOW_BITS_MIN;
        let bytes_min = if impossible {
            NEVER
        } else {
            u32::try_from(config.compress_bytes_min).unwrap_or(NEVER)
        };
        Self {
            own: None,
            bytes_min,
            settings: Settings {
                level: config.level.clamp(1, 9),
                memory_level: config.memory_level.clamp(1, 9),
                // "MUST NOT use an LZ77 sliding window longer than 32,768 bytes", nor than was agreed on (§7.2.1).
                // [7692-7.2.1-3, 7692-7.2.1-6, 7692-7.2.1-7, 7692-7.2.2-6]
                window_bits: window_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX),
            },
            context_takeover,
        }
    }

    /// Whether a message of this length is to be compressed.
    pub(crate) const fn is_worth_it(&self, bytes: usize) -> bool {
        bytes > 0 && bytes >= self.bytes_min as usize && self.bytes_min != NEVER
    }

    /// Whether messages are compressed by themselves, so that one result serves all connections with a window of
    /// [`window_bits`](Self::window_bits) or more.
    pub(crate) const fn is_shareable(&self) -> bool {
        !self.context_takeover
    }

    /// The window that the peer is told of.
    pub(crate) const fn window_bits(&self) -> u8 {
        self.settings.window_bits
    }

    /// Replaces `out` by the compressed message. `false`: it did not become smaller and is to go out as it is, which only
    /// a message that stands alone may, since the peer's window must see what ours saw.
    pub(crate) fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        if self.context_takeover {
            let settings = self.settings;
            let own = self
                .own
                .get_or_insert_with(|| Box::new(Compressor::new(settings)));
            own.compress(payload, out);
            return true;
        }
        self.compress_alone(payload, out)
    }

    /// Replaces `out` by the message compressed by itself, with a compressor of the thread's; `false`: it did not become
    /// smaller.
    pub(crate) fn compress_alone(&self, payload: &[u8], out: &mut Vec<u8>) -> bool {
        let mut compressor = Compressor::from_pool(self.settings);
        compressor.compress(payload, out);
        compressor.into_pool();
        out.len() < payload.len()
    }
}

impl Compressor {
    fn new(settings: Settings) -> Self {
        let config = zlib_rs::DeflateConfig {
            level: i32::from(settings.level),
            // Negative: raw, without zlib's header and checksum.
            window_bits: -i32::from(settings.window_bits),
            mem_level: i32::from(settings.memory_level),
            ..zlib_rs::DeflateConfig::default()
        };
        Self {
            deflate: Deflate::new_with_config(config),
            settings,
        }
    }

    fn from_pool(settings: Settings) -> Self {
        let pooled = POOL.with_borrow_mut(|pool| {
            let place = pool
                .compressors
                .iter()
                .position(|idle| idle.settings == settings)?;
            Some(pool.compressors.remove(place))
        });
        pooled.unwrap_or_else(|| Self::new(settings))
    }

    fn into_pool(mut self) {
        // "MUST start compressing each new message with an empty LZ77 sliding window" (§7.2.1).
        // [7692-7.2.1-4, 7692-7.2.1-5]
        self.deflate.reset();
        POOL.with_borrow_mut(|pool| {
            if pool.compressors.len() == POOL_MAX {
                // The one that was not used for longest makes room: else peers with odd windows would fill the pool once,
                // and everybody else's messages would each take new memory from then on.
                pool.compressors.remove(0);
            }
            pool.compressors.push(self);
        });
    }

    /// "Compress all the octets of the payload of the message using DEFLATE" and flush them to a byte boundary (§7.2.1).
    fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        out.clear();
        let mut unread = payload;
        loop {
            let filled = out.len();
            out.resize(filled + unread.len() / 2 + 64, 0);
            let (_, free) = out.split_at_mut(filled);
            let (read, written) = (self.deflate.total_in(), self.deflate.total_out());
            // A sync flush sets no block's BFINAL, so that nothing needs padding (§7.2.1). [7692-7.2.1-1]
            // It fails only on a state that was not set up, and a full output is no failure.
            let status = self.deflate.compress(unread, free, DeflateFlush::SyncFlush);
            debug_assert!(status.is_ok(), "{status:?}");
            let written = (self.deflate.total_out() - written) as usize;
            let full = written == free.len();
            let (_, rest) = unread.split_at((self.deflate.total_in() - read) as usize);
            unread = rest;
            out.truncate(filled + written);
            // Output space left over says that the flush is complete.
            if !full {
                break;
            }
        }
        debug_assert!(
            out.ends_with(&TAIL),
            "a sync flush ends with an empty stored block"
        );
        out.truncate(out.len().saturating_sub(TAIL.len()));
    }
}

/// The decompressing half of a connection: a decompressor only where it keeps its window, or in the middle of a message.
pub(crate) struct Decompression {
    /// `None` between messages without context takeover, and before the first.
    own: Option<Box<Decompressor>>,
    context_takeover: bool,
}

struct Decompressor {
    inflate: Inflate,
    /// The last block said that it was the last one: what follows is a new stream.
    ended: bool,
}

/// The compressed data is not DEFLATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

impl Decompression {
    pub(crate) const fn new(context_takeover: bool) -> Self {
        Self {
            own: None,
            context_takeover,
        }
    }

    pub(crate) const fn context_takeover(&self) -> bool {
        self.context_takeover
    }

    /// Inflates the next piece of a message, and hands on what comes out step by step; `last` ends the message.
    pub(crate) fn inflate<E: From<Corrupt>>(
        &mut self,
        piece: &[u8],
        last: bool,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut decompressor = self.own.take().unwrap_or_else(Decompressor::from_pool);
        let mut buffer = POOL.with_borrow_mut(|pool| std::mem::take(&mut pool.inflated));
        buffer.resize(STEP_BYTES, 0);
        let mut result = decompressor.inflate(piece, false, &mut buffer, &mut sink);
        if last && result.is_ok() {
            result = decompressor.end_message(&mut buffer, &mut sink);
        }
        POOL.with_borrow_mut(|pool| pool.inflated = buffer);
        if last && !self.context_takeover {
            decompressor.into_pool();
        } else {
            // "MUST decompress each new message using the LZ77 sliding window used to process the last compressed message"
            // (§7.2.2). [7692-7.2.2-1, 7692-7.2.2-2, 7692-7.2.2-3]
            self.own = Some(decompressor);
        }
        result
    }
}

impl Decompressor {
    fn from_pool() -> Box<Self> {
        let pooled = POOL.with_borrow_mut(|pool| pool.decompressors.pop());
        pooled.unwrap_or_else(|| {
            Box::new(Self {
                // "MUST use a 32,768-byte LZ77 sliding window" (§7.2.2), or MAY where a smaller one was agreed on.
                // [7692-7.2.2-4, 7692-7.2.2-5]
                inflate: Inflate::new(false, WINDOW_BITS_MAX),
                ended: false,
            })
        })
    }

    fn into_pool(mut self: Box<Self>) {
        self.inflate.reset(false);
        self.ended = false;
        POOL.with_borrow_mut(|pool| {
            if pool.decompressors.len() < POOL_MAX {
                pool.decompressors.push(self);
            }
        });
    }

    /// "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload" (§7.2.2), unless the message ended with a
    /// final block, behind which there is nothing.
    fn end_message<E: From<Corrupt>>(
        &mut self,
        buffer: &mut [u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.ended {
            return Ok(());
        }
        self.inflate(&TAIL, true, buffer, sink)
    }

    fn inflate<E: From<Corrupt>>(
        &mut self,
        mut unread: &[u8],
        is_tail: bool,
        buffer: &mut [u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { inflate, ended } = self;
        let mut full = false;
        while !unread.is_empty() || full {
            if std::mem::take(ended) {
                // "DEFLATE blocks with the BFINAL bit set to 1" may stand anywhere (§7.2.3.4); a new stream begins, with
                // an empty window. By the letter of §7.2.2 the window would go on; the backend has no reset that keeps it,
                // and no sender on zlib refers back across the end of its stream.
                inflate.reset(false);
            }
            let (read, written) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(unread, buffer, InflateFlush::NoFlush);
            let written = (inflate.total_out() - written) as usize;
            let (_, rest) = unread.split_at((inflate.total_in() - read) as usize);
            let progress = written > 0 || rest.len() < unread.len();
            unread = rest;
            full = written == buffer.len();
            sink(buffer.split_at(written).0)?;
            match status {
                Ok(Status::StreamEnd) => *ended = true,
                Ok(Status::Ok | Status::BufError) if progress => {}
                // Nothing more comes out of what there is.
                Ok(Status::Ok | Status::BufError) if unread.is_empty() => return Ok(()),
                Ok(Status::Ok | Status::BufError) | Err(_) => return Err(Corrupt.into()),
            }
            // A final block that ends inside the tail is odd, but whole: the rest of the tail is no block, and would be read
            // as the beginning of the next message.
            if *ended && (is_tail || unread.is_empty()) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Calls `with` with a buffer of the thread's, for what is thrown away afterwards.
pub(crate) fn with_output_buffer<T>(with: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    /// What is kept of it.
    const KEPT_BYTES_MAX: usize = 1 << 20;
    let mut buffer = POOL.with_borrow_mut(|pool| std::mem::take(&mut pool.output));
    let result = with(&mut buffer);
    buffer.clear();
    if buffer.capacity() <= KEPT_BYTES_MAX {
        POOL.with_borrow_mut(|pool| pool.output = buffer);
    }
    result
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compression")
            .field("settings", &self.settings)
            .field("context_takeover", &self.context_takeover)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Decompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompression")
            .field("context_takeover", &self.context_takeover)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream ends with a block that has BFINAL, and only there. [7692-7.2.1-1]
    #[test]
    fn no_block_of_ours_is_a_final_one() {
        let noise: Vec<u8> = (0..=255u8).map(|i| i.wrapping_mul(i) ^ 0x5a).collect();
        for payload in [&b"Hello"[..], &[7; 100_000], &noise] {
            let mut compression = Compression::new(&DeflateConfig::default(), 15, true);
            let mut compressed = Vec::new();
            compression.compress(payload, &mut compressed);
            compressed.extend(TAIL);
            let (mut inflate, mut out) = (Inflate::new(false, 15), vec![0; payload.len() + 1]);
            let status = inflate.decompress(&compressed, &mut out, InflateFlush::SyncFlush);
            assert!(matches!(status, Ok(Status::Ok)), "{status:?}");
            assert_eq!(inflate.total_in(), compressed.len() as u64);
            assert_eq!(out.split_at(payload.len()).0, payload);
        }
    }
}
