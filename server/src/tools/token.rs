//! `tidewire token`: makes a JSON Web Token (RFC 7519) that says who somebody is and what they may do. It does not ask a server,
//! and checks no token.
//!
//! Exit codes: 0, the token is on standard output; 1, the key cannot be read or does not fit; 2, the words make no sense.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Usage;
use crate::config::TOKEN_SECRET_VARIABLE;
use crate::config::values::long_time;
use crate::ids::UserName;

/// "A key of the same size as the hash output … or larger MUST be used" (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;

/// The claims that flags make.
const OWN_CLAIMS: [&str; 6] = ["sub", "iat", "exp", "rooms", "server", "admin"];

/// A name that a server takes.
fn user(text: &str) -> Result<String, String> {
    match UserName::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// Make a token (JWT) that says who somebody is and what they may do
///
/// It is signed by a secret (--secret-file, or TIDEWIRE_TOKEN_SECRET in the environment) or by a private key (--key-file). In
/// patterns for rooms, * stands for any text; without any pattern the token says nothing about rooms.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("key").args(["secret_file", "secret", "key_file"]))]
pub struct Token {
    /// A file with the secret for HS256, 32 bytes at least; a line end behind it does not count
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The secret itself: others on this machine can see it while the command runs
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// A file with a private key in PEM, for RS256, ES256 or EdDSA
    #[arg(long, value_name = "PEM", requires = "algorithm")]
    key_file: Option<PathBuf>,
    /// How it is signed [default: HS256]
    #[arg(long, value_name = "ALGORITHM", ignore_case = true)]
    algorithm: Option<Algorithm>,
    /// Which of the server's keys it is, for the token's header
    #[arg(long, value_name = "ID")]
    kid: Option<String>,
    /// The user
    #[arg(long, value_name = "USER", value_parser = user)]
    sub: String,
    /// How long the token holds
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = long_time)]
    expires: Duration,
    /// Rooms that the user may join
    #[arg(long, value_name = "PATTERN")]
    join: Vec<String>,
    /// Rooms that the user may write to
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<String>,
    /// Rooms that the user may read the history of
    #[arg(long, value_name = "PATTERN")]
    read: Vec<String>,
    /// It is for another server, which may write in the name of anybody
    #[arg(long)]
    server: bool,
    /// It is for an operator
    #[arg(long)]
    admin: bool,
    /// Another claim, its value in JSON: --claim 'team="blue"'
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    claims: Vec<(String, Value)>,
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// HMAC with SHA-256: whoever can check a token can make one.
    #[value(name = "HS256")]
    Hs256,
    /// RSA with SHA-256.
    #[value(name = "RS256")]
    Rs256,
    /// ECDSA on P-256.
    #[value(name = "ES256")]
    Es256,
    /// Ed25519.
    #[value(name = "EdDSA")]
    EdDsa,
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, json) = text
        .split_once('=')
        .ok_or("write NAME=JSON, as team=\"blue\"")?;
    if OWN_CLAIMS.contains(&name) {
        return Err(format!("the claim {name} has a flag of its own"));
    }
    let value = serde_json::from_str(json).map_err(|error| {
        format!("the value is no JSON ({error}): a text is in quotes, as team=\"blue\"")
    })?;
    Ok((name.to_owned(), value))
}

/// What a token says.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rooms: Vec<Rooms<'a>>,
    #[serde(skip_serializing_if = "is_false")]
    server: bool,
    #[serde(skip_serializing_if = "is_false")]
    admin: bool,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// What may be done in rooms.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Rooms<'a> {
    r#match: &'a str,
    can: Vec<&'static str>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Token {
    /// The token.
    ///
    /// # Errors
    /// There is no key, it cannot be read, or it does not fit the algorithm.
    pub fn make(&self, unix_ms: u64) -> Result<String, Box<dyn Error>> {
        let (algorithm, key) = self.key()?;
        let mut header = Header::new(algorithm.of_library());
        header.kid.clone_from(&self.kid);
        let token = jsonwebtoken::encode(&header, &self.claims(unix_ms / 1000), &key)
            .map_err(|error| format!("the token cannot be signed: {error}"))?;
        Ok(token)
    }

    fn claims(&self, now: u64) -> Claims<'_> {
        Claims {
            sub: &self.sub,
            iat: now,
            exp: now.saturating_add(self.expires.as_secs().max(1)),
            rooms: self.rooms(),
            server: self.server,
            admin: self.admin,
            more: self.claims.iter().cloned().collect(),
        }
    }

    /// One entry a pattern, in the order in which they were named.
    fn rooms(&self) -> Vec<Rooms<'_>> {
        let mut rooms: Vec<Rooms<'_>> = Vec::new();
        let rights = [
            ("join", &self.join),
            ("publish", &self.publish),
            ("read", &self.read),
        ];
        for (right, patterns) in rights {
            for pattern in patterns {
                match rooms.iter_mut().find(|room| room.r#match == pattern) {
                    Some(room) if room.can.contains(&right) => {}
                    Some(room) => room.can.push(right),
                    None => rooms.push(Rooms {
                        r#match: pattern,
                        can: vec![right],
                    }),
                }
            }
        }
        rooms
    }

    fn key(&self) -> Result<(Algorithm, EncodingKey), Box<dyn Error>> {
        if let Some(path) = &self.key_file {
            let pem = read(path)?;
            let algorithm = self.algorithm.unwrap_or(Algorithm::Rs256);
            let key = match algorithm {
                Algorithm::Hs256 => {
                    let why =
                        "HS256 is signed by a secret: write --secret-file, or another --algorithm";
                    return Err(Usage(why.to_owned()).into());
                }
                Algorithm::Rs256 => EncodingKey::from_rsa_pem(&pem),
                Algorithm::Es256 => EncodingKey::from_ec_pem(&pem),
                Algorithm::EdDsa => EncodingKey::from_ed_pem(&pem),
            };
            let key = key.map_err(|error| {
                format!(
                    "{} is no private key for {} in PEM: {error}",
                    path.display(),
                    algorithm.name()
                )
            })?;
            return Ok((algorithm, key));
        }
        if self
            .algorithm
            .is_some_and(|algorithm| algorithm != Algorithm::Hs256)
        {
            let why = "this algorithm is signed by a private key: write --key-file";
            return Err(Usage(why.to_owned()).into());
        }
        let secret = self.secret()?;
        if secret.len() < SECRET_BYTES_MIN {
            let why = "the secret is shorter than 32 bytes, and could be guessed: `openssl rand -hex 32` makes a good one";
            return Err(why.into());
        }
        Ok((Algorithm::Hs256, EncodingKey::from_secret(&secret)))
    }

    fn secret(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        if let Some(path) = &self.secret_file {
            let mut secret = read(path)?;
            while secret
                .last()
                .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
            {
                secret.pop();
            }
            return Ok(secret);
        }
        if let Some(secret) = &self.secret {
            eprintln!(
                "tidewire: a secret on the command line can be seen by others on this machine: --secret-file or {TOKEN_SECRET_VARIABLE} keeps it"
            );
            return Ok(secret.clone().into_bytes());
        }
        match std::env::var(TOKEN_SECRET_VARIABLE) {
            Ok(secret) if !secret.is_empty() => Ok(secret.into_bytes()),
            Ok(_) | Err(_) => {
                let why = format!(
                    "there is no key: write --secret-file or --key-file, or set {TOKEN_SECRET_VARIABLE}"
                );
                Err(Usage(why).into())
            }
        }
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    const fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        token: Token,
    }

    fn token(words: &[&str]) -> Token {
        let words = [&["token", "--sub", "ada"], words].concat();
        Words::try_parse_from(words).unwrap().token
    }

    #[test]
    fn claims_are_what_the_flags_say() {
        let token = token(&[
            "--expires",
            "2m",
            "--join",
            "a-*",
            "--read",
            "b",
            "--publish",
            "a-*",
            "--join",
            "a-*",
            "--admin",
            "--claim",
            "team=\"blue\"",
            "--claim",
            "n=[1]",
        ]);
        let claims = json!({
            "sub": "ada", "iat": 100, "exp": 220, "admin": true, "team": "blue", "n": [1],
            "rooms": [{"match": "a-*", "can": ["join", "publish"]}, {"match": "b", "can": ["read"]}],
        });
        assert_eq!(serde_json::to_value(token.claims(100)).unwrap(), claims);
    }

    #[test]
    fn what_is_not_said_is_no_claim() {
        let claims = serde_json::to_value(token(&[]).claims(100)).unwrap();
        assert_eq!(claims, json!({"sub": "ada", "iat": 100, "exp": 3700}));
    }

    #[test]
    fn a_claim_is_json_and_none_that_has_a_flag() {
        assert_eq!(claim("a=1"), Ok(("a".to_owned(), json!(1))));
        for text in ["a", "a=x", "exp=1", "rooms=[]"] {
            assert!(claim(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_signs_nothing() {
        assert!(token(&["--secret", "secret"]).make(0).is_err());
        let long = "x".repeat(32);
        assert!(token(&["--secret", &long]).make(0).is_ok());
        let with_key = token(&["--secret", &long, "--algorithm", "ES256"]);
        assert!(with_key.make(0).unwrap_err().is::<Usage>());
    }
}
