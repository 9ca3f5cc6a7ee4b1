//! One case of wstest's report: its verdicts and what they rest on.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A case that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    /// As `6.4.1`.
    pub(super) id: String,
    /// What our side did with the frames: `OK`, `NON-STRICT`, `INFORMATIONAL`, `FAILED`, …
    pub(super) behavior: String,
    /// How the connection ended: `OK`, `INFORMATIONAL`, `WRONG CODE`, `UNCLEAN`, …
    pub(super) behavior_close: String,
    /// The code in our close frame.
    pub(super) close_code: Option<u64>,
    /// The codes that are right if there is one.
    pub(super) close_codes: Vec<u64>,
    /// Whether the case is over only after a proper closing handshake.
    clean_close: bool,
    pub(super) description: String,
    pub(super) result: String,
    pub(super) result_close: String,
    /// The server's answer in the handshake.
    pub(super) response: String,
    /// The case's page.
    pub(super) report: PathBuf,
}

/// An entry of `index.json`.
#[derive(Debug, Deserialize)]
struct Entry {
    reportfile: String,
}

/// All cases of the reports in the folders of `folder`, by section and number.
pub(super) fn read(folder: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder)? {
        read_one(&entry?.path(), &mut cases)?;
    }
    cases.sort_by_key(|case| order(&case.id));
    Ok(cases)
}

fn read_one(folder: &Path, cases: &mut Vec<Case>) -> Result<()> {
    let index: HashMap<String, HashMap<String, Entry>> = read_json(&folder.join("index.json"))
        .context("wstest wrote no report: could it reach the other side?")?;
    for (id, Entry { reportfile }) in index.values().flatten() {
        let file = folder.join(reportfile);
        cases.push(Case::new(id, &file, read_json(&file)?));
    }
    Ok(())
}

/// Sorts `10.1.1` after `9.8.6`.
pub(super) fn order(id: &str) -> Vec<u32> {
    id.split('.')
        .map(|number| number.parse().unwrap_or(u32::MAX))
        .collect()
}

/// What we read of a case's file. The rest, above all the wire log, is skipped unread: it quotes
/// text that is not Unicode.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    behavior: String,
    behavior_close: String,
    description: String,
    result: String,
    result_close: String,
    remote_close_code: Option<u64>,
    http_response: String,
    expected_close: ExpectedClose,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExpectedClose {
    close_code: Vec<u64>,
    require_clean: bool,
}

impl Case {
    fn new(id: &str, file: &Path, report: Report) -> Self {
        Self {
            id: id.to_owned(),
            behavior: report.behavior,
            behavior_close: report.behavior_close,
            close_code: report.remote_close_code,
            close_codes: report.expected_close.close_code,
            clean_close: report.expected_close.require_clean,
            description: plain(&report.description),
            result: report.result,
            result_close: report.result_close,
            response: report.http_response,
            report: file.with_extension("html"),
        }
    }

    /// Whether our side must fail the connection here. These are the cases that need no clean
    /// close, apart from the informational ones, which want nothing.
    pub(super) fn must_fail(&self) -> bool {
        !self.clean_close && self.behavior != "INFORMATIONAL"
    }

    /// Whether our side sent a close frame with a code that the case wants.
    pub(super) fn close_code_is_right(&self) -> bool {
        self.close_code
            .is_some_and(|code| self.close_codes.contains(&code))
    }

    /// `6` of `6.4.1`.
    pub(super) fn section(&self) -> &str {
        self.id.split('.').next().unwrap_or_default()
    }

    /// Both verdicts, for messages.
    pub(super) fn verdicts(&self) -> String {
        format!("{}/{}", self.behavior, self.behavior_close)
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what it should be", path.display()))
}

/// A description on one line and without its HTML tags.
fn plain(html: &str) -> String {
    let mut in_tag = false;
    let mut text = html.replace("<br>", " ");
    text.retain(|c| match c {
        '<' => {
            in_tag = true;
            false
        }
        '>' => !std::mem::replace(&mut in_tag, false),
        _ => !in_tag,
    });
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(behavior: &str, clean: bool, sent: Option<u64>) -> Case {
        let text = serde_json::json!({
            "behavior": behavior,
            "behaviorClose": "OK",
            "description": "",
            "result": "",
            "resultClose": "",
            "remoteCloseCode": sent,
            "httpResponse": "",
            "expectedClose": { "closeCode": [1002], "requireClean": clean },
        });
        let text = text
            .to_string()
            .replace('{', r#"{"wirelog":"\ud800 is no character","#);
        let report = serde_json::from_str(&text).expect("the text above is right");
        Case::new("3.1", Path::new("tidewire_case_3_1.json"), report)
    }

    #[test]
    fn cases_without_a_clean_close_must_fail_unless_informational() {
        assert!(case("OK", false, Some(1002)).must_fail());
        assert!(!case("OK", true, Some(1000)).must_fail());
        assert!(!case("INFORMATIONAL", false, Some(1002)).must_fail());
    }

    #[test]
    fn a_dropped_connection_has_no_right_close_code() {
        assert!(case("OK", false, Some(1002)).close_code_is_right());
        assert!(!case("OK", false, Some(1007)).close_code_is_right());
        assert!(!case("OK", false, None).close_code_is_right());
    }

    #[test]
    fn sections_sort_by_number() {
        assert!(order("9.8.6") < order("10.1.1"));
    }

    #[test]
    fn descriptions_lose_their_tags() {
        assert_eq!(
            plain("Send <b>RSV = 1</b>.<br><br>Then  a ping"),
            "Send RSV = 1. Then a ping"
        );
    }
}
