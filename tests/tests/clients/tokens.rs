//! The JavaScript client in Node and the chat page in Chromium, where the server asks for tokens.

use tidewire_tests::Issuer;
use tidewire_tests::browser::people;
use tidewire_tests::script::Script;

#[test]
fn the_client_renews_its_token_on_the_living_connection_of_each_transport() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let secret = std::fs::read_to_string(issuer.secret()).expect("a file of our own");
    let url = format!("http://{}", server.address());
    Script::node("client_token.mjs", &[&url, secret.trim_end()]).finish();
}

#[test]
fn the_page_asks_for_a_token_and_says_when_it_does_not_hold() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let mut script = people("page/token.mjs", &server);
    for (user, words) in [
        ("ada", &[][..]),
        ("ben", &[]),
        ("late", &["--expires", "20s"]),
        (
            "guest",
            &[
                "--join",
                "team-*",
                "--publish",
                "team-*",
                "--read",
                "team-*",
            ],
        ),
        ("ada", &[]),
        ("reader", &["--join", "harbour", "--read", "harbour"]),
    ] {
        script.expect_line(&format!("token {user}"));
        script.say(&issuer.token(user, words));
    }
    script.finish();
}
