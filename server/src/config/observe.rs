//! What the server tells of itself: its log, and how often it proves that messages arrive.

use std::time::Duration;

use clap::Args;

use super::values::time;
use crate::logging::{LogFormat, check_level};

/// Flags about logs and the canary.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Observability")]
pub struct Observe {
    /// How lines of the log look, which go to standard error
    #[arg(
        long,
        env = "TIDEWIRE_LOG_FORMAT",
        value_name = "HOW",
        default_value = "text"
    )]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace, for parts as `info,tidewire::net=debug`
    #[arg(long, env = "TIDEWIRE_LOG_LEVEL", value_name = "LEVEL", default_value = "info", value_parser = check_level)]
    pub log_level: String,
    /// Send a message through log and delivery this often; `/ready` answers 503 when none has come back for three times as long
    #[arg(long, env = "TIDEWIRE_CANARY", value_name = "TIME", default_value = "2s", value_parser = time)]
    pub canary: Duration,
}

impl Default for Observe {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            canary: Duration::from_secs(2),
        }
    }
}
