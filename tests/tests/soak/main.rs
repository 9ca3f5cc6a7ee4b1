//! A server under churn: clients come, talk and go all the time, and what the server uses stays as it is. A short one in CI;
//! `cargo xtask chaos soak` goes on for hours, and looks at the slope of the memory.

mod life;

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use life::{Life, STEPS};
use tidewire_tests::http::get;
use tidewire_tests::{Directory, Launch, Server, wait_until};

/// Clients at once.
const CLIENTS: u32 = 2000;

/// How long a client stays in normal times; with ten times the churn, a tenth of that.
const LIFE: Duration = Duration::from_secs(300);

/// Threads that play clients.
const PLAYERS: u32 = 8;

/// A log keeps little, so that retention works all the time and what is kept is soon all there is. And a machine that is busy with
/// others makes our clients late, for which the server is not to let them go.
const ARGUMENTS: [&str; 10] = [
    "--history-entries",
    "100",
    "--files-bytes-max",
    "1099511627776",
    "--heartbeat",
    "600s",
    "--lag-max",
    "600s",
    "--keep-alive",
    "600s",
];

/// Descriptors beside those of connections: segments of the log come and go.
const OTHER_DESCRIPTORS_MAX: usize = 32;

#[test]
fn a_server_under_churn_stays_as_it_is() {
    let soak = Soak::from_environment();
    let directory = Directory::new();
    let server = Launch::default()
        .data(directory.path())
        .arguments(&ARGUMENTS)
        .start();
    let idle = server.usage().descriptors;
    let counts = Counts::default();
    thread::scope(|scope| {
        let players: Vec<_> = (0..PLAYERS)
            .map(|player| {
                let (soak, server, counts) = (&soak, &server, &counts);
                scope.spawn(move || soak.play(player, server, counts))
            })
            .collect();
        soak.sample(&server, &counts, || {
            players.iter().all(thread::ScopedJoinHandle::is_finished)
        });
        for player in players {
            if let Err(panic) = player.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    wait_until("all connections are gone", || {
        server.health().connections <= 1
    });
    assert!(server.usage().descriptors <= idle + OTHER_DESCRIPTORS_MAX);
    let [begun, heard] = [&counts.begun, &counts.heard].map(|count| count.load(Ordering::Relaxed));
    println!("{begun} clients came and went, and heard {heard} messages in order");
    assert!(begun > 0 && heard > 0, "there was something to see");
}

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    heard: AtomicU64,
    /// A player has failed, and the others need not go on.
    over: AtomicBool,
}

struct Soak {
    length: Duration,
    churn: u32,
    life: Duration,
    /// Where a line for each look at the server goes.
    samples: Option<PathBuf>,
}

impl Soak {
    fn from_environment() -> Self {
        let number = |name: &str, default: u32| match std::env::var(name) {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("{name} is a number")),
            Err(_) => default,
        };
        let length = Duration::from_secs(number("TIDEWIRE_SOAK_SECONDS", 10).into());
        let churn = number("TIDEWIRE_SOAK_CHURN", 10).max(1);
        Self {
            // A short one has whole lives in it, too.
            life: (LIFE / churn).min(length / 4),
            churn,
            length,
            samples: std::env::var_os("TIDEWIRE_SOAK_SAMPLES").map(PathBuf::from),
        }
    }

    /// Begins a client as often as the churn has it, and lets each take its steps when they are due. All stay equally long, so
    /// that the first in a queue is the next one due.
    fn play(&self, player: u32, server: &Server, counts: &Counts) {
        let _over_at_last = OverIfPanicking(counts);
        let began = Instant::now();
        let every = LIFE * PLAYERS / (CLIENTS * self.churn);
        let between = self.life / (STEPS + 1);
        let mut queues: [VecDeque<(Instant, Life)>; STEPS as usize + 1] = Default::default();
        let mut next = began + every * player / PLAYERS;
        let mut number = u64::from(player);
        while began.elapsed() < self.length && !counts.over.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= next {
                let life = Life::begin(server, number);
                counts.begun.fetch_add(1, Ordering::Relaxed);
                number += u64::from(PLAYERS);
                next += every;
                queues[0].push_back((now + between, life));
            }
            for step in 0..queues.len() {
                while queues[step]
                    .front()
                    .is_some_and(|(due, _)| *due <= Instant::now())
                {
                    let Some((due, mut life)) = queues[step].pop_front() else {
                        break;
                    };
                    if step + 1 == queues.len() {
                        life.end();
                    } else {
                        counts.heard.fetch_add(life.step(server), Ordering::Relaxed);
                        queues[step + 1].push_back((due + between, life));
                    }
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
        for (_, life) in queues.into_iter().flatten() {
            life.end();
        }
    }

    /// Looks at the server ten times in the shortest run, and every ten seconds in a long one.
    fn sample(&self, server: &Server, counts: &Counts, is_over: impl Fn() -> bool) {
        let mut file = self
            .samples
            .as_ref()
            .map(|path| File::create(path).expect("a file for samples"));
        let (began, every) = (
            Instant::now(),
            (self.length / 10).min(Duration::from_secs(10)),
        );
        let mut next = began;
        while !is_over() {
            thread::sleep(Duration::from_millis(50));
            if Instant::now() < next {
                continue;
            }
            next += every;
            let usage = server.usage();
            let line = format!(
                "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                began.elapsed().as_secs(),
                usage.resident_bytes,
                usage.descriptors,
                server.health().connections,
                counts.begun.load(Ordering::Relaxed),
                counts.heard.load(Ordering::Relaxed),
                usage.cpu.as_millis(),
                heap_used(server),
            );
            eprintln!("{line}");
            if let Some(file) = &mut file {
                writeln!(file, "{line}").expect("a line for the samples");
            }
        }
    }
}

/// What the server holds of its allocator, in bytes.
fn heap_used(server: &Server) -> u64 {
    let metrics = get(server.address(), "/metrics");
    let text = String::from_utf8_lossy(&metrics.body);
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("tidewire_heap_used_bytes "));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no number for the heap: {text}"))
}

/// Tells the other players, where one panics.
struct OverIfPanicking<'a>(&'a Counts);

impl Drop for OverIfPanicking<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.over.store(true, Ordering::Relaxed);
        }
    }
}
