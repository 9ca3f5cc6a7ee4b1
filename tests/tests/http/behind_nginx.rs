//! The server behind nginx with TLS, as `deploy/nginx.conf` has it: pages, chat, streams and files get through, silence is
//! survived, and what is refused is refused with the same words as without a proxy.

use tidewire_tests::browser::people_at;
use tidewire_tests::http::get;
use tidewire_tests::nginx::Nginx;
use tidewire_tests::script::Script;
use tidewire_tests::{Launch, Server};

/// As deploy/nginx.conf says that it is to be started.
const BEHIND: &[&str] = &["--trusted-proxy", "127.0.0.1"];

/// Runs a scenario of `behind_nginx.mjs`.
fn scenario(name: &str, nginx: &Nginx) -> Script {
    let certificate = nginx.certificate();
    let certificate = certificate.to_str().expect("a path in UTF-8");
    let address = nginx.address().to_string();
    let plain = nginx.plain_address().to_string();
    Script::node("behind_nginx.mjs", &[name, &address, &plain, certificate])
}

#[test]
fn people_chat_on_the_page() {
    let server = Server::start_with(BEHIND);
    let nginx = Nginx::before(server.address(), &[]);
    let page = format!("https://{}/", nginx.address());
    people_at("page/behind_nginx.mjs", &page).finish();
}

#[test]
fn chat_streams_calls_and_files_get_through() {
    let server = Server::start_with(BEHIND);
    let nginx = Nginx::before(server.address(), &[]);
    scenario("everything", &nginx).finish();
    let log = nginx.access_log();
    assert!(log.contains("GET /ws"), "{log}");
    assert!(
        !log.contains("userId"),
        "addresses can carry a token: {log}"
    );
}

#[test]
fn a_message_of_2_mib_is_refused_cleanly() {
    let server = Server::start_with(BEHIND);
    let nginx = Nginx::before(server.address(), &[]);
    scenario("too_large", &nginx).finish();
}

#[test]
fn who_is_silent_for_longer_than_nginx_waits_by_itself_stays() {
    let server = Server::start_with(BEHIND);
    let nginx = Nginx::before(server.address(), &[]);
    scenario("silence", &nginx).finish();
}

#[test]
fn without_a_heartbeat_in_time_nginx_would_end_the_connection() {
    let server = Launch::default()
        .arguments(BEHIND)
        .arguments(&["--heartbeat", "60s"])
        .start();
    // So the heartbeat is what kept it in the test above.
    let shorter = ("proxy_read_timeout 120s;", "proxy_read_timeout 2s;");
    let nginx = Nginx::before(server.address(), &[shorter]);
    scenario("cut", &nginx).finish();
}

#[test]
fn a_server_that_drains_says_so_through_nginx() {
    let mut server = Server::start_with(BEHIND);
    let nginx = Nginx::before(server.address(), &[]);
    let mut script = scenario("drain", &nginx);
    script.expect_line("connected");
    server.signal("TERM");
    script.finish();
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn the_server_knows_its_clients_by_what_nginx_says() {
    let server = Server::start_with(BEHIND);
    let nginx = Nginx::before(server.address(), &[]);
    let mut script = scenario("elsewhere", &nginx);
    script.expect_line("connected");
    let users_from = |address: &str| -> Vec<String> {
        let query = format!("/api/admin/why?address={address}");
        let answer = get(server.address(), &query).json();
        let connections = answer["connections"].as_array().expect("a list");
        let users = connections.iter().filter_map(|one| one["user"].as_str());
        users.map(str::to_owned).collect()
    };
    assert_eq!(users_from("127.0.0.2"), ["ada"], "the client's own address");
    assert_eq!(users_from("127.0.0.1"), [""; 0], "not nginx's");
    assert_eq!(users_from("203.0.113.9"), [""; 0], "not what it claims");
    server.signal("TERM");
    script.finish();
}
