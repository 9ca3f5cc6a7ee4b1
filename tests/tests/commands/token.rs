//! `tidewire token`: tokens whose signatures hold for another implementation, and whose claims are those that were asked for.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidewire_tests::Directory;
use tidewire_tests::command::run;
use tidewire_tests::launch::binary;
use tidewire_tests::script::Script;

const SECRET: &str = "a secret of more than thirty-two bytes";

#[test]
fn tokens_of_a_secret_hold_and_say_what_was_asked_for() {
    let directory = Directory::new();
    let file = directory.path().join("secret");
    fs::write(&file, SECRET).expect("a file of our own");
    let with_line_end = directory.path().join("with-line-end");
    fs::write(&with_line_end, format!("{SECRET}\r\n")).expect("a file of our own");
    let before = unix_seconds();
    let words = [
        "--expires",
        "90m",
        "--join",
        "team-*",
        "--publish",
        "team-1",
        "--read",
        "team-*",
    ];
    let words = [
        &words[..],
        &["--server", "--claim", "org={\"id\":7}", "--kid", "k1"],
    ]
    .concat();
    let token = make(&[&["--secret-file", shown(&with_line_end)], &words[..]].concat());
    let mut judge = Script::node("judge_token.mjs", &["HS256", shown(&file)]);
    let judged = ask(&mut judge, &token);
    assert_eq!(
        judged["header"],
        json!({"typ": "JWT", "alg": "HS256", "kid": "k1"})
    );
    let mut claims = judged["claims"].clone();
    let take = |claims: &mut Value, name: &str| claims[name].take().as_u64().expect("a time");
    let (iat, exp) = (take(&mut claims, "iat"), take(&mut claims, "exp"));
    assert!((before..=unix_seconds()).contains(&iat), "{iat}");
    assert_eq!(exp - iat, 90 * 60);
    let expected = json!({
        "sub": "ada", "iat": null, "exp": null, "server": true, "org": {"id": 7},
        "rooms": [{"match": "team-*", "can": ["join", "read"]}, {"match": "team-1", "can": ["publish"]}],
    });
    assert_eq!(claims, expected);
    // A token that was changed does not hold, so the judge judges.
    let other = make(&["--secret", &"x".repeat(32)]);
    assert_eq!(ask(&mut judge, &other), json!({"bad": true}));
}

#[test]
fn tokens_of_private_keys_hold() {
    let directory = Directory::new();
    let keys = shown(directory.path());
    Script::node("judge_token.mjs", &["keys", keys]).finish();
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let private = format!("{keys}/{algorithm}.pem");
        let public = format!("{keys}/{algorithm}.public.pem");
        let token = make(&["--key-file", &private, "--algorithm", algorithm, "--admin"]);
        let mut judge = Script::node("judge_token.mjs", &[algorithm, &public]);
        let judged = ask(&mut judge, &token);
        assert_eq!(judged["claims"]["sub"], "ada", "{algorithm}: {judged}");
        assert_eq!(judged["claims"]["admin"], true, "{algorithm}: {judged}");
    }
    let wrong = format!("{keys}/ES256.pem");
    let (code, stdout, stderr) = token(&["--key-file", &wrong, "--algorithm", "RS256"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(
        stderr.contains("ES256.pem is no private key for RS256"),
        "{stderr}"
    );
}

#[test]
fn the_secret_can_come_from_the_environment_and_one_on_the_command_line_is_warned_of() {
    let output = std::process::Command::new(binary())
        .args(["token", "--sub", "ada"])
        .env("TIDEWIRE_TOKEN_SECRET", SECRET)
        .output()
        .expect("the binary runs");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let (code, stdout, stderr) = token(&["--secret", SECRET]);
    assert_eq!((code, stdout.lines().count()), (Some(0), 1), "{stderr}");
    assert!(stderr.contains("can be seen by others"), "{stderr}");
    let (code, _, help) = run(&["token", "--help"], b"");
    assert!(code == Some(0) && !help.contains(SECRET));
}

#[test]
fn a_key_that_is_none_makes_no_token() {
    let cases = [
        (&[][..], 2, "there is no key"),
        (&["--secret", "short"], 1, "shorter than 32 bytes"),
        (&["--secret-file", "/no/such"], 1, "cannot read /no/such"),
        (&["--key-file", "/no/such"], 2, "--algorithm"),
        (
            &["--secret", SECRET, "--algorithm", "EdDSA"],
            2,
            "--key-file",
        ),
        (
            &["--secret", SECRET, "--secret-file", "x"],
            2,
            "cannot be used with",
        ),
        (
            &["--secret", SECRET, "--claim", "exp=1"],
            2,
            "flag of its own",
        ),
        (
            &["--secret", SECRET, "--claim", "team=blue"],
            2,
            "in quotes",
        ),
        (&["--secret", SECRET, "--expires", "0s"], 2, "above zero"),
    ];
    for (words, expected, told) in cases {
        let (code, stdout, stderr) = token(words);
        assert_eq!(
            (code, stdout.as_str()),
            (Some(expected), ""),
            "{words:?}: {stderr}"
        );
        assert!(stderr.contains(told), "{words:?}: {stderr}");
    }
}

fn token(words: &[&str]) -> (Option<i32>, String, String) {
    run(&[&["token", "--sub", "ada"], words].concat(), b"")
}

#[track_caller]
fn make(words: &[&str]) -> String {
    let (code, stdout, stderr) = token(words);
    assert_eq!((code, stdout.lines().count()), (Some(0), 1), "{stderr}");
    stdout.trim_end().to_owned()
}

#[track_caller]
fn ask(judge: &mut Script, token: &str) -> Value {
    judge.say(token);
    serde_json::from_str(&judge.next_line()).expect("a line of JSON")
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock that is set").as_secs()
}
