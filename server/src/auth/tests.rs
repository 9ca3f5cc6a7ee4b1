//! Tokens that are good, and tokens that somebody would like to be: made here by hand, part by part, where no library would.

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

#[test]
fn a_token_of_each_kind_is_good_with_its_key_and_no_other() {
    let pairs = PUBLIC.map(Pair::of);
    assert_eq!(judged(&claims()), Ok("ada".to_owned()));
    for pair in &pairs {
        let token = pair.sign(None);
        assert_eq!(pair.key().algorithm, pair.algorithm);
        assert_eq!(
            verdict(&keys_of(vec![pair.key()]), &token),
            Ok("ada".to_owned())
        );
        let others = pairs
            .iter()
            .filter(|other| other.algorithm != pair.algorithm);
        let others = keys_of(others.map(Pair::key).collect());
        assert_eq!(verdict(&others, &token), Err(BadToken::NoKey));
        let stranger = keys_of(vec![Pair::of(pair.algorithm).key()]);
        assert_eq!(verdict(&stranger, &token), Err(BadToken::Signature));
    }
}

#[test]
fn a_public_key_is_no_secret() {
    for algorithm in PUBLIC {
        let pair = Pair::of(algorithm);
        let keys = keys_of(vec![pair.key()]);
        let pem = pair.public.as_bytes();
        let der = pair.public.lines().filter(|line| !line.starts_with('-'));
        let der: String = der.collect();
        for secret in [pem, pem.trim_ascii(), der.as_bytes()] {
            let forged = hmac_token(r#"{"alg":"HS256"}"#, &claims().to_string(), secret);
            assert_eq!(
                verdict(&keys, &forged),
                Err(BadToken::NoKey),
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn what_is_not_signed_is_not_believed() {
    let keys = keys_of(vec![
        key_from_file(SECRET).unwrap(),
        Pair::of(Algorithm::ES256).key(),
    ]);
    let body = base64url(claims().to_string().as_bytes());
    for alg in ["none", "None", "NONE", "nOnE", "", "HS1", "RS1"] {
        let head = base64url(json!({ "alg": alg }).to_string().as_bytes());
        for signature in ["", "AA", &base64url(&[0; 32])] {
            let token = format!("{head}.{body}.{signature}");
            assert_eq!(verdict(&keys, &token), Err(BadToken::Algorithm), "{alg}");
        }
    }
    // r = s = 0 (CVE-2022-21449), and no signature at all.
    let head = base64url(br#"{"alg":"ES256"}"#);
    for signature in [base64url(&[0; 64]), String::new()] {
        let token = format!("{head}.{body}.{signature}");
        assert_eq!(verdict(&keys, &token), Err(BadToken::Signature));
    }
    for alg in ["HS384", "HS512", "PS256", "RS512", "ES384"] {
        let token = format!(
            "{}.{body}.AA",
            base64url(json!({ "alg": alg }).to_string().as_bytes())
        );
        assert_eq!(verdict(&keys, &token), Err(BadToken::NoKey), "{alg}");
    }
}

#[test]
fn a_key_that_a_token_brings_along_is_not_used() {
    let stranger = Pair::of(Algorithm::ES256);
    let keys = keys_of(vec![Pair::of(Algorithm::ES256).key()]);
    let mut header = Header::new(Algorithm::ES256);
    header.jwk = serde_json::from_value(stranger.jwk("k")).unwrap();
    header.jku = Some("http://127.0.0.1/keys".to_owned());
    header.x5u = Some("http://127.0.0.1/chain".to_owned());
    let token = encode(&header, &claims(), &stranger.private).unwrap();
    assert_eq!(verdict(&keys, &token), Err(BadToken::Signature));
}

#[test]
fn a_token_that_demands_what_nobody_understands_is_refused() {
    let head = r#"{"alg":"HS256","crit":["exp"],"b64":true}"#;
    let token = hmac_token(head, &claims().to_string(), SECRET);
    assert_eq!(verdict(&secret_keys(), &token), Err(BadToken::Algorithm));
}

#[test]
fn every_bit_of_a_token_counts() {
    let (keys, token) = (secret_keys(), signed(&claims()));
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        // The last character of a signature has bits that mean nothing: base64 must not take them for others.
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(keys.verify(&changed, NOW_MS).is_err(), "character {at}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let good = signed(&claims());
    let long = format!("{good}{}", "A".repeat(8 << 10));
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "x",
        "ä.ö.ü",
        &format!("{good}."),
        &long,
        &good[..20],
    ] {
        assert_eq!(
            verdict(&secret_keys(), token),
            Err(BadToken::Malformed),
            "{token}"
        );
    }
}

#[test]
fn a_claim_of_the_wrong_type_is_not_an_absent_one() {
    for exp in [
        "\"200\"",
        "\"never\"",
        "null",
        "1e400",
        "[200]",
        "{}",
        "true",
    ] {
        let token = hmac_token(
            r#"{"alg":"HS256"}"#,
            &format!(r#"{{"sub":"ada","exp":{exp}}}"#),
            SECRET,
        );
        assert_eq!(
            verdict(&secret_keys(), &token),
            Err(BadToken::Claims),
            "{exp}"
        );
    }
    for claims in [
        json!({"sub": "ada"}),
        json!({"exp": 200}),
        json!({"sub": 7, "exp": 200}),
        json!({"sub": "ada", "exp": 200, "nbf": "50"}),
        json!({"sub": "ada", "exp": 200, "nbf": null}),
        json!({"sub": "ada", "exp": 200, "rooms": null}),
        json!({"sub": "ada", "exp": 200, "rooms": "*"}),
        json!({"sub": "ada", "exp": 200, "rooms": [{"match": "*"}]}),
        json!({"sub": "ada", "exp": 200, "server": "true"}),
        json!({"sub": "ada", "exp": 200, "admin": 1}),
        json!(["ada", 200]),
    ] {
        assert_eq!(judged(&claims), Err(BadToken::Claims), "{claims}");
    }
    // Twice the same claim: whoever reads the other one sees another token.
    let twice = r#"{"sub":"ada","sub":"root","exp":200}"#;
    let token = hmac_token(r#"{"alg":"HS256"}"#, twice, SECRET);
    assert_eq!(verdict(&secret_keys(), &token), Err(BadToken::Claims));
}

#[test]
fn a_token_counts_from_nbf_until_exp_and_the_leeway_around_that() {
    let terms = Terms {
        leeway: std::time::Duration::from_secs(5),
        ..Terms::default()
    };
    let with_leeway = Keys::new(vec![key_from_file(SECRET).unwrap()], &terms);
    let strict = secret_keys();
    let token = signed(&json!({"sub": "ada", "nbf": 100, "exp": 200.5}));
    for (keys, unix_ms, outcome) in [
        (&strict, 99_999, Some(BadToken::NotYet)),
        (&strict, 100_000, None),
        (&strict, 200_499, None),
        (&strict, 200_500, Some(BadToken::Expired)),
        (&with_leeway, 94_999, Some(BadToken::NotYet)),
        (&with_leeway, 95_000, None),
        (&with_leeway, 205_499, None),
        (&with_leeway, 205_500, Some(BadToken::Expired)),
    ] {
        assert_eq!(keys.verify(&token, unix_ms).err(), outcome, "{unix_ms}");
    }
    assert_eq!(
        judged(&json!({"sub": "ada", "exp": -1})),
        Err(BadToken::Expired)
    );
    assert_eq!(
        judged(&json!({"sub": "ada", "exp": 1e300})),
        Ok("ada".to_owned())
    );
}

#[test]
fn issuer_and_audience_are_what_is_configured() {
    let terms = Terms {
        issuers: vec!["https://id.example".to_owned()],
        audiences: vec!["chat".to_owned()],
        ..Terms::default()
    };
    let keys = Keys::new(vec![key_from_file(SECRET).unwrap()], &terms);
    let with = |iss: Value, aud: Value| {
        let mut claims = claims();
        claims["iss"] = iss;
        claims["aud"] = aud;
        verdict(&keys, &signed(&claims))
    };
    let ours = || json!("https://id.example");
    assert_eq!(with(ours(), json!("chat")), Ok("ada".to_owned()));
    assert_eq!(with(ours(), json!(["mail", "chat"])), Ok("ada".to_owned()));
    assert_eq!(with(ours(), json!("mail")), Err(BadToken::Audience));
    assert_eq!(with(ours(), json!(["mail"])), Err(BadToken::Audience));
    assert_eq!(with(ours(), json!(7)), Err(BadToken::Audience));
    assert_eq!(with(ours(), Value::Null), Err(BadToken::Audience));
    assert_eq!(
        with(json!("https://id.example.evil"), json!("chat")),
        Err(BadToken::Issuer)
    );
    assert_eq!(with(Value::Null, json!("chat")), Err(BadToken::Issuer));
    // Whoever names an audience does not mean a server that has no name.
    assert_eq!(
        judged(&json!({"sub": "ada", "exp": 200, "aud": "mail"})),
        Err(BadToken::Audience)
    );
}

#[test]
fn a_subject_is_a_name_and_the_rooms_are_few() {
    for sub in ["", "a\nb", &"x".repeat(129)] {
        let refused = judged(&json!({"sub": sub, "exp": 200}));
        assert!(matches!(refused, Err(BadToken::Subject(_))), "{sub:?}");
    }
    let rooms = |count| vec![json!({"match": "r", "can": []}); count];
    let many = |count| judged(&json!({"sub": "ada", "exp": 200, "rooms": rooms(count)}));
    assert_eq!(many(128), Ok("ada".to_owned()));
    assert_eq!(many(129), Err(BadToken::TooManyRooms));
}

fn access(claims: &Value) -> Access {
    Access::Of(secret_keys().verify(&signed(claims), NOW_MS).unwrap())
}

#[test]
fn patterns_grant_what_they_say_and_nothing_else() {
    let rights = [Right::Join, Right::Publish, Right::Read];
    let access = access(&json!({"sub": "ada", "exp": 200, "rooms": [
        {"match": "team-*", "can": ["join", "publish"]},
        {"match": "team-blue", "can": ["read", "dance"]},
        {"match": "lobby", "can": ["read"]},
    ]}));
    for (room, has) in [
        ("team-red", [true, true, false]),
        ("team-blue", [true, true, true]),
        ("lobby", [false, false, true]),
        ("lobby2", [false; 3]),
        ("Team-red", [false; 3]),
        ("xteam-red", [false; 3]),
        ("*", [false; 3]),
    ] {
        assert_eq!(rights.map(|right| access.has(right, room)), has, "{room}");
    }
}

#[test]
fn a_token_without_rooms_grants_all_of_them_and_one_with_none_grants_none() {
    assert!(access(&claims()).has(Right::Join, "any"));
    assert!(!access(&json!({"sub": "ada", "exp": 200, "rooms": []})).has(Right::Join, "any"));
    assert!(!Access::Awaited.has(Right::Join, "any") && Access::Open.has(Right::Join, "any"));
}

#[test]
fn logs_that_are_no_rooms_have_rules_of_their_own() {
    let log = |name| LogName::new(name).unwrap();
    let (user, server) = (
        access(&json!({"sub": "ada", "exp": 200, "rooms": []})),
        access(&json!({"sub": "back", "exp": 200, "rooms": [], "server": true})),
    );
    for (access, name, may_read, may_write) in [
        (&user, "@ada", true, true),
        (&user, "@bob", false, true),
        (&user, "*", true, false),
        (&user, "r", false, false),
        (&server, "@bob", false, true),
        (&server, "*", true, true),
        (&server, "r", false, false),
        (&Access::Awaited, "*", false, false),
        (&Access::Open, "@bob", true, true),
    ] {
        let may = |result: Result<(), Forbidden>| result.is_ok();
        assert_eq!(
            may(access.allow_reading(&log(name))),
            may_read,
            "{access:?} {name}"
        );
        assert_eq!(
            may(access.allow_writing(&log(name))),
            may_write,
            "{access:?} {name}"
        );
    }
    let named = |name| Some(crate::ids::UserName::new(name).unwrap());
    assert_eq!(server.speaker(named("bob")), Ok(named("bob")));
    assert_eq!(server.speaker(None), Ok(named("back")));
    assert!(server.person(named("bob")).is_err() && user.speaker(named("bob")).is_err());
    assert_eq!(user.speaker(None), Ok(named("ada")));
}

#[test]
fn a_set_of_keys_is_used_by_kid() {
    let pairs = PUBLIC.map(Pair::of);
    let mut set: Vec<Value> = pairs
        .iter()
        .zip(["r", "e", "d"])
        .map(|(pair, kid)| pair.jwk(kid))
        .collect();
    set.push(json!({"kty": "oct", "kid": "s", "k": base64url(SECRET)}));
    set.push(json!({"kty": "future", "kid": "r"}));
    set.push(json!({"kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB"}));
    let keys = keys_of(keys_from_jwks(json!({ "keys": set }).to_string().as_bytes()).unwrap());
    assert_eq!(keys.count(), 4);
    for (pair, kid) in pairs.iter().zip(["r", "e", "d"]) {
        assert_eq!(
            verdict(&keys, &pair.sign(Some(kid))),
            Ok("ada".to_owned()),
            "{kid}"
        );
        assert_eq!(
            verdict(&keys, &pair.sign(None)),
            Ok("ada".to_owned()),
            "{kid}"
        );
        for other in ["x", "s", "enc", ""] {
            assert_eq!(
                verdict(&keys, &pair.sign(Some(other))),
                Err(BadToken::NoKey),
                "{other}"
            );
        }
    }
    let by_secret = |kid: &str| {
        let head = json!({"alg": "HS256", "kid": kid}).to_string();
        verdict(&keys, &hmac_token(&head, &claims().to_string(), SECRET))
    };
    assert_eq!(by_secret("s"), Ok("ada".to_owned()));
    assert_eq!(by_secret("r"), Err(BadToken::NoKey));
}

/// The set of a provider that rotates often and has one key from before it gave them names.
#[test]
fn a_token_without_a_kid_finds_the_key_without_one_among_many() {
    let pairs: Vec<Pair> = (0..5).map(|_| Pair::of(Algorithm::ES256)).collect();
    let mut set: Vec<Value> = pairs
        .iter()
        .zip(["a", "b", "c", "d", "e"])
        .map(|(pair, kid)| pair.jwk(kid))
        .collect();
    // The last in the file.
    set[4].as_object_mut().unwrap().remove("kid");
    let keys = keys_of(keys_from_jwks(json!({ "keys": set }).to_string().as_bytes()).unwrap());
    assert_eq!(keys.count(), 5);
    let found: Vec<_> = pairs
        .iter()
        .map(|pair| verdict(&keys, &pair.sign(None)))
        .collect();
    let ada = || Ok("ada".to_owned());
    // It is tried first; of the others three.
    assert_eq!(found, [ada(), ada(), ada(), Err(BadToken::NoKid), ada()]);
    assert!(BadToken::NoKid.to_string().contains("\"kid\""));
    assert_eq!(verdict(&keys, &pairs[3].sign(Some("d"))), ada());
    assert_eq!(
        verdict(&keys, &pairs[4].sign(Some("of another time"))),
        ada()
    );
    assert_eq!(
        verdict(&keys, &pairs[0].sign(Some("of another time"))),
        Err(BadToken::Signature)
    );
    let stranger = Pair::of(Algorithm::ES256);
    assert_eq!(verdict(&keys, &stranger.sign(None)), Err(BadToken::NoKid));
}

#[test]
fn the_key_that_is_named_is_the_one_that_is_used() {
    let (old, new) = (Pair::of(Algorithm::ES256), Pair::of(Algorithm::ES256));
    let set = json!({"keys": [old.jwk("old"), new.jwk("new")]}).to_string();
    let keys = keys_of(keys_from_jwks(set.as_bytes()).unwrap());
    assert_eq!(verdict(&keys, &new.sign(Some("new"))), Ok("ada".to_owned()));
    assert_eq!(verdict(&keys, &new.sign(None)), Ok("ada".to_owned()));
    assert_eq!(
        verdict(&keys, &new.sign(Some("old"))),
        Err(BadToken::Signature)
    );
}

#[test]
fn a_file_that_could_be_taken_for_something_else_is_refused() {
    let pair = Pair::of(Algorithm::ES256);
    let private = KeyPair::generate().unwrap();
    let der = private.subject_public_key_info();
    let told = |bytes: &[u8]| key_from_file(bytes).unwrap_err();
    assert!(told(private.serialize_pem().as_bytes()).contains("private key"));
    assert!(told(&der).contains("not in PEM"));
    assert!(told(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE ada@host").contains("not in PEM"));
    assert!(told(br#"{"keys":[]}"#).contains("--auth-jwks"));
    assert!(told(b"short\n").contains("shorter than 32 bytes"));
    assert!(told(b"").contains("shorter than 32 bytes"));
    assert!(told(pair.public.repeat(2).as_bytes()).contains("several keys"));
    assert!(
        told(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
            .contains("no public key")
    );
    assert!(
        told(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .contains("certificate")
    );
    let other_curve = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert!(told(other_curve.public_key_pem().as_bytes()).contains("P-256"));
    // A line end behind a secret is not part of it.
    let keys = keys_of(vec![key_from_file(&[SECRET, b"\r\n"].concat()).unwrap()]);
    assert_eq!(verdict(&keys, &signed(&claims())), Ok("ada".to_owned()));
    for set in [
        "",
        "[]",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}"#,
        r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
    ] {
        assert!(keys_from_jwks(set.as_bytes()).is_err(), "{set}");
    }
}

#[test]
fn a_public_key_is_no_secret_however_it_is_written() {
    let pair = Pair::of(Algorithm::ES256);
    let latin_1 = [b"friendlyName: M\xfcller\n", pair.public.as_bytes()].concat();
    let utf_16 = |mark: &[u8], of: fn(u16) -> [u8; 2]| {
        let units = pair.public.encode_utf16().flat_map(of);
        mark.iter().copied().chain(units).collect::<Vec<u8>>()
    };
    let lines = pair.public.lines().filter(|line| !line.starts_with('-'));
    let body = lines.collect::<Vec<_>>().join("\n");
    let bare = body.replace('\n', "");
    let ssh = "AAAAB3NzaC1yc2EAAAADAQABAAABgQ ada";
    for (what, bytes) in [
        ("a name that is not in UTF-8", latin_1),
        ("UTF-16", utf_16(b"\xff\xfe", u16::to_le_bytes)),
        ("UTF-16, big-endian", utf_16(b"\xfe\xff", u16::to_be_bytes)),
        ("UTF-16 without a mark", utf_16(b"", u16::to_le_bytes)),
        ("the lines between", body.into_bytes()),
        ("one line", bare.into_bytes()),
        (
            "RFC 4716",
            format!("---- BEGIN SSH2 PUBLIC KEY ----\n{ssh}\n").into_bytes(),
        ),
        (
            "an authorized key",
            format!("no-pty ssh-rsa {ssh}\n").into_bytes(),
        ),
        (
            "JSON behind a mark",
            format!("\u{feff}{}", pair.jwk("k")).into_bytes(),
        ),
        (
            "a list of keys",
            json!([pair.jwk("k")]).to_string().into_bytes(),
        ),
    ] {
        let refused = key_from_file(&bytes).map(|key| key.algorithm);
        assert!(refused.is_err(), "{what}: {refused:?}");
    }
    let random = base64url(&[7; 48]);
    assert_eq!(
        key_from_file(random.as_bytes()).unwrap().algorithm,
        Algorithm::HS256
    );
}

#[test]
fn a_key_that_is_not_for_checking_is_passed_over() {
    let pair = Pair::of(Algorithm::ES256);
    for (operations, is_used) in [(json!(["verify"]), true), (json!(["deriveBits"]), false)] {
        let mut jwk = pair.jwk("k");
        jwk["key_ops"] = operations;
        let set = json!({"keys": [jwk, Pair::of(Algorithm::EdDSA).jwk("other")]}).to_string();
        let keys = keys_of(keys_from_jwks(set.as_bytes()).unwrap());
        let found = verdict(&keys, &pair.sign(Some("k")));
        assert_eq!(found.is_ok(), is_used, "{found:?}");
    }
}

#[test]
fn no_secret_is_shown_by_debug() {
    let keys = secret_keys();
    let shown = format!("{keys:?}");
    assert!(
        !shown.contains("nobody") && !shown.contains("97, 32, 115"),
        "{shown}"
    );
}
