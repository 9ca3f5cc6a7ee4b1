//! The rules: `docs/rfc/*.toml`, one file an RFC, one entry a duty, in the RFC's words and order.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::paths;

/// Number and title of the RFCs, and the sections that are gone through.
const RFCS: [(&str, &str, [u32; 2]); 2] = [
    ("6455", "The WebSocket Protocol", [4, 10]),
    ("7692", "Compression Extensions for WebSocket", [5, 8]),
];

/// The words of RFC 2119 that make a duty, longer ones first. MAY and OPTIONAL make none.
pub(super) const LEVELS: [&str; 9] = [
    "MUST NOT",
    "MUST",
    "SHALL NOT",
    "SHALL",
    "SHOULD NOT",
    "SHOULD",
    "NOT RECOMMENDED",
    "RECOMMENDED",
    "REQUIRED",
];

/// An RFC and its rules.
#[derive(Debug)]
pub(super) struct Rfc {
    pub(super) number: &'static str,
    pub(super) title: &'static str,
    /// The first and the last section that the rules are from.
    pub(super) sections: [u32; 2],
    pub(super) rules: Vec<Rule>,
}

/// A duty.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// `6455-5.1-3`: the RFC, the section, the place in it.
    pub(super) id: String,
    /// One of [`LEVELS`].
    pub(super) level: String,
    /// The RFC's words, with single spaces between them.
    pub(super) quote: String,
    /// Whose duty it is, if not ours.
    pub(super) reason: Option<String>,
    /// Where we do otherwise, and why, if it is ours and not wholly kept.
    pub(super) except: Option<String>,
}

impl Rule {
    /// `5.1` of `6455-5.1-3`.
    pub(super) fn section(&self) -> &str {
        self.id.split('-').nth(1).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct File {
    rule: Vec<Rule>,
}

/// The rules of all RFCs.
pub(super) fn read_all() -> Result<Vec<Rfc>> {
    let read = |(number, title, sections)| {
        let name = format!("docs/rfc/rfc{number}.toml");
        let text = fs::read_to_string(paths::root().join(&name))
            .with_context(|| format!("cannot read {name}"))?;
        Ok(Rfc {
            number,
            title,
            sections,
            rules: parse(&text).with_context(|| format!("in {name}"))?,
        })
    };
    RFCS.into_iter().map(read).collect()
}

fn parse(text: &str) -> Result<Vec<Rule>> {
    let file: File = toml::from_str(text)?;
    Ok(file.rule.into_iter().map(Rule::on_one_line).collect())
}

impl Rule {
    /// Lines of the file are no lines of the RFC.
    fn on_one_line(self) -> Self {
        Self {
            quote: one_line(&self.quote),
            reason: self.reason.as_deref().map(one_line),
            except: self.except.as_deref().map(one_line),
            ..self
        }
    }
}

/// The same words with single spaces between them.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is wrong with the rules themselves.
pub(super) fn check(rfcs: &[Rfc]) -> Vec<String> {
    rfcs.iter().flat_map(check_one).collect()
}

fn check_one(rfc: &Rfc) -> Vec<String> {
    let mut findings = Vec::new();
    let mut sections = HashSet::new();
    let (mut section, mut place) = ("", 0);
    for rule in &rfc.rules {
        if rule.section() == section {
            place += 1;
        } else {
            (section, place) = (rule.section(), 1);
            if !sections.insert(section) {
                findings.push(format!("{}: section {section} is in two places", rule.id));
            }
        }
        let expected = format!("{}-{section}-{place}", rfc.number);
        if rule.id != expected {
            findings.push(format!("{}: should be {expected}, by its place", rule.id));
        }
        findings.extend(check_words(rule));
    }
    findings
}

fn check_words(rule: &Rule) -> Option<String> {
    let (id, level) = (&rule.id, &rule.level);
    if level_of(&rule.quote) != Some(level.as_str()) {
        Some(format!("{id}: the quote does not say {level} first"))
    } else if [&rule.reason, &rule.except]
        .iter()
        .any(|text| text.as_deref() == Some(""))
    {
        Some(format!("{id}: a reason or an exception says nothing"))
    } else if rule.reason.is_some() && rule.except.is_some() {
        Some(format!("{id}: an exception is for rules that are ours"))
    } else {
        None
    }
}

/// The first word of a duty in `quote`.
fn level_of(quote: &str) -> Option<&'static str> {
    levels_in(quote).first().map(|&(_, level)| level)
}

/// All words of duties in `text`, and where they begin.
pub(super) fn levels_in(text: &str) -> Vec<(usize, &'static str)> {
    let mut found: Vec<(usize, &'static str)> = Vec::new();
    for level in LEVELS {
        for (at, _) in text.match_indices(level) {
            // MUST inside MUST NOT is the same word; "MUSTER" is none.
            let known = found
                .iter()
                .any(|&(start, longer)| (start..start + longer.len()).contains(&at));
            let ends = !text[at + level.len()..].starts_with(|c: char| c.is_ascii_uppercase());
            if !known && ends {
                found.push((at, level));
            }
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, quote: &str) -> Rule {
        Rule {
            id: id.to_owned(),
            level: "MUST".to_owned(),
            quote: quote.to_owned(),
            reason: None,
            except: None,
        }
    }

    fn findings(rules: &[Rule]) -> Vec<String> {
        check(&[Rfc {
            number: "6455",
            title: "",
            sections: [4, 10],
            rules: rules.to_vec(),
        }])
    }

    #[test]
    fn a_file_is_read_with_its_quotes_on_one_line() {
        let text = "[[rule]]\nid = \"6455-5.1-1\"\nlevel = \"MUST\"\nquote = '''\na client MUST\nmask\n'''\n";
        let rules = parse(text).expect("it is a file of rules");
        assert_eq!(rules[0].quote, "a client MUST mask");
        assert_eq!((rules[0].section(), &rules[0].reason), ("5.1", &None));
    }

    #[test]
    fn a_field_that_nobody_knows_is_an_error() {
        let text = "[[rule]]\nid = \"x\"\nlevel = \"MUST\"\nquote = \"MUST\"\nresaon = \"\"\n";
        assert!(parse(text).is_err());
    }

    #[test]
    fn ids_follow_each_other() {
        let good = [
            rule("6455-5.1-1", "MUST"),
            rule("6455-5.1-2", "MUST"),
            rule("6455-5.2-1", "MUST"),
        ];
        assert_eq!(findings(&good), [""; 0]);
        let doubled = [rule("6455-5.1-1", "MUST"), rule("6455-5.1-1", "MUST")];
        assert_eq!(
            findings(&doubled),
            ["6455-5.1-1: should be 6455-5.1-2, by its place"]
        );
        let other_rfc = [rule("7692-5.1-1", "MUST")];
        assert_eq!(
            findings(&other_rfc),
            ["7692-5.1-1: should be 6455-5.1-1, by its place"]
        );
    }

    #[test]
    fn a_section_is_in_one_place() {
        let torn = [
            rule("6455-5.1-1", "MUST"),
            rule("6455-5.2-1", "MUST"),
            rule("6455-5.1-1", "MUST"),
        ];
        assert_eq!(
            findings(&torn),
            ["6455-5.1-1: section 5.1 is in two places"]
        );
    }

    #[test]
    fn the_quote_says_its_level() {
        assert_eq!(
            findings(&[rule("6455-5.1-1", "A server MUST NOT mask")]),
            ["6455-5.1-1: the quote does not say MUST first"]
        );
    }

    #[test]
    fn who_has_a_reason_makes_no_exception() {
        let with = |reason: Option<&str>, except: Option<&str>| {
            findings(&[Rule {
                reason: reason.map(str::to_owned),
                except: except.map(str::to_owned),
                ..rule("6455-5.1-1", "MUST")
            }])
        };
        assert_eq!(with(Some("theirs"), None), [""; 0]);
        assert_eq!(with(None, Some("not quite")), [""; 0]);
        assert_eq!(
            with(Some("theirs"), Some("not quite")),
            ["6455-5.1-1: an exception is for rules that are ours"]
        );
        for (reason, except) in [(Some(""), None), (None, Some(""))] {
            assert_eq!(
                with(reason, except),
                ["6455-5.1-1: a reason or an exception says nothing"]
            );
        }
    }

    #[test]
    fn longer_words_are_found_first_and_longer_ones_are_others() {
        let text = "it MUST NOT, but SHOULD; MUSTARD is NOT RECOMMENDED";
        let levels: Vec<_> = levels_in(text).iter().map(|&(_, level)| level).collect();
        assert_eq!(levels, ["MUST NOT", "SHOULD", "NOT RECOMMENDED"]);
    }
}
