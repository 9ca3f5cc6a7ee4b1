//! Certificates are read again on SIGHUP: who is connected stays, who comes is shown the new one, and files that are no good change
//! nothing.

use std::fs;
use std::net::TcpStream;

use rustls::pki_types::CertificateDer;
use tidewire_tests::tls::connection;
use tidewire_tests::{Client, Identity, Launch, Server, wait_until};

const LIVE: usize = 1000;

/// Whom the server shows itself as to one that trusts `identity`; `None` if that is somebody else.
#[track_caller]
fn shown(server: &Server, identity: &Identity) -> Option<CertificateDer<'static>> {
    let mut socket = TcpStream::connect(server.address()).expect("the server accepts");
    let mut tls = connection(identity.client());
    tls.complete_io(&mut socket).ok()?;
    tls.peer_certificates()?.first().cloned()
}

/// Sends SIGHUP and waits until the server has said something with `told` in it once more.
#[track_caller]
fn reload(server: &Server, told: &str) {
    let count = || server.log().matches(told).count();
    let before = count();
    server.signal("HUP");
    wait_until("the server has read its files again", || count() > before);
}

#[test]
fn rotation_drops_nobody() {
    rlimit::increase_nofile_limit(u64::MAX).expect("as many files as there may be");
    let (old, new) = (Identity::new(), Identity::new());
    let server = Launch::default().tls(&old).start();
    assert_eq!(shown(&server, &old).as_ref(), Some(old.der()));
    let mut live: Vec<_> = (0..LIVE)
        .map(|_| Client::open(server.address(), "/echo"))
        .collect();

    fs::copy(new.certificate(), old.certificate()).expect("a new certificate");
    fs::copy(new.key(), old.key()).expect("its key");
    reload(&server, "the settings were read again");
    wait_until("who comes is shown the new one", || {
        shown(&server, &new).as_ref() == Some(new.der())
    });
    assert_eq!(
        shown(&server, &old),
        None,
        "the old one is not shown any more"
    );
    for (number, client) in live.iter_mut().enumerate() {
        let text = format!("{number} is here");
        client.send_text(&text);
        assert_eq!(client.expect_text(), text);
    }

    // A key that is not the certificate's: what is there stays.
    fs::copy(Identity::new().key(), old.key()).expect("another key");
    reload(&server, "is not the key of the first certificate");
    assert_eq!(shown(&server, &new).as_ref(), Some(new.der()));
    for client in &mut live {
        client.send_text("still");
        assert_eq!(client.expect_text(), "still");
    }
}
