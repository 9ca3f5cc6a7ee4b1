//! A stream cut into frames by the letter of RFC 6455 §5.2 and with none of the crate's code: rules are not checked, lengths
//! are believed. It is what an explanation of a difference looks at.

/// A frame, maybe without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(super) first: u8,
    /// The length that the header tells; `None` while the header is cut.
    pub(super) len: Option<u64>,
    /// What there is of the payload, unmasked.
    pub(super) payload: Vec<u8>,
    /// Where it begins in the stream.
    pub(super) start: usize,
    /// Where it ends, or would.
    pub(super) end: u64,
}

impl Frame {
    pub(super) const fn opcode(&self) -> u8 {
        self.first & 0xf
    }

    pub(super) const fn is_final(&self) -> bool {
        self.first & 0x80 != 0
    }

    pub(super) const fn is_control(&self) -> bool {
        self.first & 0x8 != 0
    }

    pub(super) const fn has_rsv1(&self) -> bool {
        self.first & 0x40 != 0
    }

    /// All of it is there.
    pub(super) fn is_whole(&self) -> bool {
        self.len == Some(self.payload.len() as u64)
    }

    /// All of it is there, and nothing of its message is to come.
    pub(super) fn ends_a_message(&self) -> bool {
        self.is_final() && self.is_whole()
    }
}

/// The frames of a stream; the last one may be cut.
pub(super) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let frame = frame(bytes, at);
        at = usize::try_from(frame.end).unwrap_or(usize::MAX);
        found.push(frame);
    }
    found
}

fn frame(bytes: &[u8], at: usize) -> Frame {
    let rest = &bytes[at..];
    let cut = Frame {
        first: rest[0],
        len: None,
        payload: Vec::new(),
        start: at,
        end: u64::MAX,
    };
    let Some(&second) = rest.get(1) else {
        return cut;
    };
    let more = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let key_len = if second & 0x80 == 0 { 0 } else { 4 };
    let payload_at = 2 + more + key_len;
    let (Some(length), Some(key)) = (rest.get(2..2 + more), rest.get(2 + more..payload_at)) else {
        return cut;
    };
    let len = match more {
        0 => u64::from(second & 0x7f),
        _ => length
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    let there = usize::try_from(len).map_or(rest.len(), |len| {
        rest.len().min(payload_at.saturating_add(len))
    });
    let payload = rest[payload_at..there].iter().enumerate();
    Frame {
        len: Some(len),
        payload: payload
            .map(|(i, byte)| byte ^ key.get(i % 4).copied().unwrap_or(0))
            .collect(),
        end: ((at + payload_at) as u64).saturating_add(len),
        ..cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_out_and_unmasked() {
        let stream = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x02\x03ab";
        let frames = frames(stream);
        let seen: Vec<_> = frames
            .iter()
            .map(|frame| (frame.first, &frame.payload[..], frame.is_whole()))
            .collect();
        assert_eq!(seen, [(0x81, &b"Hello"[..], true), (0x02, b"ab", false)]);
    }
}
