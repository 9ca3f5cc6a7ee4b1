//! What the fuzz target `redis_replies` calls: any bytes as what Redis says, in pieces of any size. Whatever they are, nothing
//! panics, pieces are read as the whole is, what waits is bounded, and what is believed is of a size that can be counted with.

use std::time::Duration;

use redis::Value;

use super::{Naming, REPLY_BYTES_MAX, Replies, answer, answers_of, heard, setup};
use crate::ids::LogName;
use crate::log::redis::{Answer, Appended, Bucket, Command, From, Stored};
use crate::log::{Epoch, PageMax, Retention};

/// Reads `data` as replies: the first byte is the size of the pieces less one.
///
/// # Panics
/// What must hold does not.
pub fn redis_replies(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let pieces = read(bytes, usize::from(size) + 1);
    let whole = read(bytes, bytes.len().max(1));
    // The one may know sooner than the other that it is none.
    for (one, other) in pieces.iter().zip(&whole) {
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
    for reply in whole {
        believe(reply);
    }
}

fn read(bytes: &[u8], size: usize) -> Vec<Value> {
    let mut replies = Replies::new(REPLY_BYTES_MAX);
    let mut values = Vec::new();
    for piece in bytes.chunks(size) {
        replies.push(piece);
        while let Ok(Some(value)) = replies.next() {
            values.push(value);
        }
    }
    values
}

/// Takes a reply for the answer to everything that is asked.
fn believe(reply: Value) {
    let naming = Naming {
        prefix: "tw:".to_owned(),
        node: "n1".to_owned(),
        sharded: false,
    };
    // Most are refused, which is as good.
    let _ = (heard(&reply, &naming), setup::saves_always(&reply));
    let _ = (setup::done(&reply), setup::process(&reply));
    let _ = (setup::saved_by(&reply), setup::is_primary(&reply));
    let _ = answers_of(reply.clone(), 1);
    let _ = (setup::sentinel_primary(&reply), setup::slots(&reply));
    for command in commands() {
        match answer(&command, reply.clone()) {
            Answer::Page(page) => {
                let entries = page.entries.iter().map(|entry| entry.position.offset);
                let firsts = page.eras.iter().map(|(first, _)| *first);
                assert!(!page.eras.is_empty());
                countable(entries.chain(firsts).chain([page.oldest, page.head]));
            }
            Answer::Heads(heads) => {
                countable(heads.into_iter().flatten().map(|head| head.offset));
            }
            Answer::Appended(places) => {
                assert_eq!(places.len(), 1);
                countable(places.into_iter().filter_map(|place| match place {
                    Appended::At(position) | Appended::Before { position, .. } => {
                        Some(position.offset)
                    }
                    Appended::LogsFull | Appended::Refused => None,
                }));
            }
            Answer::Run(_)
            | Answer::Broken(_)
            | Answer::Done
            | Answer::Nodes(_)
            | Answer::Failed(_) => {}
        }
    }
}

/// One more is a number, too.
fn countable(mut offsets: impl Iterator<Item = u64>) {
    assert!(offsets.all(|offset| offset < 1 << 53));
}

fn commands() -> Vec<Command> {
    let log = LogName::broadcast();
    let bucket = Bucket::of(&log);
    let epoch = Epoch::new(7);
    let max = PageMax {
        entries: 10,
        bytes: 1000,
    };
    let page = |from| Command::Page {
        log: LogName::broadcast(),
        from,
        max,
        epoch,
    };
    vec![
        page(From::Oldest),
        page(From::Before(None)),
        Command::Heads {
            bucket,
            logs: vec![log.clone()],
        },
        Command::Greet {
            bucket,
            run_id: String::new(),
            saves_always: true,
        },
        Command::Vouch {
            bucket,
            run: 1,
            seen: Vec::new(),
            epoch,
        },
        Command::Append {
            bucket,
            run: 1,
            epoch,
            messages: vec![message(log)],
        },
        Command::Mark {
            bucket,
            marks: Vec::new(),
        },
        Command::Beat {
            node: "n1".to_owned(),
            lease: Duration::from_secs(1),
            vouched: Vec::new(),
            leaves: false,
        },
    ]
}

fn message(log: LogName) -> Stored {
    let draft = crate::log::Draft {
        log,
        from: crate::ids::UserName::server(),
        session: crate::ids::Session::new("s").expect("it is a name"),
        seq: None,
        content: serde_json::value::RawValue::NULL.to_owned(),
        time: 1,
    };
    Stored {
        draft,
        retention: Retention::default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parts of what a call that appends is answered, records and announcements.
    const BYTES: [&[u8]; 5] = [
        b"$23\r\n\0\x01\0\x07\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n",
        b"$23\r\n\x01\x01\0\x07\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\r\n",
        b"$23\r\n\x02\xff\xff\x07\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n",
        b"$13\r\n\x01\x07\0\0\0\x05\0\0\0\0\0\0\0\r\n",
        b"$13\r\n\x01\x07\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\r\n",
    ];

    const WORDS: [&str; 20] = [
        "+OK\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*1\r\n",
        "*5\r\n",
        "*8\r\n",
        "$4\r\n1:77\r\n",
        "$22\r\n18446744073709551615:7\r\n",
        "$23\r\n18446744073709551615-77\r\n",
        "$0\r\n\r\n",
        ":0\r\n",
        ":1\r\n",
        ":-1\r\n",
        ":9223372036854775807\r\n",
        "$4\r\n1-77\r\n",
        "$8\r\n1 a\0s\0\x001\r\n",
        "$7\r\n1 a\0s\0\0\r\n",
        "-STALE a\r\n",
        "-MOVED 1 a:1\r\n",
        "%1\r\n",
    ];

    #[test]
    fn numbers_that_no_log_has_are_not_believed() {
        for bytes in BYTES {
            redis_replies(&[b"\x07", bytes].concat());
            redis_replies(&[b"\x07*1\r\n", bytes].concat());
        }
        for reply in [
            "*6\r\n$4\r\n1:77\r\n:1\r\n$20\r\n18446744073709551615\r\n$0\r\n\r\n:0\r\n:1\r\n",
            "*6\r\n$22\r\n18446744073709551615:7\r\n:1\r\n:5\r\n$0\r\n\r\n:0\r\n:1\r\n",
            "*7\r\n$4\r\n1:77\r\n:1\r\n:5\r\n$0\r\n\r\n:0\r\n$20\r\n18446744073709551615\r\n$8\r\n1 a\0s\0\x001\r\n",
            "*8\r\n$4\r\n1:77\r\n:1\r\n:5\r\n$0\r\n\r\n:0\r\n:99999999999999\r\n$8\r\n1 a\0s\0\x001\r\n$8\r\n1 a\0s\0\x001\r\n",
        ] {
            redis_replies(format!("\x07{reply}").as_bytes());
        }
    }

    proptest! {
        #[test]
        fn whatever_redis_says_is_read_or_refused(
            size in any::<u8>(),
            words in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(&WORDS[..]).prop_map(str::as_bytes),
                    proptest::sample::select(&BYTES[..]),
                ],
                0..12,
            ),
            garbage in proptest::collection::vec(any::<u8>(), 0..6),
        ) {
            let mut data = vec![size];
            data.extend(words.concat());
            data.extend(garbage);
            redis_replies(&data);
        }
    }
}
