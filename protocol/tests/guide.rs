//! The guide's table of errors is the code's: each error with its close code and its sentence.

use tidewire_protocol::{CloseCode, Error, LimitError, PeerError};

/// Every error, with its name in the documentation.
fn errors() -> Vec<(&'static str, Error)> {
    let peer = [
        ("ReservedBits", PeerError::ReservedBits),
        ("ReservedOpcode", PeerError::ReservedOpcode(3)),
        ("UnmaskedFrame", PeerError::UnmaskedFrame),
        ("MaskedFrame", PeerError::MaskedFrame),
        ("NonMinimalLength", PeerError::NonMinimalLength),
        ("LengthTopBit", PeerError::LengthTopBit),
        ("FragmentedControl", PeerError::FragmentedControl),
        ("ControlTooLong", PeerError::ControlTooLong),
        ("NothingToContinue", PeerError::NothingToContinue),
        ("UnfinishedMessage", PeerError::UnfinishedMessage),
        ("InvalidUtf8", PeerError::InvalidUtf8),
        ("CorruptDeflate", PeerError::CorruptDeflate),
        ("TruncatedCloseCode", PeerError::TruncatedCloseCode),
        ("InvalidCloseCode", PeerError::InvalidCloseCode(1005)),
    ];
    let limit = [
        ("FrameBytes", LimitError::FrameBytes { max: 1 << 20 }),
        ("MessageBytes", LimitError::MessageBytes { max: 1 << 20 }),
        ("Fragments", LimitError::Fragments { max: 131_072 }),
    ];
    let peer = peer.map(|(name, error)| (name, Error::Peer(error)));
    let limit = limit.map(|(name, error)| (name, Error::Limit(error)));
    let timeout = ("PongTimeout", Error::PongTimeout(CloseCode::INTERNAL_ERROR));
    peer.into_iter().chain(limit).chain([timeout]).collect()
}

fn row((name, error): &(&str, Error)) -> String {
    let family = match error {
        Error::Peer(_) => "PeerError",
        Error::Limit(_) => "LimitError",
        Error::PongTimeout(_) => "Error",
    };
    let code = error.close_code();
    format!("| [`{family}::{name}`](crate::{family}::{name}) | {code} | {error} |")
}

#[test]
fn every_error_is_in_the_table_with_its_code_and_its_sentence() {
    let page = include_str!("../src/guide/errors.md");
    let documented: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| [`"))
        .collect();
    let expected: Vec<_> = errors().iter().map(row).collect();
    assert_eq!(documented, expected);
}
