//! The settings of TLS: which files a server shows who it is with, and where it writes the secrets of sessions.

use std::path::PathBuf;

/// Stands for the file that this variable names, as it does for browsers and curl.
pub(crate) const KEYLOG_FROM_ENVIRONMENT: &str = "$SSLKEYLOGFILE";

/// The settings of TLS. With a certificate, the port speaks TLS and nothing else.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsOptions {
    /// Speak TLS (https://, wss://) on the port, and nothing else: the certificate and those that lead to its authority, PEM
    #[arg(
        long,
        env = "TIDEWIRE_TLS_CERT",
        value_name = "FILE",
        help_heading = "TLS"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(
        long,
        env = "TIDEWIRE_TLS_KEY",
        value_name = "FILE",
        help_heading = "TLS"
    )]
    pub tls_key: Option<PathBuf>,
    /// Write the secrets of TLS sessions to this file, or to what SSLKEYLOGFILE names: who has them reads everything, as Wireshark
    #[arg(long, env = "TIDEWIRE_KEYLOG", value_name = "FILE", num_args = 0..=1, default_missing_value = KEYLOG_FROM_ENVIRONMENT,
          help_heading = "TLS")]
    pub keylog: Option<PathBuf>,
}

impl TlsOptions {
    /// Whether TLS is spoken.
    pub(crate) const fn is_on(&self) -> bool {
        self.tls_cert.is_some()
    }
}
