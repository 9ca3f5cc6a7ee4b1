//! What the commands for operators have in common: which server they ask, by what right, and what it says if it refuses.

use std::error::Error;
use std::time::Duration;

use clap::Args;

use crate::client::{Answer, Bearer, Call, Trust};

/// What an error says, at most.
const PROBLEM_BYTES_MAX: u64 = 64 << 10;

/// Which server is asked, and by what right.
#[derive(Debug, Clone, Default, Args)]
pub struct Operator {
    /// The server: http://HOST:PORT or HOST:PORT; https:// with TLS
    #[arg(
        long,
        env = "TIDEWIRE_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub url: String,
    /// By what right: `admin`.
    #[command(flatten)]
    pub bearer: Bearer,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: Trust,
}

impl Operator {
    /// Asks for something below `/api/admin/`; the answer is a good one.
    ///
    /// # Errors
    /// There is no server, or it refuses.
    pub(super) fn get(
        &self,
        target: &str,
        silence_max: Duration,
    ) -> Result<Answer, Box<dyn Error>> {
        let call = Call {
            url: &self.url,
            trust: &self.trust,
            target: &format!("/api/admin/{target}"),
            token: self.bearer.token(),
            silence_max,
        };
        let answer = call.get()?;
        if answer.status == 200 {
            return Ok(answer);
        }
        let (host, status) = (answer.host.clone(), answer.status);
        // The status says enough if the rest does not come.
        let text = answer.text(PROBLEM_BYTES_MAX).unwrap_or_default();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        // Who is asked without TLS for what speaks it, or is no Tidewire, answers in a line of text, or at length.
        let line = || text.lines().next().filter(|line| !line.starts_with('<'));
        let message = told["error"]["message"].as_str().or_else(line);
        let message = message.unwrap_or("no reason is given");
        let advice = match (status, self.bearer.token()) {
            (401, None) => " Name a token with the right `admin` with TIDEWIRE_TOKEN or --token.",
            _ => "",
        };
        Err(format!("{host} refuses (status {status}): {message}{advice}").into())
    }
}
