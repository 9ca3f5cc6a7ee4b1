//! The settings of who may do what: which keys tokens are checked with, and whether none is fine, too.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// The part of the command line about tokens.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Tokens")]
pub struct AuthOptions {
    /// Accept tokens (JWT) signed with the key in this file: a public key in PEM (RS256, ES256 or EdDSA), or a secret of 32 bytes
    /// or more (HS256); may be given several times
    #[arg(
        long = "auth-key",
        env = "TIDEWIRE_AUTH_KEY",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub keys: Vec<PathBuf>,
    /// Accept tokens signed with the keys in this JWKS file; may be given several times
    #[arg(
        long = "auth-jwks",
        env = "TIDEWIRE_AUTH_JWKS",
        value_name = "FILE",
        value_delimiter = ','
    )]
    pub jwks: Vec<PathBuf>,
    /// Let clocks differ by that much: a token counts for so much longer, and so much earlier
    #[arg(long = "auth-leeway", env = "TIDEWIRE_AUTH_LEEWAY", value_name = "TIME", default_value = "0s", value_parser = leeway)]
    pub leeway: Duration,
    /// Accept only tokens of this issuer (`iss`); may be given several times
    #[arg(
        long = "auth-issuer",
        env = "TIDEWIRE_AUTH_ISSUER",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub issuers: Vec<String>,
    /// Accept only tokens for this audience (`aud`), which is this server; may be given several times
    #[arg(
        long = "auth-audience",
        env = "TIDEWIRE_AUTH_AUDIENCE",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub audiences: Vec<String>,
    /// Serve whoever reaches the server, without tokens, also on other addresses than this machine's own
    #[arg(long = "insecure-no-auth", env = "TIDEWIRE_INSECURE_NO_AUTH")]
    pub insecure_no_auth: bool,
}

/// A time of ten minutes at most, or none.
fn leeway(text: &str) -> Result<Duration, String> {
    let time =
        humantime::parse_duration(text).map_err(|error| format!("{error}: write 0s, 5s or 1m"))?;
    if time > Duration::from_secs(600) {
        return Err("a leeway is ten minutes at most".to_owned());
    }
    Ok(time)
}

impl AuthOptions {
    /// Whether tokens are asked for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !(self.keys.is_empty() && self.jwks.is_empty())
    }

    /// Checks that strangers cannot reach a server that asks for no tokens.
    ///
    /// # Errors
    /// What to do, in a sentence.
    pub fn check_listening(&self, listen: SocketAddr) -> Result<(), String> {
        if self.is_on() || self.insecure_no_auth || listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(format!(
            "{listen} can be reached from other machines, and no token would be asked for: name a key with --auth-key FILE or \
             --auth-jwks FILE, or listen on 127.0.0.1, or write --insecure-no-auth if something in front decides who comes in"
        ))
    }

    /// Checks that what is asked of tokens is asked of some.
    ///
    /// # Errors
    /// What to do, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let has_terms = !(self.issuers.is_empty() && self.audiences.is_empty());
        if has_terms && !self.is_on() {
            let why = "--auth-issuer and --auth-audience are about tokens: name a key with --auth-key FILE or --auth-jwks FILE";
            return Err(why.to_owned());
        }
        if self.insecure_no_auth && self.is_on() {
            let why = "--insecure-no-auth serves everybody, and --auth-key and --auth-jwks ask for tokens: leave out one of them";
            return Err(why.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_keys_only_this_machine_is_served() {
        let mut options = AuthOptions::default();
        let allows = |options: &AuthOptions, listen: &str| {
            options.check_listening(listen.parse().unwrap()).is_ok()
        };
        for own in [
            "127.0.0.1:0",
            "127.8.0.1:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(allows(&options, own), "{own}");
        }
        let foreign = [
            "0.0.0.0:80",
            "[::]:80",
            "192.168.1.1:80",
            "[::ffff:10.0.0.1]:80",
        ];
        for listen in foreign {
            assert!(!allows(&options, listen), "{listen}");
        }
        options.insecure_no_auth = true;
        assert!(foreign.iter().all(|listen| allows(&options, listen)));
        options.insecure_no_auth = false;
        options.keys.push("key.pem".into());
        assert!(foreign.iter().all(|listen| allows(&options, listen)));
    }

    #[test]
    fn terms_need_keys() {
        let mut options = AuthOptions {
            audiences: vec!["chat".to_owned()],
            ..AuthOptions::default()
        };
        assert!(options.check().is_err());
        options.jwks.push("jwks.json".into());
        assert!(options.check().is_ok());
        options.insecure_no_auth = true;
        assert!(options.check().is_err());
    }

    #[test]
    fn a_leeway_is_short_or_none() {
        assert_eq!(leeway("0s"), Ok(Duration::ZERO));
        assert_eq!(leeway("10m"), Ok(Duration::from_secs(600)));
        assert!(leeway("11m").is_err() && leeway("5").is_err());
    }
}
