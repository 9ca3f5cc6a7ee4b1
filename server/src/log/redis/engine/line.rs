//! One link as bytes: what it says before it is of use, and how what it brings becomes values.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;
use redis::Value;

use crate::ids::LogName;
use crate::log::redis::wire::{self, Appends, BadReply, Errand, Naming, Replies, Script, setup};
use crate::log::redis::{RedisOptions, Topology};
use crate::log::shared::core::{Ask, Hear, Hello, Said};
use crate::log::shared::{Ack, Answer, Bucket, Command};

/// The version from which on scripts do what they are to.
const VERSION_MIN: (u32, u32) = (7, 0);

/// A link.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) out: BytesMut,
    replies: Replies,
    /// What it was set up with and is not answered.
    steps: VecDeque<Step>,
    /// What was asked after that and is not answered.
    calls: VecDeque<Call>,
    hello: Hello,
}

/// What one reply answers.
#[derive(Debug, Clone, Copy)]
enum Call {
    /// One thing that was asked.
    One,
    /// So many that append, in one call.
    Appends(usize),
}

/// Packs what is to be asked, in order: what appends is put together as far as it may be.
#[derive(Debug, Default)]
pub(super) struct Packing {
    appends: Appends,
}

/// A step of setting up.
#[derive(Debug, Clone, Copy)]
enum Step {
    Done,
    Info,
    Config,
    Role,
    /// A refusal does not matter.
    Optional,
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Commands to a master.
    Commands,
    /// What is announced there.
    Announcements,
    /// Where masters are.
    Guide,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            out: BytesMut::new(),
            replies: Replies::default(),
            steps: VecDeque::new(),
            calls: VecDeque::new(),
            hello: Hello {
                run_id: String::new(),
                saves_always: false,
                unix_ms: None,
            },
        }
    }

    /// Says what a link says first.
    pub(super) fn begin(&mut self, options: &RedisOptions, naming: &Naming, work: Work) {
        let is_sentinel = work == Work::Guide && options.has_sentinels();
        let (user, password) = if is_sentinel {
            (&options.sentinel_user, &options.sentinel_password)
        } else {
            (&options.user, &options.password)
        };
        if let Some(password) = password {
            let (user, password) = (user.as_deref(), password.reveal());
            self.step(Errand::Auth { user, password }, Step::Done, naming);
        }
        let name = format!("tidewire-{}", naming.node.replace(char::is_whitespace, "-"));
        self.step(Errand::Name(&name), Step::Optional, naming);
        if is_sentinel {
            self.step(Errand::Resp3, Step::Done, naming);
            // It tells of itself what comes behind what is asked then.
            return self.step(Errand::SubscribeSwitches, Step::Done, naming);
        }
        if work != Work::Commands {
            return self.step(Errand::Ping, Step::Optional, naming);
        }
        if let Topology::Single { database, .. } = options.topology
            && database > 0
        {
            self.step(Errand::Select(database), Step::Done, naming);
        }
        self.step(Errand::Info, Step::Info, naming);
        self.step(Errand::Config, Step::Config, naming);
        self.step(Errand::Role, Step::Role, naming);
        for script in Script::ALL {
            self.step(Errand::Load(script), Step::Done, naming);
        }
    }

    fn step(&mut self, errand: Errand<'_>, step: Step, naming: &Naming) {
        wire::pack_errand(&errand, naming, &mut self.out);
        self.steps.push_back(step);
    }

    /// Takes what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.replies.push(bytes);
    }

    /// The next reply.
    pub(super) fn next(&mut self) -> Result<Option<Value>, BadReply> {
        self.replies.next()
    }

    /// A reply to each thing that this one answers: to what was asked longest ago.
    ///
    /// # Errors
    /// Nothing was asked, or another number of things: this link is of no use.
    pub(super) fn answers(&mut self, reply: Value) -> Result<Vec<Value>, String> {
        let answers = match self.calls.pop_front() {
            Some(Call::One) => Some(vec![reply]),
            Some(Call::Appends(commands)) => wire::answers_of(reply, commands),
            None => None,
        };
        answers.ok_or_else(|| "it answered what nobody asked".to_owned())
    }

    /// Whether it is still being set up.
    pub(super) fn is_beginning(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Takes the answer to a step; returns who is there once it was the last.
    ///
    /// # Errors
    /// Why this link is of no use, as a sentence.
    pub(super) fn stepped(&mut self, reply: &Value) -> Result<Option<Hello>, String> {
        match self.steps.pop_front() {
            Some(Step::Done) => setup::done(reply).map_err(|failure| failure.to_string())?,
            Some(Step::Info) => {
                let process = setup::process(reply).map_err(|failure| failure.to_string())?;
                if process.version < VERSION_MIN {
                    let (major, minor) = process.version;
                    return Err(format!(
                        "this is Redis {major}.{minor}, and 7.0 or later is needed"
                    ));
                }
                self.hello.saves_always = !process.was_replica;
                self.hello.run_id = process.run_id;
                self.hello.unix_ms = process.unix_ms;
            }
            Some(Step::Config) => self.hello.saves_always &= setup::saves_always(reply),
            Some(Step::Role) => {
                // Who may not ask finds out by what it is refused.
                if !setup::is_primary(reply).unwrap_or(true) {
                    return Err("this Redis is a replica now".to_owned());
                }
            }
            Some(Step::Optional) | None => {}
        }
        if self.is_beginning() {
            return Ok(None);
        }
        Ok(Some(self.hello.clone()))
    }
}

impl Packing {
    /// Packs what a link of commands is to ask, once nothing can be put together with it any more.
    pub(super) fn pack(&mut self, ask: &Ask, line: &mut Line, naming: &Naming) {
        match ask {
            Ask::Command(command @ Command::Append { .. }) => {
                if !self.appends.has_room_for(command, naming) {
                    self.finish(line, naming);
                }
                self.appends.add(command, naming);
            }
            Ask::Command(command) => {
                self.finish(line, naming);
                wire::pack(command, naming, &mut line.out);
                line.calls.push_back(Call::One);
            }
            // It is about the next call alone.
            Ask::Asking => {
                self.finish(line, naming);
                wire::pack_errand(&Errand::Asking, naming, &mut line.out);
                line.calls.push_back(Call::One);
            }
            Ask::Wait(ack, timeout) => {
                self.finish(line, naming);
                wire::pack_errand(&waits(*ack, *timeout), naming, &mut line.out);
                line.calls.push_back(Call::One);
            }
        }
    }

    /// Packs what was put together.
    pub(super) fn finish(&mut self, line: &mut Line, naming: &Naming) {
        let appends = std::mem::take(&mut self.appends);
        if appends.commands() > 0 {
            appends.write(naming, &mut line.out);
            line.calls.push_back(Call::Appends(appends.commands()));
        }
    }
}

/// What asks how many have what was appended.
const fn waits(ack: Ack, timeout: Duration) -> Errand<'static> {
    match ack {
        // Never asked for; it is answered at once.
        Ack::Primary => Errand::Ping,
        Ack::Replicas(replicas) => Errand::Wait {
            replicas: replicas.get(),
            timeout,
        },
        Ack::Aof { replicas } => Errand::WaitAof { replicas, timeout },
    }
}

/// Packs what a link of announcements is to ask.
pub(super) fn pack_hear(hear: &Hear, naming: &Naming, out: &mut BytesMut) {
    let (Hear::Subscribe(logs) | Hear::Unsubscribe(logs)) = hear else {
        return wire::pack_errand(&Errand::Ping, naming, out);
    };
    let mut parts: BTreeMap<Option<Bucket>, Vec<LogName>> = BTreeMap::new();
    for log in logs {
        // In a cluster those of one slot at a time.
        let part = naming.sharded.then(|| Bucket::of(log));
        parts.entry(part).or_default().push(log.clone());
    }
    for logs in parts.values() {
        let errand = match hear {
            Hear::Unsubscribe(_) => Errand::Unsubscribe(logs),
            Hear::Subscribe(_) | Hear::Ping => Errand::Subscribe(logs),
        };
        wire::pack_errand(&errand, naming, out);
    }
}

/// Reads a reply as the answer to what was asked.
pub(super) fn read(ask: &Ask, reply: Value) -> Said {
    match *ask {
        Ask::Command(ref command) => Said::Answer(wire::answer(command, reply)),
        Ask::Asking => Said::Answer(match setup::done(&reply) {
            Ok(()) => Answer::Done,
            Err(failure) => Answer::Failed(failure),
        }),
        Ask::Wait(ack, _) => match setup::saved_by(&reply) {
            Ok((here, replicas)) => Said::Waited(match ack {
                Ack::Primary => true,
                Ack::Replicas(wanted) => replicas >= wanted.get().into(),
                Ack::Aof { replicas: wanted } => here > 0 && replicas >= wanted.into(),
            }),
            Err(failure) => Said::Answer(Answer::Failed(failure)),
        },
    }
}
