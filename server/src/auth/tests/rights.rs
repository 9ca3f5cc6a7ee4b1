//! What a token grants, in rooms and in logs that are none.

use super::*;

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
