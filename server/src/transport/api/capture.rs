//! `/api/admin/capture`: what passes over connections from now on, as a file for Wireshark that goes on until it has its size or
//! its time.

use std::time::Duration;

use tidewire_protocol::handshake::server::Request;

use super::{Call, Problem, Response, Target};
use crate::capture::Filter;
use crate::config::values::size;
use crate::ids::{BadConnId, NameError, RoomName, UserName};

/// What is captured if nothing else is said, and at the most.
pub(super) const SECONDS_DEFAULT: u64 = 60;
pub(super) const SECONDS_MAX: u64 = 3600;
const BYTES_DEFAULT: u64 = 64 << 20;
const BYTES_MIN: u64 = 64 << 10;
const BYTES_MAX: u64 = 4 << 30;

const CONNECTION: &str = "is no connection: write it as a capture names it, such as c-5-12";

const CONTENT_TYPE: &str = "application/x-pcapng";

/// What is to be captured.
#[derive(Debug)]
pub(crate) struct CaptureRequest {
    pub(crate) filter: Filter,
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
    /// When the token ends by which it is asked for, in milliseconds since 1970.
    pub(crate) ends_ms: Option<u64>,
}

impl CaptureRequest {
    /// How long it may go on from now: no longer than the token holds.
    pub(crate) fn time_left(&self, unix_ms: u64) -> Duration {
        let left = |ends_ms: u64| Duration::from_millis(ends_ms.saturating_sub(unix_ms));
        self.ends_ms
            .map_or(self.time, |ends_ms| self.time.min(left(ends_ms)))
    }
}

/// The beginning of the answer; the capture follows.
pub(crate) fn capture_stream() -> Response {
    Response::growing(CONTENT_TYPE)
        .with_header("Cache-Control", "no-store")
        .with_header(
            "Content-Disposition",
            "attachment; filename=\"tidewire.pcapng\"",
        )
}

pub(super) fn capture(target: &Target, _: &Request<'_>) -> Result<Call, Problem> {
    let said = |name| target.value(name).filter(|value| !value.is_empty());
    let name = |what: &'static str, error: NameError| bad(what, &error.to_string());
    let room = said("room").map(RoomName::new).transpose();
    let user = said("user").map(UserName::new).transpose();
    let address = said("address").map(str::parse).transpose();
    let connection = said("connection").map(str::parse).transpose();
    let filter = Filter {
        room: room.map_err(|error| name("room", error))?,
        user: user.map_err(|error| name("user", error))?,
        address: address.map_err(|error| bad("address", error))?,
        connection: connection.map_err(|BadConnId| bad("connection", CONNECTION))?,
    };
    let seconds = said("seconds").map_or(Some(SECONDS_DEFAULT), |text| {
        let seconds = text.parse().ok();
        seconds.filter(|seconds| (1..=SECONDS_MAX).contains(seconds))
    });
    let bytes = said("bytes").map_or(Some(BYTES_DEFAULT), |text| {
        let bytes = size(text).ok();
        bytes.filter(|bytes| (BYTES_MIN..=BYTES_MAX).contains(bytes))
    });
    Ok(Call::Capture(Box::new(CaptureRequest {
        filter,
        time: Duration::from_secs(seconds.ok_or_else(|| bad("seconds", "is 1 to 3600"))?),
        bytes: bytes.ok_or_else(|| bad("bytes", "is 64KiB to 4GiB"))?,
        ends_ms: target.access.identity().map(|identity| identity.ends_ms()),
    })))
}

fn bad(what: &str, why: &str) -> Problem {
    Problem::new(400, "bad_field", format!("\"{what}\" {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_protocol::handshake::server::HeaderStorage;

    fn ask(pairs: &[(&str, &str)], headers: &str) -> Result<CaptureRequest, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let target = Target {
            query: pairs.iter().map(own).collect(),
            ..Target::default()
        };
        let head = format!("GET /x HTTP/1.1\r\n{headers}\r\n");
        let mut storage = HeaderStorage::default();
        let request = Request::parse(head.as_bytes(), &mut storage).unwrap();
        match capture(&target, &request) {
            Ok(Call::Capture(request)) => Ok(*request),
            Ok(call) => panic!("{call:?}"),
            Err(problem) => Err(problem.message),
        }
    }

    #[test]
    fn what_is_not_said_has_a_default_and_nothing_is_unbounded() {
        let default = ask(&[("room", "")], "Host: localhost\r\n").unwrap();
        assert_eq!(default.filter, Filter::default());
        assert_eq!((default.time.as_secs(), default.bytes), (60, 64 << 20));
        for pair in [
            ("seconds", "0"),
            ("seconds", "3601"),
            ("bytes", "1KiB"),
            ("bytes", "5GiB"),
            ("room", "@alice"),
            ("user", "\n"),
            ("address", "here"),
            ("connection", "7"),
        ] {
            let refused = ask(&[pair], "Host: localhost\r\n").unwrap_err();
            assert!(
                refused.starts_with(&format!("\"{}\" ", pair.0)),
                "{refused}"
            );
        }
    }
}
