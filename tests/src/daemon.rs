//! A server of somebody else's as a process of the test's own, on a free port and with its data in a directory of the test's. It can be
//! killed, held still, and come back with its data or without.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::directory::Directory;
use crate::server::signal;
use crate::wait::wait_until;

/// A program that serves: how it is started, and whether it is there.
pub trait Program {
    /// What it is called.
    const NAME: &'static str;

    /// Writes the settings that it is started with, once: it may change them itself.
    fn set_up(&self, _place: &Place) {}

    /// What starts it, each time anew.
    fn command(&self, place: &Place) -> Command;

    /// Whether it answers.
    fn answers(&self, place: &Place) -> bool;
}

/// Where a program is.
#[derive(Debug)]
pub struct Place {
    /// Where it listens.
    pub address: SocketAddr,
    directory: Directory,
}

impl Place {
    /// The directory that it has.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it is to keep, which is in there.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// Where it is to write what happens.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory().join("log")
    }

    /// Writes a file in its directory.
    ///
    /// # Panics
    ///
    /// When that cannot be written.
    #[track_caller]
    pub fn write(&self, name: &str, lines: &[String]) {
        fs::write(self.directory().join(name), lines.join("\n") + "\n")
            .expect("the test's own directory can be written");
    }
}

/// A program that runs; dropping it ends its process.
#[derive(Debug)]
pub struct Daemon<P> {
    child: Option<Child>,
    pub(crate) place: Place,
    pub(crate) program: P,
}

impl<P: Program> Daemon<P> {
    /// Starts it and waits until it answers.
    #[track_caller]
    pub(crate) fn run(program: P) -> Self {
        let place = Place {
            address: free_address(),
            directory: Directory::new(),
        };
        fs::create_dir_all(place.data()).expect("the test's own directory can be written");
        program.set_up(&place);
        let mut daemon = Self {
            child: None,
            place,
            program,
        };
        daemon.come_back();
        daemon
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.place.address
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// When it was killed.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// SIGKILL: what it has not given to the system is gone.
    #[track_caller]
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("we may end our own child");
            child.wait().expect("the state of our own child");
        }
    }

    /// Kills it and forgets its data; it is for the caller to start it again.
    #[track_caller]
    pub fn kill_and_empty(&mut self) {
        self.kill();
        let data = self.place.data();
        fs::remove_dir_all(&data).expect("the test's own directory");
        fs::create_dir_all(&data).expect("the test's own directory");
    }

    /// Starts it again with what it has, and does not wait.
    ///
    /// # Panics
    ///
    /// When there is no such program.
    #[track_caller]
    pub fn start_process(&mut self) {
        self.kill();
        let mut command = self.program.command(&self.place);
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) => panic!("{} cannot be started: {error}", P::NAME),
        }
    }

    /// Starts it again with what it has, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn come_back(&mut self) {
        self.start_process();
        wait_until(&format!("{} answers", P::NAME), || {
            let child = self.child.as_mut().expect("it was started above");
            let ended = child.try_wait().expect("the state of our own child");
            assert!(
                ended.is_none(),
                "{} has ended ({ended:?}):\n{}",
                P::NAME,
                fs::read_to_string(self.place.log()).unwrap_or_default()
            );
            self.program.answers(&self.place)
        });
    }

    /// Kills it and starts it with what it has.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        self.come_back();
    }

    /// Holds its process still: nobody is told, and nothing is lost.
    #[track_caller]
    pub fn pause(&mut self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on.
    #[track_caller]
    pub fn resume(&mut self) {
        signal(self.pid(), "CONT");
    }
}

impl<P> Drop for Daemon<P> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail when it has ended by itself, which is as well; who is held still can be killed, too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ports below those that the system gives to who asks for port 0, and to clients: nobody gets one of these by chance.
const PORTS: Range<u16> = 10_000..32_000;

/// One that is free, for those who cannot be given port 0.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Other programs of tests may run beside this one, and begin elsewhere.
    let first = std::process::id().wrapping_mul(2_503);
    for _ in PORTS {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)).wrapping_add(first);
        let port = PORTS.start + (next % u32::from(PORTS.end - PORTS.start)) as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free in {PORTS:?}");
}
