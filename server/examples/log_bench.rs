//! What the disk log costs: bytes and time a message, recovery of a large store, memory of the index.
//!
//! `cargo run --release -p tidewire --example log_bench -- DIR [MEGABYTES]` writes to `DIR`, which should not exist, on the disk
//! that is meant.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tidewire::ids::{LogName, Session, UserName};
use tidewire::log::disk::Options;
use tidewire::log::{DiskStore, Draft, Retention, Rule, Rules, Store as _};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let dir = words.next().ok_or("usage: log_bench DIR [MEGABYTES]")?;
    let megabytes: u64 = words.next().map_or(Ok(1024), |word| word.parse())?;
    let dir = Path::new(&dir);
    let mut maker = Maker::new()?;
    for size in [1, 16, 64, 256] {
        commits(&dir.join(format!("commits-{size}")), &mut maker, size)?;
    }
    recovery(&dir.join("recovery"), &mut maker, megabytes << 20)?;
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// Makes messages of 200 bytes from 100 users to 500 rooms.
struct Maker {
    users: Vec<UserName>,
    rooms: Vec<LogName>,
    session: Session,
    content: Box<RawValue>,
    count: u64,
}

impl Maker {
    fn new() -> Outcome<Self> {
        let users: Result<Vec<_>, _> = (0..100)
            .map(|n| UserName::new(&format!("user-{n}")))
            .collect();
        let rooms: Result<Vec<_>, _> = (0..500)
            .map(|n| LogName::new(&format!("room-{n}")))
            .collect();
        Ok(Self {
            users: users?,
            rooms: rooms?,
            session: Session::new("5f3a9c")?,
            content: RawValue::from_string(format!("\"{}\"", "x".repeat(198)))?,
            count: 0,
        })
    }

    fn next(&mut self) -> Outcome<Draft> {
        self.count += 1;
        Ok(Draft {
            log: self.rooms[self.count as usize * 7 % self.rooms.len()].clone(),
            from: self.users[self.count as usize % self.users.len()].clone(),
            session: self.session.clone(),
            seq: Some(RawValue::from_string(self.count.to_string())?),
            content: self.content.clone(),
            time: 1_790_000_000_000 + self.count,
        })
    }
}

fn options() -> Options {
    let retention = Retention {
        entries_max: 1 << 30,
        bytes_max: u64::MAX,
        ..Retention::default()
    };
    Options {
        rules: Arc::new(Rules::new(Rule {
            retention,
            ..Rule::default()
        })),
        ..Options::default()
    }
}

/// Commits of `size` messages for two seconds.
fn commits(dir: &Path, maker: &mut Maker, size: u64) -> Outcome<()> {
    let (mut store, _) = DiskStore::open(dir, &options())?;
    let mut times = Vec::new();
    let mut appending = Duration::ZERO;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(2) {
        let drafts: Outcome<Vec<_>> = (0..size).map(|_| maker.next()).collect();
        let began = Instant::now();
        for draft in drafts? {
            store.append(draft).map_err(|_| "too many logs")?;
        }
        appending += began.elapsed();
        let began = Instant::now();
        store.commit()?;
        times.push(began.elapsed());
    }
    let took = appending + times.iter().sum::<Duration>();
    times.sort_unstable();
    let messages = times.len() as u64 * size;
    let (_, bytes, _) = store.usage();
    println!(
        "commits of {size:>3}: {:>8.0} messages/s, commit p50 {:>6.0} us, p99 {:>6.0} us, append {:.2} us, {:.1} bytes/message",
        messages as f64 / took.as_secs_f64(),
        times[times.len() / 2].as_secs_f64() * 1e6,
        times[times.len() * 99 / 100].as_secs_f64() * 1e6,
        appending.as_secs_f64() * 1e6 / messages as f64,
        bytes as f64 / messages as f64,
    );
    Ok(())
}

/// Fills a store and opens it again.
fn recovery(dir: &Path, maker: &mut Maker, bytes: u64) -> Outcome<()> {
    let (mut store, _) = DiskStore::open(dir, &options())?;
    while store.usage().1 < bytes {
        for _ in 0..4096 {
            let draft = maker.next()?;
            store.append(draft).map_err(|_| "too many logs")?;
        }
        store.commit()?;
        eprint!(
            "\rfilling: {} of {} MiB",
            store.usage().1 >> 20,
            bytes >> 20
        );
    }
    eprintln!();
    drop(store);
    for _ in 0..3 {
        let started = Instant::now();
        let (store, recovery) = DiskStore::open(dir, &options())?;
        println!(
            "recovery: {:.2} s for {} MiB, {} entries; index {:.1} bytes an entry",
            started.elapsed().as_secs_f64(),
            recovery.bytes >> 20,
            recovery.entries,
            store.index_bytes() as f64 / recovery.entries as f64
        );
    }
    Ok(())
}
