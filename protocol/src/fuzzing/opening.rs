//! The opening handshake: what each side makes of any head, and a client and a server that shake hands.

use crate::DeflateConfig;
use crate::handshake::client::{Handshake, HandshakeError, Response, Target, random_nonce};
use crate::handshake::head::{HeadError, HeadLimits, HeadReader};
use crate::handshake::server::{HeaderStorage, Request, Upgrade};

/// A request read whole and one read in pieces are the same, and what is accepted is a legal answer.
///
/// The first two bytes are the size of the pieces and the limits; the rest is what the client sends.
pub fn handshake_request(data: &[u8]) {
    let Some((&[size, limits], bytes)) = data.split_first_chunk::<2>() else {
        return;
    };
    let whole = read_head(limits, bytes, bytes.len().max(1));
    assert_eq!(read_head(limits, bytes, usize::from(size) + 1), whole);
    let Ok(Some(head)) = whole else { return };
    let mut storage = HeaderStorage::default();
    let Ok(request) = Request::parse(&head, &mut storage) else {
        return;
    };
    let _ = (request.body_bytes(), request.wants_keep_alive());
    match Upgrade::from_request(&request) {
        Ok(upgrade) => {
            let _ = answer(&upgrade, &deflate_config(limits));
        }
        Err(refusal) => {
            assert!((400..=499).contains(&refusal.status()));
            assert_eq!(refusal.header(), refusal.headers().first().copied());
        }
    }
}

/// A head by a reader with these limits: 0 are the default ones, else four bits for a line and four for all.
fn read_head(limits: u8, bytes: &[u8], size: usize) -> Result<Option<Vec<u8>>, HeadError> {
    let limits = match limits {
        0 => HeadLimits::default(),
        _ => HeadLimits {
            start_line_bytes_max: 16 << (limits & 7),
            header_line_bytes_max: 16 << (limits & 7),
            head_bytes_max: 32 << (limits >> 4),
            headers_max: usize::from(limits & 0xf),
        },
    };
    let (mut reader, mut bytes) = (HeadReader::new(limits), bytes.to_vec());
    for piece in bytes.chunks_mut(size) {
        let mut input = piece;
        match reader.handle_input(&mut input) {
            Ok(None) => assert!(reader.has_begun() && input.is_empty()),
            Ok(Some(head)) => return Ok(Some(head.into_owned())),
            Err(error) => {
                assert_eq!(reader.handle_input(&mut input), Err(error));
                return Err(error);
            }
        }
    }
    Ok(None)
}

/// Answers as a server does, and checks that the answer is one whole head.
fn answer(upgrade: &Upgrade<'_>, deflate: &DeflateConfig) -> Vec<u8> {
    let agreed = deflate.accept(upgrade.extensions());
    let extensions = agreed.as_ref().map(|(_, answer)| answer.as_str());
    let protocol = upgrade.choose_protocol(&["a", "b"]);
    assert!(protocol.is_none_or(|chosen| upgrade.protocols().contains(&chosen)));
    let mut answer = Vec::new();
    upgrade.accept(protocol, extensions, &mut answer);
    let mut head = answer.clone();
    let mut input = &mut head[..];
    assert!(matches!(
        HeadReader::default().handle_input(&mut input),
        Ok(Some(_))
    ));
    assert!(input.is_empty());
    answer
}

/// The settings that a byte stands for; 0 are the default ones.
fn deflate_config(bits: u8) -> DeflateConfig {
    DeflateConfig {
        server_context_takeover: bits & 1 != 0,
        client_context_takeover: bits & 2 != 0,
        server_window_bits: 15 - (bits >> 2 & 7),
        client_window_bits: 15 - (bits >> 5),
        ..DeflateConfig::default()
    }
}

/// A response read whole and one read in pieces lead to the same.
///
/// The first byte is the size of the pieces. Where it is even, permessage-deflate is offered; from 128 on, the rest is no
/// response but what the request is built from.
pub fn handshake_response(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    if size >= 128 {
        return shake_hands(bytes);
    }
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
        read_response(&mut handshake, bytes, size)
    };
    assert_eq!(read(usize::from(size) + 1), read(bytes.len().max(1)));
}

fn read_response(
    handshake: &mut Handshake,
    bytes: &[u8],
    size: usize,
) -> Option<Result<Response, HandshakeError>> {
    let mut bytes = bytes.to_vec();
    for piece in bytes.chunks_mut(size) {
        let mut input = piece;
        match handshake.handle_input(&mut input) {
            Ok(None) => {}
            Ok(Some(response)) => return Some(Ok(response)),
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

/// Whatever a request is built from, it is refused or is one head; and where a server accepts it, the client is content.
///
/// The first two bytes are the settings of the client's and of the server's compression; lines follow: host, path,
/// protocol, origin, name and value of a header. An empty one of the last four is left out.
fn shake_hands(bytes: &[u8]) {
    let Some((&[ours, theirs], lines)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let Ok(lines) = str::from_utf8(lines) else {
        return;
    };
    let mut lines = lines.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let deflate = deflate_config(ours);
    let (host, path, protocol, origin) = (next(), next(), next(), next());
    let header = (next(), next());
    let (protocols, headers) = ([protocol, "b"], [header]);
    let target = Target {
        host,
        path,
        protocols: if protocol.is_empty() { &[] } else { &protocols },
        origin: (!origin.is_empty()).then_some(origin),
        deflate: Some(&deflate),
        headers: if header.0.is_empty() { &[] } else { &headers },
    };
    let mut request = Vec::new();
    let Ok(mut handshake) = Handshake::start(&target, random_nonce(), &mut request) else {
        assert!(request.is_empty(), "what is refused leaves no trace");
        return;
    };
    let mut input = &mut request[..];
    let Ok(Some(head)) = HeadReader::default().handle_input(&mut input) else {
        // Too large for a server's limits, but never two requests in one.
        assert!(bytes.len() > 4096);
        return;
    };
    assert!(input.is_empty(), "the request ends where its head does");
    let mut storage = HeaderStorage::default();
    let Ok(request) = Request::parse(&head, &mut storage) else {
        return;
    };
    // A header of the caller's own can say what the crate knows nothing of.
    let own_words = header.0.to_ascii_lowercase().starts_with("sec-websocket-");
    if let (Ok(upgrade), false) = (Upgrade::from_request(&request), own_words) {
        let answer = answer(&upgrade, &deflate_config(theirs));
        let response = read_response(&mut handshake, &answer, 7);
        assert!(matches!(response, Some(Ok(_))), "{response:?}");
    }
}
