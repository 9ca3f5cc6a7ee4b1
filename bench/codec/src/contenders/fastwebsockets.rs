//! fastwebsockets: polled by hand, since its transport never waits; payloads are lent, so that sending copies nothing more.

use std::hint::black_box;

use fastwebsockets::{FragmentCollector, Frame, Payload, Role, WebSocket};

use super::{Job, Outgoing, masking, sending};
use crate::transport::{Transport, complete};
use crate::workload::{self, Incoming};

/// Receives as a server: it checks whole text itself.
pub(crate) fn receive(incoming: Incoming) -> Job {
    let transport = Transport::repeating(incoming.bytes, incoming.arrival);
    let mut socket = WebSocket::after_handshake(transport, Role::Server);
    Box::new(move |messages| {
        complete(async {
            let mut bytes = 0;
            for _ in 0..messages {
                let frame = socket.read_frame().await.expect("the frames are legal");
                bytes += black_box(&frame.payload).len() as u64;
            }
            bytes
        })
    })
}

/// Receives as a server, through what puts fragments together.
pub(crate) fn receive_fragmented(incoming: Incoming) -> Job {
    let transport = Transport::repeating(incoming.bytes, incoming.arrival);
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(transport, Role::Server));
    Box::new(move |messages| {
        complete(async {
            let mut bytes = 0;
            for _ in 0..messages {
                let frame = socket.read_frame().await.expect("the frames are legal");
                bytes += black_box(&frame.payload).len() as u64;
            }
            bytes
        })
    })
}

/// Sends; it has no queue, so that every message is a write of its own.
pub(crate) fn send(outgoing: Outgoing) -> Job {
    let text = workload::ascii(outgoing.bytes);
    let role = if outgoing.client {
        Role::Client
    } else {
        Role::Server
    };
    let transport = Transport::write_only();
    let written = transport.written();
    let mut socket = WebSocket::after_handshake(transport, role);
    // A client masks in place: what is lent to it must be a copy.
    let mut scratch = text.clone().into_bytes();
    sending(
        move || written.get(),
        move |messages| {
            complete(async {
                for _ in 0..messages {
                    let payload = if outgoing.client {
                        scratch.copy_from_slice(black_box(text.as_bytes()));
                        Payload::BorrowedMut(&mut scratch)
                    } else {
                        Payload::Borrowed(black_box(text.as_bytes()))
                    };
                    let frame = if outgoing.binary {
                        Frame::binary(payload)
                    } else {
                        Frame::text(payload)
                    };
                    let sent = socket.write_frame(frame).await;
                    sent.expect("the transport takes everything");
                }
            });
        },
    )
}

/// Sends one message to each of `followers` connections.
pub(crate) fn broadcast(bytes: usize, followers: u64) -> Job {
    let text = workload::ascii(bytes);
    let transports = (0..followers).map(|_| Transport::write_only());
    let (counters, mut sockets): (Vec<_>, Vec<_>) = transports
        .map(|transport| {
            (
                transport.written(),
                WebSocket::after_handshake(transport, Role::Server),
            )
        })
        .unzip();
    sending(
        move || counters.iter().map(|counter| counter.get()).sum(),
        move |deliveries| {
            complete(async {
                for _ in 0..deliveries / followers {
                    for socket in &mut sockets {
                        let payload = Payload::Borrowed(black_box(text.as_bytes()));
                        let sent = socket.write_frame(Frame::text(payload)).await;
                        sent.expect("the transport takes everything");
                    }
                }
            });
        },
    )
}

/// Masks a buffer in place.
pub(crate) fn mask(len: usize) -> Job {
    masking(len, fastwebsockets::unmask)
}
