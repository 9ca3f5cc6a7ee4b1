//! What it costs to check a token, by algorithm: the figures of docs/SECURITY.md. It measures processor time that a worker's loop
//! stands still for, not a server.
//!
//! `cargo run --profile ci -p tidewire --example token_cost`

use std::error::Error;
use std::fs;
use std::time::Instant;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use tidewire::auth::{Keys, load};
use tidewire::config::AuthOptions;

const ROUNDS: u32 = 2_000;

/// Long before it ends.
const NOW_MS: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let secret = "a secret of more than thirty-two bytes";
    let key = EncodingKey::from_secret(secret.as_bytes());
    measure("HS256", Algorithm::HS256, &key, secret)?;
    let pair = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256)?;
    let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())?;
    measure("RS256", Algorithm::RS256, &key, &pair.public_key_pem())?;
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes())?;
    measure("ES256", Algorithm::ES256, &key, &pair.public_key_pem())?;
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes())?;
    measure("EdDSA", Algorithm::EdDSA, &key, &pair.public_key_pem())
}

fn measure(
    name: &str,
    algorithm: Algorithm,
    key: &EncodingKey,
    file: &str,
) -> Result<(), Box<dyn Error>> {
    let rooms = serde_json::json!([{"match": "team-*", "can": ["join", "publish", "read"]}]);
    let claims = serde_json::json!({"sub": "ada", "iat": 0, "exp": 10_000, "rooms": rooms});
    let token = encode(&Header::new(algorithm), &claims, key)?;
    let keys = keys_of(name, file)?;
    let mut micros: Vec<f64> = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        keys.verify(&token, NOW_MS)?;
        micros.push(began.elapsed().as_secs_f64() * 1e6);
    }
    // The median: what else the machine does is not the token's.
    micros.sort_by(f64::total_cmp);
    let median = micros.get(micros.len() / 2).copied().unwrap_or_default();
    println!("{name}: {median:.1} µs");
    Ok(())
}

/// The keys of a server that was given this file.
fn keys_of(name: &str, file: &str) -> Result<std::sync::Arc<Keys>, Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("token-cost-{}-{name}", std::process::id()));
    fs::write(&path, file)?;
    let options = AuthOptions {
        keys: vec![path.clone()],
        ..AuthOptions::default()
    };
    let keys = load(&options);
    fs::remove_file(path)?;
    keys?.ok_or_else(|| "no keys".into())
}
