//! What the disk takes by itself: one writer that appends a block and waits for `fdatasync`, again and again. Nobody who
//! keeps that promise with one commit at a time acknowledges sooner.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::spread::Spread;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file that does not exist yet, on the disk that is meant
    file: PathBuf,
    /// Bytes of a block: as many as a commit has at 5,000 messages a second
    #[arg(long, default_value_t = 8192)]
    bytes: usize,
    /// How long to measure
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

pub(crate) fn run(args: &Args) -> Result<Value, Box<dyn Error>> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create_new(true).open(&args.file)?;
    let block = vec![7; args.bytes];
    let mut spreads: Vec<_> = (0..args.seconds).map(|_| Spread::default()).collect();
    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds);
    let mut begin = started;
    while begin < end {
        file.write_all(&block)?;
        file.sync_data()?;
        let done = Instant::now();
        spreads[(begin - started).as_secs() as usize].add(done - begin);
        begin = done;
    }
    fs::remove_file(&args.file)?;
    Ok(json!({ "milliseconds": Spread::figures_of_seconds(spreads) }))
}
