//! The bytes of questions where Redis is, and what the answers of Sentinels and of a cluster's nodes say.

use bytes::BytesMut;
use redis::Value;

use crate::log::redis::Topology;
use crate::log::redis::wire::{self, Errand, Heard, Naming, setup};
use crate::log::remote::Target;
use crate::log::shared::Bucket;
use crate::log::shared::guide::Told;

/// Asks.
pub(super) fn ask(topology: &Topology, naming: &Naming, out: &mut BytesMut) {
    match topology {
        Topology::Single { .. } => {}
        Topology::Sentinel { name, .. } => {
            wire::pack_errand(&Errand::SentinelPrimary(name), naming, out);
        }
        Topology::Cluster { .. } => wire::pack_errand(&Errand::ClusterSlots, naming, out),
    }
}

/// What a reply says; `None`: nothing of what was asked.
///
/// # Errors
/// Why it is of no use, as a sentence.
pub(super) fn told(
    topology: &Topology,
    naming: &Naming,
    reply: &Value,
) -> Result<Option<Told>, String> {
    match topology {
        Topology::Single { .. } => Ok(None),
        Topology::Sentinel { name, .. } => told_by_sentinel(name, naming, reply),
        Topology::Cluster { .. } => told_by_node(reply),
    }
}

fn told_by_sentinel(name: &str, naming: &Naming, reply: &Value) -> Result<Option<Told>, String> {
    if matches!(reply, Value::Push { .. }) {
        return Ok(match wire::heard(reply, naming) {
            Heard::Switched { name: of, target } if of == name => Some(Told::Switched(target)),
            Heard::Switched { .. }
            | Heard::Subscribed(_)
            | Heard::Unsubscribed(_)
            | Heard::Announced { .. }
            | Heard::Broken(_)
            | Heard::Pong
            | Heard::Failed(_)
            | Heard::Other => None,
        });
    }
    let primary = setup::sentinel_primary(reply).map_err(|failure| failure.to_string())?;
    let primary = primary.ok_or_else(|| format!("this Sentinel knows no primary called {name}"))?;
    Ok(Some(Told::Primary(primary)))
}

fn told_by_node(reply: &Value) -> Result<Option<Told>, String> {
    let slots = setup::slots(reply).map_err(|failure| failure.to_string())?;
    let place = |bucket: Bucket| -> Option<(Bucket, Target)> {
        let slot = Naming::slot_of(bucket);
        let mut parts = slots.iter();
        let (.., target) = parts.find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        Some((bucket, target.clone()))
    };
    let parts: Vec<_> = Bucket::all().filter_map(place).collect();
    if parts.is_empty() {
        return Err("this node knows of no slots in its cluster".to_owned());
    }
    Ok(Some(Told::Parts(parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(topology: &Topology, reply: &[u8]) -> Result<Option<Told>, String> {
        let naming = Naming {
            prefix: "tw:".to_owned(),
            node: "a".to_owned(),
            sharded: false,
        };
        told(topology, &naming, &redis::parse_redis_value(reply).unwrap())
    }

    fn at(host: &str, port: u16) -> Target {
        let host = host.to_owned();
        Target { host, port }
    }

    #[test]
    fn a_sentinel_tells_of_its_primary_when_asked_and_of_another_by_itself() {
        let topology = Topology::Sentinel {
            sentinels: Vec::new(),
            name: "main".to_owned(),
        };
        let primary = b"*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n";
        let told = Told::Primary(at("10.0.0.1", 6379));
        assert_eq!(heard(&topology, primary), Ok(Some(told)));
        let switch = |name: &str| {
            let payload = format!("{name} 10.0.0.1 6379 10.0.0.2 6380");
            let length = payload.len();
            let head = ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n";
            format!("{head}${length}\r\n{payload}\r\n").into_bytes()
        };
        let told = Told::Switched(at("10.0.0.2", 6380));
        assert_eq!(heard(&topology, &switch("main")), Ok(Some(told)));
        assert_eq!(heard(&topology, &switch("other")), Ok(None));
        let why = heard(&topology, b"*-1\r\n").unwrap_err();
        assert!(why.contains("no primary called main"), "{why}");
        let why = heard(&topology, b"-NOAUTH Authentication required.\r\n").unwrap_err();
        assert!(why.contains("NOAUTH"), "{why}");
    }

    #[test]
    fn a_node_of_a_cluster_tells_of_each_bucket_where_it_is() {
        let topology = Topology::Cluster { seeds: Vec::new() };
        let slots = b"*2\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$1\r\na\r\n:1\r\n*3\r\n:8192\r\n:14000\r\n*2\r\n$0\r\n\r\n:2\r\n";
        let Ok(Some(Told::Parts(parts))) = heard(&topology, slots) else {
            panic!("it has told");
        };
        let mut counts = [0; 2];
        for (bucket, target) in &parts {
            let is_first = Naming::slot_of(*bucket) < 8192;
            assert_eq!(*target, if is_first { at("a", 1) } else { at("", 2) });
            counts[usize::from(!is_first)] += 1;
        }
        // Some slots are nowhere.
        assert!(parts.len() < Bucket::COUNT, "{parts:?}");
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        let why = heard(&topology, b"*0\r\n").unwrap_err();
        assert!(why.contains("no slots"), "{why}");
    }
}
