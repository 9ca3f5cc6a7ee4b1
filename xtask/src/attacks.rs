//! `cargo xtask attacks`: the catalogue of attacks, `docs/attacks.toml`, held against the tests that it names, and the page that
//! is made of it. It runs no attack: the tests do.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::paths;

const CATALOGUE: &str = "docs/attacks.toml";
const PAGE: &str = "docs/ATTACKS.md";

/// The letters, in order, and what they stand for.
const CHAPTERS: [(&str, &str); 7] = [
    ("A", "Frame headers and lengths"),
    ("B", "Fragments and control frames"),
    ("C", "The opening handshake and HTTP/1.1"),
    ("D", "permessage-deflate"),
    ("E", "Who may do what, and what is logged"),
    ("F", "The event loop, sockets, the system"),
    ("G", "The chat, its transports, its clients"),
];

const HEAD: &str = "# Attacks

What servers and libraries like this one fell to, and what becomes of it here. Each has tests, or says what it waits for; many run
beside good clients that must notice nothing. `cargo xtask attacks` writes this page from [attacks.toml](attacks.toml), and a
test checks that every test it names is there. All kinds at once, at random, a million times: `cargo xtask chaos badinput`
([figures](RELIABILITY.md)).
";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fail if docs/ATTACKS.md is not as it would be written, instead of writing it
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    attack: Vec<Attack>,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    /// A letter and a number.
    id: String,
    /// Who fell to it.
    case: String,
    /// Why.
    cause: String,
    /// What this server does.
    here: String,
    /// The tests that carry it out, as `PATH::NAME`.
    #[serde(default)]
    tests: Vec<String>,
    /// Why there is nothing to attack.
    reason: Option<String>,
    /// What is still to come, and its tests with it.
    pending: Option<String>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let attacks = read()?;
    let findings = findings(&attacks);
    for finding in &findings {
        println!("   {finding}");
    }
    if !findings.is_empty() {
        bail!(
            "{CATALOGUE} is not in order; findings listed above: {}",
            findings.len()
        );
    }
    let pending = attacks
        .iter()
        .filter(|attack| attack.pending.is_some())
        .count();
    println!(
        "   {} attacks, {pending} wait for tests of what is still to come",
        attacks.len()
    );
    let (file, page) = (paths::root().join(PAGE), page(&attacks));
    if !args.check {
        return fs::write(&file, page).with_context(|| format!("cannot write {PAGE}"));
    }
    match fs::read_to_string(&file) {
        Ok(committed) if committed == page => Ok(()),
        _ => bail!("{PAGE} is not up to date: run `cargo xtask attacks` and commit it"),
    }
}

fn read() -> Result<Vec<Attack>> {
    let text = fs::read_to_string(paths::root().join(CATALOGUE))
        .with_context(|| format!("cannot read {CATALOGUE}"))?;
    let catalogue: Catalogue = toml::from_str(&text).with_context(|| format!("in {CATALOGUE}"))?;
    Ok(catalogue.attack)
}

/// What is wrong with the catalogue: an id out of order, or a test that is not there.
fn findings(attacks: &[Attack]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut expected = expected_ids(attacks).into_iter();
    let mut seen = HashSet::new();
    for attack in attacks {
        let id = &attack.id;
        let next = expected.next();
        if next.as_ref() != Some(id) {
            findings.push(format!("{id}: {} was due", next.unwrap_or_default()));
        }
        if !seen.insert(id) {
            findings.push(format!("{id}: it is there twice"));
        }
        if attack.tests.is_empty() && attack.reason.is_none() && attack.pending.is_none() {
            findings.push(format!("{id}: it has neither a test nor a reason"));
        }
        let missing = attack.tests.iter().filter(|test| !is_there(test));
        findings.extend(missing.map(|test| format!("{id}: there is no test {test}")));
    }
    findings
}

/// `A1`, `A2`, … `G14`: as many of each letter as there are.
fn expected_ids(attacks: &[Attack]) -> Vec<String> {
    let of = |letter: &str| {
        let count = attacks
            .iter()
            .filter(|attack| attack.id.starts_with(letter))
            .count();
        (1..=count)
            .map(|number| format!("{letter}{number}"))
            .collect::<Vec<_>>()
    };
    CHAPTERS.iter().flat_map(|(letter, _)| of(letter)).collect()
}

/// Whether `PATH::NAME` is a test: a function, in Rust, which may be made by a macro; or what `test` is called with.
fn is_there(test: &str) -> bool {
    let Some((path, name)) = test.split_once("::") else {
        return false;
    };
    let Ok(text) = fs::read_to_string(paths::root().join(path)) else {
        return false;
    };
    if path.ends_with(".rs") {
        is_test_function(&text, name)
    } else {
        text.contains(&format!("test('{name}'"))
    }
}

/// Whether a function of this name is below a `#[test]`, with nothing but attributes and comments between them.
fn is_test_function(text: &str, name: &str) -> bool {
    let begins = format!("fn {name}(");
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        match line {
            "#[test]" => is_test = true,
            _ if is_test && line.starts_with(&begins) => return true,
            _ if line.starts_with("#[") || line.starts_with("//") => {}
            _ => is_test = false,
        }
    }
    false
}

fn page(attacks: &[Attack]) -> String {
    let mut page = HEAD.to_owned();
    for (letter, title) in CHAPTERS {
        let _ = writeln!(page, "\n## {letter}: {title}\n");
        page.push_str("| id | who fell to it | why | here | tests |\n|---|---|---|---|---|\n");
        for attack in attacks
            .iter()
            .filter(|attack| attack.id.starts_with(letter))
        {
            let Attack {
                id,
                case,
                cause,
                here,
                ..
            } = attack;
            let row = format!("| {id} | {case} | {cause} | {here} | {} |", proof(attack));
            let _ = writeln!(page, "{row}");
        }
    }
    page
}

/// The tests, as links; what is to come, and why there is none.
fn proof(attack: &Attack) -> String {
    let link = |test: &String| {
        let (path, name) = test.split_once("::").unwrap_or((test, test));
        format!("[`{name}`](../{path})")
    };
    let mut parts: Vec<_> = attack.tests.iter().map(link).collect();
    parts.extend(attack.reason.as_ref().map(|reason| format!("*{reason}*")));
    let pending = attack.pending.as_ref();
    parts.extend(pending.map(|what| format!("*To come: {what}.*")));
    parts.join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_has_tests_that_are_there_and_the_page_says_so() {
        run(&Args { check: true }).expect("the catalogue is in order");
    }

    #[test]
    fn a_test_is_a_function_below_its_attribute() {
        let text = "#[test]\n// why\n#[ignore]\nfn found() {\n}\nfn helper() {\n}\n";
        assert!(is_test_function(text, "found"));
        assert!(!is_test_function(text, "helper"));
        assert!(!is_test_function(text, "foun"));
    }

    #[test]
    fn what_is_missing_is_found() {
        let attack = |id: &str, tests: &[&str]| Attack {
            id: id.to_owned(),
            case: String::new(),
            cause: String::new(),
            here: String::new(),
            tests: tests.iter().map(|&test| test.to_owned()).collect(),
            reason: None,
            pending: None,
        };
        let none = "xtask/src/attacks.rs::no_such_test";
        let this = "xtask/src/attacks.rs::what_is_missing_is_found";
        assert_eq!(findings(&[attack("A1", &[this])]), [""; 0]);
        assert_eq!(findings(&[attack("A1", &[none])]).len(), 1);
        assert_eq!(findings(&[attack("A2", &[this])]), ["A2: A1 was due"]);
        assert_eq!(findings(&[attack("B1", &[])]).len(), 1);
    }
}
