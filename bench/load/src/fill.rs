//! A room's history: so many short messages, acknowledged by the thousand.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::frame::{self, Header};
use crate::net::{self, Poll};
use crate::{Target, meter};

/// Messages to an acknowledgement.
const STEP: u64 = 2000;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many
    #[arg(long)]
    messages: u64,
    /// The room
    #[arg(long, default_value = "bench")]
    room: String,
}

pub(crate) fn run(options: &Options) -> Result<Value> {
    drop(net::open_first(&options.target)?);
    let (socket, mut received) = net::open(&options.target, 0, false)?;
    let mut poll = Poll::new()?;
    poll.add(&socket, 0, false)?;
    let (begin, mut done) = (meter::now(), 0);
    let mut buffer = vec![0; 64 << 10];
    while done < options.messages {
        let count = STEP.min(options.messages - done);
        let batch = batch(&options.room, done, count);
        done += count;
        let acknowledged = format!("\"seq\":\"{done}\"");
        let mut unsent = &batch[..];
        while !is_acknowledged(&mut received, &acknowledged)? {
            unsent = &unsent[net::send(&socket, unsent)?..];
            poll.change(&socket, 0, !unsent.is_empty())?;
            ensure!(poll.wait(10_000_000_000)? > 0, "no answer in ten seconds");
            if let Some(count) = net::receive(&socket, &mut buffer)? {
                ensure!(count > 0, "the server closed the connection");
                received.extend_from_slice(&buffer[..count]);
            }
        }
        if done % 100_000 == 0 {
            eprintln!("{done} of {} are kept", options.messages);
        }
    }
    let seconds = (meter::now() - begin) as f64 / 1e9;
    Ok(json!({ "count": done, "seconds": seconds }))
}

/// Messages behind the `done`th; the last one wants to be acknowledged.
fn batch(room: &str, done: u64, count: u64) -> Vec<u8> {
    let mut batch = Vec::new();
    for number in done + 1..=done + count {
        let seq = match number == done + count {
            true => format!(",\"seq\":\"{number}\""),
            false => String::new(),
        };
        let text = format!(
            "{{\"type\":\"room_msg\",\"roomId\":\"{room}\",\"content\":\"message {number:010}\"{seq}}}"
        );
        let key = frame::key(number);
        frame::push(&mut batch, frame::TEXT, false, text.as_bytes(), key);
    }
    batch
}

/// Takes whole frames out of what was received, and looks for the one.
fn is_acknowledged(received: &mut Vec<u8>, wanted: &str) -> Result<bool> {
    let (mut used, mut found) = (0, false);
    while let Some(header) = Header::parse(&received[used..])?
        && let Some(payload) = received[used + header.len..].get(..header.payload)
    {
        let text = String::from_utf8_lossy(payload);
        let is_answer = matches!(header.opcode, frame::TEXT | frame::PING);
        ensure!(
            is_answer && !text.contains("\"type\":\"error\""),
            "refused: {text}"
        );
        found |= text.contains("\"type\":\"ack\"") && text.contains(wanted);
        used += header.len + header.payload;
    }
    received.drain(..used);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_of_a_batch_wants_an_answer() {
        let batch = batch("r", 10, 3);
        let (mut at, mut lens) = (0, Vec::new());
        while at < batch.len() {
            let len = 6 + usize::from(batch[at + 1] & 0x7f);
            lens.push(len);
            at += len;
        }
        assert_eq!(lens.len(), 3);
        assert_eq!(lens[0], lens[1]);
        assert_eq!(lens[2], lens[0] + ",\"seq\":\"13\"".len());
    }

    #[test]
    fn an_acknowledgement_is_found_behind_other_frames() {
        let frame = |text: &str| [&[0x81, text.len() as u8], text.as_bytes()].concat();
        let ack = frame(r#"{"type":"ack","seq":"13"}"#);
        let mut received = [frame(r#"{"type":"welcome"}"#), ack.clone()].concat();
        let rest = received.split_off(received.len() - 3);
        assert!(!is_acknowledged(&mut received, "\"seq\":\"13\"").unwrap());
        received.extend_from_slice(&rest);
        assert!(is_acknowledged(&mut received, "\"seq\":\"13\"").unwrap());
        assert!(received.is_empty());
        let mut refused = frame(r#"{"type":"error"}"#);
        assert!(is_acknowledged(&mut refused, "x").is_err());
    }
}
