//! What opening a store has to settle before anything else: the epoch of new logs, and that what was read is saved.

use std::io;

use super::device::Disk;
use super::format::segment_name;
use super::meta::{FoundMeta, Meta, Synced};
use super::recovery::Found;
use super::report::Recovery;
use crate::log::Epoch;

/// Decides on what new logs begin with: another epoch, if one may have been lost whole.
pub(super) fn settle_meta(found: &Found, report: &Recovery, disk: &dyn Disk) -> Meta {
    let damage = report.damage.iter().fold(0, |digest, damage| {
        let text = damage.to_string();
        1 << 32 | u64::from(crc32c::crc32c_append(digest as u32, text.as_bytes()))
    });
    let fresh = Meta {
        epoch: Epoch::new(disk.random()),
        damage,
    };
    match found.meta {
        FoundMeta::Good(meta) if found.may_have_lost || ![0, meta.damage].contains(&damage) => {
            fresh
        }
        FoundMeta::Good(meta) => meta,
        FoundMeta::None | FoundMeta::Damaged | FoundMeta::Version(_) => fresh,
    }
}

/// Sees to it that what was read is saved: the process before may have ended between writing and saving, or been told that
/// saving failed. Writing the same bytes again makes the kernel take them for unsaved.
pub(super) fn save_end(found: &Found, disk: &dyn Disk) -> io::Result<()> {
    let end = found.end;
    if end.segment == 0 {
        return Ok(());
    }
    let file = disk.open(&segment_name(end.segment))?;
    if let Some(Synced {
        end: synced,
        boot: Some(boot),
    }) = found.synced
        && disk.boot_id() == Some(boot)
        && synced < end
    {
        let from = if synced.segment == end.segment {
            synced.at
        } else {
            0
        };
        let mut bytes = vec![0; (end.at - from) as usize];
        let count = file.read_at(&mut bytes, from)?;
        file.write_at(&bytes[..count], from)?;
    }
    file.sync()
}
