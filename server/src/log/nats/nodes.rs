//! Nodes that are there: each has said so within its lease, which is how long its message is kept.

use serde_json::{Value, json};

use super::jobs::Outcome;
use super::store::{Store, gone};
use super::streams::Info;
use crate::log::shared::{Answer, Failure, Node};

impl Store {
    /// This node is there, or leaves.
    pub(super) async fn beat(self, node: String, vouched: Vec<String>, leaves: bool) -> Outcome {
        let (stream, own) = (self.naming.nodes(), self.naming.node(Some(&node)));
        if leaves {
            let what = format!("STREAM.PURGE.{stream}");
            let purged = self.api::<Value>(&what, &json!({ "filter": own }));
            let canary = format!("STREAM.DELETE.{}", self.naming.own_canary());
            let canary = self.api::<Value>(&canary, &Value::Null);
            drop((purged.await?, canary.await?));
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
            let message = asked.await;
            if message.headers.status().is_none() {
                nodes.extend(std::str::from_utf8(&message.body).ok().and_then(read));
            }
        }
        Ok(Answer::Nodes(nodes))
    }
}

fn read(text: &str) -> Option<Node> {
    let (name, vouched) = text.split_once('\n')?;
    let vouched = vouched.split(',').filter(|run| !run.is_empty());
    Some(Node {
        name: name.to_owned(),
        vouched: vouched.map(str::to_owned).collect(),
    })
}
