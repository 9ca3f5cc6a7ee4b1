//! tungstenite: its own buffers, sized as ours; a message to send is shared bytes, so that making one copies nothing.

use std::hint::black_box;

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Message, Utf8Bytes, WebSocket};

use super::{Job, Outgoing, sending};
use crate::transport::Transport;
use crate::workload::{self, Incoming};

fn socket(transport: Transport, role: Role) -> WebSocket<Transport> {
    // It zeroes its buffer for every read. 8 KiB is best for small messages by far; 64 KiB is better for 16 KiB and more,
    // where another peer is the fastest with either.
    let config = WebSocketConfig::default().read_buffer_size(8 << 10);
    WebSocket::from_raw_socket(transport, role, Some(config))
}

/// Receives as a server.
pub(crate) fn receive(incoming: Incoming) -> Job {
    let transport = Transport::repeating(incoming.bytes, incoming.arrival);
    let mut socket = socket(transport, Role::Server);
    Box::new(move |messages| {
        let mut bytes = 0;
        for _ in 0..messages {
            let message = socket.read().expect("the frames are legal");
            bytes += black_box(&message).len() as u64;
        }
        bytes
    })
}

/// Sends; `write` queues, `flush` writes.
pub(crate) fn send(outgoing: Outgoing) -> Job {
    let text = workload::ascii(outgoing.bytes);
    let message = if outgoing.binary {
        Message::Binary(text.into())
    } else {
        Message::Text(text.into())
    };
    let role = if outgoing.client {
        Role::Client
    } else {
        Role::Server
    };
    let transport = Transport::write_only();
    let written = transport.written();
    let mut socket = socket(transport, role);
    sending(
        move || written.get(),
        move |messages| {
            for _ in 0..messages / outgoing.per_write {
                for _ in 0..outgoing.per_write {
                    let message = black_box(&message).clone();
                    socket.write(message).expect("it is open");
                }
                socket.flush().expect("the transport takes everything");
            }
        },
    )
}

/// Sends one message to each of `followers` connections.
pub(crate) fn broadcast(bytes: usize, followers: u64) -> Job {
    let text = workload::ascii(bytes);
    let transports = (0..followers).map(|_| Transport::write_only());
    let (counters, mut sockets): (Vec<_>, Vec<_>) = transports
        .map(|transport| (transport.written(), socket(transport, Role::Server)))
        .unzip();
    sending(
        move || counters.iter().map(|counter| counter.get()).sum(),
        move |deliveries| {
            for _ in 0..deliveries / followers {
                let shared = Bytes::copy_from_slice(black_box(text.as_bytes()));
                let shared = Utf8Bytes::try_from(shared).expect("it is text");
                for socket in &mut sockets {
                    let message = Message::Text(shared.clone());
                    socket.send(message).expect("it is open");
                }
            }
        },
    )
}
