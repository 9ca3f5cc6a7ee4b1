//! How a server leaves.

use std::time::Duration;

use super::values::time;

/// How long a server takes to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Drain {
    /// Time to let all clients go after SIGTERM, many of them in batches. Default 30 s: what Kubernetes waits before it kills.
    #[arg(id = "drain", long = "drain", env = "TIDEWIRE_DRAIN", value_name = "TIME", default_value = "30s", value_parser = time,
          help_heading = "Times", help = "Time to let all clients go after SIGTERM, many of them in batches")]
    pub time: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
        }
    }
}
