//! wstest's instructions: `autobahn/fuzzingclient.json` with the URL, the folder for the report and
//! the cases filled in. As committed, the file also works by hand.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The text of the instructions. No `cases` means those of the committed file.
pub(super) fn render(url: &str, outdir: &str, cases: &[String]) -> Result<String> {
    let path = super::home().join("fuzzingclient.json");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut spec: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    spec["outdir"] = json!(outdir);
    spec["servers"][0]["url"] = json!(url);
    if !cases.is_empty() {
        spec["cases"] = json!(cases);
    }
    Ok(serde_json::to_string_pretty(&spec)?)
}
