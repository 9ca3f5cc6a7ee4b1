//! The settings of the flight recorder.

use clap::{Args, ValueEnum};

/// Whether frames and ends of connections are recorded, for `tidewire why` and the operator's page.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Operating")]
pub struct RecorderOptions {
    /// Keep the headers of each connection's newest frames, and how connections ended: what `tidewire why` tells
    #[arg(
        long,
        env = "TIDEWIRE_RECORDER",
        value_name = "HOW",
        default_value = "on"
    )]
    pub recorder: Switch,
}

impl Default for RecorderOptions {
    fn default() -> Self {
        Self {
            recorder: Switch::On,
        }
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Some 540 bytes for each WebSocket, and 12 MiB for those that ended.
    On,
    /// Nothing but a pointer that is null.
    Off,
}
