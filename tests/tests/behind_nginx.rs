//! The server behind nginx with TLS, as `deploy/nginx.conf` has it: pages, chat, streams and files get through, silence is
//! survived, and what is refused is refused with the same words as without a proxy.

use tidewire_tests::browser::people_at;
use tidewire_tests::nginx::Nginx;
use tidewire_tests::script::Script;
use tidewire_tests::{Launch, Server};

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
    let server = Server::start();
    let nginx = Nginx::before(server.address(), &[]);
    let page = format!("https://{}/", nginx.address());
    people_at("page/behind_nginx.mjs", &page).finish();
}

#[test]
fn chat_streams_calls_and_files_get_through() {
    let server = Server::start();
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
    let server = Server::start();
    let nginx = Nginx::before(server.address(), &[]);
    scenario("too_large", &nginx).finish();
}

#[test]
fn who_is_silent_for_longer_than_nginx_waits_by_itself_stays() {
    let server = Server::start();
    let nginx = Nginx::before(server.address(), &[]);
    scenario("silence", &nginx).finish();
}

#[test]
fn without_a_heartbeat_in_time_nginx_would_end_the_connection() {
    let server = Launch::default().arguments(&["--heartbeat", "60s"]).start();
    // So the heartbeat is what kept it in the test above.
    let shorter = ("proxy_read_timeout 120s;", "proxy_read_timeout 2s;");
    let nginx = Nginx::before(server.address(), &[shorter]);
    scenario("cut", &nginx).finish();
}

#[test]
fn a_server_that_drains_says_so_through_nginx() {
    let mut server = Server::start();
    let nginx = Nginx::before(server.address(), &[]);
    let mut script = scenario("drain", &nginx);
    script.expect_line("connected");
    server.signal("TERM");
    script.finish();
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
