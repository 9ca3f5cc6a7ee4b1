//! What a token has to say of its time, its issuer, its audience and its subject.

use super::*;

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
