//! The parts one by one: headers, handshakes, UTF-8, DEFLATE, and messages from end to end.

use std::sync::Arc;

use super::any_time;
use super::streams::drain;
use crate::deflate::{Corrupt, Decompression};
use crate::frame::{Decoded, Header, Rules};
use crate::handshake::client::{Handshake, Target};
use crate::handshake::head::HeadReader;
use crate::handshake::header::{extensions, is_token};
use crate::handshake::server::{HeaderStorage, Request, Upgrade};
use crate::utf8::Utf8Decoder;
use crate::{Config, Connection, DeflateAgreement, DeflateConfig, Event, Message, Prepared, Side};

/// A header that decodes encodes to the same bytes, and no prefix of it decodes.
pub fn frame_header(data: &[u8]) {
    let Some((&reserved, bytes)) = data.split_first() else {
        return;
    };
    for sender in [Side::Client, Side::Server] {
        let rules = Rules {
            sender,
            reserved_bits_allowed: reserved & 0x70,
        };
        let Ok(Decoded::Complete { header, used }) = Header::decode(bytes, rules) else {
            continue;
        };
        let (head, _) = bytes.split_at(used);
        let mut encoded = Vec::new();
        header.encode(&mut encoded);
        assert_eq!(encoded, head);
        for len in 0..used {
            assert_eq!(
                Header::decode(head.split_at(len).0, rules),
                Ok(Decoded::Partial)
            );
        }
    }
}

/// A request read whole and one read in pieces are the same, and what is accepted is a legal answer.
pub fn handshake_request(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let read = |size: usize| {
        let (mut reader, mut bytes) = (HeadReader::default(), bytes.to_vec());
        for piece in bytes.chunks_mut(size) {
            let mut input = piece;
            match reader.handle_input(&mut input) {
                Ok(None) => {}
                Ok(Some(head)) => return Ok(Some(head.into_owned())),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(read(usize::from(size) + 1), whole);
    let Ok(Some(head)) = whole else { return };
    let mut storage = HeaderStorage::default();
    let Ok(request) = Request::parse(&head, &mut storage) else {
        return;
    };
    let _ = (request.body_bytes(), request.wants_keep_alive());
    let Ok(upgrade) = Upgrade::from_request(&request) else {
        return;
    };
    let deflate = DeflateConfig::default().accept(upgrade.extensions());
    let mut answer = Vec::new();
    let extensions = deflate.as_ref().map(|(_, answer)| answer.as_str());
    upgrade.accept(
        upgrade.choose_protocol(&["a", "b"]),
        extensions,
        &mut answer,
    );
    let mut reader = HeadReader::default();
    let mut input = &mut answer[..];
    assert!(matches!(reader.handle_input(&mut input), Ok(Some(_))));
    assert!(input.is_empty());
}

/// A response read whole and one read in pieces lead to the same.
pub fn handshake_response(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let config = DeflateConfig::default();
    let target = Target {
        host: "localhost",
        path: "/",
        protocols: &["a", "b"],
        deflate: (size & 1 == 0).then_some(&config),
        ..Target::default()
    };
    let read = |size: usize| {
        let mut handshake = Handshake::start(&target, [0; 16], &mut Vec::new()).ok()?;
        let mut bytes = bytes.to_vec();
        for piece in bytes.chunks_mut(size) {
            let mut input = piece;
            match handshake.handle_input(&mut input) {
                Ok(None) => {}
                result => return Some(result),
            }
        }
        None
    };
    assert_eq!(read(usize::from(size) + 1), read(bytes.len().max(1)));
}

/// What follows the grammar has tokens for names, and an answer that the same settings' client could get.
pub fn extension_header(data: &[u8]) {
    let Ok(value) = str::from_utf8(data) else {
        return;
    };
    let Ok(offers) = extensions(value) else {
        return;
    };
    for offer in &offers {
        assert!(is_token(offer.name));
        assert!(
            offer
                .parameters
                .iter()
                .all(|parameter| is_token(parameter.name))
        );
    }
    if let Some((agreement, answer)) = DeflateConfig::default().accept(&offers) {
        assert!((9..=15).contains(&agreement.server_max_window_bits));
        assert!(extensions(&answer).is_ok());
    }
    let _ = DeflateConfig::default().check_response(&offers);
}

/// The decoder says what std says, at the first byte where that is known.
pub fn utf8(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let (mut decoder, mut text) = (Utf8Decoder::default(), String::new());
    let mut seen = 0;
    for piece in bytes.chunks(usize::from(size) + 1) {
        seen += piece.len();
        let (there, _) = bytes.split_at(seen);
        let hopeless = str::from_utf8(there).is_err_and(|error| error.error_len().is_some());
        assert_eq!(decoder.push(piece, &mut text).is_err(), hopeless);
        if hopeless {
            return;
        }
    }
    assert_eq!(decoder.finish().is_ok(), str::from_utf8(bytes).is_ok());
    if decoder.finish().is_ok() {
        assert_eq!(text.as_bytes(), bytes);
    }
}

/// Anything inflates to the same, or fails the same way, whole and in pieces.
pub fn inflate(data: &[u8]) {
    /// A mebibyte is enough to see a bomb.
    const OUT_BYTES_MAX: usize = 1 << 20;
    struct Failed;
    impl From<Corrupt> for Failed {
        fn from(_: Corrupt) -> Self {
            Self
        }
    }
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let inflated = |size: usize| {
        let mut decompression = Decompression::new(false);
        let mut out = Vec::new();
        let pieces = bytes.len().div_ceil(size).max(1);
        for index in 0..pieces {
            let piece = bytes.chunks(size).nth(index).unwrap_or_default();
            let result = decompression.inflate(piece, index + 1 == pieces, |inflated| {
                out.extend_from_slice(inflated);
                if out.len() > OUT_BYTES_MAX {
                    Err(Failed)
                } else {
                    Ok(())
                }
            });
            if result.is_err() {
                out.truncate(OUT_BYTES_MAX);
                return (out, false);
            }
        }
        (out, true)
    };
    assert_eq!(
        inflated(usize::from(size) + 1),
        inflated(bytes.len().max(1))
    );
}

/// What one end sends the other receives, through pieces and compression.
///
/// The first four bytes choose sides, compression and the size of the pieces; each message is a length and its bytes.
pub fn round_trip(data: &[u8]) {
    let Some((&[flags, bits, level, size], mut rest)) = data.split_first_chunk::<4>() else {
        return;
    };
    let (mut sender, mut receiver) = pair(flags, bits, level);
    let mut sent_messages = Vec::new();
    while let Some((&[length, repeat], behind)) = rest.split_first_chunk::<2>() {
        let (content, behind) = behind.split_at(usize::from(length).min(behind.len()));
        rest = behind;
        let content = content.repeat(usize::from(repeat) + 1);
        let message = match str::from_utf8(&content) {
            Ok(text) if flags & 2 == 0 => Message::text(text),
            _ => Message::binary(&content),
        };
        assert_eq!(sender.send(&message), Ok(()));
        sent_messages.push(Event::Message(message).into_owned());
    }
    let mut wire = Vec::new();
    drain(&mut sender, &mut wire);
    let mut received = Vec::new();
    for piece in wire.chunks_mut(usize::from(size) + 1) {
        let mut input = piece;
        while let Some(event) = receiver.handle_input(&mut input, any_time()) {
            received.push(event.into_owned());
        }
    }
    assert_eq!(received, sent_messages);
}

/// Who sends and who receives, by the bits of `flags`: 1 from the server, 4 compressed, 8 with context takeover.
fn pair(flags: u8, bits: u8, level: u8) -> (Connection, Connection) {
    let now = any_time();
    let mut server = Connection::server(Arc::new(Config::default()), now);
    let mut client =
        Connection::client_with_keys(Arc::new(Config::default()), now, || [9, 8, 7, 6]);
    if flags & 4 != 0 {
        let window_bits = 9 + bits % 7;
        let agreement = DeflateAgreement {
            server_no_context_takeover: flags & 8 == 0,
            client_no_context_takeover: flags & 8 == 0,
            server_max_window_bits: window_bits,
            client_max_window_bits: window_bits,
        };
        let config = DeflateConfig {
            level: 1 + level % 9,
            compress_bytes_min: 1,
            ..DeflateConfig::default()
        };
        server.enable_deflate(&config, agreement);
        client.enable_deflate(&config, agreement);
    }
    if flags & 1 == 0 {
        (client, server)
    } else {
        (server, client)
    }
}

/// A prepared message is on the wire what a plain one is; compressed, it is the same message.
pub fn prepared(data: &[u8]) {
    let Some((&flags, content)) = data.split_first() else {
        return;
    };
    let message = match str::from_utf8(content) {
        Ok(text) => Message::text(text),
        Err(_) => Message::binary(content),
    };
    let prepared = Prepared::new(&message);
    let (mut by_plain, mut receiver) = pair(1 | (flags & 4), flags, flags);
    let (mut by_prepared, _) = pair(1 | (flags & 4), flags, flags);
    assert_eq!(
        by_plain.send(&message),
        by_prepared.send_prepared(&prepared)
    );
    let (mut plain, mut shared) = (Vec::new(), Vec::new());
    drain(&mut by_plain, &mut plain);
    drain(&mut by_prepared, &mut shared);
    assert_eq!(plain, shared);
    let mut input = &mut shared[..];
    let event = receiver.handle_input(&mut input, any_time());
    assert_eq!(event, Some(Event::Message(message)));
}
