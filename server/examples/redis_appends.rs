//! What appending to logs in Redis costs, beside a plain `XADD` and `PUBLISH` of each entry: the load of `cargo xtask bench redis`.
//! Both send the same entries over one connection, so many messages at a time, and so many of those at once on their way. The
//! figures go to stdout as one line of JSON; what Redis uses is what its process says of itself, in nanoseconds.
//!
//! `cargo run --release -p tidewire --example redis_appends -- log 127.0.0.1:6379 --pid 4711 --rooms 16 --batch 64`

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use bytes::BytesMut;
use clap::{Parser, ValueEnum};
use redis::Value;
use serde_json::value::RawValue;
use tidewire::ids::{LogName, Session, UserName};
use tidewire::log::redis::wire::{
    Appends, Errand, Naming, Replies, Script, answer, answers_of, pack, pack_errand, setup,
};
use tidewire::log::shared::{Answer, Appended, Bucket, Command, Stored, Trust};
use tidewire::log::{Draft, Epoch, Retention};

/// Batches that are on their way: while one is answered, the next is there.
const AT_ONCE: usize = 2;

/// Entries that a room keeps, in either way.
const ENTRIES_MAX: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// `XADD` and `PUBLISH` of each entry, in one pipeline.
    Plain,
    /// The scripts of the log.
    Log,
}

#[derive(Debug, Parser)]
struct Args {
    way: Way,
    /// Where Redis is. All that is there is deleted.
    address: String,
    /// The process of Redis.
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value_t = 1)]
    rooms: usize,
    /// Messages that are sent at a time.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// Bytes of content.
    #[arg(long, default_value_t = 100)]
    size: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut load = Load::new(&args)?;
    load.call(&["FLUSHALL", "SYNC"])?;
    load.call(&["SCRIPT", "FLUSH"])?;
    if args.way == Way::Log {
        load.open()?;
    }
    // What is made once, and the rooms themselves, do not count.
    load.run(args.way, args.rooms.max(args.batch))?;
    let (began, used) = (Instant::now(), nanoseconds(args.pid)?);
    load.run(args.way, args.messages)?;
    let seconds = began.elapsed().as_secs_f64();
    let used = nanoseconds(args.pid)? - used;
    let figures = serde_json::json!({
        "messages": args.messages,
        "seconds": seconds,
        "redisSeconds": used as f64 / 1e9,
    });
    println!("{figures}");
    Ok(())
}

/// Processor time of all threads of a process.
fn nanoseconds(pid: u32) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let said = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = said.split_whitespace().next().unwrap_or_default();
        sum += first.parse::<u64>()?;
    }
    Ok(sum)
}

/// A connection, and what is sent over it.
struct Load {
    stream: TcpStream,
    replies: Replies,
    naming: Naming,
    rooms: Vec<LogName>,
    content: Box<RawValue>,
    batch: usize,
    sent: usize,
}

/// What is on its way.
enum Batch {
    /// So many replies.
    Plain(usize),
    /// Calls of the script, each with what it was asked.
    Log(Vec<Vec<Command>>),
}

impl Load {
    fn new(args: &Args) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(&args.address)?;
        stream.set_nodelay(true)?;
        let rooms = (0..args.rooms).map(|number| LogName::new(&format!("room-{number}")));
        Ok(Self {
            stream,
            replies: Replies::default(),
            naming: Naming {
                prefix: "tidewire:".to_owned(),
                node: "bench".to_owned(),
                sharded: false,
            },
            rooms: rooms.collect::<Result<_, _>>()?,
            content: RawValue::from_string(format!("\"{}\"", "x".repeat(args.size)))?,
            batch: args.batch.max(1),
            sent: 0,
        })
    }

    fn call(&mut self, words: &[&str]) -> Result<Value, Box<dyn Error>> {
        let mut cmd = redis::Cmd::new();
        cmd.arg(words);
        self.stream.write_all(&cmd.get_packed_command())?;
        self.reply()
    }

    /// Loads the scripts and opens all buckets, as a node does.
    fn open(&mut self) -> Result<(), Box<dyn Error>> {
        for script in Script::ALL {
            let mut out = BytesMut::new();
            pack_errand(&Errand::Load(script), &self.naming, &mut out);
            self.stream.write_all(&out)?;
            setup::done(&self.reply()?).map_err(|failure| failure.to_string())?;
        }
        for bucket in Bucket::all() {
            let greet = Command::Greet {
                bucket,
                run_id: "0123456789012345678901234567890123456789".to_owned(),
                saves_always: false,
            };
            let open = Command::Open {
                bucket,
                run: 1,
                trust: Trust::Doubtful,
            };
            for command in [greet, open] {
                let mut out = BytesMut::new();
                pack(&command, &self.naming, &mut out);
                self.stream.write_all(&out)?;
                let reply = self.reply()?;
                if let Answer::Failed(failure) = answer(&command, reply) {
                    return Err(failure.to_string().into());
                }
            }
        }
        Ok(())
    }

    /// Sends so many messages and waits for all answers.
    fn run(&mut self, way: Way, messages: usize) -> Result<(), Box<dyn Error>> {
        let mut under_way = VecDeque::new();
        let mut left = messages;
        let mut out = BytesMut::new();
        while left > 0 || !under_way.is_empty() {
            while left > 0 && under_way.len() < AT_ONCE {
                let count = self.batch.min(left);
                left -= count;
                out.clear();
                under_way.push_back(match way {
                    Way::Plain => self.plain(count, &mut out),
                    Way::Log => self.log(count, &mut out),
                });
                self.stream.write_all(&out)?;
            }
            if let Some(batch) = under_way.pop_front() {
                self.answered(batch)?;
            }
        }
        Ok(())
    }

    /// The next message: each room has its turn.
    fn next(&mut self) -> Draft {
        let log = self.rooms[self.sent % self.rooms.len()].clone();
        self.sent += 1;
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
        Draft {
            log,
            from: UserName::new("alice").expect("it is a name"),
            session: Session::new("session-123").expect("it is a name"),
            seq: RawValue::from_string(self.sent.to_string()).ok(),
            content: self.content.clone(),
            time: since.map_or(0, |since| since.as_millis() as u64),
        }
    }

    fn plain(&mut self, count: usize, out: &mut BytesMut) -> Batch {
        for _ in 0..count {
            let draft = self.next();
            let key = self.naming.log(&draft.log);
            let seq = draft.seq.as_ref().map_or("", |seq| seq.get());
            let name = format!("{}\0{}\0{seq}", draft.from, draft.session);
            let entry = format!("{} {}", draft.time, draft.content);
            let max = ENTRIES_MAX.to_string();
            let mut add = redis::Cmd::new();
            add.arg(&["XADD", &key, "MAXLEN", "~", &max, "*", &name, &entry]);
            out.extend_from_slice(&add.get_packed_command());
            let mut publish = redis::Cmd::new();
            publish.arg(&["PUBLISH", &key, seq]);
            out.extend_from_slice(&publish.get_packed_command());
        }
        Batch::Plain(2 * count)
    }

    /// In as few calls as the engine makes of them: a batch of each bucket, and together what may be.
    fn log(&mut self, count: usize, out: &mut BytesMut) -> Batch {
        let retention = Retention {
            entries_max: ENTRIES_MAX,
            ..Retention::default()
        };
        let mut buckets: Vec<Vec<Stored>> = Bucket::all().map(|_| Vec::new()).collect();
        for _ in 0..count {
            let draft = self.next();
            let bucket = usize::from(Bucket::of(&draft.log).number());
            buckets[bucket].push(Stored { draft, retention });
        }
        let mut calls = vec![(Appends::default(), Vec::new())];
        for (bucket, messages) in Bucket::all().zip(buckets) {
            if messages.is_empty() {
                continue;
            }
            let command = Command::Append {
                bucket,
                run: 1,
                epoch: Epoch::new(77),
                messages,
            };
            if calls
                .last()
                .is_some_and(|(call, _)| !call.has_room_for(&command, &self.naming))
            {
                calls.push((Appends::default(), Vec::new()));
            }
            if let Some((call, commands)) = calls.last_mut() {
                call.add(&command, &self.naming);
                commands.push(command);
            }
        }
        for (call, _) in &calls {
            call.write(&self.naming, out);
        }
        Batch::Log(calls.into_iter().map(|(_, commands)| commands).collect())
    }

    /// Waits for what a batch is answered, which is to be that all of it is there.
    fn answered(&mut self, batch: Batch) -> Result<(), Box<dyn Error>> {
        match batch {
            Batch::Plain(replies) => {
                for _ in 0..replies {
                    if let Value::ServerError(error) = self.reply()? {
                        return Err(format!("{error:?}").into());
                    }
                }
            }
            Batch::Log(calls) => {
                for commands in calls {
                    let reply = self.reply()?;
                    let answers = answers_of(reply, commands.len()).ok_or("another number")?;
                    for (command, reply) in commands.iter().zip(answers) {
                        check(&answer(command, reply))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn reply(&mut self) -> Result<Value, Box<dyn Error>> {
        let mut buffer = [0; 65_536];
        loop {
            if let Some(value) = self.replies.next()? {
                return Ok(value);
            }
            let read = self.stream.read(&mut buffer)?;
            if read == 0 {
                return Err("Redis has closed the connection".into());
            }
            self.replies.push(&buffer[..read]);
        }
    }
}

/// All of it is new.
fn check(answer: &Answer) -> Result<(), Box<dyn Error>> {
    if let Answer::Appended(places) = answer
        && places.iter().all(|place| matches!(place, Appended::At(_)))
    {
        return Ok(());
    }
    Err(format!("not appended: {answer:?}").into())
}
