//! `/api/files` and `/files/{id}`: what may be sent, and what is sent back.

use std::ops::Range;

use serde::Serialize;
use tidewire_protocol::handshake::server::Request;

use super::{Call, Problem, Response, Target};
use crate::files::{FileError, FileId, Meta};
use crate::transport::media;

/// The longest name of a file, in bytes: as long as file systems take.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// Nothing that a file contains is run, not even where a browser shows it in place.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; sandbox";

/// A file never changes: a browser need not ask again for a year, the longest time there is in practice.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// A file that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload(pub(crate) Meta);

/// A file that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Download {
    pub(crate) id: FileId,
    head_only: bool,
    range: Option<String>,
    if_range: Option<String>,
    /// All lines of If-None-Match.
    if_none_match: String,
}

pub(super) fn upload(target: &Target, request: &Request<'_>, size: u64) -> Result<Call, Problem> {
    let claimed = request.single("content-type").ok().flatten();
    let name = target.query.iter().find(|(name, _)| name == "name");
    let name = name
        .map(|(_, value)| value.as_str())
        .filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.len() > NAME_BYTES_MAX || name.contains(char::is_control)) {
        let message = "The name has at most 255 bytes and no control character.";
        return Err(Problem::new(400, "bad_name", message));
    }
    Ok(Call::Upload(Upload(Meta {
        size,
        content_type: media::safe_type(claimed.unwrap_or_default()).to_owned(),
        name: name.map(str::to_owned),
    })))
}

pub(super) fn download(target: &Target, request: &Request<'_>) -> Result<Call, Problem> {
    // Checked before anything touches the disk: nothing that a client sends becomes a path.
    let id = FileId::parse(&target.name).ok_or_else(not_found)?;
    let header = |name| request.single(name).ok().flatten().map(str::to_owned);
    let tags = request.values("if-none-match").map(String::from_utf8_lossy);
    Ok(Call::Download(Download {
        id,
        head_only: request.method == "HEAD",
        range: header("range"),
        if_range: header("if-range"),
        if_none_match: tags.collect::<Vec<_>>().join(","),
    }))
}

fn not_found() -> Problem {
    Problem::new(404, "not_found", "There is no file by this name.")
}

/// The answer to an upload that is kept.
pub(crate) fn uploaded(id: FileId, meta: &Meta) -> Response {
    #[derive(Serialize)]
    struct Uploaded<'a> {
        id: String,
        url: &'a str,
        #[serde(flatten)]
        meta: &'a Meta,
    }
    let url = format!("/files/{id}");
    let answer = Uploaded {
        id: id.to_string(),
        url: &url,
        meta,
    };
    Response::value(201, &answer).with_header("Location", url.clone())
}

/// The answer to a file that cannot be kept or read.
pub(crate) fn file_problem(error: &FileError) -> Response {
    match error {
        FileError::NotFound => not_found().into_response(),
        FileError::Full => {
            let message = "There is no space left for files: this one was not kept.";
            Response::problem(507, "storage_full", message)
        }
        FileError::Busy => {
            let message = "Too many files are being sent: try again in some seconds.";
            Response::problem(503, "busy", message)
        }
        FileError::Failed(what) => {
            Response::problem(500, "storage_failed", format!("The disk failed: {what}."))
        }
    }
}

impl Download {
    /// The answer, once it is known that the file is there; and the bytes that are to follow it.
    pub(crate) fn answer(&self, meta: &Meta) -> (Response, Range<u64>) {
        let tag = format!("\"{}\"", self.id);
        if self.is_cached(&tag) {
            return (self.headers(Response::empty(304), tag), 0..0);
        }
        let (status, range) = match self.range(&tag, meta.size) {
            Ok(None) => (200, 0..meta.size),
            Ok(Some(range)) => (206, range),
            Err(Unsatisfiable) => {
                let message = "The file has no such bytes.";
                let response = Response::problem(416, "range_not_satisfiable", message)
                    .with_header("Content-Range", format!("bytes */{}", meta.size));
                return (response, 0..0);
            }
        };
        // Read from the list again: what is stored may have been written by an older server, or by hand.
        let content_type = media::safe_type(&meta.content_type);
        let mut response = Response::stream(status, content_type, range.end - range.start)
            .with_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            .with_header("Accept-Ranges", "bytes")
            .with_header(
                "Content-Disposition",
                media::disposition(content_type, meta.name.as_deref()),
            );
        if status == 206 {
            let (first, last) = (range.start, range.end - 1);
            let value = format!("bytes {first}-{last}/{}", meta.size);
            response = response.with_header("Content-Range", value);
        }
        (self.headers(response, tag), range)
    }

    /// What a 304 has in common with the answer it stands for.
    fn headers(&self, response: Response, tag: String) -> Response {
        response
            .with_header("Cache-Control", CACHE_CONTROL)
            .with_header("ETag", tag)
    }

    /// "A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match" (RFC 9110 §13.1.2).
    fn is_cached(&self, tag: &str) -> bool {
        self.if_none_match
            .split(',')
            .map(str::trim)
            .any(|listed| listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag)
    }

    /// The part that is asked for; `None` means all.
    fn range(&self, tag: &str, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
        // "A server MUST ignore a Range header field received with a request method that is unrecognized or for which
        // range handling is not defined. For this specification, GET is the only method" (RFC 9110 §14.2).
        let matches = self.if_range.as_deref().is_none_or(|wanted| wanted == tag);
        // Who asks for the first so many bytes of any file wants to hear that this one is empty, not that it failed; "A
        // server MAY ignore the Range header field" (§14.2).
        let applies = matches && !self.head_only && size > 0;
        match self.range.as_deref() {
            Some(value) if applies => byte_range(value, size),
            Some(_) | None => Ok(None),
        }
    }
}

/// The file has none of the bytes that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unsatisfiable;

/// Reads a Range header (RFC 9110 §14.1.2). `None` for what is not understood and for several ranges at once: "A server
/// that supports range requests MAY ignore or reject a Range header field that contains an invalid ranges-specifier [or]
/// with more than two overlapping ranges" (§14.2), and several are worth neither their multipart nor its attacks.
fn byte_range(value: &str, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    let Some((unit, spec)) = value.split_once('=') else {
        return Ok(None);
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Ok(None);
    };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Ok(None);
    }
    let range = match (number(first), number(last)) {
        (Some(Some(first)), Some(Some(last))) if first <= last => {
            first..last.saturating_add(1).min(size)
        }
        (Some(Some(first)), Some(None)) => first..size,
        // The last so many bytes.
        (Some(None), Some(Some(last))) => size.saturating_sub(last)..size,
        _ => return Ok(None),
    };
    if range.is_empty() {
        Err(Unsatisfiable)
    } else {
        Ok(Some(range))
    }
}

/// Digits, or nothing at all; `None` for something else. One with more digits than we can count is beyond any end.
fn number(text: &str) -> Option<Option<u64>> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_in_its_three_forms() {
        for (value, expected) in [
            ("bytes=0-0", Ok(Some(0..1))),
            ("bytes=2-5", Ok(Some(2..6))),
            ("Bytes=2-500", Ok(Some(2..10))),
            ("bytes=9-", Ok(Some(9..10))),
            ("bytes=-3", Ok(Some(7..10))),
            ("bytes=-300", Ok(Some(0..10))),
            ("bytes=0-99999999999999999999999", Ok(Some(0..10))),
            ("bytes=10-", Err(Unsatisfiable)),
            ("bytes=10-12", Err(Unsatisfiable)),
            ("bytes=-0", Err(Unsatisfiable)),
            ("bytes=99999999999999999999999-", Err(Unsatisfiable)),
            ("bytes=5-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=+1-2", Ok(None)),
            ("bytes=a-b", Ok(None)),
            ("bytes=-", Ok(None)),
            ("bytes", Ok(None)),
            ("lines=1-2", Ok(None)),
        ] {
            assert_eq!(byte_range(value, 10), expected, "{value}");
        }
    }

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        let download = |if_none_match: &str| Download {
            id: FileId::random(),
            head_only: false,
            range: None,
            if_range: None,
            if_none_match: if_none_match.to_owned(),
        };
        for listed in ["\"t\"", "W/\"t\"", "\"x\", \"t\"", "*"] {
            assert!(download(listed).is_cached("\"t\""), "{listed}");
        }
        for listed in ["", "\"x\"", "t", "\"tt\""] {
            assert!(!download(listed).is_cached("\"t\""), "{listed}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_the_whole_file() {
        let mut download = Download {
            id: FileId::random(),
            head_only: false,
            range: Some("bytes=1-2".to_owned()),
            if_range: Some("\"t\"".to_owned()),
            if_none_match: String::new(),
        };
        assert_eq!(download.range("\"t\"", 10), Ok(Some(1..3)));
        assert_eq!(download.range("\"u\"", 10), Ok(None));
        assert_eq!(
            download.range("\"t\"", 0),
            Ok(None),
            "an empty file is all there is"
        );
        (download.if_range, download.head_only) = (None, true);
        assert_eq!(download.range("\"t\"", 10), Ok(None));
    }
}
