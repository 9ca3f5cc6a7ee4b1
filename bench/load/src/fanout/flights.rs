//! The messages of a publisher that not every follower has yet.

use std::collections::VecDeque;

/// In the order of their numbers.
pub(crate) struct Flights {
    followers: usize,
    /// The number of the first one.
    first: u32,
    in_flight: VecDeque<Flight>,
}

struct Flight {
    since: u64,
    missing: usize,
}

/// What is known of a message when a follower has got it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) since: u64,
    pub(crate) is_last: bool,
}

impl Flights {
    pub(crate) const fn new(followers: usize) -> Self {
        Self {
            followers,
            first: 0,
            in_flight: VecDeque::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// A new message, sent or due at `since`; returns its number.
    pub(crate) fn begin(&mut self, since: u64) -> u32 {
        self.in_flight.push_back(Flight {
            since,
            missing: self.followers,
        });
        self.first + self.in_flight.len() as u32 - 1
    }

    /// A follower has it. None if there is no such message, or none that anybody misses.
    pub(crate) fn land(&mut self, number: u32) -> Option<Landed> {
        let index = number.checked_sub(self.first)? as usize;
        let flight = self.in_flight.get_mut(index)?;
        flight.missing = flight.missing.checked_sub(1)?;
        let landed = Landed {
            since: flight.since,
            is_last: flight.missing == 0,
        };
        while self
            .in_flight
            .front()
            .is_some_and(|flight| flight.missing == 0)
        {
            self.in_flight.pop_front();
            self.first += 1;
        }
        Some(landed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_in_flight_until_the_last_has_it() {
        let mut flights = Flights::new(2);
        assert_eq!((flights.begin(10), flights.begin(20)), (0, 1));
        let landed = |since, is_last| Some(Landed { since, is_last });
        assert_eq!(flights.land(1), landed(20, false));
        assert_eq!(flights.land(1), landed(20, true));
        assert_eq!(flights.len(), 2);
        assert_eq!(flights.land(0), landed(10, false));
        assert_eq!(flights.land(0), landed(10, true));
        assert_eq!(
            (flights.len(), flights.land(0), flights.land(2)),
            (0, None, None)
        );
        assert_eq!(flights.begin(30), 2);
    }
}
