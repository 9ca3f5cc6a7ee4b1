//! `autobahn/expected-server.json`: what every case should come to, one line a case, so that a
//! change of behaviour shows in a diff.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

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
    pub(super) fn read() -> Result<Self> {
        let text = fs::read_to_string(path())
            .with_context(|| format!("cannot read {}", path().display()))?;
        Self::parse(&text)
            .with_context(|| format!("{} is damaged: make it anew with --bless", path().display()))
    }

    /// Replaces the committed file.
    pub(super) fn write(&self) -> Result<()> {
        fs::write(path(), self.to_string())
            .with_context(|| format!("cannot write {}", path().display()))?;
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

    /// wstest hangs for ever on a case that it does not know, so names are checked before.
    pub(super) fn check_names(&self, names: &[String]) -> Result<()> {
        let unknown =
            |name: &&String| !name.contains('*') && !self.cases.contains_key(&order(name));
        match names.iter().find(unknown) {
            Some(name) => bail!(
                "there is no case {name} among the {} we run",
                self.cases.len()
            ),
            None => Ok(()),
        }
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
            let id: Vec<_> = id.iter().map(u32::to_string).collect();
            format!("    {}: {}", json!(id.join(".")), json!([behavior, close]))
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

fn path() -> PathBuf {
    super::home().join("expected-server.json")
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
    fn unknown_cases_are_refused_before_wstest_hangs() {
        let expected = Expected::parse(TEXT).expect("the text above is right");
        assert!(expected.check_names(&["2.1".into(), "6.*".into()]).is_ok());
        assert!(expected.check_names(&["99.1".into()]).is_err());
    }
}
