//! What code and tests say of each rule, and which rules are left.

use super::citations::Citation;
use super::rules::{Rfc, Rule};

/// The rules of all RFCs with those who cite them.
#[derive(Debug)]
pub(super) struct Coverage<'a> {
    pub(super) rfcs: Vec<(&'a Rfc, Vec<Covered<'a>>)>,
    /// Citations of rules that there are not.
    unknown: Vec<&'a Citation>,
}

/// A rule and those who cite it.
#[derive(Debug)]
pub(super) struct Covered<'a> {
    pub(super) rule: &'a Rule,
    pub(super) code: Vec<&'a Citation>,
    pub(super) tests: Vec<&'a Citation>,
}

impl<'a> Coverage<'a> {
    pub(super) fn new(rfcs: &'a [Rfc], cited: &'a [Citation]) -> Self {
        let cover = |rule: &'a Rule| Covered {
            rule,
            code: cited_by(cited, &rule.id, false),
            tests: cited_by(cited, &rule.id, true),
        };
        let exists = |id: &str| rfcs.iter().any(|rfc| rfc.rules.iter().any(|r| r.id == id));
        Self {
            rfcs: rfcs
                .iter()
                .map(|rfc| (rfc, rfc.rules.iter().map(cover).collect()))
                .collect(),
            unknown: cited.iter().filter(|c| !exists(&c.id)).collect(),
        }
    }

    /// What is missing, stale or misspelt.
    pub(super) fn findings(&self) -> Vec<String> {
        let unknown = self.unknown.iter().map(|citation| {
            let Citation { id, path, line, .. } = citation;
            format!("{path}:{line}: there is no rule {id} in docs/rfc")
        });
        let rules = self.rfcs.iter().flat_map(|(_, covered)| covered);
        unknown.chain(rules.filter_map(Covered::finding)).collect()
    }

    /// How many rules there are, and whose.
    pub(super) fn totals(&self) -> String {
        let totals = self.rfcs.iter().map(|(rfc, covered)| {
            let (all, ours) = (covered.len(), count_ours(covered));
            let (excepted, others) = (count_exceptions(covered), all - ours);
            format!(
                "RFC {}: {all} rules, {ours} with code and test ({excepted} with an exception), {others} for others",
                rfc.number
            )
        });
        totals.collect::<Vec<_>>().join("; ")
    }
}

/// How many of the rules are ours to keep.
pub(super) fn count_ours(covered: &[Covered<'_>]) -> usize {
    covered.iter().filter(|c| c.rule.reason.is_none()).count()
}

/// How many of them are not wholly kept.
pub(super) fn count_exceptions(covered: &[Covered<'_>]) -> usize {
    covered.iter().filter(|c| c.rule.except.is_some()).count()
}

/// The first citation of a rule in each function; a second one there says nothing more.
fn cited_by<'a>(cited: &'a [Citation], id: &str, by_test: bool) -> Vec<&'a Citation> {
    let mut found: Vec<&Citation> = Vec::new();
    for citation in cited {
        let is_same =
            |other: &&Citation| other.path == citation.path && other.item == citation.item;
        if citation.id == id && citation.by_test == by_test && !found.iter().any(is_same) {
            found.push(citation);
        }
    }
    found
}

impl Covered<'_> {
    fn finding(&self) -> Option<String> {
        let id = &self.rule.id;
        let cited = self.code.iter().chain(&self.tests).next();
        match (
            &self.rule.reason,
            self.code.is_empty(),
            self.tests.is_empty(),
        ) {
            (Some(_), true, true) | (None, false, false) => None,
            (Some(_), ..) => cited.map(|citation| {
                let Citation { path, line, .. } = citation;
                format!("{id} has a reason, and {path}:{line} cites it: one of them is wrong")
            }),
            (None, true, true) => Some(format!("{id} is not cited and has no reason")),
            (None, true, false) => Some(format!("{id} is cited by a test, but not by the code")),
            (None, false, true) => Some(format!("{id} is cited by the code, but not by a test")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc(reason: Option<&str>) -> Rfc {
        Rfc {
            number: "6455",
            title: "",
            sections: [4, 10],
            rules: vec![Rule {
                id: "6455-5.1-1".to_owned(),
                level: "MUST".to_owned(),
                quote: "MUST".to_owned(),
                reason: reason.map(str::to_owned),
                except: None,
            }],
        }
    }

    fn citation(id: &str, by_test: bool) -> Citation {
        Citation {
            id: id.to_owned(),
            path: "a.rs".to_owned(),
            line: 7,
            item: "f".to_owned(),
            by_test,
        }
    }

    fn findings(reason: Option<&str>, cited: &[Citation]) -> Vec<String> {
        Coverage::new(&[rfc(reason)], cited).findings()
    }

    #[test]
    fn a_rule_has_code_and_test_or_a_reason() {
        let (code, test) = (citation("6455-5.1-1", false), citation("6455-5.1-1", true));
        let none: [&str; 0] = [];
        assert_eq!(findings(None, &[code.clone(), test.clone()]), none);
        assert_eq!(findings(Some("others"), &[]), none);
        assert_eq!(
            findings(None, &[]),
            ["6455-5.1-1 is not cited and has no reason"]
        );
        assert_eq!(
            findings(None, std::slice::from_ref(&code)),
            ["6455-5.1-1 is cited by the code, but not by a test"]
        );
        assert_eq!(
            findings(None, std::slice::from_ref(&test)),
            ["6455-5.1-1 is cited by a test, but not by the code"]
        );
        for stale in [code, test] {
            assert_eq!(
                findings(Some("others"), &[stale]),
                ["6455-5.1-1 has a reason, and a.rs:7 cites it: one of them is wrong"]
            );
        }
    }

    #[test]
    fn a_rule_that_there_is_not_is_told_with_its_place() {
        assert_eq!(
            findings(Some("others"), &[citation("6455-5.1-2", true)]),
            ["a.rs:7: there is no rule 6455-5.1-2 in docs/rfc"]
        );
    }

    #[test]
    fn a_function_that_cites_a_rule_twice_is_named_once() {
        let code = citation("6455-5.1-1", false);
        let (rfcs, cited) = ([rfc(None)], [code.clone(), code]);
        assert_eq!(Coverage::new(&rfcs, &cited).rfcs[0].1[0].code.len(), 1);
    }
}
