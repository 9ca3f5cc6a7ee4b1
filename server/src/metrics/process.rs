//! What the kernel says of this process, in `/proc`: read when somebody asks.

use std::fs;

use super::exposition::{Exposition, Seconds, Type};

/// Ticks a second in `/proc`: `USER_HZ`, which is 100 on every architecture we run on.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// Adds what is known; elsewhere than on Linux that is nothing.
pub(super) fn describe(text: &mut Exposition, started_unix_ms: u64) {
    if let Some(ticks) = cpu_ticks() {
        let help = "Processor time that the process took, in its own code and in the kernel.";
        let seconds = Seconds(ticks * NANOSECONDS_PER_TICK);
        text.one(Type::Counter, "process_cpu_seconds_total", help, seconds);
    }
    if let Some(status) = fs::read_to_string("/proc/self/status").ok().as_deref() {
        for (field, name, help) in [
            (
                "VmRSS:",
                "process_resident_memory_bytes",
                "Memory of the process that is in RAM.",
            ),
            (
                "VmSize:",
                "process_virtual_memory_bytes",
                "Addresses that the process has reserved.",
            ),
        ] {
            if let Some(kibibytes) = field_of(status, field) {
                text.one(Type::Gauge, name, help, kibibytes * 1024);
            }
        }
        if let Some(threads) = field_of(status, "Threads:") {
            text.one(
                Type::Gauge,
                "process_threads",
                "Threads of the process.",
                threads,
            );
        }
    }
    describe_heap(text);
    if let Some(descriptors) = open_descriptors() {
        text.one(
            Type::Gauge,
            "process_open_fds",
            "Open file descriptors.",
            descriptors,
        );
    }
    if let Ok((limit, _)) = rlimit::Resource::NOFILE.get() {
        text.one(
            Type::Gauge,
            "process_max_fds",
            "How many there can be.",
            limit,
        );
    }
    let (help, started) = (
        "When the process began, in seconds since 1970.",
        started_unix_ms * 1_000_000,
    );
    text.one(
        Type::Gauge,
        "process_start_time_seconds",
        help,
        Seconds(started),
    );
}

/// Adds what the allocator says.
fn describe_heap(text: &mut Exposition) {
    if let Some(Heap { used, free }) = heap() {
        let help = "Memory that the server holds of the allocator: what grows here is kept.";
        text.one(Type::Gauge, "heap_used_bytes", help, used);
        let help =
            "Memory that the allocator has and nobody holds: what clients held that have gone.";
        text.one(Type::Gauge, "heap_free_bytes", help, free);
    }
}

/// What the allocator says of the heap. The resident set is both, less pages that were never used or given back: only together
/// they tell something that is never let go of from holes between what lives.
struct Heap {
    used: u64,
    free: u64,
}

/// It goes through the list of what is free, under a lock: for who scrapes, not for each turn.
#[cfg(target_env = "gnu")]
#[allow(
    unsafe_code,
    reason = "no crate offers this call of glibc; it takes nothing and returns numbers"
)]
fn heap() -> Option<Heap> {
    // SAFETY: mallinfo2 has no preconditions; that others allocate meanwhile only makes its numbers a little old.
    let info = unsafe { libc::mallinfo2() };
    Some(Heap {
        used: (info.uordblks + info.hblkhd) as u64,
        free: info.fordblks as u64,
    })
}

/// Other allocators say nothing.
#[cfg(not(target_env = "gnu"))]
const fn heap() -> Option<Heap> {
    None
}

/// The number behind a word at the beginning of a line.
fn field_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may contain anything; utime and stime are fields 14 and 15.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut ticks = behind_name.split_whitespace().skip(11).take(2);
    let mut next = || ticks.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Linux tells since 6.2 without being asked for each of them, of which there may be a million.
fn open_descriptors() -> Option<u64> {
    let directory = fs::metadata("/proc/self/fd").ok()?.len();
    if directory > 0 {
        return Some(directory);
    }
    // That which lists them is not one of them afterwards.
    fs::read_dir("/proc/self/fd")
        .ok()
        .map(|list| list.count() as u64 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_descriptors_and_a_start() {
        let mut text = Exposition::default();
        describe(&mut text, 1_500);
        let text = text.into_text();
        for (name, least) in [
            ("process_resident_memory_bytes", 100_000.0),
            ("process_virtual_memory_bytes", 100_000.0),
            ("process_threads", 1.0),
            #[cfg(target_env = "gnu")]
            ("tidewire_heap_used_bytes", 10_000.0),
            #[cfg(target_env = "gnu")]
            ("tidewire_heap_free_bytes", 0.0),
            ("process_open_fds", 3.0),
            ("process_max_fds", 3.0),
            ("process_cpu_seconds_total", 0.0),
            ("process_start_time_seconds", 1.5),
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value: f64 = value
                .unwrap_or_else(|| panic!("{name}: {text}"))
                .parse()
                .unwrap();
            assert!(value >= least, "{name} {value}");
        }
        assert!(text.contains("process_start_time_seconds 1.500000000"));
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn what_is_let_go_of_is_not_used_any_more() {
        // Each too small for a mapping of its own; other tests allocate meanwhile, and far less.
        const BYTES: u64 = 64 << 20;
        let before = heap().unwrap().used;
        let filled = vec![vec![1_u8; 1 << 10]; (BYTES >> 10) as usize];
        let full = heap().unwrap().used;
        assert!(full >= before + BYTES * 3 / 4, "{before}, {full}");
        drop(std::hint::black_box(filled));
        let after = heap().unwrap().used;
        assert!(after + BYTES * 3 / 4 <= full, "{full}, {after}");
    }
}
