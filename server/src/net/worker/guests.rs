//! Who comes in: a connection is counted for its address, and where that has too many, or memory is short, it is told so and
//! nothing else. Where a trusted proxy speaks first, the client that it names takes the place of the proxy.

use std::net::{IpAddr, SocketAddr};

use super::Worker;
use super::io::OVERLOADED_MAX;
use crate::ids::ConnId;
use crate::limit::{Level, Pass, Refused};
use crate::net::conn::{Conn, Peer, State};
use crate::net::stream::Stream;
use crate::transport::{
    Gate, HEADER_BYTES_MAX, Http, NotProxied, Preface, TurnedAway, parse_preface,
};

/// What is known of a connection that has just come.
pub(super) struct Guest {
    pass: Option<Pass>,
    gate: Gate,
    awaits_preface: bool,
}

impl Guest {
    pub(super) fn into_conn(
        self,
        stream: Stream,
        peer: SocketAddr,
        generation: u32,
        mut http: Http,
    ) -> Conn {
        http.gate = self.gate;
        let mut conn = Conn::new(stream, peer, generation, http);
        conn.pass = self.pass;
        conn.awaits_preface = self.awaits_preface;
        conn
    }
}

impl Worker {
    /// Looks at a new connection. One that is not let in is answered, as long as those are few; else it is only told what
    /// fits into one write.
    pub(super) fn let_in(&mut self, ip: IpAddr) -> Result<Guest, TurnedAway> {
        let ip = ip.to_canonical();
        let is_proxy = self.http.proxies.is_trusted(ip);
        let mut guest = Guest {
            pass: None,
            gate: Gate::of(is_proxy.then_some(ip)),
            awaits_preface: is_proxy && self.http.proxies.proxy_protocol,
        };
        match self.check(ip) {
            Ok(pass) => guest.pass = pass,
            Err(turned_away) if self.turned_away >= OVERLOADED_MAX => return Err(turned_away),
            Err(turned_away) => {
                self.turned_away += 1;
                guest.gate.turned_away = Some(turned_away);
            }
        }
        Ok(guest)
    }

    /// There is no connection for who was looked at.
    pub(super) fn send_away(&mut self, guest: &Guest) {
        self.turned_away -= usize::from(guest.gate.turned_away.is_some());
    }

    /// The right to be one more connection of this address, where those are limited.
    pub(super) fn check(&mut self, ip: IpAddr) -> Result<Option<Pass>, TurnedAway> {
        if self.memory.level() > Level::Enough {
            self.status.own.memory_refused += 1;
            return Err(TurnedAway::Memory);
        }
        let Some(addresses) = &self.http.addresses else {
            return Ok(None);
        };
        let entered = addresses.enter(ip, self.now.instant);
        entered.map_err(|refused| {
            self.count_refused(refused);
            TurnedAway::Address(refused)
        })
    }

    const fn count_refused(&mut self, refused: Refused) {
        match refused {
            Refused::Full => self.status.own.address_full += 1,
            Refused::TooFast(_) => self.status.own.address_too_fast += 1,
        }
    }

    /// After a request: notes whose it was, if a proxy said so.
    pub(super) fn note_client(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let State::Http(http) = &mut conn.state else {
            return;
        };
        let (news, refused) = (http.gate.take_news(), http.gate.take_refused());
        if let Some((ip, pass)) = news {
            // The proxy's port tells its connections apart; the client's own is not known.
            conn.peer.ip = ip;
            conn.pass = pass;
        }
        if let Some(refused) = refused {
            self.count_refused(refused);
        }
    }

    /// Takes the header with which a proxy begins a connection. Nothing behind it is read: that is for whoever comes next, TLS
    /// or HTTP. The time for it is that for a request head.
    pub(super) fn take_preface(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        if !conn.awaits_preface {
            return;
        }
        let mut bytes = [0; HEADER_BYTES_MAX];
        let there = match conn.stream.peek(&mut bytes) {
            Ok(Some(there)) => there,
            Ok(None) => return conn.readable = false,
            Err(error) => return self.lose(id, error.kind()),
        };
        match parse_preface(&bytes[..there]) {
            // No more will come; a health check may well end without a word.
            _ if there == 0 => self.kill(id),
            Ok(Preface::Partial) if conn.read_closed => self.kill(id),
            Ok(Preface::Partial) => conn.readable = false,
            Err(NotProxied) => {
                let ip = conn.peer.ip;
                self.tell_not_proxied(ip);
                self.kill(id);
            }
            Ok(Preface::Complete { used, client }) => {
                conn.awaits_preface = false;
                // These bytes are there.
                if !conn.stream.skip(&mut bytes[..used]) {
                    return self.kill(id);
                }
                if let Some(client) = client {
                    self.come_from(id, client);
                }
            }
        }
    }

    /// The connection is this client's, not its proxy's.
    fn come_from(&mut self, id: ConnId, client: SocketAddr) {
        let peer = Peer::from(client);
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        conn.peer = peer;
        if conn.is_turned_away() {
            return;
        }
        let Ok(guest) = self.let_in(peer.ip) else {
            return self.kill(id);
        };
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        conn.pass = guest.pass;
        if let State::Http(http) = &mut conn.state {
            http.gate = guest.gate;
        }
    }
}
