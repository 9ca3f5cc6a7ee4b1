//! Moments as people read them, in the time zone of this machine (`TZ` or the system's).

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Writes moments in local time.
#[derive(Debug, Clone)]
pub(crate) struct LocalTime {
    zone: TimeZone,
}

impl LocalTime {
    /// In the zone of this machine.
    pub(crate) fn of_system() -> Self {
        Self {
            zone: TimeZone::system(),
        }
    }

    /// Date and time, to the second: `2026-11-21 17:46:20`.
    pub(crate) fn date(&self, unix_ms: u64) -> String {
        self.zoned(unix_ms)
            .map_or_else(unknown, |at| at.strftime("%F %T").to_string())
    }

    /// The time, and the date where that is not today's.
    pub(crate) fn clock(&self, unix_ms: u64, now_ms: u64) -> String {
        let Some(at) = self.zoned(unix_ms) else {
            return unknown();
        };
        let is_today = self
            .zoned(now_ms)
            .is_some_and(|now| now.date() == at.date());
        let format = if is_today { "%H:%M" } else { "%F %H:%M" };
        at.strftime(format).to_string()
    }

    fn zoned(&self, unix_ms: u64) -> Option<Zoned> {
        let ms = i64::try_from(unix_ms).ok()?;
        let timestamp = Timestamp::from_millisecond(ms).ok()?;
        Some(timestamp.to_zoned(self.zone.clone()))
    }
}

/// For a time that no clock shows.
fn unknown() -> String {
    "?".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_other_days_say_so() {
        let hours = |hours| LocalTime {
            zone: TimeZone::fixed(jiff::tz::offset(hours)),
        };
        let noon = 1_795_262_400_000;
        assert_eq!(hours(0).date(noon), "2026-11-21 12:00:00");
        assert_eq!(hours(2).clock(noon, noon), "14:00");
        assert_eq!(hours(13).date(noon), "2026-11-22 01:00:00");
        let day = 86_400_000;
        assert_eq!(hours(0).clock(noon - day, noon), "2026-11-20 12:00");
        assert_eq!(hours(0).date(u64::MAX), "?");
    }
}
