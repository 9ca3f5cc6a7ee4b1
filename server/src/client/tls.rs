//! TLS as a client of a server: whom it trusts, and the session of one connection. It shares no code with the server's end: a
//! mistake that both made would not be seen.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};

use super::address::Address;

/// Whom a client trusts to say who a server is.
#[derive(Debug, Clone, Default, Args)]
pub struct Trust {
    /// With wss:// or https://: trust the certificates in this PEM file, and no others [default: those that the system trusts]
    #[arg(long, env = "TIDEWIRE_CA", value_name = "FILE", help_heading = "TLS")]
    pub ca: Option<PathBuf>,
}

/// Why TLS cannot be spoken with a server.
#[derive(Debug)]
pub enum TrustError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// There is no certificate in it, or one that is none.
    NoCertificate(PathBuf),
    /// The system trusts nobody; the flag that names who is.
    Nobody(&'static str),
    /// No certificate can be for this name.
    Name(String),
    /// What else rustls does not like.
    Refused(rustls::Error),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::NoCertificate(path) => write!(
                f,
                "there is no certificate to trust in {}: it begins with -----BEGIN CERTIFICATE-----",
                path.display()
            ),
            Self::Nobody(flag) => write!(
                f,
                "the system has no certificates to trust: install them (Debian: ca-certificates), or name some with {flag} FILE"
            ),
            Self::Name(name) => write!(f, "no certificate can be for {name:?}"),
            Self::Refused(error) => write!(f, "TLS cannot be spoken: {error}"),
        }
    }
}

impl std::error::Error for TrustError {}

/// What connections have in common, whatever their servers are called.
#[derive(Debug, Clone)]
pub struct Authorities {
    config: Arc<ClientConfig>,
    /// The flag that names who is trusted, for who is told that nobody is.
    flag: &'static str,
}

impl Authorities {
    /// Trusts the certificates in a file that `flag` names, or those that the system trusts; `protocol` is what is spoken above
    /// TLS, where servers may speak several (RFC 7301).
    ///
    /// # Errors
    /// There is nobody to trust.
    pub fn new(
        file: Option<&Path>,
        flag: &'static str,
        protocol: Option<&[u8]>,
    ) -> Result<Self, TrustError> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TrustError::Refused)?
            .with_root_certificates(roots(file, flag)?)
            .with_no_client_auth();
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        // Each handshake is a whole one: who measures a server means new clients.
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        Ok(Self { config, flag })
    }

    /// What connections to a server of this name or address need.
    ///
    /// # Errors
    /// No certificate can be for that.
    pub fn with(&self, name: &str) -> Result<Tls, TrustError> {
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| TrustError::Name(name.to_owned()))?;
        let authorities = self.clone();
        Ok(Tls { authorities, name })
    }
}

/// What all connections to a server have in common.
#[derive(Debug, Clone)]
pub struct Tls {
    authorities: Authorities,
    name: ServerName<'static>,
}

impl Tls {
    /// What connections to `address` need; `None` if that is without TLS.
    ///
    /// # Errors
    /// There is nobody to trust.
    pub fn new(address: &Address, trust: &Trust) -> Result<Option<Self>, TrustError> {
        if !address.is_tls {
            return Ok(None);
        }
        let authorities = Authorities::new(trust.ca.as_deref(), "--ca", Some(b"http/1.1"))?;
        authorities.with(address.name()).map(Some)
    }

    /// The beginning of a connection.
    pub(super) fn session(&self) -> io::Result<Session> {
        let Authorities { config, flag } = &self.authorities;
        ClientConnection::new(Arc::clone(config), self.name.clone())
            .map(|connection| Session(Box::new(connection), flag))
            .map_err(io::Error::other)
    }
}

fn roots(file: Option<&Path>, flag: &'static str) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        // One that cannot be read is only one less.
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        return if roots.is_empty() {
            Err(TrustError::Nobody(flag))
        } else {
            Ok(roots)
        };
    };
    let text =
        std::fs::read(path).map_err(|error| TrustError::Unreadable(path.to_owned(), error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let (added, _) = roots.add_parsable_certificates(certificates.unwrap_or_default());
    if added == 0 {
        return Err(TrustError::NoCertificate(path.to_owned()));
    }
    Ok(roots)
}

/// The TLS of one connection, whose socket may block or not: where it does, nothing here returns `WouldBlock` before a timeout.
/// Beside it, the flag that names who is trusted.
#[derive(Debug)]
pub(super) struct Session(Box<ClientConnection>, &'static str);

impl Session {
    /// Reads once; 0 is the end.
    pub(super) fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        loop {
            match self.0.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Without close_notify: whoever speaks WebSocket above it knows whether all was said.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.receive(socket)?;
        }
    }

    /// Goes on with the handshake; returns whether it is done.
    pub(super) fn shake(&mut self, socket: &mut (impl Read + Write)) -> io::Result<bool> {
        self.flush_if_it_can(socket)?;
        while self.0.is_handshaking() {
            match self.receive(socket) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes what the socket has, and answers what is to be answered; returns how many bytes that was.
    fn receive(&mut self, socket: &mut (impl Read + Write)) -> io::Result<usize> {
        let read = self.0.read_tls(socket)?;
        if let Err(error) = self.0.process_new_packets() {
            // The alert says why; nobody waits for it to be taken.
            let _ = self.0.write_tls(socket);
            let why = explained(&error, self.1);
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        if self.0.is_handshaking() || self.0.wants_write() {
            self.flush_if_it_can(socket)?;
        }
        Ok(read)
    }

    fn flush_if_it_can(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        match self.flush(socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            flushed => flushed,
        }
    }

    /// Takes bytes, which wait inside until the handshake is done, and writes what it can.
    pub(super) fn write(
        &mut self,
        socket: &mut (impl Read + Write),
        bytes: &[u8],
    ) -> io::Result<usize> {
        self.flush(socket)?;
        let taken = self.0.writer().write(bytes)?;
        if taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.flush_if_it_can(socket)?;
        Ok(taken)
    }

    /// Whether it has something to be written.
    pub(super) fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    /// Writes what was taken.
    ///
    /// # Errors
    /// `WouldBlock` if something is left.
    pub(super) fn flush(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        while self.0.wants_write() {
            match self.0.write_tls(socket) {
                // Told to the caller, it would have what was taken written twice.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => drop(written?),
            }
        }
        Ok(())
    }
}

fn explained(error: &rustls::Error, flag: &str) -> String {
    // What `openssl req -x509` makes if it is not told otherwise; rustls has no variant of its own for it.
    if error.to_string().contains("CaUsedAsEndEntity") {
        return "the server's certificate is one of an authority, not of a server: make it with CA:FALSE".to_owned();
    }
    // The signature is bad where another authority has the same name.
    if let rustls::Error::InvalidCertificate(
        CertificateError::UnknownIssuer | CertificateError::BadSignature,
    ) = error
    {
        return format!(
            "nobody who is trusted vouches for the server's certificate: name who does with {flag} FILE"
        );
    }
    if let rustls::Error::InvalidMessage(_) = error {
        return format!("it does not speak TLS: {error}");
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket whose first write a signal interrupts, each time anew.
    #[derive(Default)]
    struct Interrupted {
        written: Vec<u8>,
        is_second: bool,
    }

    impl Write for Interrupted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.is_second = !self.is_second;
            if self.is_second {
                return Err(ErrorKind::Interrupted.into());
            }
            self.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Interrupted {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    #[test]
    fn a_write_that_is_interrupted_takes_what_it_is_given_once() {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut session = Session(Box::new(connection), "--ca");
        let mut socket = Interrupted::default();
        assert_eq!(session.write(&mut socket, b"hello").unwrap(), 5);
        assert!(!session.wants_write());
        // A record of a handshake: the ClientHello.
        assert_eq!(socket.written[0], 0x16);
    }
}
