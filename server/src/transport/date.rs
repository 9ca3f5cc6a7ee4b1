//! The `Date` header (RFC 9110 §6.6.1), written anew only when the second changes.

use std::time::{Duration, UNIX_EPOCH};

/// A moment as an IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT` (§5.6.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Date {
    second: u64,
    text: String,
}

impl Date {
    /// The second that `unix_ms` is in.
    pub(crate) fn new(unix_ms: u64) -> Self {
        let second = unix_ms / 1000;
        Self {
            second,
            text: httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second)),
        }
    }

    /// Moves on; costs something once a second.
    pub(crate) fn update(&mut self, unix_ms: u64) {
        if unix_ms / 1000 != self.second {
            *self = Self::new(unix_ms);
        }
    }

    /// The value of the header.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_the_rfc_has_it() {
        let mut date = Date::new(784_111_777_000);
        assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
        date.update(784_111_777_999);
        assert_eq!(date, Date::new(784_111_777_000));
        date.update(784_111_778_000);
        assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
