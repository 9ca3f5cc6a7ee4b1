//! `autobahn/expected-server.json` and `-client.json`: what every case should come to, one line a case, so that a
//! change of behaviour shows in a diff. They are also the list of the suite's cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Side;
use super::case::{Case, order};

/// The expected results.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// How many of the cases that must fail get an explicit, right close code.
    pub(super) close_codes: usize,
    /// behavior and behaviorClose by the case's number.
    cases: BTreeMap<Vec<u32>, (String, String)>,
}

impl Expected {
    /// What `cases` came to.
    pub(super) fn of(cases: &[Case], close_codes: usize) -> Self {
        let verdicts = |case: &Case| (case.behavior.clone(), case.behavior_close.clone());
        let cases = cases
            .iter()
            .map(|case| (order(&case.id), verdicts(case)))
            .collect();
        Self { close_codes, cases }
    }

    /// Reads the committed file.
    pub(super) fn read(side: Side) -> Result<Self> {
        let path = Self::path(side);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Replaces the committed file.
    pub(super) fn write(&self, side: Side) -> Result<()> {
        let path = Self::path(side);
        fs::write(&path, self.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!(
            "   blessed: {} cases are now the expected results",
            self.cases.len()
        );
        Ok(())
    }

    /// Whether `case` came to what it should.
    pub(super) fn agrees(&self, case: &Case) -> bool {
        let expected = self.cases.get(&order(&case.id));
        expected.is_some_and(|(behavior, close)| {
            *behavior == case.behavior && *close == case.behavior_close
        })
    }

    /// The verdicts expected of a case, for messages.
    pub(super) fn shown(&self, id: &str) -> String {
        match self.cases.get(&order(id)) {
            Some((behavior, close)) => format!("{behavior}/{close}"),
            None => "no such case".to_owned(),
        }
    }

    /// All cases, in their order.
    pub(super) fn ids(&self) -> Vec<String> {
        self.cases.keys().map(|id| dotted(id)).collect()
    }

    /// How many explicit close codes are expected, and whether these cases are all those that can have one.
    pub(super) fn close_codes_among(&self, cases: &[Case]) -> (usize, bool) {
        let must_fail = cases.iter().filter(|case| case.must_fail()).count();
        (self.close_codes, must_fail >= self.close_codes)
    }

    /// The committed file.
    pub(super) fn path(side: Side) -> PathBuf {
        super::home().join(match side {
            Side::Server => "expected-server.json",
            Side::Client => "expected-client.json",
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let file: Value = serde_json::from_str(text).ok()?;
        let close_codes = usize::try_from(file["close_codes"].as_u64()?).ok()?;
        let verdicts =
            |value: &Value| Some((value[0].as_str()?.to_owned(), value[1].as_str()?.to_owned()));
        let cases = file["cases"].as_object()?.iter();
        let cases = cases
            .map(|(id, value)| Some((order(id), verdicts(value)?)))
            .collect::<Option<_>>()?;
        Some(Self { close_codes, cases })
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |(id, (behavior, close)): (&Vec<u32>, &(String, String))| {
            format!("    {}: {}", json!(dotted(id)), json!([behavior, close]))
        };
        let lines: Vec<_> = self.cases.iter().map(line).collect();
        writeln!(
            f,
            "{{\n  \"close_codes\": {},\n  \"cases\": {{",
            self.close_codes
        )?;
        writeln!(f, "{}\n  }}\n}}", lines.join(",\n"))
    }
}

/// `[6, 4, 1]` as `6.4.1`.
fn dotted(id: &[u32]) -> String {
    let id: Vec<_> = id.iter().map(u32::to_string).collect();
    id.join(".")
}

#[cfg(test)]
mod tests {
    use super::Expected;

    const TEXT: &str = r#"{
  "close_codes": 117,
  "cases": {
    "2.1": ["OK","OK"],
    "10.1.1": ["INFORMATIONAL","OK"]
  }
}
"#;

    #[test]
    fn what_is_written_is_what_was_read() {
        assert_eq!(
            Expected::parse(TEXT)
                .map(|expected| expected.to_string())
                .as_deref(),
            Some(TEXT)
        );
    }

    #[test]
    fn the_cases_are_in_the_suites_order() {
        let ids = Expected::parse(TEXT).map(|expected| expected.ids());
        assert_eq!(ids, Some(vec!["2.1".to_owned(), "10.1.1".to_owned()]));
    }
}
