//! One link: what is said before it is of use, and then, on one, [jobs](super::jobs), and on the other, what is announced.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use bytes::BytesMut;
use serde_json::json;

use super::exchange::Exchange;
use super::jobs::{Jobs, Kind};
use super::naming::Naming;
use super::options::{NatsLogin, NatsOptions};
use super::pages::Wanted;
use super::store::{Known, Store, Trouble, entry};
use super::text::{self, Incoming, Info, Message, Parser};
use crate::ids::LogName;
use crate::log::shared::core::{Ask, Hear, Heard, Hello, Said};
use crate::log::shared::{Answer, Bucket, Command, Failure};

/// The version from which on streams announce what they take, and are read one message at a time by anybody.
const VERSION_MIN: (u32, u32) = (2, 9);

/// The number of the subscription for answers; those of logs are larger.
const ANSWERS: u64 = 1;

/// A link.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) out: BytesMut,
    parser: Parser,
    stage: Stage,
    is_commands: bool,
    hello: Hello,
    store: Store,
    jobs: Jobs,
    heard: Hearing,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The server says what it is.
    Greeted,
    /// It says whether we may come in.
    LetIn,
    /// What there has to be is looked for.
    SetUp,
    Ready,
}

/// What the link of announcements hears.
#[derive(Debug, Default)]
struct Hearing {
    logs: HashMap<u64, LogName>,
    sids: HashMap<LogName, u64>,
    sid: u64,
    /// Those that are heard once the next question is answered whether somebody is there.
    unconfirmed: VecDeque<Vec<LogName>>,
}

/// What has come of what came.
#[derive(Debug)]
pub(super) enum Event {
    /// It is of use now.
    Ready(Hello),
    /// The oldest command is answered.
    Said(Said),
    /// These logs are heard from now on; none: somebody is there.
    Confirmed(Vec<LogName>),
    Heard(Heard),
}

impl Line {
    pub(super) fn new(options: &NatsOptions, naming: &Rc<Naming>, is_commands: bool) -> Self {
        let exchange = Exchange::new(format!("_INBOX.tidewire.{:032x}", rand::random::<u128>()));
        Self {
            out: BytesMut::new(),
            parser: Parser::default(),
            stage: Stage::Greeted,
            is_commands,
            hello: Hello {
                run_id: String::new(),
                saves_always: options.trusts_restarts,
                // Its messages have the time of the node.
                unix_ms: None,
            },
            jobs: Jobs::new(exchange.clone()),
            store: Store {
                exchange,
                naming: Rc::clone(naming),
                replicas: options.replicas,
                known: Rc::new(RefCell::new(Known::default())),
            },
            heard: Hearing::default(),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Takes what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.parser.push(bytes);
    }

    /// Goes on with what came, up to the first thing that is to be known, if there is one in it.
    ///
    /// # Errors
    /// Why this link is of no use, as a sentence.
    pub(super) fn next(&mut self, options: &NatsOptions) -> Result<Option<Event>, String> {
        loop {
            if let Some(event) = self.outcome()? {
                return Ok(Some(event));
            }
            let Some(incoming) = self.parser.next()? else {
                return Ok(None);
            };
            let event = match incoming {
                Incoming::Info(info) => self.greeted(&info, options)?,
                Incoming::Ping => {
                    text::line(&mut self.out, "PONG");
                    None
                }
                Incoming::Pong => self.ponged(),
                Incoming::Message(message) => self.message(message),
                Incoming::Error(error) => return Err(format!("it said: {error}")),
                Incoming::Other => None,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// The server has said what it is: we say who we are.
    fn greeted(&mut self, info: &Info, options: &NatsOptions) -> Result<Option<Event>, String> {
        if self.stage != Stage::Greeted {
            return Ok(None);
        }
        let version = &info.version;
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
        if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < VERSION_MIN {
            return Err(format!(
                "this is NATS {version}, and 2.9 or later is needed"
            ));
        }
        if !info.headers || !info.jetstream {
            return Err("it has no JetStream: start it with --jetstream".to_owned());
        }
        // A cluster has what it has whatever becomes of one of its servers.
        let cluster = info.cluster.as_ref().filter(|_| options.replicas > 1);
        self.hello.run_id = match cluster {
            Some(cluster) => format!("cluster-{}", cluster.replace(' ', "-")),
            None => info.server_id.clone(),
        };
        self.store.known.borrow_mut().payload_max = info.max_payload;
        let (user, password, token) = match &options.login {
            Some(NatsLogin::User(user, password)) => (Some(user), Some(password.reveal()), None),
            Some(NatsLogin::Token(token)) => (None, None, Some(token.reveal())),
            None => (None, None, None),
        };
        let connect = json!({
            "verbose": false,
            "pedantic": false,
            "name": format!("tidewire-{}", options.node),
            "lang": "tidewire",
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1,
            "headers": true,
            "no_responders": true,
            "user": user,
            "pass": password,
            "auth_token": token,
        });
        text::line(&mut self.out, &format!("CONNECT {connect}"));
        if self.is_commands {
            let answers = self.store.exchange.answers();
            text::line(&mut self.out, &format!("SUB {answers} {ANSWERS}"));
        }
        text::line(&mut self.out, "PING");
        self.stage = Stage::LetIn;
        Ok(None)
    }

    fn ponged(&mut self) -> Option<Event> {
        match self.stage {
            Stage::LetIn if self.is_commands => {
                self.stage = Stage::SetUp;
                let (store, hello) = (self.store.clone(), self.hello.clone());
                let set_up = store.set_up(hello.run_id, hello.saves_always);
                self.jobs.add(None, Kind::Writes, |_| Box::pin(set_up));
                self.store.exchange.take_out(&mut self.out);
                None
            }
            Stage::LetIn => {
                self.stage = Stage::Ready;
                Some(Event::Ready(self.hello.clone()))
            }
            Stage::Greeted | Stage::SetUp | Stage::Ready => {
                let heard = self.heard.unconfirmed.pop_front().unwrap_or_default();
                Some(Event::Confirmed(heard))
            }
        }
    }

    fn message(&mut self, message: Message) -> Option<Event> {
        if message.sid == ANSWERS {
            if let Some(job) = self.store.exchange.answered(message) {
                self.jobs.answered(job);
                self.store.exchange.take_out(&mut self.out);
            }
            return None;
        }
        let log = self.heard.logs.get(&message.sid)?;
        let heard = if Naming::is_broken(&message.subject) {
            Heard::Broken(log.clone())
        } else {
            // Only that there is more: what there is, and whose it is, answers say, in order.
            Heard::Announced(log.clone(), entry(log, &message)?.position)
        };
        Some(Event::Heard(heard))
    }

    /// What came of the oldest job.
    fn outcome(&mut self) -> Result<Option<Event>, String> {
        let Some(outcome) = self.jobs.next_outcome() else {
            return Ok(None);
        };
        let answer = match outcome {
            Ok(answer) => answer,
            Err(Trouble::Failed(failure)) if self.is_ready() => Answer::Failed(failure),
            Err(Trouble::Failed(Failure::Unable(why) | Failure::Refused(why))) => return Err(why),
            Err(Trouble::Failed(failure)) => return Err(format!("{failure:?}")),
            Err(Trouble::Link(why)) => return Err(why),
        };
        if self.is_ready() {
            return Ok(Some(Event::Said(Said::Answer(answer))));
        }
        self.stage = Stage::Ready;
        Ok(Some(Event::Ready(self.hello.clone())))
    }

    // ---- what is asked ----

    /// Begins what a link of commands is to ask.
    pub(super) fn ask(&mut self, ask: &Ask) {
        let Ask::Command(command) = ask else {
            // Never asked for: what is published is answered once it is where it is to be.
            return;
        };
        self.begin(command.clone());
        self.store.exchange.take_out(&mut self.out);
    }

    fn begin(&mut self, command: Command) {
        use Kind::{Reads, Writes};
        let (store, jobs) = (self.store.clone(), &mut self.jobs);
        let of = |bucket: Bucket| Some(bucket.number());
        match command {
            Command::Greet { bucket, .. } => {
                jobs.add(of(bucket), Writes, |_| Box::pin(store.greet()));
            }
            Command::Open { bucket, run, trust } => {
                jobs.add(of(bucket), Writes, |_| Box::pin(store.open(run, trust)));
            }
            Command::Vouch {
                bucket,
                run,
                seen,
                epoch,
            } => jobs.add(of(bucket), Writes, |_| {
                Box::pin(store.vouch(run, seen, epoch))
            }),
            Command::Append {
                bucket,
                epoch,
                messages,
                ..
            } => jobs.add(of(bucket), Writes, |turn| {
                Box::pin(store.append(turn, epoch, messages))
            }),
            Command::Page {
                log,
                from,
                max,
                epoch,
            } => {
                let bucket = of(Bucket::of(&log));
                let wanted = Wanted {
                    log,
                    from,
                    max,
                    epoch,
                };
                jobs.add(bucket, Reads, |turn| Box::pin(store.page(turn, wanted)));
            }
            Command::Heads { bucket, logs } => {
                jobs.add(of(bucket), Reads, |turn| Box::pin(store.heads(turn, logs)))
            }
            Command::Mark { bucket, marks } => jobs.add(of(bucket), Reads, |turn| {
                Box::pin(store.note_marks(turn, marks))
            }),
            Command::Beat {
                node,
                vouched,
                leaves,
                ..
            } => jobs.add(None, Writes, |_| {
                Box::pin(store.beat(node, vouched, leaves))
            }),
        }
    }

    /// Tells a link of announcements what it is to hear.
    pub(super) fn hear(&mut self, hear: Hear) {
        match hear {
            Hear::Subscribe(logs) => {
                for log in &logs {
                    self.heard.sid += 1;
                    let sid = ANSWERS + self.heard.sid;
                    let said = self.store.naming.said(log);
                    text::line(&mut self.out, &format!("SUB {said} {sid}"));
                    self.heard.logs.insert(sid, log.clone());
                    self.heard.sids.insert(log.clone(), sid);
                }
                self.heard.unconfirmed.push_back(logs);
            }
            Hear::Unsubscribe(logs) => {
                for log in logs {
                    if let Some(sid) = self.heard.sids.remove(&log) {
                        self.heard.logs.remove(&sid);
                        text::line(&mut self.out, &format!("UNSUB {sid}"));
                    }
                }
                self.heard.unconfirmed.push_back(Vec::new());
            }
            Hear::Ping => self.heard.unconfirmed.push_back(Vec::new()),
        }
        text::line(&mut self.out, "PING");
    }

    /// A log is not what it was.
    pub(super) fn forget(&self, log: &LogName) {
        self.store.known.borrow_mut().forget(log);
    }
}
