//! wstest's instructions: the committed `fuzzingclient.json` or `fuzzingserver.json` with the address, the folder for the
//! report and the cases filled in. As committed, the files also work by hand.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Side;

impl Side {
    /// What wstest is to be for the test of this side of ours.
    pub(super) const fn mode(self) -> &'static str {
        match self {
            Self::Server => "fuzzingclient",
            Self::Client => "fuzzingserver",
        }
    }
}

/// The text of the instructions.
pub(super) fn render(side: Side, url: &str, outdir: &str, cases: &[String]) -> Result<String> {
    let path = super::home().join(format!("{}.json", side.mode()));
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut spec: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    spec["outdir"] = json!(outdir);
    match side {
        Side::Server => spec["servers"][0]["url"] = json!(url),
        Side::Client => spec["url"] = json!(url),
    }
    spec["cases"] = json!(cases);
    Ok(serde_json::to_string_pretty(&spec)?)
}
