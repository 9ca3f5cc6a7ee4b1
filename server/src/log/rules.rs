//! What holds for which log: where it is kept, for how long, and what becomes of who reads it too slowly.

use std::time::Duration;

use super::Retention;
use crate::ids::{CANARY_LOG, CLUSTER_LOG, MQTT_SESSION_PREFIX};

/// How a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// On the disk: what is acknowledged is there after a crash.
    Durable,
    /// As long as the process lasts.
    Memory,
    /// Not at all: who is there gets it.
    Nothing,
}

/// What becomes of a follower that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// It goes on from the log, and is closed with its position when it is too far behind.
    Resume,
    /// It jumps to the newest, and is told of the gap.
    Latest,
    /// It is closed with its position at once.
    Disconnect,
}

/// What holds for one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Where it is kept.
    pub keep: Keep,
    /// For how long.
    pub retention: Retention,
    /// What becomes of slow followers.
    pub slow: Slow,
}

/// The rules of a server: the first whose pattern matches a log's name holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    patterns: Vec<(Pattern, Rule)>,
    otherwise: Rule,
}

/// The newest alone is kept: a log without entries would be forgotten, and begin another epoch each time.
const CANARY: Rule = Rule {
    keep: Keep::Memory,
    retention: Retention {
        entries_max: 1,
        age_max: Duration::from_secs(7 * 24 * 3600),
        bytes_max: 1024,
    },
    slow: Slow::Latest,
};

const DURABLE_CANARY: Rule = Rule {
    keep: Keep::Durable,
    ..CANARY
};

/// A session of MQTT is its newest entry; some more, since one of an older connection may come behind that. They are kept for longer than a
/// session lasts without being written again.
const MQTT_SESSION: Rule = Rule {
    keep: Keep::Memory,
    retention: Retention {
        entries_max: 4,
        age_max: Duration::from_secs(26 * 3600),
        bytes_max: 2 << 20,
    },
    slow: Slow::Latest,
};

const DURABLE_MQTT_SESSION: Rule = Rule {
    keep: Keep::Durable,
    ..MQTT_SESSION
};

/// What nodes tell each other: who was away for longer, or for more, asks for everything anew.
const CLUSTER: Rule = Rule {
    keep: Keep::Memory,
    retention: Retention {
        entries_max: 16_384,
        age_max: Duration::from_secs(600),
        bytes_max: 64 << 20,
    },
    slow: Slow::Resume,
};

/// A name in which each `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Rules {
    /// The rule that holds where no other does.
    #[must_use]
    pub const fn new(otherwise: Rule) -> Self {
        Self {
            patterns: Vec::new(),
            otherwise,
        }
    }

    /// Adds a rule behind those that are there.
    pub fn push(&mut self, pattern: Pattern, rule: Rule) {
        self.patterns.push((pattern, rule));
    }

    /// The rule for a log. Those of the server's own are not an operator's to set: the canary goes the way that durable messages go,
    /// if there are any, and is not kept; sessions of MQTT go there, too.
    #[must_use]
    pub fn of(&self, log: &str) -> &Rule {
        if log == CANARY_LOG {
            return if self.any_durable() {
                &DURABLE_CANARY
            } else {
                &CANARY
            };
        }
        if log == CLUSTER_LOG {
            return &CLUSTER;
        }
        if log.starts_with(MQTT_SESSION_PREFIX) {
            return if self.any_durable() {
                &DURABLE_MQTT_SESSION
            } else {
                &MQTT_SESSION
            };
        }
        self.patterns
            .iter()
            .find(|(pattern, _)| pattern.matches(log))
            .map_or(&self.otherwise, |(_, rule)| rule)
    }

    /// Whether every log is kept in the same place by the others: those can hold instead while the logs are in use.
    #[must_use]
    pub fn keep_like(&self, others: &Self) -> bool {
        self.otherwise.keep == others.otherwise.keep && self.places() == others.places()
    }

    /// What the patterns say of where logs are kept, as far as it is not what holds behind them anyway.
    fn places(&self) -> Vec<(&Pattern, Keep)> {
        let places = self.patterns.iter().map(|(name, rule)| (name, rule.keep));
        let mut places: Vec<_> = places.collect();
        while places
            .pop_if(|(_, keep)| *keep == self.otherwise.keep)
            .is_some()
        {}
        places
    }

    /// Whether any log is kept on the disk.
    #[must_use]
    pub fn any_durable(&self) -> bool {
        let rules = self.patterns.iter().map(|(_, rule)| rule);
        rules
            .chain([&self.otherwise])
            .any(|rule| rule.keep == Keep::Durable)
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            keep: Keep::Durable,
            retention: Retention::default(),
            slow: Slow::Resume,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(Rule::default())
    }
}

impl Pattern {
    /// A pattern; every text is one.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether a name is one of those. The literal parts are looked for from left to right, each once: linear in the name
    /// for each part.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut left) = name.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*') {
            let Some(at) = left.find(part) else {
                return false;
            };
            left = &left[at + part.len()..];
        }
        left.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let matches = |pattern: &str, name| Pattern::new(pattern.to_owned()).matches(name);
        for (pattern, name) in [
            ("*", ""),
            ("*", "a"),
            ("a", "a"),
            ("game-*", "game-"),
            ("game-*", "game-7"),
            ("*-x", "a-x"),
            ("a*b*c", "abc"),
            ("a*b*c", "a1b2b3c"),
            ("@*", "@alice"),
            ("**", "x"),
            ("a*a", "aa"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "ab"),
            ("", "a"),
            ("game-*", "gam"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("*ab", "b"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn rules_that_keep_every_log_where_it_is_are_known() {
        let rules = |otherwise, patterns: &[(&str, Keep, u64)]| {
            let rule = |keep, entries_max| Rule {
                keep,
                retention: Retention {
                    entries_max,
                    ..Retention::default()
                },
                slow: Slow::Resume,
            };
            let mut rules = Rules::new(rule(otherwise, 1));
            for (pattern, keep, entries_max) in patterns {
                rules.push(
                    Pattern::new((*pattern).to_owned()),
                    rule(*keep, *entries_max),
                );
            }
            rules
        };
        use Keep::{Durable, Memory};
        let some = rules(Durable, &[("a", Memory, 1), ("b", Durable, 1)]);
        for same in [
            rules(Durable, &[("a", Memory, 2), ("b", Durable, 3)]),
            rules(Durable, &[("a", Memory, 1)]),
            rules(
                Durable,
                &[("a", Memory, 1), ("c", Durable, 1), ("d", Durable, 9)],
            ),
        ] {
            assert!(some.keep_like(&same) && same.keep_like(&some), "{same:?}");
        }
        for other in [
            rules(Memory, &[("a", Memory, 1), ("b", Durable, 1)]),
            rules(Durable, &[("b", Durable, 1), ("a", Memory, 1)]),
            rules(Durable, &[("a", Durable, 1)]),
            rules(Durable, &[]),
        ] {
            assert!(
                !some.keep_like(&other) && !other.keep_like(&some),
                "{other:?}"
            );
        }
    }

    #[test]
    fn the_first_rule_that_matches_holds() {
        let rule = |keep| Rule {
            keep,
            ..Rule::default()
        };
        let mut rules = Rules::new(rule(Keep::Memory));
        assert!(!rules.any_durable());
        assert_eq!(rules.of(CANARY_LOG).keep, Keep::Memory);
        assert_eq!(rules.of("$mqtt/1").keep, Keep::Memory);
        rules.push(Pattern::new("a-*".to_owned()), rule(Keep::Nothing));
        rules.push(Pattern::new("a-b".to_owned()), rule(Keep::Durable));
        let keep = |name| rules.of(name).keep;
        assert_eq!(
            [keep("a-b"), keep("b"), keep("a-")],
            [Keep::Nothing, Keep::Memory, Keep::Nothing]
        );
        assert!(rules.any_durable());
        let canary = rules.of(CANARY_LOG);
        assert_eq!(
            (canary.keep, canary.retention.entries_max),
            (Keep::Durable, 1)
        );
        rules.push(Pattern::new("*".to_owned()), rule(Keep::Nothing));
        assert_eq!(rules.of("$mqtt/1").keep, Keep::Durable);
        let cluster = rules.of(CLUSTER_LOG);
        assert_eq!(
            (cluster.retention.entries_max, cluster.retention.age_max),
            (16_384, Duration::from_secs(600))
        );
    }
}
