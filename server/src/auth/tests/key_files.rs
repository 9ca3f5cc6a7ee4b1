//! Which keys there are: files and sets, what is refused of them, and which one a token is checked with.

use super::*;

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
