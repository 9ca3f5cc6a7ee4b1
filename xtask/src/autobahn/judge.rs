//! What a run came to: all cases there, each as expected, with the right close codes and a kept context where there should
//! be one.

use anyhow::{Result, bail};

use super::case::{self, Case};
use super::expected::Expected;
use super::{Run, Side, select, table};
use crate::paths;

/// Reads the run's reports, of which none may be missing.
pub(super) fn read(run: &Run) -> Result<Vec<Case>> {
    let cases = case::read(&run.reports())?;
    table::print(&cases);
    check_count(run, &cases)?;
    println!(
        "   report: {}",
        paths::shown(&run.reports().join("*").join("index.html"))
    );
    Ok(cases)
}

/// The cases that are not as expected.
pub(super) fn differing(run: &Run, cases: &[Case]) -> Result<Vec<String>> {
    let expected = Expected::read(run.side)?;
    let differing = cases.iter().filter(|case| !expected.agrees(case));
    Ok(differing.map(|case| case.id.clone()).collect())
}

/// Compares all cases of a run with what is expected, or makes them that.
pub(super) fn judge(run: &Run, cases: &[Case], bless: bool) -> Result<()> {
    let codes = close_codes(cases);
    check_takeover(run, cases)?;
    if bless && !run.takeover {
        return Expected::of(cases, codes).write(run.side);
    }
    let expected = Expected::read(run.side)?;
    let differing: Vec<_> = cases.iter().filter(|case| !expected.agrees(case)).collect();
    for case in &differing {
        explain(case, &expected);
    }
    if !differing.is_empty() {
        bail!(
            "results differ from {}; if that is right, run all with --bless",
            paths::shown(&Expected::path(run.side))
        );
    }
    let (wanted, ran) = expected.close_codes_among(cases);
    if ran && codes < wanted {
        bail!("{wanted} explicit close codes expected, {codes} seen");
    }
    Ok(())
}

/// wstest leaves out what it could not run and says nothing.
fn check_count(run: &Run, cases: &[Case]) -> Result<()> {
    let mut ids: Vec<_> = cases.iter().map(|case| case.id.as_str()).collect();
    ids.sort_by_key(|id| case::order(id));
    let mut wanted: Vec<_> = run.cases.iter().map(String::as_str).collect();
    wanted.sort_by_key(|id| case::order(id));
    if ids != wanted {
        let missing = wanted.iter().find(|id| !ids.contains(id));
        bail!(
            "the reports have {} cases instead of {}{}: did one side die on the way?",
            ids.len(),
            wanted.len(),
            missing.map_or(String::new(), |id| format!(" ({id} is missing)")),
        );
    }
    Ok(())
}

/// The suite is content when an endpoint just drops the connection where the RFC says that it SHOULD
/// send a close frame with the reason. We are not: this counts the right codes.
fn close_codes(cases: &[Case]) -> usize {
    let must_fail = || cases.iter().filter(|case| case.must_fail());
    let right = must_fail()
        .filter(|case| case.close_code_is_right())
        .count();
    if must_fail().next().is_some() {
        println!("   close codes: {right} of {}", must_fail().count());
    }
    for case in must_fail().filter(|case| !case.close_code_is_right()) {
        println!(
            "      {} wants {:?}, got {:?}",
            case.id, case.close_codes, case.close_code
        );
    }
    right
}

/// A kept window is tested only where the answer did not forbid the suite to keep its own. Our client always allows it,
/// our server when it is told to.
fn check_takeover(run: &Run, cases: &[Case]) -> Result<()> {
    let forbidden = match run.side {
        Side::Server => "client_no_context_takeover",
        Side::Client => "server_no_context_takeover",
    };
    let keeps = |case: &Case| {
        case.response.contains("permessage-deflate") && !case.response.contains(forbidden)
    };
    let compressing = || cases.iter().filter(|case| select::compresses(&case.id));
    let (all, kept) = (
        compressing().count(),
        compressing().filter(|case| keeps(case)).count(),
    );
    if all > 0 {
        println!("   context kept for what we inflate: in {kept} of {all} cases that compress");
    }
    if kept < all && (run.takeover || run.side == Side::Client) {
        bail!("{forbidden} was agreed on, and should not be");
    }
    Ok(())
}

fn explain(case: &Case, expected: &Expected) {
    println!(
        "   {} is {}, expected {}",
        case.id,
        case.verdicts(),
        expected.shown(&case.id)
    );
    println!("      {}", case.description);
    println!("      {} {}", case.result, case.result_close);
    println!("      {}", paths::shown(&case.report));
}
