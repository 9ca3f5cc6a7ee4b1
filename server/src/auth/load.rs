//! Keys from files: secrets, public keys in PEM, JWKS (RFC 7517). What a file holds is found out from the file, and what could be
//! taken for something else is refused: a public key that served as a secret would let anybody make tokens.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;

use super::keys::{Key, Keys, Terms};
use crate::config::AuthOptions;

/// "A key of the same size as the hash output … or larger MUST be used" (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;

/// "A key of size 2048 bits or larger MUST be used" (§3.3).
const RSA_BYTES_MIN: usize = 256;

/// A point of P-256, not compressed.
const P256_POINT_BYTES: usize = 65;

/// A public key of Ed25519.
const ED25519_BYTES: usize = 32;

/// A file with more than that holds no keys.
const FILE_BYTES_MAX: usize = 1 << 20;

/// In keys that are not in PEM, or in PEM that is not in UTF-8: of OpenSSH, of RFC 4716, in XML.
const OTHER_KEYS: [&[u8]; 6] = [
    b"---- BEGIN ",
    b"-----BEGIN ",
    b"ssh-rsa AAAA",
    b"ssh-ed25519 AAAA",
    b"ecdsa-sha2-",
    b"<RSAKeyValue>",
];

/// Why keys cannot be used, in a sentence that names the file and never what is in it.
#[derive(Debug)]
pub enum AuthError {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// It holds no key that can be used.
    Key(PathBuf, String),
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Key(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for AuthError {}

/// The keys that the options name, from their files as they are now; `None` where they name none.
///
/// # Errors
/// A file cannot be read, or holds no key that can be used.
pub fn load(options: &AuthOptions) -> Result<Option<Arc<Keys>>, AuthError> {
    if !options.is_on() {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for path in &options.keys {
        keys.push(parsed(path, key_from_file)?);
    }
    for path in &options.jwks {
        keys.extend(parsed(path, keys_from_jwks)?);
    }
    let terms = Terms {
        leeway: options.leeway,
        issuers: options.issuers.clone(),
        audiences: options.audiences.clone(),
    };
    Ok(Some(Arc::new(Keys::new(keys, &terms))))
}

fn parsed<T>(path: &Path, parse: fn(&[u8]) -> Result<T, String>) -> Result<T, AuthError> {
    let bytes = fs::read(path).map_err(|error| AuthError::Read(path.to_owned(), error))?;
    let checked = if bytes.len() > FILE_BYTES_MAX {
        Err("it is longer than any file of keys".to_owned())
    } else {
        parse(&bytes)
    };
    checked.map_err(|why| AuthError::Key(path.to_owned(), why))
}

/// A public key in PEM, or else a secret.
pub(super) fn key_from_file(bytes: &[u8]) -> Result<Key, String> {
    if let Some(text) = find_pem(bytes) {
        return key_from_pem(text);
    }
    let text = ascii_text(bytes);
    if text.starts_with(b"{") || has(&text, b"\"kty\"") {
        return Err("it is JSON: name a JWKS file with --auth-jwks".to_owned());
    }
    if is_der(bytes) || is_encoded_der(&text) || OTHER_KEYS.iter().any(|mark| has(&text, mark)) {
        let why = "it is a key, but not in PEM, and as a secret it would let anybody make tokens: \
                   write it as PEM in UTF-8 (openssl pkey -pubin -outform PEM, or ssh-keygen -e -m PKCS8)";
        return Err(why.to_owned());
    }
    // As `tidewire token --secret-file` reads it.
    let line_ends = |byte: &&u8| matches!(byte, b'\n' | b'\r');
    let behind = bytes.iter().rev().take_while(line_ends).count();
    secret(&bytes[..bytes.len() - behind], None)
}

fn secret(bytes: &[u8], kid: Option<String>) -> Result<Key, String> {
    if bytes.len() < SECRET_BYTES_MIN {
        let why = "the secret is shorter than 32 bytes, and could be guessed: `openssl rand -hex 32` makes a good one";
        return Err(why.to_owned());
    }
    Ok(Key {
        algorithm: Algorithm::HS256,
        kid,
        key: DecodingKey::from_secret(bytes),
    })
}

fn find_pem(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    text.contains("-----BEGIN ").then_some(text)
}

/// The file as what it is in ASCII, however it is encoded: a PowerShell writes what it is given as UTF-16.
fn ascii_text(bytes: &[u8]) -> Vec<u8> {
    let marks = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"];
    let marked = marks.iter().find_map(|mark| bytes.strip_prefix(*mark));
    let bytes = marked.unwrap_or(bytes).iter().copied();
    let text: Vec<u8> = bytes.filter(|byte| *byte != 0).collect();
    text.trim_ascii_start().to_vec()
}

fn has(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|part| part == mark)
}

/// What stands between the lines of PEM, alone: so Keycloak shows the public key of a realm.
fn is_encoded_der(text: &[u8]) -> bool {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let decoded = str::from_utf8(&text).map(DecodingKey::from_base64_secret);
    let Ok(Ok(decoded)) = decoded else {
        return false;
    };
    decoded.try_get_as_bytes().is_ok_and(is_der)
}

/// The structure that all keys in DER are, to the end of the file.
fn is_der(bytes: &[u8]) -> bool {
    match *bytes {
        [0x30, length, ref rest @ ..] if length < 0x80 => rest.len() == usize::from(length),
        [0x30, 0x81, length, ref rest @ ..] => rest.len() == usize::from(length),
        [0x30, 0x82, high, low, ref rest @ ..] => {
            rest.len() == usize::from(u16::from_be_bytes([high, low]))
        }
        _ => false,
    }
}

fn key_from_pem(text: &str) -> Result<Key, String> {
    let why = if text.contains("PRIVATE KEY-----") {
        "it is a private key, which only who makes tokens needs: openssl pkey -in FILE -pubout gives the public one"
    } else if text.contains("-----BEGIN CERTIFICATE") {
        "it is a certificate: openssl x509 -in FILE -noout -pubkey gives the key in it"
    } else if text.matches("-----BEGIN ").count() > 1 {
        "it holds several keys: name a file each, with --auth-key as often as wanted"
    } else {
        ""
    };
    if !why.is_empty() {
        return Err(why.to_owned());
    }
    let pem = text.as_bytes();
    let key = DecodingKey::from_rsa_pem(pem)
        .map(|key| (Algorithm::RS256, key))
        .or_else(|_| DecodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key)))
        .or_else(|_| DecodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key)));
    let (algorithm, key) = key.map_err(|_| {
        "it is no public key in PEM of RSA, P-256 or Ed25519 (-----BEGIN PUBLIC KEY-----)"
            .to_owned()
    })?;
    usable(algorithm, key, None)
}

/// A public key, if it is of the size that its algorithm takes.
fn usable(algorithm: Algorithm, key: DecodingKey, kid: Option<String>) -> Result<Key, String> {
    let bytes = match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len(),
        DecodingKeyKind::RsaModulusExponent { n, .. } => {
            n.iter().skip_while(|byte| **byte == 0).count()
        }
    };
    let sizes = [
        // In DER the modulus has a head, and an exponent behind it.
        (
            Algorithm::RS256,
            bytes >= RSA_BYTES_MIN,
            "the RSA key has fewer than 2,048 bits",
        ),
        (
            Algorithm::ES256,
            bytes == P256_POINT_BYTES,
            "the EC key is not on P-256",
        ),
        (
            Algorithm::EdDSA,
            bytes == ED25519_BYTES,
            "the Ed key is not one of Ed25519",
        ),
    ];
    let mut bad = sizes
        .iter()
        .filter(|(of, fits, _)| *of == algorithm && !fits);
    match bad.next() {
        Some((_, _, why)) => Err((*why).to_owned()),
        None => Ok(Key {
            algorithm,
            kid,
            key,
        }),
    }
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

/// The keys of a JWKS that are for signatures that we check. "Implementations SHOULD ignore JWKs within a JWK Set that use "kty"
/// (key type) values that are not understood by them" (RFC 7517 §5); one that is understood and bad is told.
pub(super) fn keys_from_jwks(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let set: JwkSet = serde_json::from_slice(bytes).map_err(|_| {
        "it is no JWKS, which is a JSON object with a list of \"keys\" (RFC 7517 §5)".to_owned()
    })?;
    let mut keys = Vec::new();
    for (number, value) in (1..).zip(set.keys) {
        // What the library does not know may be fine for others.
        let Ok(jwk) = serde_json::from_value::<Jwk>(value) else {
            continue;
        };
        if let Some(algorithm) = algorithm_of(&jwk) {
            let key = key_from_jwk(&jwk, algorithm);
            keys.push(key.map_err(|why| format!("key {number}: {why}"))?);
        }
    }
    if keys.is_empty() {
        return Err("it has no key for HS256, RS256, ES256 or EdDSA".to_owned());
    }
    Ok(keys)
}

/// What the key checks, if that is one of ours: its type says so, and its `alg`, `use` and `key_ops` must agree.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the library's kinds of keys, which may become more"
)]
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let common = &jwk.common;
    if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let operations = common.key_operations.as_ref();
    if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::OctetKey(_) => (Algorithm::HS256, KeyAlgorithm::HS256),
        _ => return None,
    };
    let agrees = common.key_algorithm.is_none_or(|alg| alg == named);
    agrees.then_some(algorithm)
}

fn key_from_jwk(jwk: &Jwk, algorithm: Algorithm) -> Result<Key, String> {
    let kid = jwk.common.key_id.clone();
    let key = DecodingKey::from_jwk(jwk).map_err(|_| "it is not well-formed".to_owned())?;
    if algorithm != Algorithm::HS256 {
        return usable(algorithm, key, kid);
    }
    let bytes = key.try_get_as_bytes().map_err(|error| error.to_string())?;
    secret(bytes, kid)
}
