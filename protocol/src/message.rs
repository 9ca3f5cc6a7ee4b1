//! Frames to messages (RFC 6455 §5.4): fragments are joined, control frames between them pass, limits hold.
//!
//! A message that lies whole in the input is lent from there; only one that comes in several frames or several reads
//! gets a buffer, one and contiguous, and leaves with it. An idle connection owns none.

mod observing;

use std::borrow::Cow;

use crate::Side;
use crate::assembly::Assembly;
use crate::beginning::Beginning;
use crate::config::{Config, Delivery};
use crate::deflate::Decompression;
use crate::error::{Error, LimitError, PeerError};
use crate::event::Piece;
use crate::frame::{
    CONTROL_PAYLOAD_MAX, Decoded, HEADER_BYTES_MAX, Header, Opcode, PlainHeader, RSV1, Rules,
};
use crate::mask::{CACHED_BYTES, Mask};
use crate::recorder::Recording;
use crate::utf8;

/// A whole message; borrowed from the input where it lay there in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text, checked.
    Text(Cow<'a, str>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
}

impl<'a> Message<'a> {
    /// A text message to send.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// A binary message to send.
    #[must_use]
    pub const fn binary(bytes: &'a [u8]) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }

    /// The same message, borrowing nothing from the input.
    #[must_use]
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Message::Binary(Cow::Owned(bytes.into_owned())),
        }
    }

    /// The payload in bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// [`Opcode::Text`] or [`Opcode::Binary`].
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        match self {
            Self::Text(_) => Opcode::Text,
            Self::Binary(_) => Opcode::Binary,
        }
    }
}

/// How much of a compressed message is inflated for one piece: 1 MiB comes out of it at the most.
const COMPRESSED_PIECE_BYTES: usize = 1 << 10;

/// What the frames added up to.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    Message(Message<'a>),
    Piece(Piece<'a>),
    Control(Opcode, Cow<'a, [u8]>),
}

/// The receiving half of a connection.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    /// The frame that the end of the last input cut.
    cut: Option<Box<Cut>>,
    /// The data message that is not whole yet.
    assembly: Option<Box<Assembly>>,
    /// Where permessage-deflate was agreed on.
    decompression: Option<Decompression>,
}

/// A frame that is here in part.
#[derive(Debug)]
enum Cut {
    Header(Beginning<HEADER_BYTES_MAX>),
    /// Its payload is on its way.
    Payload(Frame),
    /// It was refused, and that is not told yet.
    Failed(Error),
}

/// A frame behind its header.
#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// The message that this frame begins is compressed.
    compressed: bool,
    mask: Option<Mask>,
    remaining: u64,
    /// What has come of its payload, if it is a control frame that was cut.
    control: Option<Box<Beginning<CONTROL_PAYLOAD_MAX>>>,
}

impl Receiver {
    /// From now on messages may be compressed.
    pub(crate) fn enable_deflate(&mut self, decompression: Decompression) {
        self.decompression = Some(decompression);
    }

    /// What a message that is not whole yet holds in memory, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let assembly = self.assembly.as_ref();
        assembly.map_or(0, |assembly| assembly.held_bytes())
    }

    /// The reserved bits that mean something: RSV1, "Per-Message Compressed" (RFC 7692 §6).
    const fn reserved_bits_allowed(&self) -> u8 {
        if self.decompression.is_some() {
            RSV1
        } else {
            0
        }
    }

    /// Takes from `input` up to and including the next message or control frame; `None` when the input is used up.
    ///
    /// # Errors
    /// What the peer did wrong; the receiver is not to be used any more.
    pub(crate) fn receive<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        sender: Side,
        config: &Config,
        recording: &mut Recording,
    ) -> Result<Option<Received<'b>>, Error> {
        if let Some((opcode, payload)) = self.take_plain_message(input, sender, config, recording) {
            return Ok(Some(Received::Message(lend(opcode, payload)?)));
        }
        let rules = Rules {
            sender,
            reserved_bits_allowed: self.reserved_bits_allowed(),
        };
        loop {
            let Some(frame) = self.next_frame(input, rules, config, recording)? else {
                return Ok(None);
            };
            let there = self.bytes_at_once(&frame, input.len(), config);
            let whole = there as u64 >= frame.remaining;
            let received = if whole {
                self.receive_whole(frame, input, config)?
            } else {
                self.receive_part(frame, there, input, config)?
            };
            if received.is_some() || (!whole && input.is_empty()) {
                return Ok(received);
            }
        }
    }

    /// Takes the next message from `input` if it lies there whole, in one frame that is not compressed; else `None`, and what
    /// there is goes to [`receive`](Self::receive), which also tells of a text that is none.
    pub(crate) fn receive_plain<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        sender: Side,
        config: &Config,
        recording: &mut Recording,
    ) -> Option<Message<'b>> {
        let (opcode, payload) = self.take_plain_message(input, sender, config, recording)?;
        lend(opcode, payload)
            .inspect_err(|error| self.cut = Some(Box::new(Cut::Failed(*error))))
            .ok()
    }

    /// The short way of nearly all messages, and the only other one: a final frame of data without reserved bits that lies whole
    /// in the input where nothing was cut. It is a third of the work, and leaves whatever is not like that, or not legal,
    /// untouched to the long way.
    #[inline(always)] // On the way of every message: a call costs a tenth of it.
    fn take_plain_message<'b>(
        &self,
        input: &mut &'b mut [u8],
        sender: Side,
        config: &Config,
        recording: &mut Recording,
    ) -> Option<(Opcode, &'b mut [u8])> {
        if self.cut.is_some() || self.assembly.is_some() {
            return None;
        }
        let header = PlainHeader::read(input, sender)?;
        let length = header.length as u64;
        if length > config.frame_bytes_max.min(config.message_bytes_max)
            || header.length > input.len() - header.bytes
        {
            return None;
        }
        let frame = take(input, header.bytes + header.length);
        let (_, payload) = frame.split_at_mut(header.bytes);
        if let Some(key) = header.key {
            Mask::new(key).apply(payload);
        }
        recording.received_plain(header.opcode, payload.len());
        Some((header.opcode, payload))
    }

    /// The frame that the next byte of the input belongs to; `None` when the input ends before that is known.
    fn next_frame(
        &mut self,
        input: &mut &mut [u8],
        rules: Rules,
        config: &Config,
        recording: &mut Recording,
    ) -> Result<Option<Frame>, Error> {
        if self.cut.is_none()
            && let Decoded::Complete { header, used } = Header::decode(input, rules)?
        {
            take(input, used);
            return self.begin_frame(header, config, recording).map(Some);
        }
        self.next_cut_frame(input, rules, config, recording)
    }

    /// The same where the end of the last input cut the frame, or that of this one does.
    fn next_cut_frame(
        &mut self,
        input: &mut &mut [u8],
        rules: Rules,
        config: &Config,
        recording: &mut Recording,
    ) -> Result<Option<Frame>, Error> {
        let mut beginning = match self.cut.take().map(|cut| *cut) {
            Some(Cut::Payload(frame)) => return Ok(Some(frame)),
            Some(Cut::Failed(error)) => return Err(error),
            Some(Cut::Header(beginning)) => beginning,
            None => Beginning::default(),
        };
        let kept = beginning.len();
        beginning.push(input);
        match Header::decode(beginning.bytes(), rules)? {
            Decoded::Complete { header, used } => {
                // An earlier part of the header was no whole one, so that `used` lies in the new bytes.
                take(input, used - kept);
                self.begin_frame(header, config, recording).map(Some)
            }
            Decoded::Partial => {
                // A header is not longer than this, so that all of the input belongs to it.
                take(input, input.len());
                if beginning.len() > 0 {
                    self.cut = Some(Box::new(Cut::Header(beginning)));
                }
                Ok(None)
            }
        }
    }

    /// How much of `available` bytes to take in one step: all, except that a compressed piece must not grow large.
    fn bytes_at_once(&self, frame: &Frame, available: usize, config: &Config) -> usize {
        let compressed = frame.compressed
            || (!frame.opcode.is_control()
                && self.assembly.as_ref().is_some_and(|a| a.is_compressed()));
        match config.delivery {
            Delivery::Pieces if compressed => available.min(COMPRESSED_PIECE_BYTES),
            Delivery::Pieces | Delivery::Whole => available,
        }
    }

    /// Whether a message has begun and not ended.
    pub(crate) const fn is_inside_message(&self) -> bool {
        self.assembly.is_some()
    }

    /// Checks a header against the message in progress and the limits, before anything is allocated.
    fn begin_frame(
        &mut self,
        header: Header,
        config: &Config,
        recording: &mut Recording,
    ) -> Result<Frame, Error> {
        // One that is refused is what one wants to see.
        recording.received(&header);
        let Header {
            opcode,
            fin,
            length,
            ..
        } = header;
        if !opcode.is_control() {
            self.check_sequence(opcode)?;
            // "MUST protect themselves against exceeding those limits" (§10.4). [6455-10.4-1, 6455-10.4-2]
            if length > config.frame_bytes_max {
                return Err(LimitError::FrameBytes {
                    max: config.frame_bytes_max,
                }
                .into());
            }
            let before = self
                .assembly
                .as_ref()
                .map_or(0, |assembly| assembly.wire_bytes());
            if before.saturating_add(length) > config.message_bytes_max {
                return Err(LimitError::MessageBytes {
                    max: config.message_bytes_max,
                }
                .into());
            }
            if let Some(assembly) = &mut self.assembly {
                assembly.count_fragment(config.fragments_max)?;
            }
        }
        Ok(Frame {
            opcode,
            fin,
            compressed: header.reserved_bits & RSV1 != 0,
            mask: header.mask.map(Mask::new),
            remaining: length,
            control: None,
        })
    }

    /// "The fragments of one message MUST NOT be interleaved between the fragments of another message" (§5.4).
    /// [6455-5.4-3]
    const fn check_sequence(&self, opcode: Opcode) -> Result<(), PeerError> {
        match (opcode, self.is_inside_message()) {
            (Opcode::Continuation, false) => Err(PeerError::NothingToContinue),
            (Opcode::Text | Opcode::Binary, true) => Err(PeerError::UnfinishedMessage),
            _ => Ok(()),
        }
    }

    /// The rest of the frame is in the input.
    fn receive_whole<'b>(
        &mut self,
        mut frame: Frame,
        input: &mut &'b mut [u8],
        config: &Config,
    ) -> Result<Option<Received<'b>>, Error> {
        let payload = take(input, frame.remaining as usize);
        if frame.opcode.is_control() {
            // "An endpoint MUST be capable of handling control frames in the middle of a fragmented message" (§5.4).
            // [6455-5.4-4]
            frame.unmask(payload);
            let opcode = frame.opcode;
            return Ok(Some(Received::Control(opcode, frame.into_control(payload))));
        }
        // "MUST support receiving both fragmented and unfragmented messages" (§5.4). [6455-5.4-5]
        if self.assembly.is_none() && frame.fin && !frame.compressed {
            frame.unmask(payload);
            return Ok(Some(Received::Message(lend(frame.opcode, payload)?)));
        }
        self.push(&mut frame, payload, config)?;
        match config.delivery {
            Delivery::Whole if frame.fin => self.finish_message(),
            Delivery::Whole => Ok(None),
            Delivery::Pieces => self.take_piece(frame.fin),
        }
    }

    /// Part of the payload is in the input; the rest will follow.
    fn receive_part<'b>(
        &mut self,
        mut frame: Frame,
        there: usize,
        input: &mut &'b mut [u8],
        config: &Config,
    ) -> Result<Option<Received<'b>>, Error> {
        let payload = take(input, there);
        if frame.opcode.is_control() {
            frame.unmask(payload);
            frame.control.get_or_insert_default().push(payload);
        } else if there > 0 {
            // A payload of which nothing is here may yet come in one piece, and then needs no buffer.
            self.push(&mut frame, payload, config)?;
        }
        // What began a message has begun it: from here on this frame only continues the assembly.
        frame.remaining -= there as u64;
        self.cut = Some(Box::new(Cut::Payload(frame)));
        match config.delivery {
            // Nothing, where a control frame was cut: what came before it was handed over.
            Delivery::Pieces => self.take_piece(false),
            Delivery::Whole => Ok(None),
        }
    }

    /// Appends the next payload of `frame` to the message, unmasked in place and inflated if need be (RFC 7692 §6.2).
    /// [6455-6.2-5, 7692-6.2-1, 7692-6.2-2]
    fn push(
        &mut self,
        frame: &mut Frame,
        payload: &mut [u8],
        config: &Config,
    ) -> Result<(), Error> {
        let to_come = frame.remaining - payload.len() as u64;
        let assembly = self
            .assembly
            .get_or_insert_with(|| Box::new(Assembly::new(frame.opcode, frame.compressed)));
        assembly.count_wire_bytes(payload.len());
        match &mut self.decompression {
            Some(decompression) if assembly.is_compressed() => {
                frame.unmask(payload);
                let last = frame.fin && to_come == 0;
                decompression.inflate(payload, last, |inflated| {
                    assembly.push_inflated(inflated, config.message_bytes_max)
                })
            }
            _ => {
                assembly.reserve(payload.len(), frame.fin.then_some(to_come));
                // Unmasked, checked and copied while it is in the nearest cache.
                for block in payload.chunks_mut(CACHED_BYTES) {
                    frame.unmask(block);
                    assembly.push(block)?;
                }
                Ok(())
            }
        }
    }

    fn take_piece<'b>(&mut self, last: bool) -> Result<Option<Received<'b>>, Error> {
        let Some(assembly) = &mut self.assembly else {
            return Ok(None);
        };
        let piece = assembly.take_piece(last)?;
        if last {
            self.assembly = None;
        }
        Ok(piece.map(Received::Piece))
    }

    /// Ends the message in progress: what follows belongs to a new one (§6.2). [6455-6.2-4]
    fn finish_message<'b>(&mut self) -> Result<Option<Received<'b>>, Error> {
        let Some(assembly) = self.assembly.take() else {
            return Ok(None);
        };
        Ok(Some(Received::Message(assembly.into_message()?)))
    }
}

impl Frame {
    /// Takes the mask off the next bytes of the payload.
    fn unmask(&mut self, payload: &mut [u8]) {
        if let Some(mask) = &mut self.mask {
            mask.apply(payload);
        }
    }

    /// The whole payload of a control frame, of which these bytes are the last.
    fn into_control(self, last: &[u8]) -> Cow<'_, [u8]> {
        match self.control {
            None => Cow::Borrowed(last),
            Some(mut control) => {
                control.push(last);
                Cow::Owned(control.bytes().to_vec())
            }
        }
    }
}

/// A message that lies whole in the input: "the whole message MUST contain valid UTF-8" (§5.6). [6455-5.6-1]
fn lend(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, Error> {
    Ok(if opcode == Opcode::Text {
        Message::text(utf8::check(payload)?)
    } else {
        Message::binary(payload)
    })
}

fn take<'b>(input: &mut &'b mut [u8], len: usize) -> &'b mut [u8] {
    let (taken, rest) = std::mem::take(input).split_at_mut(len);
    *input = rest;
    taken
}
