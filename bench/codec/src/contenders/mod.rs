//! Each crate, driven as well as it can be; where one leaves a duty to its caller, the caller here does it.

pub(crate) mod fastwebsockets;
pub(crate) mod soketto;
pub(crate) mod tidewire;
pub(crate) mod tungstenite;

use std::hint::black_box;

use crate::workload;

/// Receives or sends that many messages and returns how many payload bytes went through the caller's hands (received), or
/// how many bytes went to the transport (sent).
pub(crate) type Job = Box<dyn FnMut(u64) -> u64>;

/// A job that sends: what it returns is by how much the count of what transports took has grown.
fn sending(written: impl Fn() -> u64 + 'static, mut send: impl FnMut(u64) + 'static) -> Job {
    Box::new(move |messages| {
        let before = written();
        send(messages);
        written() - before
    })
}

/// A job that masks a buffer in place, with a key that the compiler does not know.
fn masking(len: usize, apply: impl Fn(&mut [u8], [u8; 4]) + 'static) -> Job {
    let mut bytes = workload::noise(len);
    Box::new(move |times| {
        for _ in 0..times {
            apply(black_box(&mut bytes), black_box([1, 2, 3, 4]));
        }
        times * bytes.len() as u64
    })
}

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing {
    /// The payload's length.
    pub(crate) bytes: usize,
    /// Bytes that the application shares, not text that it lends.
    pub(crate) binary: bool,
    /// How many messages are queued before the transport is written to.
    pub(crate) per_write: u64,
    /// Clients mask.
    pub(crate) client: bool,
    /// permessage-deflate without context takeover, level 1.
    pub(crate) deflate: bool,
}
