//! Sessions that are reached by requests over HTTP, on whichever connection and at whichever worker these come. Such a session has a
//! connection's place at the worker where it began, without a socket until a WebSocket gives it its own; its name tells that worker.
//!
//! ```text
//! request ─► the worker of its connection ── Mail::Knock ──► the session's worker ─► Session::knock
//!               respond ◄──────────────────── Mail::Reply ──────────────┘
//! handshake ─► the worker of its connection ── Mail::Moved ──► the session's worker: a connection of its own, which knocks, too
//! ```

use std::mem;

use tidewire_protocol::{CloseCode, Connection};

use super::Worker;
use super::mail::Mail;
use crate::ids::ConnId;
use crate::net::conn::{App, Conn, State, WebSocket};
use crate::net::receipt::Receipt;
use crate::net::stream::Stream;
use crate::net::table::token_of;
use crate::transport::dialect::{Answer, Dialect, Knock, Refusal, Session, Sid};
use crate::transport::socket_io::{
    App as Purposed, Chat, Echoes, Engine, Entrance, Probing, Purpose, Settings, response,
};
use crate::transport::{Accepted, Endpoint, Http, Response, overloaded};

impl Worker {
    // ---- sessions ----

    /// The machine of a WebSocket at an address of Engine.IO.
    pub(super) fn engine_for(&self, id: ConnId, entrance: &Entrance) -> Box<dyn Session> {
        match entrance.sid {
            Some(sid) => Box::new(Probing::new(sid, self.now)),
            None => {
                let (sid, settings, app) = self.purposed(id, &entrance.purpose);
                Box::new(Engine::over_web_socket(sid, settings, app, self.now))
            }
        }
    }

    fn purposed(&self, id: ConnId, purpose: &Purpose) -> (Sid, Settings, Purposed) {
        let settings = purpose.settings(self.http.socket_io);
        let name = || format!("{:016x}", rand::random::<u64>());
        let app = match purpose {
            Purpose::EngineEcho => Purposed::Echo,
            Purpose::SocketEcho => Purposed::Echoes(Echoes::new(name())),
            Purpose::Chat(joiner) => {
                let chat = Chat::new(&settings, joiner.clone(), name());
                Purposed::Chat(Box::new(chat))
            }
        };
        (Sid::new(id, rand::random()), settings, app)
    }

    /// Begins a session that is polled, of which the first poll is answered at once.
    pub(super) fn open_session(&mut self, asker: ConnId, entrance: Entrance) {
        let mut conn = match self.conn_without_socket(asker) {
            Ok(conn) => conn,
            Err(refusal) => return self.respond(asker, &refusal),
        };
        let id = self.table.insert(|generation| {
            conn.generation = generation;
            conn
        });
        let (sid, settings, app) = self.purposed(id, &entrance.purpose);
        let session = Engine::polled_by(asker, sid, settings, app, self.now);
        let session: Box<dyn Session> = Box::new(session);
        if let Some(web_socket) = self.web_socket(id) {
            web_socket.app = App::Chat(Dialect::Session(Box::new(session)));
        }
        self.hold_token(id, &entrance.purpose.access().clone());
        self.count_socket(id, &Endpoint::Engine(Box::new(entrance)));
        self.knocking.insert(asker, sid);
        self.with_session(id, |session, now, out| session.opened(now, out));
        self.mark_dirty(id);
        if let Some(drain) = self.closing_for() {
            self.close_for_stop(id, drain);
        }
    }

    /// A place for a session whose first request came on this connection: it counts as a connection of the same address.
    fn conn_without_socket(&mut self, asker: ConnId) -> Result<Conn, Response> {
        let others = self.status.connections_of_others();
        if others + self.table.len() >= self.status.connections_max {
            return Err(overloaded());
        }
        let Some(peer) = self.table.get(asker).map(|conn| conn.peer) else {
            return Err(overloaded());
        };
        let pass = self
            .check(peer.ip)
            .map_err(|turned_away| turned_away.response())?;
        let http = Http::new(&self.http, false, self.now.instant);
        let mut conn = Conn::new(Stream::nowhere(), peer.into(), 0, http);
        let mut connection = Connection::server(self.web_sockets.polled.clone(), self.now.instant);
        self.recording.begin(&mut connection);
        conn.state = State::WebSocket(WebSocket::new(connection, App::Gone));
        conn.pass = pass;
        conn.opened = self.recording.opened(self.now);
        Ok(conn)
    }

    // ---- requests ----

    /// A request of one of our connections is for a session, and waits for its answer.
    pub(super) fn knock_for(&mut self, id: ConnId, sid: Sid, knock: Knock) {
        // A poll waits for a ping at most.
        let time = self.http.socket_io.ping_interval + self.http.socket_io.ping_timeout;
        self.with_http(id, |http, _| http.wait_longer(time));
        self.knocking.insert(id, sid);
        self.knock(id, sid, knock);
    }

    /// Knocks at a session, here or at another worker.
    pub(super) fn knock(&mut self, from: ConnId, sid: Sid, knock: Knock) {
        if self.peers.is_ours(sid.conn) {
            self.knock_here(from, sid.conn, Some(sid), knock);
        } else if self.peers.are_anybodys(sid.conn) {
            self.peers
                .post_to_owner(sid.conn, Mail::Knock(from, sid, knock));
        } else {
            self.nobody_there(from, sid, &knock);
        }
    }

    /// Knocks at a session of ours; one that knows who comes is not told its own name.
    pub(super) fn knock_here(&mut self, from: ConnId, at: ConnId, sid: Option<Sid>, knock: Knock) {
        let sid = sid.unwrap_or(Sid::new(at, 0));
        let mut was_heard = false;
        self.with_session(at, |session, now, out| {
            was_heard = session.knock(from, sid, &knock, now, out);
        });
        if !was_heard {
            self.nobody_there(from, sid, &knock);
        }
    }

    fn nobody_there(&mut self, from: ConnId, sid: Sid, knock: &Knock) {
        match knock {
            Knock::Poll | Knock::Post(_) => {
                let is_poll = matches!(knock, Knock::Poll);
                let last_words = is_poll.then(|| self.last_words.take(sid, self.now.instant));
                let refused = Answer::Refused(Refusal::UnknownSession);
                self.reply(from, last_words.flatten().map_or(refused, Answer::Payload));
            }
            Knock::Come | Knock::Probe | Knock::Upgrade => {
                self.close(
                    from,
                    CloseCode::POLICY_VIOLATION,
                    "there is no such session",
                );
            }
            Knock::Gone | Knock::Granted => {}
        }
    }

    /// Nobody waits for an answer on this connection any more.
    pub(super) fn knock_no_more(&mut self, id: ConnId) {
        if let Some(sid) = self.knocking.remove(&id) {
            self.knock(id, sid, Knock::Gone);
        }
    }

    /// A session of ours answers a request, wherever it waits.
    pub(super) fn reply(&mut self, id: ConnId, answer: Answer) {
        if self.peers.is_ours(id) {
            self.answer_knock(id, &answer);
        } else {
            self.peers.post_to_owner(id, Mail::Reply(id, answer));
        }
    }

    /// Answers a request of one of our connections.
    pub(super) fn answer_knock(&mut self, id: ConnId, answer: &Answer) {
        self.knocking.remove(&id);
        self.respond(id, &response(answer));
    }

    /// At the end of a turn: a session without a socket says what it has to say.
    pub(super) fn flush_session(&mut self, id: ConnId) {
        let Some(web_socket) = self.web_socket(id) else {
            return;
        };
        let is_full = web_socket.is_full();
        let mut out = crate::transport::dialect::Out::default();
        if let Some(session) = web_socket.session() {
            session.flush(is_full, &mut out);
        }
        if !out.is_empty() {
            self.carry_out(id, out);
        }
    }

    // ---- WebSockets ----

    /// The worker whose session a handshake is for, if that is another one.
    pub(super) fn owner_of_session(&self, accepted: &Accepted) -> Option<ConnId> {
        let Endpoint::Engine(entrance) = &accepted.endpoint else {
            return None;
        };
        let conn = entrance.sid?.conn;
        (!self.peers.is_ours(conn) && self.peers.are_anybodys(conn)).then_some(conn)
    }

    /// Sends a connection to the worker that has a session, with its handshake still to be answered.
    pub(super) fn send_on(
        &mut self,
        id: ConnId,
        session: ConnId,
        accepted: Accepted,
        input: &[u8],
    ) {
        self.observer.note_unsent(id, 0);
        let Some(mut conn) = self.table.take(id) else {
            return;
        };
        // It is not read here any more, whether or not the kernel says so.
        let _ = conn.stream.deregister(self.poll.registry());
        (conn.in_ready, conn.in_dirty, conn.scheduled) = (false, false, None);
        let mail = Mail::Moved(Box::new(conn), Box::new(accepted), input.to_vec());
        self.peers.post_to_owner(session, mail);
    }

    /// Takes in a connection from another worker.
    pub(super) fn take_in(&mut self, mut conn: Conn, accepted: Accepted, mut input: Vec<u8>) {
        let id = self.table.insert(|generation| {
            conn.generation = generation;
            conn
        });
        let registry = self.poll.registry();
        let registered = self.table.get_mut(id).is_some_and(|conn| {
            // What came meanwhile is told by no event.
            conn.readable = true;
            conn.stream.register(registry, token_of(id)).is_ok()
        });
        if !registered {
            return self.kill(id);
        }
        self.upgrade(id, accepted, &mut input);
        self.mark_dirty(id);
        self.requeue_if_readable(id);
    }

    /// The session at `id` has the socket of `from` from now on, which is a place no more.
    pub(super) fn take_socket(&mut self, id: ConnId, from: ConnId) {
        let Some(Conn {
            stream,
            peer,
            pass,
            state: State::WebSocket(web_socket),
            readable,
            read_closed,
            ..
        }) = self.take_out(from)
        else {
            return;
        };
        let registry = self.poll.registry();
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        conn.stream = stream;
        (conn.peer, conn.pass) = (peer, pass);
        (conn.readable, conn.read_closed) = (readable, read_closed);
        if let State::WebSocket(own) = &mut conn.state {
            own.connection = web_socket.connection;
            own.receipt = Receipt::default();
        }
        let token = token_of(id);
        if conn
            .stream
            .reregister(registry, token, mio::Interest::READABLE)
            .is_err()
        {
            return self.kill(id);
        }
        self.moved_to = Some(id);
        self.retap(id);
        self.mark_dirty(id);
        self.requeue_if_readable(id);
    }

    /// Takes out a connection whose socket goes on elsewhere: nothing has ended.
    fn take_out(&mut self, id: ConnId) -> Option<Conn> {
        self.observer.note_unsent(id, 0);
        self.expiries.forget(id);
        let mut conn = self.table.take(id)?;
        if let State::WebSocket(web_socket) = &mut conn.state {
            let app = mem::replace(&mut web_socket.app, App::Gone);
            self.count_socket_gone(&app);
        }
        Some(conn)
    }
}
