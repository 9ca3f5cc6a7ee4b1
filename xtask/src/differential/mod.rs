//! `cargo xtask differential`: random and changed sequences of frames, read by this project's protocol crate as a server
//! and by two implementations of others, Node's `ws` and python's `wsproto`. All must hand over the same messages and come
//! to the same verdict; where they do not, it is in the list of known differences (`known.rs`) or it fails.

mod known;
mod ours;
mod outcome;
mod peers;
mod random;
mod sequence;
mod walk;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::setup;
use known::Difference;
use outcome::{Answer, Outcome, hex};
use peers::{Kind, Peer};
use sequence::Sequence;

/// How many differences without an explanation are shown before it gives up.
const SHOWN_MAX: usize = 10;

const PROGRESS_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many sequences
    #[arg(long, default_value_t = 100_000)]
    sequences: u64,
    /// Which ones: another seed, other sequences
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this one of them, with all that is known about it
    #[arg(long, value_name = "INDEX")]
    only: Option<u64>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::node::ensure()?;
    setup::python::CLIENTS.ensure()?;
    let peers = Kind::ALL.map(Peer::start).into_iter();
    let mut run = Run {
        peers: peers.collect::<Result<_>>()?,
        seed: args.seed,
        now: Instant::now(),
        agreed: 0,
        known: BTreeMap::new(),
        unknown: 0,
    };
    match args.only {
        Some(index) => run.show(index),
        None => run.all(args.sequences),
    }
}

/// As a step of `cargo xtask test`: fewer sequences.
pub(crate) fn step() -> Result<()> {
    run(&Args {
        sequences: 3_000,
        seed: 1,
        only: None,
    })
}

struct Run {
    peers: Vec<Peer>,
    seed: u64,
    now: Instant,
    /// Sequences that all agree on.
    agreed: u64,
    /// Known differences, and how often each was seen.
    known: BTreeMap<(Kind, &'static str), u64>,
    unknown: usize,
}

impl Run {
    fn all(&mut self, sequences: u64) -> Result<()> {
        let mut shown = Instant::now();
        for index in 0..sequences {
            self.compare(index)?;
            if self.unknown >= SHOWN_MAX {
                bail!(
                    "{} differences without an explanation; stopped",
                    self.unknown
                );
            }
            if shown.elapsed() >= PROGRESS_EVERY {
                println!("   {index} of {sequences} sequences, {} alike", self.agreed);
                shown = Instant::now();
            }
        }
        println!(
            "   {sequences} sequences under seed {}: {} alike",
            self.seed, self.agreed
        );
        for (kind, why) in known::all() {
            let count = self.known.get(&(kind, why)).copied().unwrap_or(0);
            println!("   {count:>7} {}: {why}", kind.name());
        }
        match self.unknown {
            0 => Ok(()),
            unknown => bail!("{unknown} differences without an explanation"),
        }
    }

    fn compare(&mut self, index: u64) -> Result<()> {
        let sequence = sequence::generate(self.seed, index, self.now);
        let answers = self.ask(&sequence)?;
        let ours = ours::judge(&sequence, self.now);
        let mut all_alike = true;
        for (kind, theirs) in answers {
            if theirs.outcome == ours.outcome {
                continue;
            }
            all_alike = false;
            let difference = Difference::new(&sequence, &ours, &theirs);
            match known::explain(kind, &difference) {
                Some(why) => *self.known.entry((kind, why)).or_default() += 1,
                None => {
                    self.unknown += 1;
                    self.print(index, &sequence, &ours, kind, &theirs.outcome);
                }
            }
        }
        self.agreed += u64::from(all_alike);
        Ok(())
    }

    /// Everybody works at the same time.
    fn ask(&mut self, sequence: &Sequence) -> Result<Vec<(Kind, Answer)>> {
        for peer in &mut self.peers {
            peer.ask(sequence)?;
        }
        let peers = self.peers.iter_mut();
        peers.map(|peer| Ok((peer.kind, peer.answer()?))).collect()
    }

    fn print(
        &self,
        index: u64,
        sequence: &Sequence,
        ours: &ours::Judged,
        kind: Kind,
        theirs: &Outcome,
    ) {
        let bytes = hex(&sequence.bytes[..sequence.bytes.len().min(400)]);
        println!(
            "   different: `cargo xtask differential --seed {} --only {index}`",
            self.seed
        );
        println!(
            "   | {:?}, {} bytes: {bytes}",
            sequence.deflate,
            sequence.bytes.len()
        );
        println!("   | tidewire: {} {:?}", ours.outcome, ours.failure);
        println!("   | {}: {theirs}", kind.name());
    }

    fn show(&mut self, index: u64) -> Result<()> {
        let sequence = sequence::generate(self.seed, index, self.now);
        let ours = ours::judge(&sequence, self.now);
        for frame in walk::frames(&sequence.bytes) {
            let start = &frame.payload[..frame.payload.len().min(32)];
            println!("   {:02x} {:?} {}", frame.first, frame.len, hex(start));
        }
        for (kind, theirs) in self.ask(&sequence)? {
            self.print(index, &sequence, &ours, kind, &theirs.outcome);
            let difference = Difference::new(&sequence, &ours, &theirs);
            match known::explain(kind, &difference) {
                _ if theirs.outcome == ours.outcome => println!("   alike"),
                Some(why) => println!("   known: {why}"),
                None => bail!("no explanation is known"),
            }
        }
        Ok(())
    }
}
