//! Nodes that are there: each has said so within its lease, which is how long its message is kept.

use std::collections::HashSet;
use std::mem;

use serde::Deserialize;
use serde_json::{Value, json};

use super::jobs::Outcome;
use super::naming::Naming;
use super::store::{Store, Trouble, found, gone};
use super::streams::Info;
use crate::log::shared::{Answer, Failure, Node};

/// Canaries that are looked at in one go.
const SWEPT_MAX: usize = 32;

impl Store {
    /// This node is there, or leaves.
    pub(super) async fn beat(self, node: String, vouched: Vec<String>, leaves: bool) -> Outcome {
        let (stream, own) = (self.naming.nodes(), self.naming.node(Some(&node)));
        if leaves {
            let what = format!("STREAM.PURGE.{stream}");
            let purged = self.api::<Value>(&what, &json!({ "filter": own }));
            let canary = self.naming.canary_of(&node);
            self.delete_canary(&canary).await?;
            drop(purged.await?);
            return Ok(Answer::Nodes(Vec::new()));
        }
        let text = format!("{node}\n{}", vouched.join(","));
        let told = self.exchange.ask(&own, &[], text.as_bytes());
        let filter = json!({ "subjects_filter": self.naming.node(None) });
        if told.await.headers.status().is_some() {
            return Err(gone(503));
        }
        let what = format!("STREAM.INFO.{stream}");
        let info: Info = match self.api(&what, &filter).await? {
            Ok(info) => info,
            Err(error) => return Ok(Answer::Failed(Failure::Unable(error.description))),
        };
        let subjects = info.state.subjects.keys();
        let asked: Vec<_> = subjects.map(|of| self.newest_of(&stream, of)).collect();
        let mut nodes = Vec::new();
        for asked in asked {
            // One that is gone meanwhile is not there any more.
            if let Some(message) = found(asked.await)? {
                nodes.extend(std::str::from_utf8(&message.body).ok().and_then(read));
            }
        }
        self.sweep(&nodes).await?;
        Ok(Answer::Nodes(nodes))
    }

    /// Now and then, removes the canaries of nodes that are not there any more and did not say so: those that were silent, for
    /// longer than a canary is kept, when they were looked at last and are so still.
    async fn sweep(&self, nodes: &[Node]) -> Result<(), Trouble> {
        if !self.known.borrow_mut().is_sweep_due() {
            return Ok(());
        }
        let wanted = json!({ "subject": self.naming.canaries() });
        let Ok(names) = self.api::<Names>("STREAM.NAMES", &wanted).await? else {
            return Ok(());
        };
        let there: HashSet<String> = nodes
            .iter()
            .map(|of| self.naming.canary_of(&of.name))
            .collect();
        let names = names.streams.unwrap_or_default().into_iter();
        let names = names.filter(|name| !there.contains(name)).take(SWEPT_MAX);
        let before = mem::take(&mut self.known.borrow_mut().silent);
        let mut silent = HashSet::new();
        for name in names {
            let info = self.api::<Info>(&format!("STREAM.INFO.{name}"), &Value::Null);
            if !info.await?.is_ok_and(|info| info.state.is_empty()) {
                continue;
            }
            if before.contains(&name) {
                self.delete_canary(&name).await?;
            } else {
                silent.insert(name);
            }
        }
        self.known.borrow_mut().silent = silent;
        Ok(())
    }

    /// Deletes a canary's stream, and the record of it. It may be gone already.
    async fn delete_canary(&self, stream: &str) -> Result<(), Trouble> {
        let Some(node) = self.naming.canary_node(stream) else {
            return Ok(());
        };
        let born = self.naming.record(&Naming::canary_born(node));
        let purge = format!("STREAM.PURGE.{}", self.naming.state());
        let deleted = self.api::<Value>(&format!("STREAM.DELETE.{stream}"), &Value::Null);
        let purged = self.api::<Value>(&purge, &json!({ "filter": born }));
        drop((deleted.await?, purged.await?));
        Ok(())
    }
}

/// Names of streams.
#[derive(Deserialize)]
struct Names {
    streams: Option<Vec<String>>,
}

fn read(text: &str) -> Option<Node> {
    let (name, vouched) = text.split_once('\n')?;
    let vouched = vouched.split(',').filter(|run| !run.is_empty());
    Some(Node {
        name: name.to_owned(),
        vouched: vouched.map(str::to_owned).collect(),
    })
}
