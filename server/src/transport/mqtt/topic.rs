//! Topics and filters (MQTT 5.0 §4.7), and which log a topic is: `@user` and `*` are those of private messages and broadcasts, and any
//! other topic is the room of that name. A room whose name has `+` or `#` is no topic: MQTT does not reach it.

use crate::ids::{BROADCAST_LOG, LogName};
use crate::log::Select;

use super::reason::Reason;

/// The longest filter, in bytes: no room has a longer name, and a filter hardly has more levels.
const FILTER_BYTES_MAX: usize = 256;

/// Whether it names one topic, and not several.
pub(super) fn is_plain(topic: &str) -> bool {
    !topic.contains(['+', '#'])
}

/// The log that a topic is.
pub(super) fn log_of(topic: &str) -> Option<LogName> {
    is_plain(topic).then(|| LogName::new(topic).ok())?
}

/// Whether the log is a room's.
pub(super) fn is_room(log: &LogName) -> bool {
    !log.as_str().starts_with('@') && log.as_str() != BROADCAST_LOG && !log.is_own()
}

/// Checks a filter.
///
/// # Errors
/// It is none, is too long, or asks for what is not there.
pub(super) fn check(filter: &str) -> Result<(), Reason> {
    if filter.starts_with("$share/") {
        return Err(Reason::SharedSubscriptionsNotSupported);
    }
    let levels = filter.split('/').count();
    let is_level = |(index, level): (usize, &str)| match level {
        "#" => index + 1 == levels,
        "+" => true,
        _ => is_plain(level),
    };
    let is_filter = !filter.is_empty() && filter.split('/').enumerate().all(is_level);
    if !is_filter || filter.len() > FILTER_BYTES_MAX {
        return Err(Reason::TopicFilterInvalid);
    }
    if is_plain(filter) && log_of(filter).is_none() {
        return Err(Reason::TopicFilterInvalid);
    }
    Ok(())
}

/// Whether a filter matches a topic.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    // "The Server MUST NOT match Topic Filters starting with a wildcard character (# or +) with Topic Names beginning with a $
    // character" (§4.7.2).
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            // "The multi-level wildcard represents the parent and any number of child levels" (§4.7.1.2).
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

/// The rooms that some filters match: for those who look for them.
#[derive(Debug)]
pub(super) struct Wanted(pub(super) Vec<String>);

impl Select for Wanted {
    fn takes(&self, log: &LogName) -> bool {
        let topic = log.as_str();
        is_room(log) && is_plain(topic) && self.0.iter().any(|filter| matches(filter, topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        let table = [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
                true,
            ),
            ("sport/#", "sport", true),
            ("#", "a/b", true),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("+", "*", true),
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
            ("a/b", "a", false),
            ("a", "a/b", false),
        ];
        for (filter, topic, expected) in table {
            assert_eq!(check(filter), Ok(()), "{filter}");
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in [
            "", "a#", "a/#/b", "#/", "a+", "+a/b", "@", "$canary", "a\u{1}",
        ] {
            assert_eq!(check(filter), Err(Reason::TopicFilterInvalid), "{filter}");
        }
        let long = "x".repeat(FILTER_BYTES_MAX + 1);
        assert_eq!(check(&long), Err(Reason::TopicFilterInvalid));
        let shared = Err(Reason::SharedSubscriptionsNotSupported);
        assert_eq!(check("$share/g/a"), shared);
    }

    #[test]
    fn a_topic_is_a_log() {
        for topic in ["lobby", "a/b", "/", "@alice", "*", "$SYS/x"] {
            assert_eq!(log_of(topic).unwrap().as_str(), topic);
        }
        for topic in [
            "", "a+", "a/#", "@", "$canary", "$cluster", "$mqtt/1", "a\nb",
        ] {
            assert_eq!(log_of(topic), None, "{topic}");
        }
    }

    #[test]
    fn only_rooms_that_are_topics_are_looked_for() {
        let wanted = Wanted(vec!["#".to_owned()]);
        let takes = |name| wanted.takes(&LogName::new(name).unwrap());
        assert!(takes("a") && takes("a/b"));
        assert!(!takes("@bob") && !takes("*") && !takes("c++") && !takes("$x"));
        let wanted = Wanted(vec!["$mqtt/#".to_owned(), "$mqtt/+".to_owned()]);
        assert!(!wanted.takes(&LogName::mqtt_session(1)));
    }
}
