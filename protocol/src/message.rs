//! Frames to messages (RFC 6455 §5.4): fragments are joined, control frames between them pass, limits hold.
//!
//! A message that lies whole in the input is lent from there; only one that comes in several frames or several reads
//! gets a buffer, one and contiguous, and leaves with it. An idle connection owns none.

use std::borrow::Cow;

use crate::config::Config;
use crate::error::{Error, LimitError, PeerError};
use crate::frame::{CONTROL_PAYLOAD_MAX, Decoded, HEADER_BYTES_MAX, Header, Opcode, Rules};
use crate::mask::Mask;
use crate::utf8::{self, InvalidUtf8, Utf8Decoder};

/// The first allocation for a message that does not lie whole in the input, in bytes; from there it grows with what
/// *arrived*, not with what a header announced.
const FIRST_BUFFER_BYTES: usize = 4096;

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

/// What the frames added up to.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    Message(Message<'a>),
    Control(Opcode, Cow<'a, [u8]>),
}

/// The receiving half of a connection.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    /// The beginning of a header that a read cut.
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    /// The frame whose payload is on its way.
    frame: Option<Frame>,
    /// The data message that is not whole yet.
    assembly: Option<Box<Assembly>>,
    /// The control frame that a read cut.
    control: Option<Box<CutControl>>,
}

/// A frame behind its header.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    mask: Option<Mask>,
    remaining: u64,
}

#[derive(Debug)]
struct Assembly {
    content: Content,
    /// Payload bytes so far, those of a character that is still cut included.
    bytes: u64,
    fragments: u32,
}

#[derive(Debug)]
enum Content {
    Text { text: String, decoder: Utf8Decoder },
    Binary(Vec<u8>),
}

#[derive(Debug)]
struct CutControl {
    payload: [u8; CONTROL_PAYLOAD_MAX],
    len: usize,
}

impl Receiver {
    /// Takes from `input` up to and including the next message or control frame; `None` when the input is used up.
    ///
    /// # Errors
    /// What the peer did wrong; the receiver is not to be used any more.
    pub(crate) fn receive<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        rules: Rules,
        config: &Config,
    ) -> Result<Option<Received<'b>>, Error> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.receive_header(input, rules)? {
                    Some(header) => self.begin_frame(header, config)?,
                    None => return Ok(None),
                },
            };
            let whole = u64::try_from(input.len()).is_ok_and(|len| len >= frame.remaining);
            let received = if whole {
                self.receive_whole(frame, input)?
            } else {
                self.receive_part(frame, input)?
            };
            if received.is_some() || !whole {
                return Ok(received);
            }
        }
    }

    /// Whether a message has begun and not ended.
    pub(crate) const fn is_inside_message(&self) -> bool {
        self.assembly.is_some()
    }

    /// Decodes a header from the input, or from what an earlier read left and the input.
    fn receive_header(
        &mut self,
        input: &mut &mut [u8],
        rules: Rules,
    ) -> Result<Option<Header>, Error> {
        if self.header_len == 0
            && let Decoded::Complete { header, used } = Header::decode(input, rules)?
        {
            take(input, used);
            return Ok(Some(header));
        }
        self.receive_cut_header(input, rules)
    }

    fn receive_cut_header(
        &mut self,
        input: &mut &mut [u8],
        rules: Rules,
    ) -> Result<Option<Header>, Error> {
        let kept = usize::from(self.header_len);
        let (_, free) = self.header.split_at_mut(kept);
        let added = free.len().min(input.len());
        for (slot, byte) in free.iter_mut().zip(input.iter()) {
            *slot = *byte;
        }
        let (there, _) = self.header.split_at(kept + added);
        match Header::decode(there, rules)? {
            Decoded::Complete { header, used } => {
                // An earlier part of the header was no whole one, so that `used` lies in the new bytes.
                take(input, used - kept);
                self.header_len = 0;
                Ok(Some(header))
            }
            Decoded::Partial => {
                take(input, added);
                self.header_len += added as u8;
                Ok(None)
            }
        }
    }

    /// Checks a header against the message in progress and the limits, before anything is allocated.
    fn begin_frame(&mut self, header: Header, config: &Config) -> Result<Frame, Error> {
        let Header {
            opcode,
            fin,
            length,
            ..
        } = header;
        if !opcode.is_control() {
            self.check_sequence(opcode)?;
            if length > config.frame_bytes_max {
                return Err(LimitError::FrameBytes {
                    max: config.frame_bytes_max,
                }
                .into());
            }
            let before = self.assembly.as_ref().map_or(0, |assembly| assembly.bytes);
            // Neither is over its limit, so that the sum cannot overflow.
            if before + length > config.message_bytes_max {
                return Err(LimitError::MessageBytes {
                    max: config.message_bytes_max,
                }
                .into());
            }
            if let Some(assembly) = &mut self.assembly {
                assembly.fragments += 1;
                if assembly.fragments > config.fragments_max {
                    return Err(LimitError::Fragments {
                        max: config.fragments_max,
                    }
                    .into());
                }
            }
        }
        Ok(Frame {
            opcode,
            fin,
            mask: header.mask.map(Mask::new),
            remaining: length,
        })
    }

    /// "The fragments of one message MUST NOT be interleaved between the fragments of another message" (§5.4).
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
        frame: Frame,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Received<'b>>, Error> {
        let payload = take_unmasked(input, frame.remaining as usize, frame.mask).0;
        if frame.opcode.is_control() {
            return Ok(Some(Received::Control(
                frame.opcode,
                self.whole_control(payload),
            )));
        }
        match (&mut self.assembly, frame.opcode) {
            (None, Opcode::Text) if frame.fin => {
                let text = utf8::check(payload)?;
                Ok(Some(Received::Message(Message::Text(Cow::Borrowed(text)))))
            }
            (None, _) if frame.fin => Ok(Some(Received::Message(Message::Binary(Cow::Borrowed(
                payload,
            ))))),
            (assembly, opcode) => {
                let assembly = assembly.get_or_insert_with(|| Box::new(Assembly::new(opcode)));
                assembly.push(payload, 0)?;
                if frame.fin {
                    self.finish_message()
                } else {
                    Ok(None)
                }
            }
        }
    }

    /// Part of the payload is in the input; the rest will follow.
    fn receive_part<'b>(
        &mut self,
        frame: Frame,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Received<'b>>, Error> {
        let (payload, mask) = take_unmasked(input, input.len(), frame.mask);
        let remaining = frame.remaining - payload.len() as u64;
        if frame.opcode.is_control() {
            self.control
                .get_or_insert_with(|| Box::new(CutControl::new()))
                .push(payload);
        } else {
            let opcode = frame.opcode;
            let assembly = self
                .assembly
                .get_or_insert_with(|| Box::new(Assembly::new(opcode)));
            assembly.push(payload, remaining)?;
        }
        // What began a message has begun it: from here on this frame only continues the assembly.
        self.frame = Some(Frame {
            mask,
            remaining,
            ..frame
        });
        Ok(None)
    }

    fn whole_control<'b>(&mut self, payload: &'b [u8]) -> Cow<'b, [u8]> {
        match self.control.take() {
            None => Cow::Borrowed(payload),
            Some(mut control) => {
                control.push(payload);
                Cow::Owned(control.into_payload())
            }
        }
    }

    fn finish_message<'b>(&mut self) -> Result<Option<Received<'b>>, Error> {
        let Some(assembly) = self.assembly.take() else {
            return Ok(None);
        };
        Ok(Some(Received::Message(assembly.into_message()?)))
    }
}

impl Assembly {
    fn new(opcode: Opcode) -> Self {
        let content = match opcode {
            Opcode::Text => Content::Text {
                text: String::new(),
                decoder: Utf8Decoder::default(),
            },
            Opcode::Binary | Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {
                Content::Binary(Vec::new())
            }
        };
        Self {
            content,
            bytes: 0,
            fragments: 1,
        }
    }

    /// Appends a piece; `announced` more bytes are to follow in the same frame.
    fn push(&mut self, piece: &[u8], announced: u64) -> Result<(), InvalidUtf8> {
        self.bytes += piece.len() as u64;
        match &mut self.content {
            Content::Text { text, decoder } => {
                text.reserve_exact(growth(text.len(), text.capacity(), piece.len(), announced));
                decoder.push(piece, text)
            }
            Content::Binary(bytes) => {
                bytes.reserve_exact(growth(
                    bytes.len(),
                    bytes.capacity(),
                    piece.len(),
                    announced,
                ));
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    fn into_message<'b>(self) -> Result<Message<'b>, Error> {
        match self.content {
            Content::Text { text, decoder } => {
                decoder.finish()?;
                Ok(Message::Text(Cow::Owned(text)))
            }
            Content::Binary(bytes) => Ok(Message::Binary(Cow::Owned(bytes))),
        }
    }
}

impl CutControl {
    const fn new() -> Self {
        Self {
            payload: [0; CONTROL_PAYLOAD_MAX],
            len: 0,
        }
    }

    /// The header promised at most [`CONTROL_PAYLOAD_MAX`] bytes in all.
    fn push(&mut self, piece: &[u8]) {
        for (slot, byte) in self.payload.iter_mut().skip(self.len).zip(piece) {
            *slot = *byte;
        }
        self.len += piece.len();
    }

    fn into_payload(self) -> Vec<u8> {
        self.payload.into_iter().take(self.len).collect()
    }
}

/// How much to reserve for `piece`: nothing if it fits, else twice what is there, but never more than was announced.
fn growth(len: usize, capacity: usize, piece: usize, announced: u64) -> usize {
    if capacity - len >= piece {
        return 0;
    }
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    let doubled = capacity.saturating_mul(2).max(FIRST_BUFFER_BYTES) - len;
    doubled.min(piece.saturating_add(announced)).max(piece)
}

/// Takes the next `len` bytes of payload from the input, unmasked, and the mask turned for what follows.
fn take_unmasked<'b>(
    input: &mut &'b mut [u8],
    len: usize,
    mask: Option<Mask>,
) -> (&'b [u8], Option<Mask>) {
    let payload = take(input, len);
    let mask = mask.map(|mut mask| {
        mask.apply(payload);
        mask
    });
    (payload, mask)
}

fn take<'b>(input: &mut &'b mut [u8], len: usize) -> &'b mut [u8] {
    let (taken, rest) = std::mem::take(input).split_at_mut(len);
    *input = rest;
    taken
}

impl From<InvalidUtf8> for Error {
    fn from(_: InvalidUtf8) -> Self {
        // "When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in fact, a
        // valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_" (§8.1).
        Self::Peer(PeerError::InvalidUtf8)
    }
}
