//! What another reading of the settings changes: what a running server takes over, and what needs a restart.

use std::sync::Arc;

use super::{Config, Setting, Settings};

/// A setting that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub key: String,
    /// What holds, fit to be shown.
    pub was: String,
    /// What was read.
    pub is: String,
    /// Whether the server takes it over; else it needs a restart.
    pub is_live: bool,
}

/// What makes up the rules for rooms, beside the file's `[[room]]`: they change together, unless a log would be kept elsewhere.
const RULES: &[&str] = &["history-entries", "history-age", "history-bytes"];

/// Takes over one setting from what was read.
type TakeOver = fn(&mut Config, &Config);

/// Makes a list of settings that are taken over, each with its place in [`Config`].
macro_rules! live {
    ($($key:literal => $($field:ident).+,)+) => {
        &[$(($key, |config, read| config.$($field).+.clone_from(&read.$($field).+))),+]
    };
}

/// What a server takes over while it runs; all else needs a restart. A line here, and its reader looks at the [`Config`] that
/// workers are handed.
const LIVE: &[(&str, TakeOver)] = live! {
    "heartbeat" => heartbeat,
    "pong-wait" => pong_wait,
    "handshake-timeout" => handshake_timeout,
    "keep-alive" => keep_alive,
    "close-timeout" => close_timeout,
    "drain" => drain,
    "messages-per-second" => messages_per_second,
    "lag-max" => lag_max,
    "file-bytes-max" => file_bytes_max,
    "cors-origin" => cors_origins,
    "compression" => compression,
    "protocols" => protocols.protocols,
    "socketio-recovery" => protocols.socketio_recovery,
    "auth-key" => auth.keys,
    "auth-jwks" => auth.jwks,
    "auth-leeway" => auth.leeway,
    "auth-issuer" => auth.issuers,
    "auth-audience" => auth.audiences,
    "bytes-per-second" => limits.bytes_per_second,
    "user-connections" => limits.user_connections,
    "user-rooms" => limits.user_rooms,
    "user-messages-per-second" => limits.user_messages_per_second,
    "user-bytes-per-second" => limits.user_bytes_per_second,
    "address-connections" => limits.address_connections,
    "address-connections-per-second" => limits.address_connections_per_second,
    "address-messages-per-second" => limits.address_messages_per_second,
    "address-bytes-per-second" => limits.address_bytes_per_second,
    "trusted-proxy" => limits.trusted_proxies,
    "forwarded-header" => limits.forwarded_header,
};

impl Settings {
    /// Takes over from what was read what can change while the server runs; all changes, also those that need a restart, which
    /// are found again the next time.
    pub fn take_over(&mut self, read: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let has_auth = self.config.auth.is_on() && read.config.auth.is_on();
        let rules_are_live = self.config.rules.keep_like(&read.config.rules);
        for (own, read_one) in self.list.iter_mut().zip(&read.list) {
            if own.words == read_one.words {
                continue;
            }
            let take_over = LIVE.iter().find(|(key, _)| *key == own.key);
            // Whoever is here has a token, or has none.
            let take_over = take_over.filter(|_| !own.key.starts_with("auth-") || has_auth);
            let is_rule = RULES.contains(&own.key.as_str());
            let is_live = take_over.is_some() || is_rule && rules_are_live;
            changes.push(Change {
                key: own.key.clone(),
                was: shown(own),
                is: shown(read_one),
                is_live,
            });
            if let Some((_, take_over)) = take_over {
                take_over(&mut self.config, &read.config);
            }
            if is_live {
                own.clone_from(read_one);
            }
        }
        if self.rooms != read.rooms {
            let count = |settings: &Self| format!("{} rules", settings.rooms.len());
            changes.push(Change {
                key: "room".to_owned(),
                was: count(self),
                is: count(read),
                is_live: rules_are_live,
            });
        }
        if rules_are_live {
            self.config.rules = Arc::clone(&read.config.rules);
            self.rooms.clone_from(&read.rooms);
        }
        changes
    }
}

/// Whether SIGHUP changes it.
pub(super) fn is_live(key: &str) -> bool {
    RULES.contains(&key) || LIVE.iter().any(|(live, _)| *live == key)
}

fn shown(setting: &Setting) -> String {
    match setting.shown().as_slice() {
        [] => "not set".to_owned(),
        words => words.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;
    use crate::cli::{Cli, Serve, Task};
    use crate::log::{Keep, Rule, Rules};

    fn settings(words: &[&str]) -> Settings {
        match Cli::task_from(["tidewire"].iter().chain(words)) {
            Ok(Task::Serve(settings, _)) => *settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_can_change_is_taken_over_and_what_cannot_is_told_each_time() {
        let mut running = settings(&["--heartbeat", "5s"]);
        let read = settings(&[
            "--heartbeat",
            "6s",
            "--workers",
            "2",
            "--cors-origin",
            "http://a",
        ]);
        let change = |key: &str, was: &str, is: &str, is_live| Change {
            key: key.to_owned(),
            was: was.to_owned(),
            is: is.to_owned(),
            is_live,
        };
        let restart = change("workers", "1", "2", false);
        assert_eq!(
            running.take_over(&read),
            [
                restart.clone(),
                change("heartbeat", "5s", "6s", true),
                change("cors-origin", "not set", "http://a", true),
            ]
        );
        let config = &running.config;
        let taken = (
            config.heartbeat.as_secs(),
            config.workers,
            config.cors_origins.len(),
        );
        assert_eq!(taken, (6, 1, 1));
        assert_eq!(running.take_over(&read), [restart]);
    }

    #[test]
    fn rules_for_rooms_change_together_unless_a_room_would_be_kept_elsewhere() {
        let running = settings(&["--history-entries", "5"]);
        let mut read = settings(&["--history-entries", "6"]);
        let mut taken = running.clone();
        assert!(taken.take_over(&read)[0].is_live);
        assert_eq!(taken.config.rules.of("a").retention.entries_max, 6);
        let elsewhere = Rule {
            keep: Keep::Memory,
            ..Rule::default()
        };
        read.config.rules = Arc::new(Rules::new(elsewhere));
        read.rooms.push(toml::Value::Boolean(true));
        let mut kept = running.clone();
        let changes = kept.take_over(&read);
        assert!(!changes[0].is_live && !changes[1].is_live, "{changes:?}");
        assert_eq!(kept.config.rules, running.config.rules);
    }

    #[test]
    fn what_can_change_are_flags_and_documented() {
        let document = include_str!("../../../docs/CONFIG.md");
        for key in LIVE.iter().map(|(key, _)| key).chain(RULES) {
            assert!(document.contains(&format!("`{key}`")), "{key}");
        }
        let command = Serve::augment_args(clap::Command::new("serve"));
        let flags: Vec<_> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .collect();
        for (key, _) in LIVE {
            assert!(flags.contains(key), "{key}");
        }
    }
}
