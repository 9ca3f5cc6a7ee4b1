//! The work that `cargo xtask linear` counts the instructions of: what a peer chooses the size of. A program of its own,
//! because it is built optimized, which `cargo xtask` itself is not.
//!
//! `linear-work NAME SIZE` makes an input of that size and works on it; `linear-work NAME SIZE input` only makes it, so that
//! the difference is the work. `linear-work list` prints the names, their sizes and what they are, between tabs.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tidewire_protocol::handshake::head::{HeadLimits, HeadReader};
use tidewire_protocol::handshake::header;
use tidewire_protocol::handshake::server::{HeaderStorage, Request};
use tidewire_protocol::{Config, Connection, DeflateAgreement, DeflateConfig, Event, Message};

/// Something whose size a peer chooses.
struct Work {
    name: &'static str,
    /// The smaller of the two sizes; the other is twice this.
    size: usize,
    about: &'static str,
    input: fn(usize) -> Vec<u8>,
    run: fn(Vec<u8>) -> Result<()>,
}

const WORKS: [Work; 10] = [
    Work {
        name: "head",
        size: 100_000,
        about: "a request head, bytes, in one read",
        input: head,
        run: |bytes| parse_head(bytes, usize::MAX),
    },
    Work {
        name: "head-bytewise",
        size: 20_000,
        about: "a request head, bytes, in reads of one byte",
        input: head,
        run: |bytes| parse_head(bytes, 1),
    },
    Work {
        name: "extensions",
        size: 2_000,
        about: "offers in a list of extensions, each declined",
        input: |count| {
            vec!["permessage-deflate; unknown=1"; count]
                .join(", ")
                .into()
        },
        run: decline_offers,
    },
    Work {
        name: "text-bytewise",
        size: 20_000,
        about: "a text message, bytes, in reads of one byte",
        input: |size| frame(0x81, "水".repeat(size / 3).as_bytes()),
        run: |bytes| receive(server(), bytes, 1, 1),
    },
    Work {
        name: "binary-bytewise",
        size: 20_000,
        about: "a binary message, bytes, in reads of one byte",
        input: |size| frame(0x82, &vec![7; size]),
        run: |bytes| receive(server(), bytes, 1, 1),
    },
    Work {
        name: "fragments",
        size: 20_000,
        about: "fragments of a text message, of one byte each",
        input: |count| fragments(count, b"x"),
        run: |bytes| receive(server(), bytes, usize::MAX, 1),
    },
    Work {
        name: "empty-fragments",
        size: 20_000,
        about: "fragments of a text message, empty, a read each",
        input: |count| fragments(count, b""),
        run: |bytes| receive(server(), bytes, 6, 1),
    },
    Work {
        name: "deflate-bytewise",
        size: 5_000,
        about: "a deflated message, bytes, in reads of one byte",
        input: deflated,
        run: |bytes| receive(deflating(), bytes, 1, 1),
    },
    Work {
        name: "outbox-bytewise",
        size: 20_000,
        about: "queued bytes, sent one at a time",
        input: |size| vec![7; size],
        run: send_bytewise,
    },
    Work {
        name: "control",
        size: 1_000,
        about: "quadratic on purpose: shows that this would be seen",
        input: |size| vec![7; size],
        run: quadratic,
    },
];

fn main() -> Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (name, size, works) = match words[..] {
        ["list"] => {
            for work in WORKS {
                println!("{}\t{}\t{}", work.name, work.size, work.about);
            }
            return Ok(());
        }
        [name, size] => (name, size, true),
        [name, size, "input"] => (name, size, false),
        _ => bail!("usage: linear-work list | NAME SIZE [input]"),
    };
    let work = WORKS.iter().find(|work| work.name == name);
    let work = work.context("there is no such work; see `linear-work list`")?;
    let input = black_box((work.input)(size.parse()?));
    if works { (work.run)(input) } else { Ok(()) }
}

// ---- the handshake ----

fn head(size: usize) -> Vec<u8> {
    const LINES: usize = 50;
    let value = "v".repeat(size / LINES);
    let lines: String = (0..LINES)
        .map(|line| format!("X-{line}: {value}\r\n"))
        .collect();
    format!("GET / HTTP/1.1\r\nHost: example.org\r\n{lines}\r\n").into_bytes()
}

fn parse_head(mut bytes: Vec<u8>, read: usize) -> Result<()> {
    let mut reader = HeadReader::new(HeadLimits {
        header_line_bytes_max: usize::MAX,
        head_bytes_max: usize::MAX,
        ..HeadLimits::default()
    });
    for piece in bytes.chunks_mut(read) {
        let mut input = piece;
        if let Some(head) = reader.handle_input(&mut input)? {
            Request::parse(&head, &mut HeaderStorage::default())?;
            return Ok(());
        }
    }
    bail!("the head has no end")
}

fn decline_offers(list: Vec<u8>) -> Result<()> {
    let list = String::from_utf8(list)?;
    let offers = header::extensions(&list)?;
    let accepted = DeflateConfig::default().accept(&offers);
    ensure!(accepted.is_none(), "an unknown parameter was accepted");
    Ok(())
}

// ---- the connection ----

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut bytes = match length {
        0..=125 => vec![first, 0x80 | length as u8],
        126..=0xffff => [&[first, 0x80 | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, 0x80 | 127][..], &(length as u64).to_be_bytes()].concat(),
    };
    // A key of zeros, so that nothing has to be masked here.
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

fn fragments(count: usize, payload: &[u8]) -> Vec<u8> {
    let (first, last) = (frame(0x01, payload), frame(0x80, payload));
    let between = frame(0x00, payload).repeat(count);
    [first, between, last].concat()
}

const AGREEMENT: DeflateAgreement = DeflateAgreement {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

fn server() -> Connection {
    Connection::server(Arc::new(Config::default()), Instant::now())
}

fn deflating() -> Connection {
    let mut connection = server();
    connection.enable_deflate(&DeflateConfig::default(), AGREEMENT);
    connection
}

/// A compressed message of about `size` bytes on the wire: numbers do not shrink much.
fn deflated(size: usize) -> Vec<u8> {
    let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761).to_string());
    let text: String = numbers.take(size / 5).collect();
    let config = Arc::new(Config::default());
    let mut client = Connection::client_with_keys(config, Instant::now(), || [0; 4]);
    client.enable_deflate(&DeflateConfig::default(), AGREEMENT);
    let sent = client.send(&Message::text(&text));
    sent.expect("it is open");
    let mut slices = [IoSlice::new(&[])];
    client.poll_transmit(&mut slices);
    slices[0].to_vec()
}

fn receive(
    mut connection: Connection,
    mut bytes: Vec<u8>,
    read: usize,
    expected: usize,
) -> Result<()> {
    let now = Instant::now();
    let mut messages = 0;
    for piece in bytes.chunks_mut(read) {
        let mut input = piece;
        while let Some(event) = connection.handle_input(&mut input, now) {
            let Event::Message(_) = event else {
                bail!("{event:?} is no message");
            };
            messages += 1;
        }
    }
    ensure!(messages == expected, "{messages} messages came");
    Ok(())
}

fn send_bytewise(payload: Vec<u8>) -> Result<()> {
    let mut connection = server();
    for piece in payload.chunks(400) {
        // Some copied, some shared.
        connection.send(&Message::binary(&piece[..piece.len() / 4]))?;
        connection.send_owned(piece.to_vec())?;
    }
    while connection.unsent_bytes() > 0 {
        let mut slices = [IoSlice::new(&[]); 4];
        connection.poll_transmit(&mut slices);
        connection.transmitted(1);
    }
    Ok(())
}

fn quadratic(bytes: Vec<u8>) -> Result<()> {
    for end in 0..bytes.len() {
        black_box(
            black_box(&bytes[..end])
                .iter()
                .map(|&byte| u64::from(byte))
                .sum::<u64>(),
        );
    }
    Ok(())
}
