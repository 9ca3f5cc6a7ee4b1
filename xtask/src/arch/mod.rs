//! The architecture check: what may use what, who may look at the clock, and how long files may be.
//!
//! It reads sources as tokens (see [`crate::source`]), so neither comments nor strings nor nested `use`
//! lists fool it. The rules are tables in [`rules`]; a new rule is a new row.

mod paths_used;
mod rules;

use anyhow::{Result, bail};

use crate::source::{self, Source};
use crate::{exec, paths};

/// Lines a file may have before its tests; beyond, one concept has become two.
const LINES_MAX: usize = 500;

/// Pages people read in one sitting.
const PAGES: [(&str, usize); 2] = [("README.md", 150), ("CONTRIBUTING.md", 80)];

/// Folders with Rust code of ours.
const FOLDERS: [&str; 6] = ["protocol", "server", "xtask", "tests", "fuzz", "bench"];

/// Async runtimes and other people's WebSocket code: the server is to have none, nor what builds or tests it. (The protocol
/// crate has an example on tokio; cargo does not build the examples of a dependency.)
const FOREIGN: [&str; 7] = [
    "tokio",
    "async-std",
    "smol",
    "tungstenite",
    "fastwebsockets",
    "soketto",
    "wtx",
];

/// The check, as a step of `cargo xtask test`. Prints every finding.
pub(crate) fn check() -> Result<()> {
    let mut findings = Vec::new();
    let sources = source::read_all(&FOLDERS)?;
    for source in &sources {
        findings.extend(form(source));
        findings.extend(rules::check(source)?);
    }
    findings.extend(PAGES.iter().filter_map(|(name, max)| long_page(name, *max)));
    findings.extend(foreign_crates()?);
    for finding in &findings {
        println!("   {finding}");
    }
    match findings.len() {
        0 => println!("   {} files follow the rules", sources.len()),
        count => bail!("{count} places break the architecture's rules (listed above)"),
    }
    Ok(())
}

/// What every file owes its reader: an opening paragraph and an end in sight.
fn form(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    if !source.text.starts_with("//!") {
        findings.push(format!(
            "{}:1: should open with a `//!` paragraph: what it is",
            source.path
        ));
    }
    let lines = source.lines_before_tests();
    if lines > LINES_MAX {
        findings.push(format!(
            "{}: {lines} lines before its tests; at most {LINES_MAX}",
            source.path
        ));
    }
    findings
}

fn long_page(name: &str, max: usize) -> Option<String> {
    let text = std::fs::read_to_string(paths::root().join(name)).ok()?;
    let lines = text.lines().count();
    (lines > max).then(|| format!("{name}: {lines} lines; at most {max}"))
}

fn foreign_crates() -> Result<Vec<String>> {
    let words = "tree --package tidewire --edges normal,build,dev --prefix none --format {p}";
    let tree = exec::output(&mut exec::cargo(words))?;
    let name = |line: &str| {
        line.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let mut names: Vec<_> = tree.lines().map(name).collect();
    names.sort();
    names.dedup();
    names.retain(|name| FOREIGN.contains(&name.as_str()));
    Ok(names
        .iter()
        .map(|name| format!("the server depends on {name}; see `cargo tree -i {name}`"))
        .collect())
}
