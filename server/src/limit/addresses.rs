//! What each client's address has: its connections, and what it sent of late. All workers share the table.
//!
//! Its lock is taken when a connection comes, and never for a message: a connection holds its address's counters, which are
//! atomic numbers. An address is an IPv4 address or an IPv6 network of 64 bits: that is what one customer of a provider has at
//! least, so that a limit on single IPv6 addresses would be none. Loopback addresses and trusted proxies are not limited: who
//! stands behind them is not one client.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::{Allowance, Rate};

/// Parts of the table, each with a lock of its own.
const SHARDS: usize = 16;

/// Addresses without a connection that a shard remembers at most; beyond that it forgets what they sent of late.
const RESTING_MAX: usize = 4096;

/// Addresses up to which a shard is not swept.
const SWEPT_FROM: usize = 64;

/// What an address may have.
#[derive(Debug, Clone)]
pub(crate) struct AddressLimits {
    /// Connections at once; 0 means no limit.
    pub(crate) connections_max: u32,
    /// New connections in a time.
    pub(crate) connecting: Rate,
    /// What all its connections together may send.
    pub(crate) sending: Allowance,
    /// Those that are not limited, beside loopback.
    pub(crate) exempt: Vec<IpNet>,
}

impl AddressLimits {
    fn is_exempt(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.exempt.iter().any(|network| network.contains(&ip))
    }
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its address has as many as it may.
    Full,
    /// Its address connects too fast, and may again after this time.
    TooFast(Duration),
}

/// All addresses, under these limits. A clone is the same table.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    limits: Arc<AddressLimits>,
    table: Arc<Table>,
    /// How much the clock of who has this clone is behind that of the table.
    behind: Duration,
}

#[derive(Debug)]
struct Table {
    start: Instant,
    hasher: foldhash::fast::RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug)]
struct Shard {
    addresses: HashMap<Key, Arc<Address>, foldhash::fast::RandomState>,
    /// How many there may be before it is worth to look which can be forgotten.
    sweep_at: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            addresses: HashMap::default(),
            sweep_at: SWEPT_FROM,
        }
    }
}

/// What is one address to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    V4(u32),
    /// The upper half: a network of 64 bits.
    V6(u64),
}

impl From<IpAddr> for Key {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

/// One address.
#[derive(Debug, Default)]
struct Address {
    connections: AtomicU32,
    connecting: Meter,
    messages: Meter,
    bytes: Meter,
}

/// The right to be one of its address's connections, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Address>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Addresses {
    /// No address has anything yet.
    pub(crate) fn new(limits: AddressLimits, now: Instant) -> Self {
        Self {
            limits: Arc::new(limits),
            table: Arc::new(Table {
                start: now,
                hasher: foldhash::fast::RandomState::default(),
                shards: Default::default(),
            }),
            behind: Duration::ZERO,
        }
    }

    /// The same table under other limits.
    #[must_use]
    pub(crate) fn under(&self, limits: AddressLimits) -> Self {
        Self {
            limits: Arc::new(limits),
            table: Arc::clone(&self.table),
            behind: self.behind,
        }
    }

    /// Notes how much the clock of who has this clone is behind by now: the others have other clocks, and the same table.
    pub(crate) const fn set_behind(&mut self, behind: Duration) {
        self.behind = behind;
    }

    /// Counts a connection of an address; it has no pass if the address is not limited.
    ///
    /// # Errors
    /// The address may not have it.
    pub(crate) fn enter(&self, ip: IpAddr, now: Instant) -> Result<Option<Pass>, Refused> {
        if self.limits.is_exempt(ip) {
            return Ok(None);
        }
        let now = self.nanos(now);
        let address = self.address(ip.into(), now);
        let connections_max = match self.limits.connections_max {
            0 => u32::MAX,
            max => max,
        };
        let connecting = address.connecting.take(self.limits.connecting, 1.0, now);
        let one_more = |count: u32| (count < connections_max).then_some(count + 1);
        // Nothing else hangs on the order in which others see this.
        match (
            connecting,
            address
                .connections
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more),
        ) {
            (Ok(()), Ok(_)) => Ok(Some(Pass(address))),
            (Err(wait), counted) => {
                if counted.is_ok() {
                    address.connections.fetch_sub(1, Ordering::Relaxed);
                }
                Err(Refused::TooFast(wait))
            }
            (Ok(()), Err(_)) => Err(Refused::Full),
        }
    }

    /// Counts a message against an address.
    ///
    /// # Errors
    /// The address has sent too much of late: the time after which it may again.
    pub(crate) fn take(&self, pass: &Pass, bytes: usize, now: Instant) -> Result<(), Duration> {
        let (
            Pass(address),
            Allowance {
                messages,
                bytes: rate,
            },
        ) = (pass, self.limits.sending);
        let now = self.nanos(now);
        address.messages.take(messages, 1.0, now)?;
        address.bytes.take(rate, bytes as f32, now)
    }

    fn nanos(&self, now: Instant) -> u64 {
        // Enough for five hundred years.
        let since_start = (now + self.behind).saturating_duration_since(self.table.start);
        since_start.as_nanos() as u64
    }

    fn address(&self, key: Key, now: u64) -> Arc<Address> {
        let mut shard = self.shard(key);
        if let Some(address) = shard.addresses.get(&key) {
            return Arc::clone(address);
        }
        if shard.addresses.len() >= shard.sweep_at {
            shard.sweep(&self.limits, now);
        }
        Arc::clone(shard.addresses.entry(key).or_default())
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        let index = self.table.hasher.hash_one(key) as usize % SHARDS;
        // A thread that panicked left numbers that are right or nearly so.
        self.table.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Forgets who has no connection, and has sent nothing for as long as that matters, or for so long as there is room.
    fn sweep(&mut self, limits: &AddressLimits, now: u64) {
        let is_held = |address: &Arc<Address>| Arc::strong_count(address) > 1;
        self.addresses
            .retain(|_, address| is_held(address) || !address.is_rested(limits, now));
        let held = self.addresses.values().filter(|a| is_held(a)).count();
        if self.addresses.len() - held > RESTING_MAX {
            self.addresses.retain(|_, address| is_held(address));
        }
        self.sweep_at = (2 * self.addresses.len()).clamp(SWEPT_FROM, held + RESTING_MAX + 1);
        self.addresses.shrink_to(self.sweep_at);
    }
}

impl Address {
    fn is_rested(&self, limits: &AddressLimits, now: u64) -> bool {
        let AddressLimits {
            connecting,
            sending,
            ..
        } = limits;
        self.connecting.is_rested(*connecting, now)
            && self.messages.is_rested(sending.messages, now)
            && self.bytes.is_rested(sending.bytes, now)
    }
}

/// A token bucket in one atomic number: the time at which it will be full (the "generic cell rate algorithm").
#[derive(Debug, Default)]
struct Meter(AtomicU64);

impl Meter {
    fn take(&self, rate: Rate, units: f32, now: u64) -> Result<(), Duration> {
        if rate.is_none() {
            return Ok(());
        }
        let nanos = |units: f32| (1e9 * f64::from(units) / f64::from(rate.per_second)) as u64;
        let (cost, at_most) = (nanos(units.min(rate.burst)), now + nanos(rate.burst));
        let full_at = |full_at: u64| full_at.max(now) + cost;
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
                Some(full_at(before)).filter(|full_at| *full_at <= at_most)
            })
            .map(drop)
            .map_err(|before| Duration::from_nanos(full_at(before) - at_most))
    }

    fn is_rested(&self, rate: Rate, now: u64) -> bool {
        rate.is_none() || self.0.load(Ordering::Relaxed) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> AddressLimits {
        AddressLimits {
            connections_max: 3,
            connecting: Rate {
                per_second: 10.0,
                burst: 5.0,
            },
            sending: Allowance {
                messages: Rate::per_second(10.0),
                bytes: Rate::per_second(1000.0),
            },
            exempt: vec!["10.0.0.0/8".parse().unwrap()],
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn known(addresses: &Addresses) -> usize {
        let shards = addresses.table.shards.iter();
        shards
            .map(|shard| shard.lock().unwrap().addresses.len())
            .sum()
    }

    #[test]
    fn an_address_has_so_many_connections_at_once() {
        let now = Instant::now();
        let addresses = Addresses::new(limits(), now);
        let enter = |text| addresses.enter(ip(text), now);
        let mut passes: Vec<_> = (0..3).map(|_| enter("203.0.113.7").unwrap()).collect();
        assert_eq!(enter("203.0.113.7").unwrap_err(), Refused::Full);
        // The same address, however it is written; and another one.
        assert_eq!(enter("::ffff:203.0.113.7").unwrap_err(), Refused::Full);
        assert!(enter("203.0.113.8").is_ok());
        passes.pop();
        let later = now + Duration::from_secs(1);
        assert!(addresses.enter(ip("203.0.113.7"), later).is_ok());
    }

    #[test]
    fn an_address_connects_so_fast() {
        let now = Instant::now();
        let addresses = Addresses::new(limits(), now);
        let come_and_go = |at| addresses.enter(ip("203.0.113.7"), at).map(drop);
        assert!((0..5).all(|_| come_and_go(now).is_ok()));
        let wait = Duration::from_millis(100);
        assert_eq!(come_and_go(now), Err(Refused::TooFast(wait)));
        assert_eq!(come_and_go(now + wait), Ok(()));
        assert!(come_and_go(now + wait).is_err());
    }

    #[test]
    fn clocks_that_stood_still_for_other_times_count_as_one() {
        let now = Instant::now();
        let mut one = Addresses::new(limits(), now);
        let (other, behind) = (one.clone(), Duration::from_secs(60));
        one.set_behind(behind);
        let later = now + behind;
        // One of them takes it for earlier than the other.
        let come_and_go = |addresses: &Addresses, at| addresses.enter(ip("203.0.113.7"), at);
        assert!((0..5).all(|_| come_and_go(&other, later).is_ok()));
        let wait = Duration::from_millis(100);
        assert_eq!(come_and_go(&one, now).unwrap_err(), Refused::TooFast(wait));
        assert!(come_and_go(&one, now + wait).is_ok());
        assert!(come_and_go(&other, later + 2 * wait).is_ok());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address() {
        let now = Instant::now();
        let addresses = Addresses::new(limits(), now);
        let _passes = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:1"]
            .map(|text| addresses.enter(ip(text), now).unwrap());
        let fourth = addresses.enter(ip("2001:db8:0:0:8000::"), now);
        assert_eq!(fourth.unwrap_err(), Refused::Full);
        assert!(addresses.enter(ip("2001:db8:0:1::1"), now).is_ok());
    }

    #[test]
    fn loopback_and_proxies_are_not_limited() {
        let now = Instant::now();
        let addresses = Addresses::new(limits(), now);
        for exempt in ["127.0.0.1", "127.9.9.9", "::1", "10.1.2.3"] {
            for _ in 0..100 {
                assert!(addresses.enter(ip(exempt), now).unwrap().is_none());
            }
        }
        assert_eq!(known(&addresses), 0);
    }

    #[test]
    fn what_connections_of_an_address_send_is_counted_together() {
        let now = Instant::now();
        let addresses = Addresses::new(limits(), now);
        let [one, two] = [0; 2].map(|_| addresses.enter(ip("2001:db8::1"), now).unwrap().unwrap());
        assert!((0..10).all(|_| addresses.take(&one, 10, now).is_ok()));
        assert!((0..10).all(|_| addresses.take(&two, 10, now).is_ok()));
        let wait = Duration::from_millis(100);
        assert_eq!(addresses.take(&one, 10, now), Err(wait));
        assert_eq!(addresses.take(&two, 10, now + wait), Ok(()));
        let later = now + Duration::from_secs(10);
        assert_eq!(addresses.take(&one, 1500, later), Ok(()));
        assert_eq!(
            addresses.take(&one, 1500, later),
            Err(Duration::from_secs(1))
        );
    }

    #[test]
    fn other_limits_hold_for_who_is_there() {
        let now = Instant::now();
        let addresses = Addresses::new(limits(), now);
        let pass = addresses.enter(ip("203.0.113.7"), now).unwrap().unwrap();
        let addresses = addresses.under(AddressLimits {
            connections_max: 1,
            sending: Allowance::NONE,
            ..limits()
        });
        assert!((0..100).all(|_| addresses.take(&pass, 1000, now).is_ok()));
        let second = addresses.enter(ip("203.0.113.7"), now);
        assert_eq!(second.unwrap_err(), Refused::Full);
    }

    #[test]
    fn addresses_that_come_and_go_are_forgotten() {
        let start = Instant::now();
        let addresses = Addresses::new(limits(), start);
        let enter = |number: u32, at| {
            let ip =
                IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(number) << 64).to_be_bytes());
            addresses.enter(ip, at)
        };
        let stays = enter(u32::MAX, start).unwrap();
        // All at once: only so many are remembered.
        for number in 0..300_000 {
            enter(number, start).unwrap();
        }
        assert!(
            known(&addresses) <= SHARDS * (RESTING_MAX + 2),
            "{}",
            known(&addresses)
        );
        // A thousand a second: those of the last second or two.
        for number in 0..100_000 {
            enter(number, start + Duration::from_millis(number.into())).unwrap();
        }
        assert!(known(&addresses) <= 4096, "{}", known(&addresses));
        drop(stays);
    }
}
