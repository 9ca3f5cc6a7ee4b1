//! Just enough of HTTP for those who follow a room without a WebSocket: an event stream's head and events, a poll's answers.

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;

/// An answer's head or body is not longer than that: what a room keeps for who polls again.
const ANSWER_MAX: usize = 64 << 20;

/// Asks for what followers get.
pub(crate) fn request(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

/// The next poll's target: the same one that goes on behind a position.
pub(crate) fn poll_on(path: &str, position: &str) -> String {
    format!("{path}&since={position}")
}

/// How long the head of a good answer is; none while it is incomplete.
///
/// # Errors
/// It is a refusal, or does not end.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        ensure!(bytes.len() < 16 << 10, "the answer's head does not end");
        return Ok(None);
    };
    let status = bytes.split(|byte| *byte == b'\r').next();
    let status = status.unwrap_or_default();
    ensure!(
        status.starts_with(b"HTTP/1.1 200"),
        "refused: {}",
        String::from_utf8_lossy(status)
    );
    Ok(Some(end + 4))
}

/// The first event of a stream with the empty line behind it: its data, if it has some, and how long it is. None while it is
/// incomplete.
///
/// # Errors
/// The server ends the stream.
pub(crate) fn event(stream: &[u8]) -> Option<(Option<&[u8]>, usize)> {
    let end = memmem::find(stream, b"\n\n")?;
    let mut lines = stream[..end].split(|byte| *byte == b'\n');
    let data = lines.find_map(|line| line.strip_prefix(b"data: "));
    Some((data, end + 2))
}

/// The first answer's body and how long the answer is; none while it is incomplete.
///
/// # Errors
/// It is a refusal, or has no length.
pub(crate) fn answer(bytes: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let Some(begin) = head(bytes)? else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..begin]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length
        .context("an answer without a length")?
        .trim()
        .parse()?;
    ensure!(length <= ANSWER_MAX, "an answer of {length} bytes");
    let body = bytes.get(begin..begin + length);
    Ok(body.map(|body| (body, begin + length)))
}

/// Where a poll's answer says to go on.
///
/// # Errors
/// It does not say.
pub(crate) fn position(body: &[u8]) -> Result<&str> {
    const NAME: &[u8] = br#""position":""#;
    let Some(begin) = memmem::rfind(body, NAME) else {
        bail!(
            "an answer without a position: {}",
            String::from_utf8_lossy(body)
        );
    };
    let rest = &body[begin + NAME.len()..];
    let end = memchr::memchr(b'"', rest).context("a position that does not end")?;
    Ok(str::from_utf8(&rest[..end])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_data_or_none() {
        let stream = b"retry: 2000\n\nid: 7\ndata: {}\n\n: still here\n\ndata: cut";
        let (data, used) = event(stream).unwrap();
        assert_eq!((data, used), (None, 13));
        let (data, more) = event(&stream[used..]).unwrap();
        assert_eq!(data, Some(&b"{}"[..]));
        let (data, last) = event(&stream[used + more..]).unwrap();
        assert_eq!(data, None);
        assert_eq!(event(&stream[used + more + last..]), None);
    }

    #[test]
    fn an_answer_is_complete_or_awaited() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"position\":\"1-2\"}";
        for cut in 0..whole.len() {
            assert_eq!(answer(&whole[..cut]).unwrap(), None, "{cut}");
        }
        let (body, used) = answer(whole).unwrap().unwrap();
        assert_eq!(used, whole.len());
        assert_eq!(position(body).unwrap(), "1-2");
        assert!(position(b"{}").is_err());
        assert!(answer(b"HTTP/1.1 503 Full\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").is_err());
    }
}
