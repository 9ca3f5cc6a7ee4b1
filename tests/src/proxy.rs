//! A TCP proxy in front of a server that does to connections what networks do: resets them, ends them, and holds them still.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::wait::uninterrupted;

/// What a proxy does to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both sides get a reset (RST); what is on its way is destroyed.
    Reset,
    /// Both sides get an end (FIN).
    Finish,
    /// Nothing passes any more, and nobody is told.
    Stall,
}

/// A running proxy; it ends with the process.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    links: Arc<Mutex<Vec<Link>>>,
}

/// A connection through the proxy.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    is_stalled: Arc<AtomicBool>,
}

impl Proxy {
    /// A proxy on a free port.
    ///
    /// # Panics
    ///
    /// When the system has no port left.
    #[must_use]
    #[track_caller]
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address of our own");
        let links = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&links);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // While the server is away, its clients find nobody here either.
                if let Ok(server) = TcpStream::connect(server)
                    && let Ok(link) = Link::start(client, server)
                {
                    lock(&kept).push(link);
                }
            }
        });
        Self { address, links }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does something to the connection that has been there for the `index`th longest time, counted around; a stalled one
    /// stays, and can be ended later.
    pub fn strike(&self, index: usize, fault: Fault) {
        let mut links = lock(&self.links);
        if links.is_empty() {
            return;
        }
        let index = index % links.len();
        if fault == Fault::Stall {
            links[index].is_stalled.store(true, Ordering::Relaxed);
        } else {
            links.remove(index).end(fault);
        }
    }
}

impl Link {
    fn start(client: TcpStream, server: TcpStream) -> std::io::Result<Self> {
        let is_stalled = Arc::new(AtomicBool::new(false));
        for (from, to) in [(&client, &server), (&server, &client)] {
            from.set_nodelay(true)?;
            let (from, to, is_stalled) =
                (from.try_clone()?, to.try_clone()?, Arc::clone(&is_stalled));
            thread::spawn(move || pass(from, to, &is_stalled));
        }
        Ok(Self {
            client,
            server,
            is_stalled,
        })
    }

    fn end(self, fault: Fault) {
        for stream in [&self.client, &self.server] {
            let how = match fault {
                Fault::Reset => {
                    // The reset goes out when the last copy of the socket is dropped, in its thread.
                    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                    Shutdown::Read
                }
                Fault::Finish | Fault::Stall => Shutdown::Both,
            };
            // It may have ended by itself, which is as well.
            let _ = stream.shutdown(how);
        }
        self.is_stalled.store(false, Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_stalled: &AtomicBool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = uninterrupted(|| from.read(&mut buffer)) {
        while is_stalled.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(2));
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn lock(links: &Mutex<Vec<Link>>) -> std::sync::MutexGuard<'_, Vec<Link>> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}
