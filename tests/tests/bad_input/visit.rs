//! One connection with bad input on it: what is sent, in which manner, and what the server may make of it.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tidewire_tests::Dice;
use tidewire_tests::wait::uninterrupted;
use tidewire_tests::wire::Wire;

use crate::answer::{self, Said};

/// The most that is sent slowly, in pieces: the rest follows at once.
const SLOW_PIECES_MAX: usize = 40;

/// What kind of bad input it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    BrokenFrame,
    MutatedFrames,
    Fragments,
    Compressed,
    Handshake,
    Http,
    ApiBody,
    ChatText,
    ChatMessage,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BrokenFrame => "a frame that breaks one rule",
            Self::MutatedFrames => "valid frames, mutated",
            Self::Fragments => "floods of fragments, pings, nothing",
            Self::Compressed => "bombs and bad deflate",
            Self::Handshake => "handshakes",
            Self::Http => "HTTP requests",
            Self::ApiBody => "JSON bodies",
            Self::ChatText => "chat JSON",
            Self::ChatMessage => "what ends a chat connection",
        }
    }
}

/// What is sent over one connection, and what has to come of it.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) kind: Kind,
    /// How many bad inputs are in it.
    pub(crate) inputs: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

/// What the server has to say if it is sent all of a visit.
#[derive(Debug)]
pub(crate) enum Expected {
    /// One response with one of these statuses, and the end, whatever is behind it.
    Refusal(&'static [u16]),
    /// A response with one of these statuses to each request.
    Answers(&'static [u16]),
    /// 101, these messages, and a close frame with this code.
    Close { before: Vec<Said>, code: u16 },
    /// 101, a welcome, an error with one of these codes each, and then this close code.
    Errors {
        codes: Vec<&'static [&'static str]>,
        close: Option<u16>,
    },
    /// Anything that a server may say.
    Lawful,
}

/// How it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manner {
    Whole,
    InPieces,
    Slowly,
    HalfClosed,
    Reset,
}

impl Manner {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Whole => "in one piece",
            Self::InPieces => "in two to five pieces",
            Self::Slowly => "a few bytes at a time, with pauses",
            Self::HalfClosed => "cut anywhere by a FIN",
            Self::Reset => "cut anywhere by a RST",
        }
    }

    fn any(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..70 => Self::Whole,
            70..85 => Self::InPieces,
            85..90 => Self::Slowly,
            90..95 => Self::HalfClosed,
            _ => Self::Reset,
        }
    }

    const fn is_cut(self) -> bool {
        matches!(self, Self::HalfClosed | Self::Reset)
    }
}

/// What became of a visit, in a few words for the table; or what should not have happened.
pub(crate) type Outcome = (Manner, Result<String, String>);

/// Carries a visit out from this address.
pub(crate) fn carry_out(
    visit: &Visit,
    dice: &mut Dice,
    source: Ipv4Addr,
    server: SocketAddr,
) -> Outcome {
    let manner = Manner::any(dice);
    let outcome = match exchange(visit, manner, dice, source, server) {
        Err(error) => Err(format!("{error}")),
        Ok(None) => Ok("we were gone".to_owned()),
        Ok(Some((bytes, was_reset))) => {
            let expected = match manner.is_cut() {
                true => &Expected::Lawful,
                false => &visit.expected,
            };
            match was_reset {
                true => Err("the server reset the connection".to_owned()),
                false => answer::read(&bytes).and_then(|said| judge(expected, &said)),
            }
        }
    };
    (manner, outcome)
}

/// Sends it and reads to the end: what came, and whether a reset ended it.
fn exchange(
    visit: &Visit,
    manner: Manner,
    dice: &mut Dice,
    source: Ipv4Addr,
    server: SocketAddr,
) -> io::Result<Option<(Vec<u8>, bool)>> {
    let wire = Wire::open_from(source, server)?;
    let stream = wire.stream();
    let whole = visit.bytes.as_slice();
    let bytes = match manner.is_cut() {
        true => &whole[..dice.below(whole.len() + 1)],
        false => whole,
    };
    match write(stream, bytes, manner, dice) {
        Ok(()) => {}
        // The server may have refused by now; what it said is still to be read.
        Err(error) if is_end(&error) => {}
        Err(error) => return Err(error),
    }
    if manner == Manner::Reset {
        SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
        return Ok(None);
    }
    let mut bytes = Vec::new();
    match &visit.expected {
        _ if manner.is_cut() => finish(stream),
        // A peer that has ended its half is gone, for answers that come from elsewhere.
        Expected::Errors { codes, close: None } => {
            read_messages(stream, 1 + codes.len(), &mut bytes)?;
            finish(stream);
        }
        Expected::Errors { close: Some(_), .. } => {}
        Expected::Answers(_) | Expected::Lawful => finish(stream),
        // Who is to be refused is refused whether it waits for that or not.
        Expected::Refusal(_) | Expected::Close { .. } if dice.once_in(2) => finish(stream),
        Expected::Refusal(_) | Expected::Close { .. } => {}
    }
    read_to_end(stream, bytes).map(Some)
}

fn write(mut stream: &TcpStream, bytes: &[u8], manner: Manner, dice: &mut Dice) -> io::Result<()> {
    let mut rest = bytes;
    let pieces = match manner {
        Manner::Whole | Manner::HalfClosed | Manner::Reset => 0,
        Manner::InPieces => dice.between(1, 4),
        Manner::Slowly => SLOW_PIECES_MAX,
    };
    for _ in 0..pieces {
        let longest = match manner {
            Manner::Slowly => rest.len().min(8),
            Manner::Whole | Manner::InPieces | Manner::HalfClosed | Manner::Reset => rest.len(),
        };
        let (piece, behind) = rest.split_at(dice.below(longest + 1));
        stream.write_all(piece)?;
        rest = behind;
        if manner == Manner::Slowly {
            thread::sleep(Duration::from_millis(dice.below(4) as u64));
        }
    }
    stream.write_all(rest)
}

/// Sends nothing more.
fn finish(stream: &TcpStream) {
    // Fails where the server has closed already.
    let _ = stream.shutdown(Shutdown::Write);
}

/// Reads until so many messages are there behind a 101, or the end is.
fn read_messages(mut stream: &TcpStream, count: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4096];
    while answer::read(bytes).map_or(0, |said| said.len()) < 1 + count {
        match uninterrupted(|| stream.read(&mut chunk)) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            // It is found again by who reads on.
            Err(error) if is_end(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_to_end(mut stream: &TcpStream, mut bytes: Vec<u8>) -> io::Result<(Vec<u8>, bool)> {
    match stream.read_to_end(&mut bytes) {
        Ok(_) => Ok((bytes, false)),
        Err(error) if is_end(&error) => Ok((bytes, true)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            let said = answer::read(&bytes);
            Err(io::Error::other(format!(
                "the server neither answered nor closed; it had said {said:?}"
            )))
        }
        Err(error) => Err(error),
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

fn judge(expected: &Expected, said: &[Said]) -> Result<String, String> {
    let is_right = match expected {
        Expected::Refusal(statuses) => {
            matches!(said, [Said::Response(status)] if statuses.contains(status))
        }
        Expected::Answers(statuses) => {
            !said.is_empty()
                && said
                    .iter()
                    .all(|said| matches!(said, Said::Response(status) if statuses.contains(status)))
        }
        Expected::Close { before, code } => match said {
            [Said::Response(101), heard @ .., Said::Close(Some(closed))] => {
                heard == before && closed == code
            }
            _ => false,
        },
        Expected::Errors { codes, close } => are_errors(said, codes, *close),
        Expected::Lawful => true,
    };
    match is_right {
        true => Ok(told(said)),
        false => {
            let said: String = format!("{said:?}").chars().take(3000).collect();
            Err(format!("expected {expected:?}, but it said {said}"))
        }
    }
}

fn are_errors(said: &[Said], codes: &[&[&str]], close: Option<u16>) -> bool {
    // A connection that ends at once may end before the welcome comes from another worker.
    if let [Said::Response(101), Said::Close(code)] = said {
        return codes.is_empty() && *code == close;
    }
    let [Said::Response(101), Said::Text(welcome), rest @ ..] = said else {
        return false;
    };
    let (errors, closed) = match rest {
        [errors @ .., Said::Close(code)] => (errors, *code),
        errors => (errors, None),
    };
    welcome.contains(r#""type":"welcome""#)
        && closed == close
        && errors.len() == codes.len()
        && errors.iter().zip(codes).all(|(said, codes)| match said {
            Said::Text(text) => {
                answer::error_code(text).is_some_and(|code| codes.contains(&code.as_str()))
            }
            Said::Response(_) | Said::Binary(_) | Said::Control | Said::Close(_) => false,
        })
}

/// The end of what was said: what the table counts.
fn told(said: &[Said]) -> String {
    match said.last() {
        None => "nothing".to_owned(),
        Some(Said::Response(101)) => "101, nothing".to_owned(),
        Some(Said::Response(status)) => status.to_string(),
        Some(Said::Text(text)) => match answer::error_code(text) {
            Some(code) => code,
            None => "a message".to_owned(),
        },
        Some(Said::Binary(_)) => "a message".to_owned(),
        Some(Said::Control) => "a pong".to_owned(),
        Some(Said::Close(None)) => "close".to_owned(),
        Some(Said::Close(Some(code @ (0..=2999 | 5000..)))) => format!("close {code}"),
        Some(Said::Close(Some(_))) => "close 3000-4999".to_owned(),
    }
}
