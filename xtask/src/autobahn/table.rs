//! The results by section, as a table.

use super::case::Case;

const SECTIONS: [(&str, &str); 11] = [
    ("1", "framing"),
    ("2", "pings and pongs"),
    ("3", "reserved bits"),
    ("4", "opcodes"),
    ("5", "fragmentation"),
    ("6", "UTF-8"),
    ("7", "closing"),
    ("9", "limits"),
    ("10", "auto-fragmentation"),
    ("12", "compression"),
    ("13", "compression, offers"),
];

/// OK, NON-STRICT, INFORMATIONAL, FAILED.
type Counts = [usize; 4];

/// Prints a row for every section that ran, and the sums.
pub(super) fn print(cases: &[Case]) {
    println!(
        "   {:24} {:>5} {:>11} {:>14} {:>7}",
        "section", "OK", "NON-STRICT", "INFORMATIONAL", "FAILED"
    );
    for (number, name) in SECTIONS {
        let counts = count(cases.iter().filter(|case| case.section() == number));
        if counts != [0; 4] {
            row(&format!("{number:>2} {name}"), counts);
        }
    }
    row("   all", count(cases.iter()));
}

fn row(name: &str, [ok, non_strict, informational, failed]: Counts) {
    println!("   {name:24} {ok:>5} {non_strict:>11} {informational:>14} {failed:>7}");
}

fn count<'a>(cases: impl Iterator<Item = &'a Case>) -> Counts {
    cases.fold([0; 4], |mut counts, case| {
        counts[column(case)] += 1;
        counts
    })
}

/// The worse of a case's two verdicts decides. All the suite's other words (`WRONG CODE`, `UNCLEAN`,
/// `FAILED BY CLIENT`, `UNIMPLEMENTED`) mean that something is missing.
fn column(case: &Case) -> usize {
    let rank = |verdict: &str| match verdict {
        "OK" => 0,
        "INFORMATIONAL" => 2,
        "NON-STRICT" => 1,
        _ => 3,
    };
    let (behavior, close) = (rank(&case.behavior), rank(&case.behavior_close));
    match (behavior, close) {
        (3, _) | (_, 3) => 3,
        (1, _) | (_, 1) => 1,
        (2, _) | (_, 2) => 2,
        _ => 0,
    }
}
