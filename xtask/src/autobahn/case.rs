//! One case of wstest's report: its verdicts and what they rest on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// A case that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    /// As `6.4.1`.
    pub(super) id: String,
    /// What the server did with the frames: `OK`, `NON-STRICT`, `INFORMATIONAL`, `FAILED`, …
    pub(super) behavior: String,
    /// How the connection ended: `OK`, `INFORMATIONAL`, `WRONG CODE`, `UNCLEAN`, …
    pub(super) behavior_close: String,
    /// The code in the server's close frame.
    pub(super) close_code: Option<u64>,
    /// The codes that are right if there is one.
    pub(super) close_codes: Vec<u64>,
    /// Whether the case is over only after a proper closing handshake.
    clean_close: bool,
    pub(super) description: String,
    pub(super) result: String,
    pub(super) result_close: String,
    /// File name of the case's page.
    pub(super) report: String,
}

/// All cases of the report in `folder`, by section and number.
pub(super) fn read(folder: &Path) -> Result<Vec<Case>> {
    let index = read_json(&folder.join("index.json"))
        .context("wstest wrote no report: could it reach the server?")?;
    let agents = index
        .as_object()
        .context("index.json should be an object")?;
    let results = agents.values().filter_map(Value::as_object).flatten();
    let mut cases = results
        .map(|(id, entry)| {
            let file = text(entry, "reportfile");
            Ok(Case::new(id, &file, &read_json(&folder.join(&file))?))
        })
        .collect::<Result<Vec<_>>>()?;
    cases.sort_by_key(|case| order(&case.id));
    Ok(cases)
}

/// Sorts `10.1.1` after `9.8.6`.
pub(super) fn order(id: &str) -> Vec<u32> {
    id.split('.')
        .map(|number| number.parse().unwrap_or(u32::MAX))
        .collect()
}

impl Case {
    fn new(id: &str, file: &str, report: &Value) -> Self {
        let expected = &report["expectedClose"];
        let codes = expected["closeCode"].as_array().into_iter().flatten();
        Self {
            id: id.to_owned(),
            behavior: text(report, "behavior"),
            behavior_close: text(report, "behaviorClose"),
            close_code: report["remoteCloseCode"].as_u64(),
            close_codes: codes.filter_map(Value::as_u64).collect(),
            clean_close: expected["requireClean"].as_bool().unwrap_or(true),
            description: plain(&text(report, "description")),
            result: text(report, "result"),
            result_close: text(report, "resultClose"),
            report: file.replace(".json", ".html"),
        }
    }

    /// Whether the server must fail the connection here. These are the cases that need no clean
    /// close, apart from the informational ones, which want nothing.
    pub(super) fn must_fail(&self) -> bool {
        !self.clean_close && self.behavior != "INFORMATIONAL"
    }

    /// Whether the server sent a close frame with a code that the case wants.
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

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    // Payloads in the wire log may be cut in the middle of a character.
    let text = String::from_utf8_lossy(&text);
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
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
    use serde_json::json;

    use super::*;

    fn case(behavior: &str, clean: bool, sent: Option<u64>) -> Case {
        let close = json!({ "closeCode": [1002], "requireClean": clean });
        let report =
            json!({ "behavior": behavior, "remoteCloseCode": sent, "expectedClose": close });
        Case::new("3.1", "tidewire_case_3_1.json", &report)
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
