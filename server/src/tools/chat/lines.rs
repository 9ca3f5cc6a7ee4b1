//! Standard input that is no terminal: its lines, read in a thread of their own, since such reads cannot be waited for with
//! sockets. Nothing in a line is a command.

use std::io::{self, BufRead, Read as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::client::Wake;

/// Lines that were read and not yet taken.
const LINES_MAX: usize = 64;

/// Bytes of a line that are kept: more than any server takes.
const LINE_BYTES_MAX: u64 = 128 << 10;

/// What came from standard input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A line, without its end.
    Line(String),
    /// A line that cannot be sent, by its number.
    Bad(u64),
    /// There will be no more; or it cannot be read.
    End(Option<String>),
}

/// Reads standard input to its end, and wakes the loop for each line.
pub(super) fn read(wake: Wake) -> io::Result<Receiver<Input>> {
    let (sender, receiver) = sync_channel(LINES_MAX);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || feed(&mut io::stdin().lock(), &sender, &wake))?;
    Ok(receiver)
}

fn feed(input: &mut impl BufRead, sender: &SyncSender<Input>, wake: &Wake) {
    let mut number = 0;
    loop {
        number += 1;
        let input = next_line(input, number);
        let is_end = matches!(input, Input::End(_));
        // Nobody takes lines any more when the loop has ended.
        if sender.send(input).is_err() {
            return;
        }
        wake.wake();
        if is_end {
            return;
        }
    }
}

fn next_line(input: &mut impl BufRead, number: u64) -> Input {
    let mut line = Vec::new();
    match input
        .by_ref()
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)
    {
        Ok(0) => return Input::End(None),
        Ok(_) => {}
        Err(error) => return Input::End(Some(error.to_string())),
    }
    let is_whole = line.ends_with(b"\n") || (line.len() as u64) < LINE_BYTES_MAX;
    if !is_whole {
        return match skip_line(input) {
            Ok(()) => Input::Bad(number),
            Err(error) => Input::End(Some(error.to_string())),
        };
    }
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    String::from_utf8(line).map_or(Input::Bad(number), Input::Line)
}

/// Goes past the end of a line without keeping it.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        let is_done = end.is_some() || buffer.is_empty();
        input.consume(used);
        if is_done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Input> {
        let mut found = Vec::new();
        for number in 1.. {
            found.push(next_line(&mut input, number));
            if matches!(found.last(), Some(Input::End(_))) {
                return found;
            }
        }
        found
    }

    #[test]
    fn lines_are_passed_on_as_they_are() {
        let line = |text: &str| Input::Line(text.to_owned());
        let expected = [
            line("a"),
            line(""),
            line(" /b"),
            line("c"),
            Input::End(None),
        ];
        assert_eq!(lines(b"a\r\n\n /b\nc"), expected);
        assert_eq!(lines(b""), [Input::End(None)]);
    }

    #[test]
    fn a_line_that_cannot_be_a_message_is_named_and_the_next_one_read() {
        let mut text = vec![b'x'; 300 << 10];
        text.extend(b"\n\xff\nc\n");
        let expected = [
            Input::Bad(1),
            Input::Bad(2),
            Input::Line("c".to_owned()),
            Input::End(None),
        ];
        assert_eq!(lines(&text), expected);
    }
}
