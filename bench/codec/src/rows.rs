//! The rows of the table: a workload, and who runs it.

use std::hint::black_box;

use crate::contenders::{Job, Outgoing, fastwebsockets, soketto, tidewire, tungstenite};
use crate::workload::{self, Incoming, READ_BYTES};

/// Followers of a broadcast.
const FOLLOWERS: u64 = 1000;

/// What is read at once at the most.
const SMALL_STEP: u64 = 32;

/// One row.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) about: String,
    /// What the job counts for each message; `None` where compressors differ.
    pub(crate) bytes: Option<u64>,
    /// Messages are run in multiples of this.
    pub(crate) step: u64,
    pub(crate) contenders: Vec<Contender>,
}

/// Who runs a row: the job is made when it is needed.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) job: Box<dyn Fn() -> Job>,
}

/// All rows.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = receiving();
    rows.extend(sending());
    rows.extend(broadcasts());
    rows.extend(parts());
    rows
}

fn receiving() -> Vec<Row> {
    vec![
        receive(
            "in-125-1",
            "receive text, 125 B, 1 per read",
            workload::small_text(125, 1),
        ),
        receive(
            "in-125-32",
            "receive text, 125 B, 32 per read",
            workload::small_text(125, 32),
        ),
        receive(
            "in-mixed-125",
            "receive text that is not ASCII, 125 B, 32 per read",
            workload::small_mixed(125, 32),
        ),
        receive(
            "in-16k",
            "receive binary, 16 KiB",
            workload::binary(16 << 10, READ_BYTES),
        ),
        receive(
            "in-16k-text",
            "receive text, 16 KiB",
            workload::text(16 << 10, READ_BYTES),
        ),
        receive(
            "in-1m",
            "receive binary, 1 MiB in one read",
            workload::binary(1 << 20, 2 << 20),
        ),
        receive(
            "in-1m-text",
            "receive text, 1 MiB in one read",
            workload::text(1 << 20, 2 << 20),
        ),
        receive(
            "in-1m-parts",
            "receive binary, 1 MiB in reads of 64 KiB",
            workload::binary(1 << 20, READ_BYTES),
        ),
        receive(
            "in-1m-parts-text",
            "receive text, 1 MiB in reads of 64 KiB",
            workload::text(1 << 20, READ_BYTES),
        ),
        receive_fragmented(),
        receive_deflated("in-deflate-1k", "receive deflated text, 1 KiB", 1 << 10),
        receive_deflated("in-deflate-64k", "receive deflated text, 64 KiB", 64 << 10),
    ]
}

fn receive(id: &'static str, about: &str, incoming: Incoming) -> Row {
    let small = incoming.message_bytes < 1 << 10;
    let step = if small { SMALL_STEP } else { 1 };
    let bytes = Some(incoming.message_bytes as u64);
    let with = |receive: fn(Incoming) -> Job| {
        let incoming = incoming.clone();
        move || receive(incoming.clone())
    };
    let contenders = vec![
        contender(
            "tidewire",
            with(|incoming| tidewire::receive(incoming, false)),
        ),
        contender("tungstenite", with(tungstenite::receive)),
        contender("fastwebsockets", with(fastwebsockets::receive)),
        contender(
            "soketto",
            with(|incoming| soketto::receive(incoming, false)),
        ),
    ];
    Row {
        id,
        about: about.to_owned(),
        bytes,
        step,
        contenders,
    }
}

fn receive_fragmented() -> Row {
    let mut row = receive(
        "in-fragments",
        "receive text, 16 KiB in 16 fragments",
        workload::fragmented(16 << 10, 1 << 10),
    );
    row.contenders[2] = contender("fastwebsockets", || {
        fastwebsockets::receive_fragmented(workload::fragmented(16 << 10, 1 << 10))
    });
    row
}

fn receive_deflated(id: &'static str, about: &str, len: usize) -> Row {
    let incoming = move || workload::deflated(len, tidewire::deflated);
    let contenders = vec![
        contender("tidewire", move || tidewire::receive(incoming(), true)),
        contender("soketto", move || soketto::receive(incoming(), true)),
    ];
    Row {
        id,
        about: about.to_owned(),
        bytes: Some(len as u64),
        step: 1,
        contenders,
    }
}

fn sending() -> Vec<Row> {
    let server = Outgoing {
        bytes: 125,
        binary: false,
        per_write: 1,
        client: false,
        deflate: false,
    };
    let client = Outgoing {
        client: true,
        ..server
    };
    let many = Outgoing {
        per_write: 32,
        ..server
    };
    let binary = |kib: usize| Outgoing {
        bytes: kib << 10,
        binary: true,
        ..server
    };
    let deflated = |kib: usize| Outgoing {
        bytes: kib << 10,
        deflate: true,
        ..server
    };
    vec![
        send("out-125-1", "send text, 125 B, 1 per write", server),
        send("out-125-32", "send text, 125 B, 32 per write", many),
        send("out-16k", "send binary, 16 KiB", binary(16)),
        send("out-1m", "send binary, 1 MiB", binary(1 << 10)),
        send(
            "out-lent-16k",
            "send text that the caller keeps, 16 KiB",
            Outgoing {
                bytes: 16 << 10,
                ..server
            },
        ),
        send(
            "out-lent-1m",
            "send text that the caller keeps, 1 MiB",
            Outgoing {
                bytes: 1 << 20,
                ..server
            },
        ),
        send(
            "out-masked-125",
            "send masked text, 125 B, 32 per write",
            Outgoing {
                per_write: 32,
                ..client
            },
        ),
        send(
            "out-masked-16k",
            "send masked text, 16 KiB",
            Outgoing {
                bytes: 16 << 10,
                ..client
            },
        ),
        send("out-deflate-1k", "send deflated text, 1 KiB", deflated(1)),
        send(
            "out-deflate-64k",
            "send deflated text, 64 KiB",
            deflated(64),
        ),
    ]
}

fn send(id: &'static str, about: &str, outgoing: Outgoing) -> Row {
    let mut contenders = vec![
        contender("tidewire", move || tidewire::send(outgoing)),
        contender("soketto", move || soketto::send(outgoing)),
    ];
    if !outgoing.deflate {
        contenders.insert(
            1,
            contender("tungstenite", move || tungstenite::send(outgoing)),
        );
        contenders.insert(
            2,
            contender("fastwebsockets", move || fastwebsockets::send(outgoing)),
        );
    }
    let key = if outgoing.client { 4 } else { 0 };
    let header = match outgoing.bytes {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    let bytes = (!outgoing.deflate).then_some(outgoing.bytes as u64 + header + key);
    Row {
        id,
        about: about.to_owned(),
        bytes,
        step: outgoing.per_write,
        contenders,
    }
}

fn broadcasts() -> Vec<Row> {
    let row = |id, about: &str, len: usize| Row {
        id,
        about: format!("{about}, each to {FOLLOWERS} connections"),
        bytes: Some(len as u64 + if len > 125 { 4 } else { 2 }),
        step: FOLLOWERS,
        contenders: vec![
            contender("tidewire", move || tidewire::broadcast(len, FOLLOWERS)),
            contender("tungstenite", move || {
                tungstenite::broadcast(len, FOLLOWERS)
            }),
            contender("fastwebsockets", move || {
                fastwebsockets::broadcast(len, FOLLOWERS)
            }),
            contender("soketto", move || soketto::broadcast(len, FOLLOWERS)),
        ],
    };
    vec![
        row("fan-out-125", "send prepared text, 125 B", 125),
        row("fan-out-1k", "send prepared text, 1 KiB", 1 << 10),
    ]
}

fn parts() -> Vec<Row> {
    let mask = |id, about: &str, len: usize| Row {
        id,
        about: about.to_owned(),
        bytes: Some(len as u64),
        step: SMALL_STEP,
        contenders: vec![
            contender("tidewire", move || tidewire::mask(len)),
            contender("fastwebsockets", move || fastwebsockets::mask(len)),
            contender("soketto", move || soketto::mask(len)),
        ],
    };
    let utf8 = |id, about: &str, text: String| Row {
        id,
        about: about.to_owned(),
        bytes: Some(text.len() as u64),
        step: SMALL_STEP,
        contenders: vec![
            checking("tidewire", &text, |bytes| {
                tidewire_protocol::utf8::check(bytes).is_ok()
            }),
            // What fastwebsockets calls.
            checking("simdutf8", &text, |bytes| {
                simdutf8::basic::from_utf8(bytes).is_ok()
            }),
            // What tungstenite calls.
            checking("std", &text, |bytes| std::str::from_utf8(bytes).is_ok()),
        ],
    };
    vec![
        mask("mask-125", "mask 125 B", 125),
        mask("mask-16k", "mask 16 KiB", 16 << 10),
        utf8("utf8-125", "check 125 B of ASCII", workload::ascii(125)),
        utf8(
            "utf8-1k-mixed",
            "check 1 KiB of mixed text",
            workload::mixed(1 << 10),
        ),
    ]
}

/// Who checks text; the check is a type of its own, so that it can be inlined.
fn checking(
    name: &'static str,
    text: &str,
    is_text: impl Fn(&[u8]) -> bool + Copy + 'static,
) -> Contender {
    let text = text.to_owned();
    contender(name, move || {
        let text = text.clone();
        Box::new(move |times| {
            for _ in 0..times {
                assert!(black_box(is_text(black_box(text.as_bytes()))));
            }
            times * text.len() as u64
        })
    })
}

fn contender(name: &'static str, job: impl Fn() -> Job + 'static) -> Contender {
    Contender {
        name,
        job: Box::new(job),
    }
}
