//! Tokens that are good, and tokens that somebody would like to be: made here by hand, part by part, where no library would. The tests
//! are by topic.

mod claims;
mod key_files;
mod rights;
mod signatures;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use super::keys::{Key, Terms};
use super::load::{key_from_file, keys_from_jwks};
use super::*;
use crate::ids::LogName;

/// 100 s after 1970.
const NOW_MS: u64 = 100_000;

const SECRET: &[u8] = b"a secret that nobody would ever guess";

fn claims() -> Value {
    json!({"sub": "ada", "exp": 200})
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Head and claims as they are, signed with HMAC by the secret.
fn hmac_token(head: &str, claims: &str, secret: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        base64url(head.as_bytes()),
        base64url(claims.as_bytes())
    );
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

fn signed(claims: &Value) -> String {
    hmac_token(r#"{"alg":"HS256"}"#, &claims.to_string(), SECRET)
}

fn keys_of(keys: Vec<Key>) -> Keys {
    Keys::new(keys, &Terms::default())
}

fn secret_keys() -> Keys {
    keys_of(vec![key_from_file(SECRET).unwrap()])
}

fn verdict(keys: &Keys, token: &str) -> Result<String, BadToken> {
    let identity = keys.verify(token, NOW_MS)?;
    Ok(identity.user().as_str().to_owned())
}

/// What our secret's keys say of these claims.
fn judged(claims: &Value) -> Result<String, BadToken> {
    verdict(&secret_keys(), &signed(claims))
}

/// A pair of keys, private and public, in PEM.
struct Pair {
    algorithm: Algorithm,
    private: EncodingKey,
    public: String,
    raw: Vec<u8>,
}

impl Pair {
    fn of(algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::RS256 => &rcgen::PKCS_RSA_SHA256,
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            _ => &rcgen::PKCS_ED25519,
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let private = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(pem.as_bytes()),
        };
        Self {
            algorithm,
            private: private.unwrap(),
            public: pair.public_key_pem(),
            raw: pair.public_key_raw().to_vec(),
        }
    }

    fn sign(&self, kid: Option<&str>) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = kid.map(str::to_owned);
        encode(&header, &claims(), &self.private).unwrap()
    }

    fn key(&self) -> Key {
        key_from_file(self.public.as_bytes()).unwrap()
    }

    fn jwk(&self, kid: &str) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            return json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64url(&self.raw)});
        }
        let key = jsonwebtoken::jwk::Jwk::from_encoding_key(&self.private, self.algorithm);
        let mut jwk = serde_json::to_value(key.unwrap()).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    }
}

const PUBLIC: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
