//! The token that a command shows to the server: one option, wherever there is one.

use clap::Args;

/// By what right a client comes.
#[derive(Debug, Clone, Default, Args)]
pub struct Bearer {
    /// A token (JWT), where the server asks for one: others on this machine can see it here, but not in the environment
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TIDEWIRE_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

impl Bearer {
    /// The token without the end of a line that a file or a shell has left behind it.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref().map(str::trim)
    }
}
