//! What operators' questions find, on one node or on all: how it passes between nodes, and the answer that it comes to.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Response;
use super::admin::Operation;
use crate::chat::Somebody;
use crate::ids::NodeName;
use crate::recorder::{Account, Report};

/// Connections that one answer to why tells of.
pub(crate) const WHY_MAX: usize = 50;

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Whether this node records.
    pub(crate) recorder: bool,
    /// What each node has that answered.
    pub(crate) items: Vec<Value>,
    /// Nodes that did not answer in time.
    pub(crate) silent: Vec<NodeName>,
}

/// Connections of a node; frames are only told where somebody asks why.
pub(crate) fn of_connections(
    accounts: &[&Account],
    node: Option<&NodeName>,
    operation: &Operation,
) -> Vec<Value> {
    let has_frames = matches!(operation, Operation::Why(_));
    let report = |account: &&Account| {
        let mut report = Report::new(account);
        report.node = node.map(|node| node.as_str().to_owned());
        if let Some(flight) = report.flight.as_mut().filter(|_| !has_frames) {
            flight.frames.clear();
        }
        json!(report)
    };
    accounts.iter().map(report).collect()
}

/// Users of a node.
pub(crate) fn of_users(users: &[Somebody<'_>]) -> Vec<Value> {
    let item = |somebody: &Somebody<'_>| {
        let Somebody {
            user,
            connections,
            rooms,
        } = somebody;
        json!({"user": user, "connections": connections, "rooms": rooms})
    };
    users.iter().map(item).collect()
}

impl Found {
    /// The answer.
    pub(crate) fn into_response(self, operation: &Operation) -> Response {
        let mut items = self.items;
        let mut answer = match operation {
            Operation::Why(_) => {
                // Those that are open, then those that ended, the newest first.
                items.sort_by_key(|item| item["endedAt"].as_u64().map_or(0, |at| u64::MAX - at));
                items.truncate(WHY_MAX);
                json!({"recorder": self.recorder, "connections": items})
            }
            Operation::Connections(list) => {
                items.truncate(list.limit);
                json!({ "connections": items })
            }
            Operation::Users(list) => json!({"users": together(items, list.limit)}),
            Operation::Disconnect(_) => {
                json!({"disconnected": items.iter().filter_map(Value::as_u64).sum::<u64>()})
            }
            Operation::Overview { .. } | Operation::Rooms(_) | Operation::Drain => Value::Null,
        };
        if !self.silent.is_empty() {
            answer["silent"] = json!(self.silent);
        }
        Response::value(200, &answer)
    }
}

/// Users of several nodes: each once, with all connections, those with the most first.
fn together(items: Vec<Value>, max: usize) -> Vec<Value> {
    let mut users: HashMap<String, (u64, u64), foldhash::fast::RandomState> = HashMap::default();
    for item in items {
        let number = |key: &str| item[key].as_u64().unwrap_or(0);
        if let Some(user) = item["user"].as_str() {
            let (connections, rooms) = users.entry(user.to_owned()).or_default();
            *connections += number("connections");
            *rooms = number("rooms").max(*rooms);
        }
    }
    let mut users: Vec<_> = users.into_iter().collect();
    users.sort_by(|(a, of_a), (b, of_b)| of_b.0.cmp(&of_a.0).then_with(|| a.cmp(b)));
    let users = users.into_iter().take(max);
    users
        .map(|(user, (connections, rooms))| {
            json!({"user": user, "connections": connections, "rooms": rooms})
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_several_nodes_is_one() {
        let user = |user: &str, connections: usize, rooms: usize| {
            let [somebody] = [Somebody {
                user,
                connections,
                rooms,
            }];
            of_users(&[somebody]).remove(0)
        };
        let items = vec![
            user("b", 1, 4),
            user("a", 1, 0),
            user("c", 3, 0),
            user("b", 1, 2),
        ];
        assert_eq!(
            together(items.clone(), 9),
            [user("c", 3, 0), user("b", 2, 4), user("a", 1, 0)]
        );
        assert_eq!(together(items, 1), [user("c", 3, 0)]);
        assert_eq!(
            together(vec![Value::Null, json!({"user": 1})], 9),
            [Value::Null; 0]
        );
    }
}
