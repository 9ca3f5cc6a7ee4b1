//! How a node says which processes of Redis it has told what it has seen, and of which buckets: `RUN_ID-RUN` for all of them, or
//! `RUN_ID-RUN:BITS`, a hexadecimal digit for each four buckets, with the first bucket's bit as the lowest of the first.

use std::fmt::Write as _;

use crate::log::shared::Bucket;

/// Buckets of a digit.
const BITS: usize = 4;

/// What says that a process was told, in this run of these buckets.
pub(super) fn token(run_id: &str, run: u64, buckets: &[Bucket]) -> String {
    let mut token = format!("{run_id}-{run}");
    if buckets.len() == Bucket::COUNT {
        return token;
    }
    let mut digits = [0_u8; Bucket::COUNT / BITS];
    for bucket in buckets {
        let number = usize::from(bucket.number());
        digits[number / BITS] |= 1 << (number % BITS);
    }
    token.push(':');
    for digit in digits {
        // A String takes everything.
        let _ = write!(token, "{digit:x}");
    }
    token
}

/// Whether a token says so of a bucket.
pub(super) fn covers(token: &str, run_id: &str, run: u64, bucket: Bucket) -> bool {
    let (process, bits) = match token.split_once(':') {
        Some((process, bits)) => (process, Some(bits)),
        None => (token, None),
    };
    let is_process = process
        .rsplit_once('-')
        .is_some_and(|(id, number)| id == run_id && number.parse() == Ok(run));
    let number = usize::from(bucket.number());
    let has_bit = |bits: &str| {
        let digit = bits.as_bytes().get(number / BITS).copied();
        let digit = digit.and_then(|digit| char::from(digit).to_digit(16));
        digit.is_some_and(|digit| digit >> (number % BITS) & 1 == 1)
    };
    is_process && bits.is_none_or(has_bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_covers_the_buckets_that_it_was_made_of_and_no_others() {
        let all: Vec<Bucket> = Bucket::all().collect();
        assert_eq!(token("a-b", 7, &all), "a-b-7");
        let some: Vec<Bucket> = Bucket::all().step_by(3).collect();
        let of_some = token("a-b", 7, &some);
        assert_eq!(of_some.len(), "a-b-7:".len() + Bucket::COUNT / BITS);
        for bucket in Bucket::all() {
            assert!(covers("a-b-7", "a-b", 7, bucket));
            let is_there = some.contains(&bucket);
            assert_eq!(covers(&of_some, "a-b", 7, bucket), is_there, "{bucket:?}");
            for (run_id, run) in [("a-b", 8), ("a", 7), ("b", 7)] {
                assert!(!covers(&of_some, run_id, run, bucket));
            }
        }
    }

    #[test]
    fn what_is_no_token_covers_nothing() {
        let mut buckets = Bucket::all();
        let first = buckets.next().unwrap();
        let last = buckets.last().unwrap();
        for token in ["", "a", "a-", "a-x", "a-7:", "a-7:zz", ":", "a-7:ä"] {
            assert!(!covers(token, "a", 7, first), "{token}");
        }
        assert!(covers("a-7:1", "a", 7, first));
        assert!(!covers("a-7:1", "a", 7, last), "it is too short");
    }
}
