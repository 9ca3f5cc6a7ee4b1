//! What the server's process uses, from `/proc`.

use std::fs;
use std::time::Duration;

/// Resident memory in bytes; 0 if it cannot be told.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kibibytes.unwrap_or(0_u64) * 1024
}

/// Processor time since it started; nothing if it cannot be told.
pub(crate) fn cpu(pid: u32) -> Duration {
    // Linux counts in USER_HZ, which is 100 a second on every architecture we run on.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command's name, in parentheses, may contain anything; utime and stime are fields 14 and 15.
    let behind_name = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    TICK * ticks
        .filter_map(|field| field.parse::<u32>().ok())
        .sum::<u32>()
}
