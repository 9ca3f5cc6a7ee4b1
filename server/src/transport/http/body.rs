//! The body of a request: collected up to its announced length, or passed on with no more in flight than is dealt with.

use std::mem;

use crate::transport::api::{Call, JsonParser, Problem, Target, call_from_body};

/// Bytes of a body that are passed on and not dealt with, above which the socket is not read.
const IN_FLIGHT_BYTES_HIGH: usize = 128 << 10;

/// A JSON body. Its memory grows with what came, not with what was announced.
#[derive(Debug)]
pub(super) struct Collecting {
    missing: u64,
    body: Vec<u8>,
    parse: JsonParser,
    target: Target,
}

impl Collecting {
    pub(super) const fn new(bytes: u64, parse: JsonParser, target: Target) -> Self {
        Self {
            missing: bytes,
            body: Vec::new(),
            parse,
            target,
        }
    }

    /// Takes what belongs to the body; `true` when it is whole.
    pub(super) fn take(&mut self, input: &mut &mut [u8]) -> bool {
        self.body
            .extend_from_slice(split_off(input, &mut self.missing));
        self.missing == 0
    }

    /// What it holds in memory, in bytes.
    pub(super) const fn held_bytes(&self) -> usize {
        self.body.capacity()
    }

    pub(super) fn parse(&self) -> Result<Call, Problem> {
        call_from_body(self.parse, &self.target, &self.body)
    }
}

/// A body that is passed on.
#[derive(Debug)]
pub(super) struct Receiving {
    missing: u64,
    in_flight: usize,
}

impl Receiving {
    pub(super) const fn new(bytes: u64) -> Self {
        Self {
            missing: bytes,
            in_flight: 0,
        }
    }

    /// Whether all of it was passed on.
    pub(super) const fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// Whether no more is to be passed on for now.
    pub(super) const fn is_full(&self) -> bool {
        self.in_flight >= IN_FLIGHT_BYTES_HIGH
    }

    /// The next bytes to be passed on; `None` where there are none, or too many in flight.
    pub(super) fn take(&mut self, input: &mut &mut [u8]) -> Option<Vec<u8>> {
        if self.is_full() || input.is_empty() {
            return None;
        }
        let bytes = split_off(input, &mut self.missing).to_vec();
        self.in_flight += bytes.len();
        Some(bytes)
    }

    pub(super) const fn taken(&mut self, bytes: usize) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
    }
}

/// Splits off as much as is missing, or all.
fn split_off<'b>(input: &mut &'b mut [u8], missing: &mut u64) -> &'b [u8] {
    let length = usize::try_from(*missing).map_or(input.len(), |missing| missing.min(input.len()));
    let (bytes, rest) = mem::take(input).split_at_mut(length);
    *input = rest;
    *missing -= length as u64;
    bytes
}
