//! nginx in front of a server, with the configuration that `deploy/` has: only addresses, paths and the user are the test's.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::daemon::free_address;
use crate::directory::Directory;
use crate::script::debian_tool;
use crate::tls::Identity;
use crate::wait::wait_until;

/// A running nginx; dropping it ends its process.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    address: SocketAddr,
    plain: SocketAddr,
    identity: Identity,
    directory: Directory,
}

impl Nginx {
    /// Starts one that passes everything on to `upstream`. Each of `changes` is a line of the configuration and what it is for
    /// this test.
    ///
    /// # Panics
    ///
    /// When nginx is missing or does not start, or the configuration has not exactly one place of something to be changed.
    #[must_use]
    #[track_caller]
    pub fn before(upstream: SocketAddr, changes: &[(&str, &str)]) -> Self {
        let server = format!("server {upstream};");
        let place = [("server 127.0.0.1:8080;", server)];
        Self::with("nginx.conf", place, changes)
    }

    /// Starts one before two nodes.
    ///
    /// # Panics
    ///
    /// As [`before`](Self::before).
    #[must_use]
    #[track_caller]
    pub fn before_nodes(nodes: [SocketAddr; 2], changes: &[(&str, &str)]) -> Self {
        let [one, other] = nodes.map(|node| format!("server {node} "));
        let places = [
            ("server 127.0.0.1:8081;", format!("server {};", nodes[0])),
            ("server 127.0.0.1:8081 ", one),
            ("server 127.0.0.1:8082 ", other),
        ];
        Self::with("cluster/nginx.conf", places, changes)
    }

    /// Starts one with a configuration of `deploy/`.
    #[track_caller]
    fn with<const N: usize>(
        configuration: &str,
        upstreams: [(&str, String); N],
        changes: &[(&str, &str)],
    ) -> Self {
        let directory = Directory::new();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let (address, plain) = (free_address(), free_address());
        let identity = Identity::shared();
        let shown = |path: PathBuf| path.display().to_string();
        let ours = [
            ("user www-data;", String::new()),
            ("worker_processes auto;", "worker_processes 1;".to_owned()),
            (
                "worker_connections 20000;",
                "worker_connections 500;".to_owned(),
            ),
            ("worker_rlimit_nofile 40100;", String::new()),
            ("/run/nginx.pid", path("nginx.pid")),
            (
                "include /etc/nginx/mime.types;",
                temporary(directory.path()),
            ),
            ("/var/log/nginx/access.log", path("access.log")),
            (
                "/etc/ssl/tidewire/fullchain.pem",
                shown(identity.certificate()),
            ),
            ("/etc/ssl/tidewire/privkey.pem", shown(identity.key())),
            ("listen 443 ssl;", format!("listen {address} ssl;")),
            ("listen 80;", format!("listen {plain};")),
        ];
        let mut text =
            std::fs::read_to_string(deploy().join(configuration)).expect("it is in deploy/");
        let theirs = changes.iter().map(|(from, to)| (*from, (*to).to_owned()));
        for (from, to) in ours.into_iter().chain(upstreams).chain(theirs) {
            let count = text.matches(from).count();
            assert_eq!(count, 1, "{from:?} in deploy/{configuration}");
            text = text.replace(from, &to);
        }
        write(&directory.path().join("nginx.conf"), &text);
        let child = start(directory.path());
        let mut nginx = Self {
            child,
            address,
            plain,
            identity,
            directory,
        };
        wait_until("nginx listens", || {
            let ended = nginx.child.try_wait().expect("the state of our own child");
            assert!(ended.is_none(), "nginx has ended: {ended:?}");
            TcpStream::connect(address).is_ok()
        });
        nginx
    }

    /// Where it speaks TLS.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it speaks plain HTTP.
    #[must_use]
    pub const fn plain_address(&self) -> SocketAddr {
        self.plain
    }

    /// Its certificate, which is its own authority.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.identity.certificate()
    }

    /// What it has logged of requests.
    #[must_use]
    #[track_caller]
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("access.log"))
            .expect("nginx writes an access log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its worker; killed, it would leave it behind.
        if let Ok(None) = self.child.try_wait() {
            crate::server::signal(self.child.id(), "TERM");
            let _ = self.child.wait();
        }
    }
}

#[track_caller]
fn start(directory: &Path) -> Child {
    Command::new(debian_tool("nginx", "usr/sbin/nginx"))
        .arg("-p")
        .arg(directory)
        .arg("-e")
        .arg(directory.join("error.log"))
        .arg("-c")
        .arg(directory.join("nginx.conf"))
        .args(["-g", "daemon off;"])
        .stdin(Stdio::null())
        .spawn()
        .expect("nginx can be started")
}

/// Debian's nginx would keep bodies where only root may write.
fn temporary(directory: &Path) -> String {
    let line = |what| format!("{what}_temp_path {};", directory.join(what).display());
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(line)
        .concat()
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

#[track_caller]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the test's own directory can be written");
}
