//! Every error says in a sentence what is wrong, for people who read logs: it is an error to `?`, and none is empty.

use std::error::Error;

use tidewire_protocol::deflate::BadDeflateResponse;
use tidewire_protocol::handshake::client::{HandshakeError, InvalidTarget};
use tidewire_protocol::handshake::head::HeadError;
use tidewire_protocol::handshake::header::MalformedExtensions;
use tidewire_protocol::handshake::server::{MalformedRequest, Refusal};
use tidewire_protocol::{CloseCode, Misuse};

fn sentence(error: impl Error + 'static) -> String {
    error.to_string()
}

#[test]
fn what_the_caller_did_wrong_is_a_sentence() {
    let sentences = [
        (Misuse::Closed, "connection is closing or closed"),
        (Misuse::UnfinishedMessage, "another message is not finished"),
        (
            Misuse::OtherKind,
            "fragment of another kind than its message",
        ),
        (
            Misuse::ControlTooLong,
            "control payload of more than 125 bytes",
        ),
        (
            Misuse::CloseCodeNotSendable(CloseCode::MANDATORY_EXTENSION),
            "close code 1010 is not for this side to send",
        ),
    ];
    for (misuse, expected) in sentences {
        assert_eq!(sentence(misuse), expected);
    }
    assert_eq!(
        sentence(InvalidTarget),
        "a field of the request has a byte that does not belong there"
    );
}

#[test]
fn what_a_handshake_lacks_is_a_sentence() {
    assert_eq!(
        sentence(BadDeflateResponse),
        "the server's permessage-deflate answer does not fit our offer"
    );
    assert_eq!(
        sentence(HandshakeError::Accept),
        "the server's accept key does not fit our key"
    );
    assert_eq!(
        sentence(MalformedExtensions),
        "malformed list of extensions"
    );
    assert_eq!(sentence(MalformedRequest), "malformed HTTP request");
    assert_eq!(sentence(HeadError::TooManyHeaders), "too many HTTP headers");
    assert_eq!(
        sentence(Refusal::HttpVersion),
        "A WebSocket handshake needs HTTP/1.1."
    );
}
