//! MQTT by clients that are not ours: MQTT.js and Paho, in both versions, with somebody who speaks JSON in the same room; and tokens
//! as passwords.

use tidewire_tests::launch::Launch;
use tidewire_tests::script::Script;
use tidewire_tests::{Issuer, Server};

fn start() -> Server {
    let free = ["--messages-per-second", "0"];
    Launch::default().plain().arguments(&free).start()
}

fn mqtt_js(version: &str) {
    let server = start();
    let url = format!("ws://{}", server.address());
    Script::node("mqtt_client.mjs", &[&url, version]).finish();
}

fn paho(version: &str, token: &[&str], server: &Server) {
    let address = server.address();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let words = [&[host.as_str(), port.as_str(), version], token].concat();
    Script::python("mqtt_client.py", &words).finish();
}

#[test]
fn mqtt_js_chats_in_3_1_1_with_who_speaks_json() {
    mqtt_js("4");
}

#[test]
fn mqtt_js_chats_in_5_with_who_speaks_json() {
    mqtt_js("5");
}

#[test]
fn paho_chats_in_3_1_1() {
    paho("4", &[], &start());
}

#[test]
fn paho_chats_in_5() {
    paho("5", &[], &start());
}

#[test]
fn a_token_is_a_password() {
    let issuer = Issuer::new();
    let server = issuer.server(&[]);
    let token = issuer.token("ada", &[]);
    for version in ["4", "5"] {
        paho(version, &[&token], &server);
    }
}
