//! Where the tests of this folder have their redis-server from.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's redis-server as `cargo xtask setup` unpacks it, else the one on the `PATH`.
pub(super) fn redis_server() -> Command {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let unpacked = target.join("debian/usr/bin/redis-server");
    match unpacked.is_file() {
        true => Command::new(unpacked),
        false => Command::new("redis-server"),
    }
}
