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
