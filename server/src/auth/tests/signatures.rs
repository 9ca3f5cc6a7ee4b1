//! Whose signature it is: what is good with a key, and what somebody would like to be.

use super::*;

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
