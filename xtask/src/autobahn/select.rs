//! Which cases run, and in which of several wstest processes. wstest gets exact numbers, never patterns: it takes a pattern
//! for the beginning of a number, hangs on a number that it does not know and on an empty list, and one
//! process is as slow as one core.

use anyhow::{Result, bail};

use super::case::order;

/// The cases of `all` that one of the patterns names, in their order; no pattern means all. `*` stands for any characters.
pub(super) fn choose(all: &[String], patterns: &[String]) -> Result<Vec<String>> {
    if let Some(empty) = patterns
        .iter()
        .find(|pattern| !all.iter().any(|id| matches(pattern, id)))
    {
        bail!("no case of the suite's {} is `{empty}`", all.len());
    }
    let chosen =
        |id: &&String| patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, id));
    Ok(all.iter().filter(chosen).cloned().collect())
}

/// Whether a case is in the quick set: all but those that send megabytes through deflate.
pub(super) fn is_quick(id: &str) -> bool {
    match order(id)[..] {
        [12 | 13, _, size] => matches!(size, 1..=7 | 11),
        _ => true,
    }
}

/// Whether a case compresses.
pub(super) fn compresses(id: &str) -> bool {
    matches!(order(id)[..], [12 | 13, ..])
}

/// Whether a case needs no context takeover: the suite's server takes no offer without it there.
pub(super) fn resets(id: &str) -> bool {
    matches!(order(id)[..], [13, 2 | 5 | 6 | 7, _])
}

/// Distributes the cases over `parts` processes, the longest first, each to where the least is to do.
pub(super) fn pack(cases: &[String], parts: usize) -> Vec<Vec<String>> {
    let mut longest_first: Vec<_> = cases.iter().collect();
    longest_first.sort_by_key(|id| std::cmp::Reverse(cost(id)));
    let mut packed = vec![(0, Vec::new()); parts.clamp(1, cases.len().max(1))];
    for id in longest_first {
        if let Some(part) = packed.iter_mut().min_by_key(|(load, _)| *load) {
            part.0 += cost(id);
            part.1.push(id.clone());
        }
    }
    packed.into_iter().map(|(_, part)| part).collect()
}

/// Roughly the milliseconds that a case takes, from a run's report.
pub(super) fn cost(id: &str) -> u64 {
    match order(id)[..] {
        [12, 2 | 3, size] => 5 * deflate_cost(size) / 2, // a picture, Faust
        [12, 5, size] => 3 * deflate_cost(size) / 2,     // a PDF
        [12 | 13, _, size] => deflate_cost(size),
        [5, 19 | 20] | [6, 4, _] => 1000,
        [9, ..] => 100,
        _ => 15,
    }
}

/// The same for the sizes of messages in 12 and 13: JSON, which is quick to compress.
const fn deflate_cost(size: u32) -> u64 {
    match size {
        ..=7 | 11 => 500,
        8 | 12 | 13 => 1000,
        9 | 14 => 1900,
        _ => 2900,
    }
}

/// Whether `id` is what the pattern describes, from beginning to end.
fn matches(pattern: &str, id: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == id,
        Some((start, rest)) => id.strip_prefix(start).is_some_and(|id| {
            (0..=id.len()).any(|skipped| id.get(skipped..).is_some_and(|id| matches(rest, id)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_star_stands_for_any_rest_and_nothing_else_does() {
        let all = ids("1.1 1.10 12.1.1 12.1.10 12.2.1");
        let choose = |patterns: &str| choose(&all, &ids(patterns)).unwrap_or_default();
        assert_eq!(choose("1.1"), ids("1.1"));
        assert_eq!(choose("12.*.1"), ids("12.1.1 12.2.1"));
        assert_eq!(choose("12.1.* 1.1"), ids("1.1 12.1.1 12.1.10"));
        assert_eq!(choose(""), all);
    }

    #[test]
    fn a_selection_of_nothing_is_refused_before_wstest_hangs() {
        let all = ids("1.1 12.1.1");
        assert!(choose(&all, &ids("12.*")).is_ok());
        assert!(choose(&all, &ids("1.1 99.1")).is_err());
        assert!(choose(&all, &ids("13.*")).is_err());
    }

    #[test]
    fn the_quick_set_leaves_out_what_is_large() {
        assert!(is_quick("9.1.6") && is_quick("12.1.7") && is_quick("13.7.11"));
        assert!(!is_quick("12.1.8") && !is_quick("13.7.18"));
    }

    #[test]
    fn every_case_is_in_one_part_and_the_parts_are_even() {
        let all = ids("12.1.8 12.1.12 1.1.1 1.1.2 6.4.1 6.4.2");
        let parts = pack(&all, 2);
        let load = |part: &[String]| part.iter().map(|id| cost(id)).sum::<u64>();
        assert_eq!(load(&parts[0]), load(&parts[1]));
        let mut together = parts.concat();
        together.sort_by_key(|id| all.iter().position(|of_all| of_all == id));
        assert_eq!(together, all);
        assert_eq!(pack(&ids("1.1"), 2), [ids("1.1")]);
    }
}
