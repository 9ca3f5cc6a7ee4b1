//! `serve --capture`: a capture of everything from the start.

use std::path::PathBuf;

use super::values::size;

const HEADING: &str = "Capture";

/// What is captured from the start.
#[derive(Debug, Clone, clap::Args)]
pub struct CaptureOptions {
    /// Write what passes over all connections, without TLS, to this file, which Wireshark reads (pcapng): everything that is said
    /// and every token is in it
    #[arg(long, env = "TIDEWIRE_CAPTURE", value_name = "FILE", help_heading = HEADING)]
    pub capture: Option<PathBuf>,
    /// The size that this file may have; then the capture ends
    #[arg(long, env = "TIDEWIRE_CAPTURE_BYTES", value_name = "SIZE", default_value = "256MiB",
          value_parser = size, help_heading = HEADING)]
    pub capture_bytes: u64,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            capture: None,
            capture_bytes: 256 << 20,
        }
    }
}
