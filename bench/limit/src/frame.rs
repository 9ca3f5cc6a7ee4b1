//! The little of RFC 6455 that cannot be left out: headers.

/// The bit of a frame's first byte that is always set here: messages have one frame.
pub(crate) const CLOSE: u8 = 0x88;

/// What a request's header says.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// FIN, the reserved bits and the opcode, as they were.
    pub(crate) first: u8,
    pub(crate) payload: usize,
    /// The header's length, with the masking key.
    pub(crate) header: usize,
}

impl Request {
    /// None while the header is incomplete.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (payload, header) = match bytes.get(1)? & 0x7f {
            126 => (
                u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(),
                8,
            ),
            127 => {
                let length = u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?);
                (length as usize, 14)
            }
            short => (usize::from(short), 6),
        };
        let first = bytes[0];
        (bytes.len() >= header).then_some(Self {
            first,
            payload,
            header,
        })
    }

    /// Header and payload.
    pub(crate) const fn len(self) -> usize {
        self.header + self.payload
    }
}

/// Appends the header of a reply.
pub(crate) fn push_header(out: &mut Vec<u8>, first: u8, payload: usize) {
    out.push(first);
    match payload {
        0..126 => out.push(payload as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(payload as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(payload as u64).to_be_bytes());
        }
    }
}
