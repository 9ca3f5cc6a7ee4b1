//! A hashed timer wheel (Varghese and Lauck, scheme 6), used lazily: a deadline that moves later, as one does with every
//! byte that arrives, costs nothing until its old slot comes up; then the owner is asked and slotted again.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::ids::ConnId;

/// The wheel's precision: a timer fires up to this much late.
const TICK: Duration = Duration::from_millis(50);

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
    /// All slots from `current` to before this tick are empty, too.
    next: u32,
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
            slots: vec![Vec::new(); SLOTS].into(),
            entries: 0,
            next: 1,
        }
    }

    /// Slots `owner` at `deadline` and returns the tick: the owner keeps it, to know its newest slot from older ones.
    pub(crate) fn insert(&mut self, owner: ConnId, deadline: Instant) -> Tick {
        let latest = self.current + SLOTS as u32 - 1;
        let number = self.tick_of(deadline).get().clamp(self.current, latest);
        let tick = Tick::new(number).unwrap_or(Tick::MIN);
        self.slots[slot(number)].push(Entry { tick, owner });
        self.entries += 1;
        self.next = self.next.min(number);
        tick
    }

    /// The tick at which something due at `deadline` comes up, unless that is beyond the wheel's reach.
    pub(crate) fn tick_of(&self, deadline: Instant) -> Tick {
        let ticks = deadline
            .saturating_duration_since(self.start)
            .as_nanos()
            .div_ceil(TICK.as_nanos());
        Tick::MIN.saturating_add(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    /// Appends to `due` everybody whose slot has come up at `now`, with its tick.
    pub(crate) fn expire(&mut self, now: Instant, due: &mut Vec<(ConnId, Tick)>) {
        let passed = now.saturating_duration_since(self.start).as_nanos() / TICK.as_nanos();
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
        self.next = self.next.max(self.current);
    }

    /// How long nothing is due.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Duration> {
        if self.entries == 0 {
            return None;
        }
        // Ends within a round, since there is an entry; over all calls, each slot is passed once a round.
        while self.slots[slot(self.next)].is_empty() {
            self.next += 1;
        }
        let ticks = self.next - 1;
        Some((self.start + TICK * ticks).saturating_duration_since(now))
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
    fn the_wait_ends_when_the_next_is_due() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        assert_eq!(wheel.wait(start), None);
        wheel.insert(id(1), start + Duration::from_secs(3));
        wheel.insert(id(2), start + Duration::from_secs(1));
        assert_eq!(wheel.wait(start), Some(Duration::from_secs(1)));
        assert_eq!(expired(&mut wheel, start + Duration::from_secs(1)), [2]);
        assert_eq!(
            wheel.wait(start + Duration::from_secs(1)),
            Some(Duration::from_secs(2))
        );
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
