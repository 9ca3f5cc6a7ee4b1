//! The echo: what a connection says goes back on it, with as few copies and system calls as there can be.

use std::borrow::Cow;
use std::io::Write as _;
use std::time::Instant;

use mio::net::TcpStream;
use tidewire_protocol::{Connection, Event, Message, Misuse};

use super::traffic;

/// A message from this size on is sent back from where it lies, or with its memory. Below it the copy costs less than a longer
/// list of what is to be written does.
const LARGE_ECHO_BYTES: usize = 16 << 10;

/// So many times [`LARGE_ECHO_BYTES`] in large messages, less what came of others, make a connection one to be read in large
/// pieces; and no more are remembered. In a large piece of small ones there would be a hundred thousand, and others would wait
/// for all of them.
pub(super) const MOSTLY_LARGE: u8 = 64;
const LARGE_COUNTED_MAX: usize = 128;

/// Unsent bytes above which the rest of what was read waits: as many as are read at once.
const UNSENT_BYTES_MAX: usize = 512 << 10;

/// Sends back what messages there are in `input`, up to an event of another kind. Large ones are written at once, while they are
/// in a cache and their memory is the next one's; the socket is `None` while it is full.
///
/// It ends when much is unsent, with the rest of `input`: an answer is as long as its question, but that may have been compressed.
pub(super) fn echo<'b>(
    connection: &mut Connection,
    mut stream: Option<&TcpStream>,
    large: &mut u8,
    input: &mut &'b mut [u8],
    now: Instant,
) -> Option<Event<'b>> {
    while connection.unsent_bytes() <= UNSENT_BYTES_MAX {
        match connection.handle_input(input, now) {
            Some(Event::Message(message)) if message.payload().len() < LARGE_ECHO_BYTES => {
                *large = large.saturating_sub(1);
                // Refused while closing: then nobody waits for it.
                let _ = connection.send(&message);
            }
            Some(Event::Message(message)) => {
                let more = message.payload().len() / LARGE_ECHO_BYTES;
                let _ = echo_large(connection, message, &mut stream, input, now);
                // Who does not read what it gets is not read in large pieces.
                if connection.unsent_bytes() == 0 {
                    *large = LARGE_COUNTED_MAX.min(usize::from(*large) + more) as u8;
                }
            }
            event => {
                *large = large.saturating_sub(u8::from(event.is_some()));
                return event;
            }
        }
    }
    None
}

/// Sends back a large message: with its memory, or from where it lies together with those behind it.
fn echo_large<'b>(
    connection: &mut Connection,
    message: Message<'b>,
    stream: &mut Option<&TcpStream>,
    input: &mut &'b mut [u8],
    now: Instant,
) -> Result<(), Misuse> {
    let Some(socket) = *stream else {
        return connection.send_owned(message);
    };
    if matches!(
        message,
        Message::Text(Cow::Borrowed(_)) | Message::Binary(Cow::Borrowed(_))
    ) {
        let messages = with_those_behind(message, connection, input, now);
        send_through(connection, &messages, socket)?;
    } else {
        connection.send_owned(message)?;
        send_through(connection, &[], socket)?;
    }
    *stream = stream.filter(|_| connection.unsent_bytes() == 0);
    Ok(())
}

/// A message, and those that lie whole behind it, as many as one write takes.
fn with_those_behind<'b>(
    message: Message<'b>,
    connection: &mut Connection,
    input: &mut &'b mut [u8],
    now: Instant,
) -> Vec<Message<'b>> {
    let mut messages = Vec::with_capacity(Connection::SENT_THROUGH_MAX);
    messages.push(message);
    while messages.len() < Connection::SENT_THROUGH_MAX
        && let Some(message) = connection.take_message(input, now)
    {
        messages.push(message);
    }
    messages
}

/// Sends messages and writes what the socket takes of them; one that is broken is found out by the flush.
pub(super) fn send_through(
    connection: &mut Connection,
    messages: &[Message<'_>],
    mut stream: &TcpStream,
) -> Result<(), Misuse> {
    connection.send_all_through(messages, |slices| {
        traffic::count_written(stream.write_vectored(slices).unwrap_or(0))
    })
}
