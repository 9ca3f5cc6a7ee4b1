//! soketto: polled by hand, since its transport never waits. It hands text over unchecked, so that the caller checks it.

use std::hint::black_box;

use soketto::base::{Codec, Header, OpCode};
use soketto::connection::{Builder, Mode, Receiver, Sender};
use soketto::extension::Extension;
use soketto::extension::deflate::Deflate;

use super::{Job, Outgoing, masking, sending};
use crate::transport::{Transport, complete};
use crate::workload::{self, Incoming};

fn ends(
    transport: Transport,
    mode: Mode,
    deflate: bool,
) -> (Sender<Transport>, Receiver<Transport>) {
    let mut builder = Builder::new(transport, mode);
    if deflate {
        let mut deflate = Deflate::new(mode);
        deflate.configure(&[]).expect("nothing is asked for");
        let deflate: Box<dyn Extension + Send> = Box::new(deflate);
        builder.add_extensions([deflate]);
    }
    builder.finish()
}

/// Receives as a server, into one message buffer.
pub(crate) fn receive(incoming: Incoming, deflate: bool) -> Job {
    let transport = Transport::repeating(incoming.bytes, incoming.arrival);
    let (_, mut receiver) = ends(transport, Mode::Server, deflate);
    let mut message = Vec::new();
    Box::new(move |messages| {
        complete(async {
            let mut bytes = 0;
            for _ in 0..messages {
                message.clear();
                receiver
                    .receive_data(&mut message)
                    .await
                    .expect("the frames are legal");
                if incoming.text {
                    simdutf8::basic::from_utf8(&message).expect("it is text");
                }
                bytes += black_box(&message).len() as u64;
            }
            bytes
        })
    })
}

/// Sends; without a buffered transport header and payload are a write each.
pub(crate) fn send(outgoing: Outgoing) -> Job {
    let text = workload::ascii(outgoing.bytes);
    let mode = if outgoing.client {
        Mode::Client
    } else {
        Mode::Server
    };
    let transport = Transport::write_only();
    let written = transport.written();
    let (mut sender, _receiver) = ends(transport, mode, outgoing.deflate);
    sending(
        move || written.get(),
        move |messages| {
            complete(async {
                for _ in 0..messages / outgoing.per_write {
                    for _ in 0..outgoing.per_write {
                        let sent = if outgoing.binary {
                            sender.send_binary(black_box(&text)).await
                        } else {
                            sender.send_text(black_box(&text)).await
                        };
                        sent.expect("the transport takes everything");
                    }
                    let flushed = sender.flush().await;
                    flushed.expect("the transport takes everything");
                }
            });
        },
    )
}

/// Sends one message to each of `followers` connections.
pub(crate) fn broadcast(bytes: usize, followers: u64) -> Job {
    let text = workload::ascii(bytes);
    let transports = (0..followers).map(|_| Transport::write_only());
    let (counters, mut ends): (Vec<_>, Vec<_>) = transports
        .map(|transport| (transport.written(), ends(transport, Mode::Server, false)))
        .unzip();
    sending(
        move || counters.iter().map(|counter| counter.get()).sum(),
        move |deliveries| {
            complete(async {
                for _ in 0..deliveries / followers {
                    for (sender, _) in &mut ends {
                        let sent = sender.send_text(black_box(&text)).await;
                        sent.expect("the transport takes everything");
                        let flushed = sender.flush().await;
                        flushed.expect("the transport takes everything");
                    }
                }
            });
        },
    )
}

/// Masks a buffer in place.
pub(crate) fn mask(len: usize) -> Job {
    masking(len, |bytes, key| {
        let mut header = Header::new(OpCode::Binary);
        header.set_masked(true).set_mask(u32::from_be_bytes(key));
        Codec::apply_mask(&header, bytes);
    })
}
