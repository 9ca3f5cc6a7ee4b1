//! A flood of bad input over many connections at once: each gets what the protocol says that it earns, the server is the same
//! process afterwards, with the descriptors and the memory that it had, and good clients beside it notice nothing.
//!
//! What visit number N of a seed sends is the same each time. `cargo xtask chaos badinput` asks for more of it than CI does.

mod answer;
mod chat;
mod floods;
mod frames;
mod http;
mod tally;
mod visit;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tally::Tally;
use tidewire_tests::bystanders::{self, Calm};
use tidewire_tests::http::get;
use tidewire_tests::server::Usage;
use tidewire_tests::wait::holds;
use tidewire_tests::{Dice, Launch, Server, wait_until};
use visit::{Visit, carry_out};

/// Bad inputs, where nobody says how many.
const INPUTS: u64 = 20_000;

/// Of all inputs, those before the memory is looked at for the first time: what the server remembers of those who left, and the
/// logs of the rooms, have bounds, which have to be reached.
const WARM_UP_SHARE: f64 = 0.25;

/// What the memory may be above what it was after the warm-up: the allocator's slack, and what is remembered.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

/// The stack of a thread that sends, of which there are hundreds.
const STACK_BYTES: usize = 256 << 10;

/// How often a line says how far it is, where nobody looks at a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

#[test]
fn bad_input_costs_only_its_own_connection() {
    let campaign = Campaign::from_environment();
    let mut server = Launch::default()
        .arguments(&["--handshake-timeout", "60s"])
        .start();
    let idle = server.usage();
    let began = Instant::now();
    let ((tally, warm), calm) = bystanders::beside(&server, || campaign.run(&server));
    let took = began.elapsed();
    wait_until("all descriptors are free again", || {
        server.usage().descriptors <= idle.descriptors
    });
    // Some memory is given back only when time has passed.
    let has_shrunk =
        holds(|| server.usage().resident_bytes <= warm.resident_bytes + GROWTH_BYTES_MAX);
    let after = server.usage();
    report(&campaign, &tally, &calm, took, [idle, warm, after]);
    assert!(has_shrunk, "memory grew: {warm:?}, then {after:?}");
    assert_eq!(server.exit_status(), None, "it is the same process");
    assert_eq!(get(server.address(), "/health").json()["status"], "up");
    if let Some(violations) = tally.violations() {
        panic!("{violations}");
    }
}

fn report(campaign: &Campaign, tally: &Tally, calm: &Calm, took: Duration, usages: [Usage; 3]) {
    let Campaign {
        seed, connections, ..
    } = campaign;
    let [idle, warm, after] = usages.map(mebibytes);
    let seconds = took.as_secs_f64();
    println!("{}", tally.table());
    println!(
        "{} bad inputs on {} connections, {connections} at once, seed {seed}: {seconds:.0} s, {:.0} inputs a second",
        tally.inputs,
        tally.visits,
        tally.inputs as f64 / seconds,
    );
    println!(
        "the server's memory: {idle:.1} MiB at first, {warm:.1} MiB warm, {after:.1} MiB at the end"
    );
    println!(
        "beside it: {} messages acknowledged and heard by both followers in order, without an error; ack p50 {:.1?}, p99 {:.1?}",
        calm.messages,
        calm.percentile(50),
        calm.percentile(99),
    );
}

fn mebibytes(usage: Usage) -> f64 {
    usage.resident_bytes as f64 / f64::from(1 << 20)
}

/// How much of it there is to be.
struct Campaign {
    inputs: u64,
    connections: u8,
    seed: u64,
    /// The number of the first visit: where another run of the same seed ended.
    first: u64,
}

impl Campaign {
    fn from_environment() -> Self {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("{name} is a number")),
            Err(_) => default,
        };
        Self {
            inputs: number("TIDEWIRE_BAD_INPUTS", INPUTS),
            connections: u8::try_from(number("TIDEWIRE_BAD_CONNECTIONS", 200))
                .expect("at most 255"),
            seed: number("TIDEWIRE_BAD_SEED", 1),
            first: number("TIDEWIRE_BAD_FIRST", 0),
        }
    }

    /// Sends it all; what became of it, and what the server used when it was warm.
    fn run(&self, server: &Server) -> (Tally, Usage) {
        let (visits, inputs) = (AtomicU64::new(self.first), AtomicU64::new(0));
        let warm_up = (self.inputs as f64 * WARM_UP_SHARE) as u64;
        let bar = progress_bar(self.inputs);
        thread::scope(|scope| {
            let senders: Vec<_> = (1..=self.connections)
                .map(|number| {
                    let (visits, inputs) = (&visits, &inputs);
                    let send = move || self.send(server, number, visits, inputs);
                    let builder = thread::Builder::new().stack_size(STACK_BYTES);
                    builder.spawn_scoped(scope, send).expect("a thread")
                })
                .collect();
            let (mut warm, mut line_at) = (None, Instant::now());
            while !senders.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_millis(50));
                let sent = inputs.load(Ordering::Relaxed);
                bar.set_position(sent);
                if warm.is_none() && sent >= warm_up {
                    warm = Some(server.usage());
                }
                if bar.is_hidden() && line_at.elapsed() >= LINE_EVERY {
                    line_at = Instant::now();
                    let memory = mebibytes(server.usage());
                    eprintln!("{sent} of {} bad inputs, {memory:.1} MiB", self.inputs);
                }
            }
            bar.finish_and_clear();
            let mut tally = Tally::default();
            for sender in senders {
                tally.add(
                    sender
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                );
            }
            (tally, warm.expect("the warm-up has an end"))
        })
    }

    /// One connection after the other, until there were enough inputs. Each thread has an address of its own, since a
    /// connection that has ended occupies its port for a minute.
    fn send(&self, server: &Server, thread: u8, visits: &AtomicU64, inputs: &AtomicU64) -> Tally {
        let source = Ipv4Addr::new(127, 0, 1, thread);
        let mut tally = Tally::default();
        while inputs.load(Ordering::Relaxed) < self.inputs {
            let number = visits.fetch_add(1, Ordering::Relaxed);
            let mut dice = Dice::of(self.seed, number);
            let visit = any_visit(&mut dice);
            let outcome = carry_out(&visit, &mut dice, source, server.address());
            tally.count(number, &visit, outcome);
            inputs.fetch_add(visit.inputs, Ordering::Relaxed);
        }
        tally
    }
}

fn any_visit(dice: &mut Dice) -> Visit {
    match dice.below(100) {
        0..22 => frames::broken(dice),
        22..44 => frames::mutated(dice),
        44..48 => floods::many(dice),
        48..53 => floods::compressed(dice),
        53..65 => http::handshake(dice),
        65..77 => http::request(dice),
        77..85 => http::bodies(dice),
        85..97 => chat::texts(dice),
        _ => chat::last_words(dice),
    }
}

/// Hidden where stderr is no terminal.
fn progress_bar(inputs: u64) -> ProgressBar {
    let bar = ProgressBar::new(inputs);
    let style =
        ProgressStyle::with_template("{bar:30} {human_pos} of {human_len}, {per_sec}, {eta} left");
    bar.with_style(style.expect("the template is right"))
}
