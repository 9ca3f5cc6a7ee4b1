//! The sending half of a connection: messages and control frames to bytes, in order, masked where a client sends.

use std::fmt;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use rand::RngExt as _;

use crate::Side;
use crate::batch::Batch;
use crate::close::CloseFrame;
use crate::deflate::{Compression, with_output_buffer};
use crate::entropy::strong_entropy;
use crate::error::Misuse;
use crate::frame::{CONTROL_PAYLOAD_MAX, Header, Opcode};
use crate::mask::Mask;
use crate::message::Message;
use crate::outbox::Outbox;
use crate::output::Output;
use crate::owned::OwnedMessage;
use crate::prepared::Prepared;
use crate::recorder::{Noted, Recording};

/// Messages that one write is offered from where they lie.
pub(crate) const THROUGH_MAX: usize = 32;

/// Frames on their way out.
#[derive(Debug)]
pub(crate) struct Sender {
    side: Side,
    /// There while something is unsent.
    output: Option<Box<Output>>,
    keys: Keys,
    /// Where permessage-deflate was agreed on.
    compression: Option<Compression>,
    /// The kind of the message whose fragments are being sent.
    fragmented: Option<Opcode>,
    /// What went both ways, where somebody wants to know: here, because most frames are sent.
    pub(crate) recording: Recording,
}

/// A source of masking keys.
pub(crate) type GivenKeys = Box<dyn FnMut() -> [u8; 4] + Send>;

/// Where a client's masking keys come from.
pub(crate) enum Keys {
    /// The thread's generator: "derived from a strong source of entropy" (§5.3). [6455-5.3-3]
    Random,
    /// The caller.
    Given(Box<GivenKeys>),
}

impl Sender {
    pub(crate) fn new(side: Side, keys: Keys) -> Self {
        Self {
            side,
            output: None,
            keys,
            compression: None,
            fragmented: None,
            recording: Recording::default(),
        }
    }

    /// Whose frames these are.
    pub(crate) const fn side(&self) -> Side {
        self.side
    }

    /// From now on messages may be compressed.
    pub(crate) fn enable_deflate(&mut self, compression: Compression) {
        self.compression = Some(compression);
    }

    /// What was agreed on about compressing.
    pub(crate) const fn compression(&self) -> Option<&Compression> {
        self.compression.as_ref()
    }

    /// Queues bytes that are no frame: the response of the handshake.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.outbox().append(|out| out.extend_from_slice(bytes));
    }

    /// Queues a whole message, compressed if that is agreed on and worth it.
    pub(crate) fn message(&mut self, opcode: Opcode, payload: &[u8]) {
        if self.is_worth_compressing(payload.len()) {
            self.compressed(opcode, payload);
        } else {
            self.frame(opcode, payload);
        }
    }

    #[inline(never)] // The way of other messages is to be short.
    fn compressed(&mut self, opcode: Opcode, payload: &[u8]) {
        // A compressed message (RFC 7692 §6.1) is one frame, so that RSV1 is never on another than the first, nor on a
        // control frame. [7692-6.1-1, 7692-6.1-2, 7692-6.1-3]
        with_output_buffer(|compressed| {
            let compression = self.compression.as_mut();
            if compression.is_some_and(|compression| compression.compress(payload, compressed)) {
                let header = Header::unmasked(opcode, compressed.len()).with_rsv1();
                self.push(header, compressed);
            } else {
                self.frame(opcode, payload);
            }
        });
    }

    /// Offers `write` what is unsent and behind it whole messages from where they lie, and queues what it does not take.
    pub(crate) fn through(
        &mut self,
        messages: &[Message<'_>],
        write: impl FnOnce(&[IoSlice<'_>]) -> usize,
    ) {
        let (offered, others) = messages.split_at(messages.len().min(THROUGH_MAX));
        let as_they_lie = self.side == Side::Server
            && offered
                .iter()
                .all(|message| !self.is_worth_compressing(message.payload().len()));
        if as_they_lie {
            self.offer(offered, write);
        } else {
            self.queue(offered);
            let taken = self.outbox().offer(&[], write);
            self.transmitted(taken);
        }
        self.queue(others);
    }

    fn queue(&mut self, messages: &[Message<'_>]) {
        for message in messages {
            self.message(message.opcode(), message.payload());
        }
    }

    /// The same for messages that are on the wire as they are.
    fn offer(&mut self, messages: &[Message<'_>], write: impl FnOnce(&[IoSlice<'_>]) -> usize) {
        with_output_buffer(|headers| {
            headers.clear();
            let mut lengths = [0; THROUGH_MAX];
            for (message, length) in messages.iter().zip(&mut lengths) {
                let before = headers.len();
                let header = Header::unmasked(message.opcode(), message.payload().len());
                header.encode(headers);
                self.recording.sent(&header);
                *length = headers.len() - before;
            }
            let mut slices = [IoSlice::new(&[]); 2 * THROUGH_MAX];
            let (pairs, _) = slices.as_chunks_mut::<2>();
            let mut rest = &headers[..];
            for ((message, length), pair) in messages.iter().zip(lengths).zip(pairs) {
                let (header, behind) = rest.split_at(length);
                rest = behind;
                *pair = [header, message.payload()].map(IoSlice::new);
            }
            let (behind, _) = slices.split_at(2 * messages.len());
            let taken = self.outbox().offer(behind, write);
            self.take_rest(behind, taken);
        });
    }

    /// What is unsent went first: queues what is left of `behind`.
    fn take_rest(&mut self, behind: &[IoSlice<'_>], taken: usize) {
        let outbox = self.outbox();
        let queued = outbox.len();
        let mut gone = taken.saturating_sub(queued);
        for slice in behind {
            let (_, rest) = slice.split_at(gone.min(slice.len()));
            gone -= slice.len() - rest.len();
            outbox.append(|out| out.extend_from_slice(rest));
        }
        self.transmitted(taken.min(queued));
    }

    /// Queues one fragment of a message (§5.4), uncompressed: all are of one kind, and no other message is among them.
    /// [6455-5.4-3, 6455-5.4-10, 6455-6.1-6, 7692-7.2.1-2]
    pub(crate) fn fragment(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        last: bool,
    ) -> Result<(), Misuse> {
        let first = self.fragmented.is_none();
        if *self.fragmented.get_or_insert(opcode) != opcode {
            return Err(Misuse::OtherKind);
        }
        let opcode = if first { opcode } else { Opcode::Continuation };
        self.push(
            Header {
                fin: last,
                ..Header::unmasked(opcode, payload.len())
            },
            payload,
        );
        if last {
            self.fragmented = None;
        }
        Ok(())
    }

    fn is_worth_compressing(&self, payload_len: usize) -> bool {
        let compression = self.compression.as_ref();
        compression.is_some_and(|compression| compression.is_worth_it(payload_len))
    }

    /// Whether another message may begin.
    pub(crate) const fn check_between_messages(&self) -> Result<(), Misuse> {
        if self.fragmented.is_none() {
            Ok(())
        } else {
            Err(Misuse::UnfinishedMessage)
        }
    }

    /// Queues a final frame as it is.
    pub(crate) fn frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let header = Header::unmasked(opcode, payload.len());
        match self.side {
            Side::Server => {
                self.recording.sent(&header);
                // The same as below, of which the compiler leaves nothing but what such a frame has.
                self.outbox().append(|out| {
                    header.encode(out);
                    out.extend_from_slice(payload);
                });
            }
            Side::Client => self.push(header, payload),
        }
    }

    fn push(&mut self, header: Header, payload: &[u8]) {
        // "A client MUST mask all frames that it sends to the server", "a server MUST NOT mask any frames" (§5.1), and
        // "MUST pick a fresh masking key" (§5.3).
        // [6455-5.1-1, 6455-5.1-3, 6455-5.3-2, 6455-6.1-4, 6455-6.1-5, 6455-6.1-7, 6455-10.3-1]
        let mask = match self.side {
            Side::Server => None,
            Side::Client => Some(self.keys.next()),
        };
        self.recording.sent(&header);
        let header = Header { mask, ..header };
        self.outbox().append(|out| {
            header.encode(out);
            match mask {
                None => out.extend_from_slice(payload),
                Some(key) => {
                    let at = out.len();
                    out.extend_from_slice(payload);
                    Mask::new(key).apply(out.split_at_mut(at).1);
                }
            }
        });
    }

    /// Queues a frame that was encoded before; a server shares its bytes.
    pub(crate) fn prepared(&mut self, prepared: &Prepared) {
        let (frame, is_plain) = match (self.side, &self.compression) {
            (Side::Server, None) => (prepared.frame(), true),
            (Side::Server, Some(compression)) => (prepared.frame_for(compression), false),
            (Side::Client, _) => return self.message(prepared.opcode(), prepared.payload()),
        };
        self.recording.sent_data(|| match is_plain {
            true => prepared.noted(),
            false => Noted::encoded(prepared.opcode(), frame),
        });
        self.outbox().append_shared(frame);
    }

    /// Queues messages that were encoded before; a server that does not compress shares all their bytes as one.
    pub(crate) fn batch(&mut self, batch: &Batch) {
        if let (Side::Server, None) = (self.side, &self.compression) {
            self.recording.sent_data(|| batch.noted());
            self.outbox().append_shared(batch.frames());
        } else {
            for prepared in batch.messages() {
                self.prepared(prepared);
            }
        }
    }

    /// The same, which offers the bytes to `write` where there is nothing before them, and queues what it does not take.
    pub(crate) fn batch_through(&mut self, batch: &Batch, write: impl FnOnce(&[u8]) -> usize) {
        let as_it_lies = self.side == Side::Server && self.compression.is_none();
        if !as_it_lies || self.unsent_bytes() > 0 {
            return self.batch(batch);
        }
        self.recording.sent_data(|| batch.noted());
        let frames = batch.frames();
        let taken = write(frames).min(frames.len());
        if taken < frames.len() {
            self.outbox().append_owned(frames.slice(taken..));
        }
    }

    /// Queues a whole message with its memory, which is shared with whoever else has it.
    pub(crate) fn owned(&mut self, message: OwnedMessage) {
        let (opcode, payload) = (message.opcode(), message.into_bytes());
        if self.is_worth_compressing(payload.len()) {
            return self.message(opcode, &payload);
        }
        let header = Header::unmasked(opcode, payload.len());
        match self.side {
            Side::Server => self.push_owned(header, payload),
            Side::Client => match payload.try_into_mut() {
                Ok(payload) => self.push_masked(header, payload),
                // Somebody else reads these bytes: they are masked in a copy.
                Err(payload) => self.push(header, &payload),
            },
        }
    }

    /// Masks a payload where it lies and queues it.
    fn push_masked(&mut self, header: Header, mut payload: BytesMut) {
        let key = self.keys.next();
        Mask::new(key).apply(&mut payload);
        let header = Header {
            mask: Some(key),
            ..header
        };
        self.push_owned(header, payload.freeze());
    }

    /// Queues a header and behind it a payload that is masked already, if it has to be.
    fn push_owned(&mut self, header: Header, payload: Bytes) {
        self.recording.sent(&header);
        let outbox = self.outbox();
        outbox.append(|out| header.encode(out));
        outbox.append_owned(payload);
    }

    /// "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already received a Close
    /// frame" (§5.5.2), also behind our own Close, with "identical 'Application data'" (§5.5.3).
    /// [6455-5.5.2-1, 6455-5.5.2-2]
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        if let Some(output) = self.output.as_mut().filter(|output| output.blocked) {
            // "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in response to previous Ping
            // frame(s), the endpoint MAY elect to send a Pong frame for only the most recently processed Ping frame"
            // (§5.5.3).
            output.held_pong = Some(payload.into());
        } else {
            self.frame(Opcode::Pong, payload);
        }
    }

    pub(crate) fn close(&mut self, frame: &CloseFrame) {
        // The pong was owed before; a peer that has our Close need not look at anything behind it (§1.4).
        self.release_pong();
        let mut payload = Vec::with_capacity(CONTROL_PAYLOAD_MAX);
        frame.encode(&mut payload);
        self.frame(Opcode::Close, &payload);
    }

    /// Forgets a pong that is not owed any more: the peer sent its Close, or is gone.
    pub(crate) fn drop_pong(&mut self) {
        if let Some(output) = &mut self.output {
            output.held_pong = None;
        }
    }

    fn release_pong(&mut self) {
        let held = self
            .output
            .as_mut()
            .and_then(|output| output.held_pong.take());
        if let Some(payload) = held {
            self.frame(Opcode::Pong, &payload);
        }
    }

    /// Fills `slices` with the next unsent bytes; returns how many slices there are.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let output = self.output.as_ref();
        output.map_or(0, |output| output.outbox.slices(slices))
    }

    /// The transport took the next `bytes` bytes.
    pub(crate) fn transmitted(&mut self, bytes: usize) {
        let Some(output) = &mut self.output else {
            return;
        };
        output.outbox.sent(bytes);
        output.blocked = !output.outbox.is_empty();
        if output.blocked {
            return output.shrink();
        }
        self.release_pong();
        if self.unsent_bytes() == 0
            && let Some(output) = self.output.take()
        {
            output.give();
        }
    }

    /// Bytes queued and not sent.
    pub(crate) fn unsent_bytes(&self) -> usize {
        let output = self.output.as_ref();
        output.map_or(0, |output| output.outbox.len())
    }

    /// Forgets everything unsent.
    pub(crate) fn discard(&mut self) {
        self.output = None;
    }

    #[inline]
    fn outbox(&mut self) -> &mut Outbox {
        &mut self.output.get_or_insert_with(Output::take).outbox
    }
}

impl Keys {
    fn next(&mut self) -> [u8; 4] {
        match self {
            // Each key is drawn by itself: none tells of the next (§5.3). [6455-5.3-4]
            Self::Random => strong_entropy().random(),
            Self::Given(keys) => keys(),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random => "Random",
            Self::Given(_) => "Given",
        })
    }
}
