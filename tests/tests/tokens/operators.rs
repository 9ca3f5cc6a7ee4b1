//! Who operates a server that asks for tokens: whoever shows one with the right `admin`, from wherever; nobody else, not even at the
//! machine. The tools and the page show theirs.

use serde_json::Value;
use tidewire_tests::browser::people;
use tidewire_tests::command::run;
use tidewire_tests::http::{HttpConnection, Response, assert_problem};
use tidewire_tests::{Chatter, Issuer, Server};

/// Everything below `/api/admin`, with a query that is understood.
const ADDRESSES: [(&str, &str); 8] = [
    ("GET", "/api/admin/overview"),
    ("GET", "/api/admin/connections"),
    ("GET", "/api/admin/rooms"),
    ("GET", "/api/admin/users"),
    ("GET", "/api/admin/why?user=ada"),
    ("GET", "/api/admin/capture?seconds=1"),
    ("POST", "/api/admin/users/ada/disconnect"),
    ("POST", "/api/admin/drain"),
];

fn ask(server: &Server, method: &str, target: &str, headers: &str) -> Response {
    let mut connection = HttpConnection::open(server.address());
    let length = if method == "POST" {
        "Content-Length: 0\r\n"
    } else {
        ""
    };
    connection.request(method, target, &format!("{headers}{length}"));
    connection.response()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn only_a_token_with_the_right_operates() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let ada = issuer.token("ada", &[]);
    let mut chatter = Chatter::connect(&server, &format!("room=lobby&token={ada}"));
    chatter.hear_of("joined");
    // A server may speak for everybody, and operates nothing.
    let others = [ada, issuer.token("backend", &["--server"])];
    for (method, target) in ADDRESSES {
        assert_problem(&ask(&server, method, target, ""), 401, "unauthorized");
        let nonsense = bearer("no.token.atall");
        assert_problem(
            &ask(&server, method, target, &nonsense),
            401,
            "unauthorized",
        );
        for token in &others {
            let refused = ask(&server, method, target, &bearer(token));
            assert_problem(&refused, 403, "forbidden");
        }
    }
    chatter.say_acked("lobby", "still here", 1);

    // From elsewhere, too, as the token says who it is; but no page of others may use it to change something.
    let admin = bearer(&issuer.token("operator", &["--admin"]));
    let proxied = format!("{admin}X-Forwarded-For: 192.0.2.1\r\n");
    let overview = ask(&server, "GET", "/api/admin/overview", &proxied);
    assert_eq!(overview.status, 200, "{overview:?}");
    assert_eq!(overview.json()["status"], "up");
    let foreign = format!("{admin}Origin: https://evil.example\r\n");
    let refused = ask(&server, "POST", "/api/admin/drain", &foreign);
    assert_problem(&refused, 403, "origin_not_allowed");
    let closed = ask(&server, "POST", "/api/admin/users/ada/disconnect", &admin);
    assert_eq!(closed.json()["disconnected"], 1, "{closed:?}");
    assert_eq!(chatter.hear_close(), Some(1008));
}

#[test]
fn the_tools_show_theirs() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let url = format!("http://{}", server.address());
    let ada = issuer.token("ada", &[]);
    let _chatter = Chatter::connect(&server, &format!("room=lobby&token={ada}"));
    let admin = issuer.token("operator", &["--admin"]);
    let why = ["why", "ada", "--json"];
    let capture = ["capture", "--out", "-", "--time", "1s"];
    for command in [&why[..], &capture] {
        let ask = |token: &[&str]| run(&[command, &["--url", &url], token].concat(), b"");
        let (code, _, stderr) = ask(&[]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains("401") && stderr.contains("TIDEWIRE_TOKEN"),
            "{stderr}"
        );
        let (code, _, stderr) = ask(&["--token", &ada]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains("403") && stderr.contains("admin"),
            "{stderr}"
        );
        let (code, stdout, stderr) = ask(&["--token", &admin]);
        assert_eq!(code, Some(0), "{stderr}");
        if command == why {
            let told: Value = serde_json::from_str(&stdout).expect("JSON");
            assert_eq!(told["connections"][0]["user"], "ada");
        } else {
            assert!(stdout.contains("made up"), "the open connection is in it");
        }
    }
}

#[test]
fn the_page_asks_for_one_and_says_when_it_does_not_hold() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let mut script = people("page/admin_token.mjs", &server);
    let admin = &["--admin", "--join", "no-such-room"][..];
    let reader = &["--admin", "--read", "harbour"][..];
    let plain: &[&str] = &[];
    for (line, user, words) in [
        ("ada", "ada", plain),
        ("admin", "operator", admin),
        ("admin", "operator", admin),
        ("ada", "ada", plain),
        ("reader", "operator", reader),
    ] {
        script.expect_line(&format!("token {line}"));
        script.say(&issuer.token(user, words));
    }
    script.finish();
}
