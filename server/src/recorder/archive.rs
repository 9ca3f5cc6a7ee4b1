//! The connections that ended of late. Those that never were anything have a list of their own, so that who only knocks does not
//! push out what one is asked about.

use std::collections::VecDeque;

use super::account::Account;

/// Ended connections that are kept, and what they may have in memory: whichever is less.
const ENDED_MAX: usize = 10_000;
const ENDED_BYTES_MAX: usize = 12 << 20;

/// The same for those that ended before anything was agreed on.
const REFUSED_MAX: usize = 1_000;
const REFUSED_BYTES_MAX: usize = 1 << 20;

/// What is kept.
#[derive(Debug)]
pub(crate) struct Archive {
    ended: Kept,
    refused: Kept,
}

#[derive(Debug)]
struct Kept {
    /// The oldest first.
    accounts: VecDeque<Account>,
    bytes: usize,
    accounts_max: usize,
    bytes_max: usize,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            ended: Kept::new(ENDED_MAX, ENDED_BYTES_MAX),
            refused: Kept::new(REFUSED_MAX, REFUSED_BYTES_MAX),
        }
    }
}

impl Archive {
    /// Adds one that has ended.
    pub(crate) fn add(&mut self, account: Account) {
        let is_refused = account
            .end
            .as_ref()
            .is_some_and(|end| end.cause.is_before_the_beginning());
        if is_refused {
            self.refused.add(account);
        } else {
            self.ended.add(account);
        }
    }

    /// Those that fit, the newest first: `max` at most, and those that never were anything behind the others.
    pub(crate) fn find(&self, max: usize, fits: impl Fn(&Account) -> bool) -> Vec<&Account> {
        let ended = self.ended.accounts.iter().rev();
        let refused = self.refused.accounts.iter().rev();
        let found = ended.chain(refused).filter(|account| fits(account));
        found.take(max).collect()
    }
}

impl Kept {
    const fn new(accounts_max: usize, bytes_max: usize) -> Self {
        Self {
            accounts: VecDeque::new(),
            bytes: 0,
            accounts_max,
            bytes_max,
        }
    }

    fn add(&mut self, account: Account) {
        self.bytes += account.bytes();
        self.accounts.push_back(account);
        while self.accounts.len() > self.accounts_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.accounts.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::ended;
    use super::super::{Account, EndCause};
    use super::*;

    fn numbered(number: u32, cause: EndCause) -> Account {
        let mut account = ended(cause);
        account.id.index = number;
        account
    }

    #[test]
    fn the_oldest_go_and_who_knocks_pushes_out_nobody() {
        let mut archive = Archive::default();
        archive.add(numbered(0, EndCause::Slow));
        for number in 1..=2 * REFUSED_MAX as u32 {
            archive.add(numbered(number, EndCause::HandshakeTimeout));
        }
        let found = archive.find(usize::MAX, |_| true);
        assert!(found.len() <= REFUSED_MAX + 1, "{}", found.len());
        assert_eq!(found[0].id.index, 0);
        assert_eq!(
            found[1].id.index,
            2 * REFUSED_MAX as u32,
            "the newest first"
        );
    }

    #[test]
    fn memory_is_bounded_whatever_the_reasons_say() {
        let mut archive = Archive::default();
        for number in 0..20_000 {
            let mut account = numbered(number, EndCause::ClientReset);
            if let Some(end) = &mut account.end {
                end.error = Some("x".repeat(number as usize % 5_000));
            }
            archive.add(account);
        }
        let kept = &archive.ended;
        let bytes: usize = kept.accounts.iter().map(Account::bytes).sum();
        assert_eq!(kept.bytes, bytes);
        assert!(bytes <= ENDED_BYTES_MAX && kept.accounts.len() <= ENDED_MAX);
        assert_eq!(kept.accounts.back().unwrap().id.index, 19_999);
    }
}
