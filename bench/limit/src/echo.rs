//! Echo without looking: bytes are counted, and each time a request's length is full a reply of the same payload is owed.

use crate::connection::Connection;
use crate::frame::{self, Request};
use crate::server::{Peers, Work};

/// What a reply consists of.
const FILLER: u8 = b'.';

/// How long a run of replies is that one `send` can take from.
const RUN: usize = 512 << 10;

/// The replies that are made already.
#[derive(Default)]
pub(crate) struct Echo {
    replies: Vec<Reply>,
}

struct Reply {
    first: u8,
    payload: usize,
    /// One frame.
    len: usize,
    /// Several, so that what is owed is one slice.
    run: Vec<u8>,
}

impl Echo {
    fn reply(&mut self, request: Request) -> usize {
        let made = self
            .replies
            .iter()
            .position(|reply| reply.first == request.first && reply.payload == request.payload);
        made.unwrap_or_else(|| {
            self.replies.push(Reply::to(request));
            self.replies.len() - 1
        })
    }
}

impl Reply {
    fn to(request: Request) -> Self {
        let mut frame = Vec::new();
        frame::push_header(&mut frame, request.first, request.payload);
        frame.resize(frame.len() + request.payload, FILLER);
        // One more, because a run may begin anywhere in the first frame.
        let count = (RUN / frame.len()).clamp(1, 64) + 1;
        Self {
            first: request.first,
            payload: request.payload,
            len: frame.len(),
            run: frame.repeat(count),
        }
    }
}

impl Work for Echo {
    fn read(&mut self, peers: &mut Peers, token: usize, bytes: &[u8]) -> bool {
        let Some(connection) = &mut peers.all[token] else {
            return true;
        };
        if connection.request == 0 {
            let Some(request) = Request::parse(bytes) else {
                return true;
            };
            if request.first == frame::CLOSE {
                connection.say_goodbye();
                return false;
            }
            connection.request = request.len();
            connection.reply = self.reply(request);
        }
        connection.counted += bytes.len();
        let complete = connection.counted / connection.request;
        connection.counted %= connection.request;
        connection.owed += complete * self.replies[connection.reply].len;
        if complete > 0 && !connection.is_full && !self.write(connection) {
            peers.set_full(token, true);
        }
        true
    }

    fn write(&self, connection: &mut Connection) -> bool {
        let reply = &self.replies[connection.reply];
        while connection.owed > 0 {
            // What is owed ends with a frame, so it says where in a frame the socket stopped.
            let begin = (reply.len - connection.owed % reply.len) % reply.len;
            let end = (begin + connection.owed).min(reply.run.len());
            let sent = connection.send(&reply.run[begin..end]);
            connection.owed -= sent;
            if sent < end - begin {
                return false;
            }
        }
        true
    }

    fn turn_ends(&mut self, _: &mut Peers) {}
}
