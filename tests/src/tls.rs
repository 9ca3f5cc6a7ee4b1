//! Certificates for servers under test, and the client's end of TLS: rustls' own, since the server's end is what is tested.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, Stream, SupportedProtocolVersion};

use crate::directory::Directory;

/// A certificate that vouches for itself, its key, and their files.
#[derive(Clone, Debug)]
pub struct Identity {
    directory: Arc<Directory>,
    certificate: CertificateDer<'static>,
}

impl Identity {
    /// A new one, for `localhost` and 127.0.0.1.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("a certificate");
        let directory = Directory::new();
        let write = |name: &str, text: String| {
            std::fs::write(directory.path().join(name), text).expect("a file of ours");
        };
        write("cert.pem", cert.pem());
        write("key.pem", signing_key.serialize_pem());
        Self {
            certificate: cert.der().clone(),
            directory: Arc::new(directory),
        }
    }

    /// The one of all servers whose test does not care.
    #[must_use]
    pub fn shared() -> Self {
        static SHARED: OnceLock<Identity> = OnceLock::new();
        SHARED.get_or_init(Self::new).clone()
    }

    /// The certificate's file, which is also what a client is to trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// The key's file.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// The directory of both.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The certificate itself.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What a client needs that trusts nobody else.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> ClientConfig {
        self.client_of(rustls::DEFAULT_VERSIONS)
    }

    /// The same, for certain versions of TLS.
    #[must_use]
    #[track_caller]
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .expect("our certificate");
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that rustls has")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A client's end of a connection to `localhost`.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> ClientConnection {
        connection(self.client())
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

/// A client's end of a connection to `localhost`.
#[must_use]
#[track_caller]
pub fn connection(config: ClientConfig) -> ClientConnection {
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("settings that fit together")
}

/// The servers that speak TLS.
fn servers() -> &'static Mutex<HashMap<SocketAddr, Identity>> {
    static SERVERS: OnceLock<Mutex<HashMap<SocketAddr, Identity>>> = OnceLock::new();
    SERVERS.get_or_init(Mutex::default)
}

/// Notes as whom a server speaks TLS, if it does.
pub(crate) fn note(server: SocketAddr, identity: Option<&Identity>) {
    let mut servers = servers().lock().unwrap_or_else(PoisonError::into_inner);
    match identity {
        Some(identity) => servers.insert(server, identity.clone()),
        None => servers.remove(&server),
    };
}

/// What a client needs to speak to this server, if that is TLS.
pub(crate) fn session_for(server: SocketAddr) -> Option<Session> {
    let servers = servers().lock().unwrap_or_else(PoisonError::into_inner);
    let identity = servers.get(&server)?;
    Some(Session(Box::new(identity.connect())))
}

/// The client's end of a connection.
#[derive(Debug)]
pub(crate) struct Session(Box<ClientConnection>);

impl Session {
    /// What reads and writes through it; the handshake is part of the first of either.
    pub(crate) fn on<'a>(
        &'a mut self,
        socket: &'a mut TcpStream,
    ) -> Stream<'a, ClientConnection, TcpStream> {
        Stream::new(&mut self.0, socket)
    }

    /// Says that nothing more will come.
    pub(crate) fn close(&mut self, socket: &mut TcpStream) {
        self.0.send_close_notify();
        // The server may have closed already.
        let _ = self.0.complete_io(socket);
    }
}
