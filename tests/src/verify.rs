//! `tidewire verify` beside a campaign: it loads nodes for as long as they are troubled, and says at the end what it has seen.

use std::time::Duration;

use crate::command::Running;
use crate::nodes::{Nodes, last_lines};

/// What nodes are told of which a campaign says that nothing is lost: what is gone was not let go of, and nobody is too quick.
pub const KEEPS_ALL: [&str; 4] = [
    "--messages-per-second",
    "0",
    "--history-entries",
    HISTORY_ENTRIES,
];

/// More than any campaign sends.
const HISTORY_ENTRIES: &str = "1000000";

/// It runs; dropping it ends its process.
#[derive(Debug)]
pub struct Verify {
    command: Running,
}

impl Verify {
    /// Starts it on all nodes, with these arguments.
    #[must_use]
    #[track_caller]
    pub fn start(nodes: &Nodes, arguments: &[&str]) -> Self {
        let addresses = nodes.addresses().into_iter();
        let urls: Vec<_> = addresses.map(|at| format!("ws://{at}")).collect();
        let mut words = vec!["verify"];
        words.extend(urls.iter().map(String::as_str));
        words.extend(["--until-eof", "--history-entries", HISTORY_ENTRIES]);
        words.extend(arguments);
        Self {
            command: Running::start(&words),
        }
    }

    /// Whether it has ended by itself, which it should not.
    #[track_caller]
    pub fn has_ended(&mut self) -> bool {
        self.command.has_ended()
    }

    /// Lets it come to its end; whether it is content. `None` if it does not end in time.
    #[track_caller]
    pub fn finish(&mut self, patience: Duration) -> Option<bool> {
        self.command.end_input();
        let status = self.command.ends_within(patience)?;
        Some(status.success())
    }

    /// What it has found, or what it has said last where it has not come to that.
    #[must_use]
    pub fn report(&self) -> String {
        let output = self.command.stdout();
        match output.find("tidewire verify") {
            Some(at) => output[at..].to_owned(),
            None => last_lines(&(output + &self.command.stderr())),
        }
    }
}
