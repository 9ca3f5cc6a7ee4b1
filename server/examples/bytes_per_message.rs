//! What a message of the chat has on the wire, in each language, with compression and without: the table of docs/PROTOCOL.md. The
//! traffic is a conversation as people write it, the same in each run.
//!
//! `cargo run -p tidewire --example bytes_per_message`

use std::error::Error;
use std::time::Instant;

use serde_json::value::{RawValue, to_raw_value};
use tidewire::chat::Event;
use tidewire::ids::{RoomName, Session, UserName};
use tidewire::log::{Draft, Entry, Epoch, Position};
use tidewire::transport::dialect::Encoding;
use tidewire_protocol::handshake::header::Extension;
use tidewire_protocol::{Config, Connection, DeflateConfig, Prepared};

/// What is said, over and over.
const SAID: [&str; 12] = [
    "hi all",
    "good morning! did anyone see the deploy go out last night?",
    "yes, 23:40. All green so far",
    "nice 🎉",
    "I still get a 502 from the staging proxy, though. Started about ten minutes ago, only on /api/orders",
    "that's the certificate, it was renewed but nginx was not reloaded. I'm on it",
    "done, try again?",
    "works, thanks!",
    "Können wir das Ticket dann schließen? Ich würde gern die Release Notes fertig machen, bevor das Meeting um elf anfängt",
    "ok",
    "For the record: 1) renew hook missing in the new image, 2) alert was muted since the migration, 3) nobody looked at the \
     dashboard before standup. I'll write it up this afternoon and add the hook; somebody please unmute the alert",
    "lunch?",
];

const USERS: [&str; 4] = ["alice", "Bob", "charlotte.m", "dev-42"];
const MESSAGES: u64 = 1_200;
const TIME_MS: u64 = 1_790_000_000_000;
const EPOCH: Epoch = Epoch::new(0x5eed_0001);

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "| to the client, mean bytes with the frame's header | JSON | JSON, deflate | Protobuf | Protobuf, deflate |"
    );
    println!("|---|---|---|---|---|");
    let texts = entries(|text| to_raw_value(text).map_err(Into::into))?;
    row(
        "a message in a room (mean text: 78 characters)",
        &texts,
        Encoding::of_entry,
    )?;
    let bytes = entries(|text| {
        let content = tidewire::transport::protobuf::binary::content_of(text.as_bytes());
        Ok(content)
    })?;
    row("the same content as bytes", &bytes, Encoding::of_entry)?;
    row("an `ack`", &acks()?, Encoding::of_event)?;
    row("`system`: somebody joins", &joins()?, Encoding::of_event)
}

/// One line of the table.
fn row<T>(
    name: &str,
    all: &[T],
    encode: fn(Encoding, &T) -> Prepared,
) -> Result<(), Box<dyn Error>> {
    print!("| {name} |");
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        for is_compressed in [false, true] {
            let mut connection = Connection::server(Config::default().into(), Instant::now());
            if is_compressed {
                compress(&mut connection)?;
            }
            for one in all {
                connection
                    .send_prepared(&encode(encoding, one))
                    .map_err(|misuse| format!("{misuse:?}"))?;
            }
            print!(" {} |", connection.unsent_bytes() / all.len());
        }
    }
    println!();
    Ok(())
}

/// As the server does by default: each message by itself, from 128 bytes on.
fn compress(connection: &mut Connection) -> Result<(), Box<dyn Error>> {
    let config = DeflateConfig::default();
    let offer = Extension {
        name: "permessage-deflate",
        parameters: Vec::new(),
    };
    let (agreement, _) = config.accept(&[offer]).ok_or("an offer is accepted")?;
    connection.enable_deflate(&config, agreement);
    Ok(())
}

fn entries(
    content: impl Fn(&str) -> Result<Box<RawValue>, Box<dyn Error>>,
) -> Result<Vec<Entry>, Box<dyn Error>> {
    let entry = |number: u64| {
        let offset = number + 1;
        Ok(Entry {
            position: Position {
                epoch: EPOCH,
                offset,
            },
            draft: Draft {
                log: room().log(),
                from: user(number),
                session: Session::http(),
                seq: None,
                content: content(SAID[number as usize % SAID.len()])?,
                time: TIME_MS + 7_300 * number,
            },
        })
    };
    (0..MESSAGES).map(entry).collect()
}

fn acks() -> Result<Vec<Event>, Box<dyn Error>> {
    let ack = |number: u64| {
        Ok(Event::Ack {
            seq: to_raw_value(&number)?,
            room_id: room().log(),
            offset: number + 1,
            epoch: EPOCH,
            time: TIME_MS + 7_300 * number,
            dup: false,
            id: None,
        })
    };
    (0..MESSAGES).map(ack).collect()
}

fn joins() -> Result<Vec<Event>, Box<dyn Error>> {
    let join = |number: u64| {
        let user = user(number);
        Ok(Event::System {
            room_id: room(),
            event: "join",
            content: format!("{user} joined."),
            user,
        })
    };
    (0..MESSAGES).map(join).collect()
}

fn room() -> RoomName {
    RoomName::new("team-platform").expect("it is a name")
}

fn user(number: u64) -> UserName {
    let name = USERS[number as usize * 7 / 3 % USERS.len()];
    UserName::new(name).expect("it is a name")
}
