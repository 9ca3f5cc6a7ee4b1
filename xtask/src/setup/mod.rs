//! `cargo xtask setup`: brings what the tests need beyond Rust. Each part looks first and installs
//! only what is missing, so a second run takes a moment. All but the Debian packages goes into
//! `target/` and `tests/node_modules`; nothing is started, nothing outside is changed.

pub(crate) mod autobahn;
pub(crate) mod cargo_tools;
mod debian;
pub(crate) mod node;
pub(crate) mod python;
mod stamp;
pub(crate) mod unpacked;

use anyhow::Result;

use crate::steps::{self, Step};

const PARTS: [Step; 5] = [
    Step {
        name: "debian",
        about: "programs from the distribution",
        run: debian::ensure,
    },
    Step {
        name: "node",
        about: "npm packages of tests/",
        run: node::ensure,
    },
    Step {
        name: "python",
        about: "Python packages of tests/",
        run: python::ensure,
    },
    Step {
        name: "cargo-tools",
        about: "cargo-deny and cargo-fuzz",
        run: cargo_tools::ensure,
    },
    Step {
        name: "autobahn",
        about: "the Autobahn testsuite",
        run: autobahn::ensure,
    },
];

/// The command: every part, with a list at the end.
pub(crate) fn run() -> Result<()> {
    steps::run(&PARTS.each_ref())
}

/// The same as one step of `cargo xtask test`. Goes through all parts before it fails.
pub(crate) fn ensure() -> Result<()> {
    let mut problems = Vec::new();
    for part in &PARTS {
        if let Err(error) = (part.run)() {
            problems.push(format!("{}: {error:#}", part.name));
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => anyhow::bail!("{}", problems.join("; ")),
    }
}

/// One line about a part that has nothing to do.
fn present(what: &str) {
    println!("   present: {what}");
}
