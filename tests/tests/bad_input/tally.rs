//! What became of all visits: counts by kind and outcome for the table, and what should not have happened, with the numbers
//! that make it happen again.

use std::collections::BTreeMap;

use crate::visit::{Kind, Manner, Outcome, Visit};

/// How many violations are told in full.
const TOLD_MAX: usize = 10;

/// Outcomes that a row of the table names.
const OUTCOMES_MAX: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) visits: u64,
    pub(crate) inputs: u64,
    kinds: BTreeMap<Kind, (u64, BTreeMap<String, u64>)>,
    manners: BTreeMap<Manner, u64>,
    violations: u64,
    told: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, number: u64, visit: &Visit, (manner, outcome): Outcome) {
        self.visits += 1;
        self.inputs += visit.inputs;
        *self.manners.entry(manner).or_default() += 1;
        let (inputs, outcomes) = self.kinds.entry(visit.kind).or_default();
        *inputs += visit.inputs;
        match outcome {
            Ok(words) => *outcomes.entry(words).or_default() += 1,
            Err(what) => {
                *outcomes.entry("VIOLATION".to_owned()).or_default() += 1;
                self.violations += 1;
                if self.told.len() < TOLD_MAX {
                    let kind = visit.kind.name();
                    self.told
                        .push(format!("visit {number} ({kind}, {manner:?}): {what}"));
                }
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.visits += other.visits;
        self.inputs += other.inputs;
        self.violations += other.violations;
        for (kind, (inputs, outcomes)) in other.kinds {
            let (sum, counts) = self.kinds.entry(kind).or_default();
            *sum += inputs;
            for (words, count) in outcomes {
                *counts.entry(words).or_default() += count;
            }
        }
        for (manner, count) in other.manners {
            *self.manners.entry(manner).or_default() += count;
        }
        self.told.extend(other.told);
        self.told.truncate(TOLD_MAX);
    }

    /// What should not have happened; nothing, if all is well.
    pub(crate) fn violations(&self) -> Option<String> {
        (self.violations > 0)
            .then(|| format!("{} violations:\n{}", self.violations, self.told.join("\n")))
    }

    /// The table: a row for each kind.
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "{:<36} {:>9}  outcomes of its connections\n",
            "kind", "inputs"
        );
        for (kind, (inputs, outcomes)) in &self.kinds {
            let mut outcomes: Vec<_> = outcomes.iter().collect();
            outcomes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let rest: u64 = outcomes
                .iter()
                .skip(OUTCOMES_MAX)
                .map(|(_, count)| **count)
                .sum();
            let mut words: Vec<_> = outcomes
                .iter()
                .take(OUTCOMES_MAX)
                .map(|(words, count)| format!("{words} \u{d7}{count}"))
                .collect();
            if rest > 0 {
                words.push(format!("others \u{d7}{rest}"));
            }
            table += &format!("{:<36} {inputs:>9}  {}\n", kind.name(), words.join(", "));
        }
        for (manner, count) in &self.manners {
            table += &format!(
                "{:<36} {count:>9}  connections\n",
                format!("... {}", manner.name())
            );
        }
        table
    }
}
