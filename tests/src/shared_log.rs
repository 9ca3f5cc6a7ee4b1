//! The Redis or NATS that keeps the logs of all servers of a test's process, if `TIDEWIRE_TEST_LOG` says `redis` or `nats`: the promises
//! of the chat do not depend on who keeps the log, so tests that were written for the disk hold for it, too. Each server has keys of its
//! own, as long as its test gives it no directory: two on the same directory, one after the other, have the same log.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::nats::Nats;
use crate::redis::RedisLaunch;

/// Who keeps the logs of servers whose test does not say: `redis`, `nats`, or nobody but themselves.
pub const LOG_VARIABLE: &str = "TIDEWIRE_TEST_LOG";

/// Counts the servers of this process that have no directory.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Who keeps logs that servers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Redis.
    Redis,
    /// NATS with JetStream.
    Nats,
}

/// Who keeps the logs; `None`: the servers do.
///
/// # Panics
///
/// When the variable says something else.
#[must_use]
#[track_caller]
pub fn wanted() -> Option<Keeper> {
    match std::env::var(LOG_VARIABLE).as_deref() {
        Ok("redis") => Some(Keeper::Redis),
        Ok("nats") => Some(Keeper::Nats),
        Ok("") | Err(_) => None,
        Ok(other) => panic!("{LOG_VARIABLE} says {other:?}: it takes `redis`, `nats`, or nothing"),
    }
}

/// Whether somebody else keeps them.
#[must_use]
#[track_caller]
pub fn is_wanted() -> bool {
    wanted().is_some()
}

/// What a server is told that has its data there.
#[must_use]
#[track_caller]
pub(crate) fn arguments(data: &Path) -> Vec<String> {
    let prefix = if data == Path::new("memory") {
        format!("t{}:", COUNT.fetch_add(1, Ordering::Relaxed))
    } else {
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        format!("d{:x}:", hasher.finish())
    };
    // These tests are not about how long a sender waits: on a busy machine an answer takes what it takes.
    let [log, name, patience, command] = [
        "--log",
        "--log-prefix",
        "--log-timeout=30s",
        "--log-command-timeout=60s",
    ];
    [log, shared_url(), name, &prefix, patience, command]
        .map(str::to_owned)
        .to_vec()
}

/// Where it is, which starts it.
#[track_caller]
fn shared_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        // Nothing is dropped at the end of a test's process: it ends with the thread that has started it, which never ends.
        thread::spawn(move || {
            match wanted() {
                Some(Keeper::Nats) => {
                    let nats = Nats::start_with_thread();
                    let _ = sender.send(nats.url());
                    std::mem::forget(nats);
                }
                Some(Keeper::Redis) | None => {
                    let redis = launch().start();
                    redis.remove_directory();
                    let _ = sender.send(redis.url());
                    std::mem::forget(redis);
                }
            }
            loop {
                thread::park();
            }
        });
        receiver.recv().expect("a shared log")
    })
}

fn launch() -> RedisLaunch {
    RedisLaunch::default().forgetful().ending_with_its_thread()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_same_directory_has_the_same_log() {
        let [one, again, other] = ["/a", "/a", "/b"].map(|data| arguments(Path::new(data)));
        assert_eq!(one, again);
        assert_ne!(one, other);
        let [first, second] = ["memory", "memory"].map(|data| arguments(Path::new(data)));
        assert_ne!(first, second);
    }
}
