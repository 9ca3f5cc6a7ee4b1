//! What a server agrees to, as `testssl` would ask: TLS 1.2 and 1.3, ciphers that authenticate what they encrypt and keep the past
//! secret, HTTP/1.1, and no certificate of the client. OpenSSL asks where rustls does not speak what is to be refused.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{SignatureScheme, SupportedProtocolVersion};
use tidewire_tests::script::tool;
use tidewire_tests::tls::connection;
use tidewire_tests::{Identity, Launch, Server};

/// What OpenSSL says of a handshake.
struct Seen {
    text: String,
}

impl Seen {
    /// Asks for one.
    #[track_caller]
    fn of(server: &Server, arguments: &[&str]) -> Self {
        let openssl = tool(
            "openssl",
            &["openssl"],
            "install OpenSSL (Debian: `apt-get install openssl`)",
        );
        let output = Command::new(openssl)
            .args(["s_client", "-connect", &server.address().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        Self { text }
    }

    /// The version and the cipher that were agreed on; `None` if none were.
    fn agreed(&self) -> Option<(&str, &str)> {
        let line = self
            .text
            .lines()
            .find(|line| line.contains(", Cipher is "))?;
        let (version, cipher) = line.strip_prefix("New, ")?.split_once(", Cipher is ")?;
        (cipher != "(NONE)").then_some((version, cipher))
    }

    #[track_caller]
    fn assert_refused(&self, alert: &str) {
        assert_eq!(self.agreed(), None, "{}", self.text);
        assert!(self.text.contains(alert), "no {alert:?} in {}", self.text);
    }
}

fn start() -> Server {
    Launch::default().tls(&Identity::shared()).start()
}

#[test]
fn old_versions_are_refused_and_new_ones_agreed_on() {
    let server = start();
    for version in ["-tls1", "-tls1_1"] {
        let seen = Seen::of(&server, &[version, "-cipher", "ALL:@SECLEVEL=0"]);
        seen.assert_refused("alert");
    }
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let seen = Seen::of(&server, &[flag]);
        let agreed = seen.agreed().map(|(version, _)| version);
        assert_eq!(agreed, Some(version), "{}", seen.text);
    }
}

#[test]
fn every_cipher_that_is_agreed_on_is_forward_secret_and_authenticated() {
    let server = start();
    let listed = Command::new("openssl")
        .args([
            "ciphers",
            "-tls1_2",
            "-s",
            "ALL:COMPLEMENTOFALL:@SECLEVEL=0",
        ])
        .output()
        .expect("openssl runs");
    let listed = String::from_utf8(listed.stdout).expect("names of ciphers");
    let names: Vec<&str> = listed.trim().split(':').collect();
    assert!(names.len() > 30, "OpenSSL offers little: {names:?}");
    let mut agreed = Vec::new();
    for name in names {
        let cipher = format!("{name}:@SECLEVEL=0");
        let seen = Seen::of(&server, &["-tls1_2", "-cipher", &cipher]);
        agreed.extend(seen.agreed().map(|(_, cipher)| cipher.to_owned()));
    }
    agreed.sort_unstable();
    // The certificate's key is of ECDSA.
    let expected = [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ];
    assert_eq!(agreed, expected);
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let seen = Seen::of(&server, &["-tls1_3", "-ciphersuites", suite]);
        let agreed = seen.agreed().map(|(_, cipher)| cipher);
        assert_eq!(agreed, Some(suite), "{}", seen.text);
    }
}

#[test]
fn http_1_1_is_agreed_on_and_h2_alone_is_refused() {
    let server = start();
    let seen = Seen::of(&server, &["-alpn", "h2,http/1.1"]);
    assert!(
        seen.text.contains("ALPN protocol: http/1.1"),
        "{}",
        seen.text
    );
    // In TLS 1.3 OpenSSL says by then what cipher it would have been.
    let seen = Seen::of(&server, &["-alpn", "h2"]);
    assert!(
        seen.text.contains("alert no application protocol"),
        "{}",
        seen.text
    );
    let seen = Seen::of(&server, &[]);
    assert!(seen.text.contains("No ALPN negotiated"), "{}", seen.text);
}

#[test]
fn a_client_cannot_negotiate_again_nor_compress() {
    let server = start();
    let seen = Seen::of(&server, &["-tls1_2", "-comp"]);
    assert!(seen.text.contains("Compression: NONE"), "{}", seen.text);
    assert!(
        seen.text.contains("Secure Renegotiation IS supported"),
        "an attacker in between could put a beginning before what is said: {}",
        seen.text
    );
}

#[test]
fn who_comes_back_need_not_be_shown_the_certificate() {
    let server = start();
    let session = Identity::shared().directory().join("session");
    let path = session.to_str().expect("a path in UTF-8");
    // The ticket of TLS 1.2 is part of the handshake, so that it is there however fast OpenSSL leaves.
    Seen::of(&server, &["-tls1_2", "-sess_out", path]);
    let seen = Seen::of(&server, &["-tls1_2", "-sess_in", path]);
    assert!(seen.text.contains("Reused, TLSv1.2"), "{}", seen.text);
}

/// A client that counts how often it is asked for its certificate, and has none.
#[derive(Debug, Default)]
struct Asked(AtomicUsize);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn no_client_is_asked_for_a_certificate() {
    let server = start();
    let versions: [&'static SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
    for version in versions {
        let asked = Arc::new(Asked::default());
        let mut config = Identity::shared().client_of(&[version]);
        config.client_auth_cert_resolver = asked.clone();
        let mut socket = TcpStream::connect(server.address()).expect("the server accepts");
        let mut tls = connection(config);
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).expect("a handshake");
        }
        assert_eq!(tls.protocol_version(), Some(version.version));
        assert_eq!(asked.0.load(Ordering::Relaxed), 0, "{version:?}");
    }
}
