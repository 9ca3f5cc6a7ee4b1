//! A hashed timer wheel (Varghese and Lauck, scheme 6), used lazily: a deadline that moves later, as one does with every
//! byte that arrives, costs nothing until its old slot comes up; then the owner is asked and slotted again.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::ids::ConnId;

/// The wheel's precision: a timer fires up to this much late.
const TICK: Duration = Duration::from_millis(50);
const TICK_NANOS: u64 = TICK.as_nanos() as u64;

/// How far ahead the wheel reaches (51 s); what is due later comes up there and is slotted again.
const SLOTS: usize = 1024;

/// A tick of the wheel: they are counted from 1, for six years.
pub(crate) type Tick = NonZeroU32;

/// Who is to be asked when.
#[derive(Debug)]
pub(crate) struct Wheel {
    start: Instant,
    /// All slots before this tick are empty.
    current: u32,
    slots: Box<[Vec<Entry>]>,
    entries: usize,
    /// When `current` comes up: most turns end before that.
    current_at: Instant,
    /// All slots from `current` to before this tick are empty, too.
    next: u32,
    /// When that comes up.
    next_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tick: Tick,
    owner: ConnId,
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            current: 1,
            current_at: now,
            slots: vec![Vec::new(); SLOTS].into(),
            entries: 0,
            next: 1,
            next_at: now,
        }
    }

    /// Slots `owner` at `deadline` and returns the tick: the owner keeps it, to know its newest slot from older ones.
    pub(crate) fn insert(&mut self, owner: ConnId, deadline: Instant) -> Tick {
        let latest = self.current + SLOTS as u32 - 1;
        let number = self.tick_of(deadline).get().clamp(self.current, latest);
        let tick = Tick::new(number).unwrap_or(Tick::MIN);
        self.slots[slot(number)].push(Entry { tick, owner });
        self.entries += 1;
        if number < self.next {
            self.next = number;
            self.next_at = self.time_of(number);
        }
        tick
    }

    /// The tick at which something due at `deadline` comes up, unless that is beyond the wheel's reach.
    pub(crate) fn tick_of(&self, deadline: Instant) -> Tick {
        let ticks = self.nanos_of(deadline).div_ceil(TICK_NANOS);
        Tick::MIN.saturating_add(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// Since the start, in a number that a processor divides.
    fn nanos_of(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.start).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    fn time_of(&self, tick: u32) -> Instant {
        self.start + TICK * (tick - 1)
    }

    /// Appends to `due` everybody whose slot has come up at `now`, with its tick.
    pub(crate) fn expire(&mut self, now: Instant, due: &mut Vec<(ConnId, Tick)>) {
        if now < self.current_at {
            return;
        }
        let passed = self.nanos_of(now) / TICK_NANOS;
        let passed = u32::try_from(passed + 1).unwrap_or(u32::MAX - 1);
        while self.current <= passed {
            if self.entries == 0 {
                self.current = passed + 1;
                break;
            }
            let slot = &mut self.slots[slot(self.current)];
            self.entries -= slot.len();
            due.extend(slot.drain(..).map(|entry| (entry.owner, entry.tick)));
            // A slot that was crowded once, by a wave of connections, does not keep that memory for ever.
            slot.shrink_to(4);
            self.current += 1;
        }
        self.current_at = self.time_of(self.current);
        if self.next < self.current {
            (self.next, self.next_at) = (self.current, self.current_at);
        }
    }

    /// When the next is due.
    pub(crate) fn next_at(&mut self) -> Option<Instant> {
        if self.entries == 0 {
            return None;
        }
        // Ends within a round, since there is an entry; over all calls, each slot is passed once a round.
        if self.slots[slot(self.next)].is_empty() {
            while self.slots[slot(self.next)].is_empty() {
                self.next += 1;
            }
            self.next_at = self.time_of(self.next);
        }
        Some(self.next_at)
    }
}

const fn slot(tick: u32) -> usize {
    tick as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u32) -> ConnId {
        ConnId {
            index,
            generation: 0,
        }
    }

    fn expired(wheel: &mut Wheel, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.expire(now, &mut due);
        due.into_iter().map(|(owner, _)| owner.index).collect()
    }

    #[test]
    fn nobody_comes_up_early_and_everybody_within_a_tick() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for index in 0..100 {
            wheel.insert(
                id(index),
                start + Duration::from_millis(u64::from(index) * 17),
            );
        }
        let mut up = Vec::new();
        for millis in 0..2000 {
            let now = start + Duration::from_millis(millis);
            for index in expired(&mut wheel, now) {
                let due = u64::from(index) * 17;
                assert!(
                    due <= millis && millis <= due + 50,
                    "{index} was due at {due} and came up at {millis}"
                );
                up.push(index);
            }
        }
        up.sort_unstable();
        assert_eq!(up, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn it_is_known_when_the_next_is_due() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        assert_eq!(wheel.next_at(), None);
        wheel.insert(id(1), start + Duration::from_secs(3));
        wheel.insert(id(2), start + Duration::from_secs(1));
        assert_eq!(wheel.next_at(), Some(start + Duration::from_secs(1)));
        assert_eq!(expired(&mut wheel, start + Duration::from_secs(1)), [2]);
        assert_eq!(wheel.next_at(), Some(start + Duration::from_secs(3)));
    }

    #[test]
    fn a_deadline_beyond_the_reach_comes_up_at_its_end() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.insert(id(1), start + Duration::from_secs(3600));
        let reach = TICK * SLOTS as u32;
        assert_eq!(
            expired(&mut wheel, start + reach - TICK * 2),
            Vec::<u32>::new()
        );
        assert_eq!(expired(&mut wheel, start + reach), [1]);
    }

    #[test]
    fn after_a_long_stop_all_that_is_due_comes_up() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.insert(id(1), start + Duration::from_secs(1));
        wheel.insert(id(2), start + Duration::from_secs(50));
        assert_eq!(
            expired(&mut wheel, start + Duration::from_secs(1000)),
            [1, 2]
        );
        wheel.insert(id(3), start + Duration::from_secs(1001));
        assert_eq!(expired(&mut wheel, start + Duration::from_secs(1001)), [3]);
    }
}
