//! How times and sizes are written, on the command line and in the file.

use std::time::Duration;

/// A time above zero and up to a day: `30s`, `1m 30s`, `500ms`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write 30s, 500ms or 1m 30s"))?;
    if time.is_zero() || time > Duration::from_secs(86_400) {
        return Err("a time is above zero and at most a day".to_owned());
    }
    Ok(time)
}

/// A time above zero, however long: `7d`, `52w`.
pub(crate) fn long_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write 7d, 12h or 30m"))?;
    if time.is_zero() {
        return Err("a time is above zero".to_owned());
    }
    Ok(time)
}

/// A number of bytes above zero, with a unit or without.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "B" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0);
    shift
        .and_then(|shift| number?.checked_mul(1 << shift))
        .ok_or_else(|| "write 64MiB, 500KiB, 1GiB or a number of bytes".to_owned())
}
