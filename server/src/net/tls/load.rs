//! From files to what a worker needs for TLS: certificate and key, read and checked at the start and at each reload.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig};

use super::keylog::KeyLog;
use crate::config::{KEYLOG_FROM_ENVIRONMENT, TlsOptions};

/// A TLS 1.3 client gets one ticket to come back with, instead of rustls' two: who reconnects gets a new one.
const TICKETS: usize = 1;

/// What a server shows who it is with, and how it speaks TLS; cheap to clone.
#[derive(Debug, Clone)]
pub struct Credentials(pub(in crate::net) Arc<ServerConfig>);

/// Why TLS cannot be spoken as the settings say.
#[derive(Debug)]
pub enum TlsError {
    /// There is a certificate, and no key.
    NoKeyFile,
    /// There is a key, and no certificate.
    NoCertificateFile,
    /// Secrets are to be written, and it is not said where.
    NoKeyLogFile,
    /// Secrets are to be written, and there are none.
    NothingToLog,
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A file is no PEM.
    BadPem(PathBuf, String),
    /// There is no certificate in the file.
    NoCertificate(PathBuf),
    /// There is no private key in the file.
    NoKey(PathBuf),
    /// The key is not the certificate's.
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Certificate or key cannot be used.
    Unusable(PathBuf, Error),
    /// Secrets cannot be written there.
    KeyLog(PathBuf, io::Error),
}

impl TlsError {
    /// Whether the settings make no sense, whatever is in the files.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoKeyFile | Self::NoCertificateFile | Self::NoKeyLogFile | Self::NothingToLog
        )
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeyFile => f.write_str("a certificate needs its key: add --tls-key FILE"),
            Self::NoCertificateFile => {
                f.write_str("a key needs its certificate: add --tls-cert FILE")
            }
            Self::NoKeyLogFile => f.write_str(
                "it is not said where secrets are written: write --keylog FILE, or set SSLKEYLOGFILE",
            ),
            Self::NothingToLog => f.write_str(
                "without TLS there are no secrets to write: leave out --keylog, or add --tls-cert and --tls-key",
            ),
            Self::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::BadPem(path, why) => write!(f, "{} is no PEM file: {why}", path.display()),
            Self::NoCertificate(path) => write!(
                f,
                "there is no certificate in {}: it begins with -----BEGIN CERTIFICATE-----",
                path.display()
            ),
            Self::NoKey(path) => write!(
                f,
                "there is no private key in {}: it begins with -----BEGIN PRIVATE KEY-----, and is not encrypted",
                path.display()
            ),
            Self::KeyMismatch { certificate, key } => write!(
                f,
                "{} is not the key of the first certificate in {}: name those that belong together",
                key.display(),
                certificate.display()
            ),
            Self::Unusable(path, error) => {
                write!(f, "{} cannot be used for TLS: {error}", path.display())
            }
            Self::KeyLog(path, error) => {
                write!(f, "cannot write secrets to {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for TlsError {}

/// Reads what the settings name; `None` where they name nothing, and TLS is not spoken.
///
/// # Errors
/// Something is missing or does not fit: nothing of it is to be used then, and what was used before is as good as it was.
pub fn load(options: &TlsOptions) -> Result<Option<Credentials>, TlsError> {
    let (certificate, key) = match (&options.tls_cert, &options.tls_key) {
        (None, None) if options.keylog.is_some() => return Err(TlsError::NothingToLog),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(TlsError::NoKeyFile),
        (None, Some(_)) => return Err(TlsError::NoCertificateFile),
        (Some(certificate), Some(key)) => (certificate, key),
    };
    let mut config = config(certificate, key)?;
    if let Some(path) = &options.keylog {
        config.key_log = Arc::new(key_log(path)?);
    }
    Ok(Some(Credentials(Arc::new(config))))
}

fn config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let (chain, private) = (read_chain(certificate)?, read_key(key)?);
    let unusable = |error| TlsError::Unusable(certificate.to_owned(), error);
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| unfit(certificate, key, error))?;
    // Upgrade is HTTP/1.1's (RFC 9110 §7.8): who speaks only h2 is told so, instead of being misunderstood.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets hold the session themselves, encrypted by a key that changes: nothing is kept for those who do not come back, and who
    // comes back finds its session at whichever worker it comes to.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new().map_err(unusable)?;
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

/// Why certificate and key cannot be used together.
fn unfit(certificate: &Path, key: &Path, error: Error) -> TlsError {
    if matches!(error, Error::InconsistentKeys(_)) {
        return TlsError::KeyMismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
    }
    // What rustls says of a key that it cannot read.
    let is_of_key = matches!(error, Error::General(_));
    let path = if is_of_key { key } else { certificate };
    TlsError::Unusable(path.to_owned(), error)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::BadPem(path.to_owned(), error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            return TlsError::NoKey(path.to_owned());
        }
        TlsError::BadPem(path.to_owned(), error.to_string())
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable(path.to_owned(), error))
}

fn key_log(path: &Path) -> Result<KeyLog, TlsError> {
    let path = if path == Path::new(KEYLOG_FROM_ENVIRONMENT) {
        let named = std::env::var_os("SSLKEYLOGFILE").map(PathBuf::from);
        named.ok_or(TlsError::NoKeyLogFile)?
    } else {
        path.to_owned()
    };
    KeyLog::open(&path).map_err(|error| TlsError::KeyLog(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use std::fs;

    /// Files of a test's own, which go with it.
    struct Files(PathBuf);

    impl Files {
        fn new(test: &str) -> Self {
            let name = format!("tidewire-tls-{test}-{}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir_all(&directory).unwrap();
            Self(directory)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }

        /// A certificate and its key.
        fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let certificate = self.write(&format!("{name}.pem"), &cert.pem());
            let key = self.write(&format!("{name}.key"), &signing_key.serialize_pem());
            (certificate, key)
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn options(certificate: &Path, key: &Path) -> TlsOptions {
        TlsOptions {
            tls_cert: Some(certificate.to_owned()),
            tls_key: Some(key.to_owned()),
            keylog: None,
        }
    }

    #[test]
    fn a_certificate_and_its_key_are_what_it_takes() {
        let files = Files::new("good");
        let (certificate, key) = files.pair("a");
        let credentials = load(&options(&certificate, &key)).unwrap().unwrap();
        assert_eq!(credentials.0.alpn_protocols, [b"http/1.1"]);
        assert!(load(&TlsOptions::default()).unwrap().is_none());
    }

    #[test]
    fn one_without_the_other_makes_no_sense() {
        let path = PathBuf::from("x.pem");
        let certificate = TlsOptions {
            tls_cert: Some(path.clone()),
            ..TlsOptions::default()
        };
        let key = TlsOptions {
            tls_key: Some(path.clone()),
            ..TlsOptions::default()
        };
        let keylog = TlsOptions {
            keylog: Some(path),
            ..TlsOptions::default()
        };
        for (options, told) in [
            (certificate, "--tls-key"),
            (key, "--tls-cert"),
            (keylog, "leave out --keylog"),
        ] {
            let error = load(&options).unwrap_err();
            assert!(
                error.is_usage() && error.to_string().contains(told),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_name() {
        let files = Files::new("bad");
        let ((a, a_key), (_, b_key)) = (files.pair("a"), files.pair("b"));
        let empty = files.write("empty.pem", "nothing\n");
        let torn = files.write(
            "torn.pem",
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        );
        let junk = files.write(
            "junk.pem",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        );
        let nowhere = files.0.join("nowhere.pem");
        for (certificate, key, told) in [
            (&nowhere, &a_key, "cannot read "),
            (&a, &nowhere, "cannot read "),
            (&empty, &a_key, "there is no certificate in "),
            (&a_key, &a_key, "there is no certificate in "),
            (&torn, &a_key, "is no PEM file"),
            (&a, &empty, "there is no private key in "),
            (&a, &a, "there is no private key in "),
            (&a, &junk, "cannot be used"),
            (&a, &b_key, "is not the key of the first certificate in "),
        ] {
            let error = load(&options(certificate, key)).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(told) && !error.is_usage(), "{text}");
            assert!(text.contains(files.0.to_str().unwrap()), "no name: {text}");
        }
    }

    #[test]
    fn secrets_are_written_where_it_is_said_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let files = Files::new("keylog");
        let (certificate, key) = files.pair("a");
        let path = files.0.join("secrets.log");
        let mut options = options(&certificate, &key);
        options.keylog = Some(path.clone());
        let config = load(&options).unwrap().unwrap().0;
        config.key_log.log("LABEL", &[1, 0xab], &[0xff]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "LABEL 01ab ff\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        options.keylog = Some(files.0.join("no/such/place"));
        assert!(matches!(load(&options), Err(TlsError::KeyLog(..))));
    }
}
