//! `cargo xtask rfc`: every duty of the RFCs is kept in the code and held by a test, or somebody else's.
//!
//! The duties are data, [`rules`]; code and tests cite them in comments, as `[6455-5.1-3]`, which [`citations`] finds. What
//! the two say of each other is [`coverage`], and [`page`] makes `docs/rfc-coverage.md` of it.

mod citations;
mod coverage;
mod items;
mod page;
mod rules;
mod text;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use self::coverage::Coverage;
use self::rules::Rfc;
use crate::{paths, source};

/// The page that is written.
const PAGE: &str = "docs/rfc-coverage.md";

/// Where rules are kept, and where that is tested.
const FOLDERS: [&str; 5] = [
    "protocol/src",
    "protocol/tests",
    "server/src",
    "server/tests",
    "tests",
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fail if docs/rfc-coverage.md is not as it would be written, instead of writing it
    #[arg(long)]
    check: bool,
    /// Compare the quotes with `rfc6455.txt` and `rfc7692.txt` in this folder, as the RFC editor publishes them
    #[arg(long, value_name = "FOLDER")]
    text: Option<PathBuf>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let rfcs = rules::read_all()?;
    if let Some(folder) = &args.text {
        report(&text::check(&rfcs, folder)?)?;
        println!("   the quotes are the RFCs' words, and no sentence is missing");
    }
    let page = covered(&rfcs)?;
    let file = paths::root().join(PAGE);
    if !args.check {
        return fs::write(&file, page).with_context(|| format!("cannot write {PAGE}"));
    }
    if fs::read_to_string(&file).is_ok_and(|committed| committed == page) {
        Ok(())
    } else {
        bail!("{PAGE} is not up to date: run `cargo xtask rfc` and commit it")
    }
}

/// The check, as a step of `cargo xtask test`.
pub(crate) fn step() -> Result<()> {
    run(&Args {
        check: true,
        text: None,
    })
}

/// Holds the rules against the sources; the page, if there is nothing to complain of.
fn covered(rfcs: &[Rfc]) -> Result<String> {
    let sources = source::read_all(&FOLDERS)?;
    let (cited, mut findings) = citations::find(&sources)?;
    let coverage = Coverage::new(rfcs, &cited);
    findings.extend(rules::check(rfcs));
    findings.extend(coverage.findings());
    report(&findings)?;
    println!("   {}", coverage.totals());
    Ok(page::write(&coverage))
}

fn report(findings: &[String]) -> Result<()> {
    for finding in findings {
        println!("   {finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("the rules of the RFCs are not in order; findings listed above: {count}"),
    }
}
