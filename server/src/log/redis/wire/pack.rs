//! Commands and errands as bytes, in the crate's packing.

use std::time::Duration;

use bytes::BytesMut;
use redis::Cmd;

use super::appends::Appends;
use super::naming::Naming;
use super::script::Script;
use crate::ids::LogName;
use crate::log::redis::{Bucket, Command, From, Trust};
use crate::log::{Epoch, PageMax, Position};

/// The most messages of one [`Command::Append`], and logs of one [`Command::Vouch`], [`Command::Heads`] or [`Command::Mark`]: a script
/// is not to keep others waiting, and Lua's stack has an end.
pub const BATCH_MAX: usize = 1024;

/// Numbers that Lua writes as they are are smaller.
pub(super) const NUMBER_MAX: u64 = 99_999_999_999_999;

/// What a link is set up with, and what is asked beside commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand<'a> {
    /// Who we are.
    Auth {
        /// The user of the ACL, if not the default one.
        user: Option<&'a str>,
        /// The password.
        password: &'a str,
    },
    /// The database.
    Select(u32),
    /// What the link is called in `CLIENT LIST`.
    Name(&'a str),
    /// Read by [`setup::process`](super::setup::process).
    Info,
    /// Read by [`setup::saves_always`](super::setup::saves_always).
    Config,
    /// Makes a script known.
    Load(Script),
    /// Hears of logs; in a cluster those of one bucket. A confirmation each.
    Subscribe(&'a [LogName]),
    /// Hears of them no longer; a confirmation each.
    Unsubscribe(&'a [LogName]),
    /// Hears from a Sentinel of primaries that take another's place.
    SubscribeSwitches,
    /// Is somebody there?
    Ping,
    /// So many replicas have what this link has written before; read by [`setup::saved_by`](super::setup::saved_by).
    Wait {
        /// Replicas.
        replicas: u8,
        /// How long to wait for them.
        timeout: Duration,
    },
    /// It is on the primary's disk and on those of so many replicas; read by [`setup::saved_by`](super::setup::saved_by).
    WaitAof {
        /// Replicas.
        replicas: u8,
        /// How long to wait for them.
        timeout: Duration,
    },
    /// Read by [`setup::is_primary`](super::setup::is_primary).
    Role,
    /// What comes by itself is told apart from answers from now on (RESP 3).
    Resp3,
    /// The next command is about a slot that is on its way to this node.
    Asking,
    /// Where a Sentinel knows the primary; read by [`setup::sentinel_primary`](super::setup::sentinel_primary).
    SentinelPrimary(&'a str),
    /// Read by [`setup::slots`](super::setup::slots).
    ClusterSlots,
}

/// Appends what asks Redis for this. At most [`BATCH_MAX`] of what there are several of. A [`Command::Append`] is a call of one:
/// [`Appends`] takes several.
pub fn pack(command: &Command, naming: &Naming, out: &mut BytesMut) {
    let cmd = match command {
        Command::Greet {
            bucket,
            run_id,
            saves_always,
        } => {
            let mut call = Call::new(Script::Greet, &[naming.heads(*bucket)]);
            call.arg(run_id).flag(*saves_always);
            call.0
        }
        Command::Vouch {
            bucket,
            run,
            seen,
            epoch,
        } => vouch(*bucket, *run, seen, *epoch, naming),
        Command::Open { bucket, run, trust } => {
            let mut call = Call::new(Script::Open, &[naming.heads(*bucket)]);
            let trust = match trust {
                Trust::Whole => "w",
                Trust::Doubtful => "d",
            };
            call.number(*run).arg(trust);
            call.0
        }
        Command::Append { .. } => {
            let mut appends = Appends::default();
            appends.add(command, naming);
            return appends.write(naming, out);
        }
        Command::Page {
            log,
            from,
            max,
            epoch,
        } => page(log, *from, *max, *epoch, naming),
        Command::Heads { bucket, logs } => heads(*bucket, logs, naming),
        Command::Mark { bucket, marks } => mark(*bucket, marks, naming),
        Command::Beat {
            node,
            lease,
            vouched,
            leaves,
        } => {
            let mut call = Call::new(Script::Beat, &[naming.nodes()]);
            call.arg(node).number(millis(*lease)).flag(*leaves);
            call.arg(&vouched.join(","));
            call.0
        }
    };
    write(&cmd, out);
}

/// Appends what asks Redis for this.
pub fn pack_errand(errand: &Errand<'_>, naming: &Naming, out: &mut BytesMut) {
    let mut cmd = Cmd::new();
    match *errand {
        Errand::Auth { user, password } => cmd.arg("AUTH").arg(user).arg(password),
        Errand::Select(database) => cmd.arg("SELECT").arg(database),
        Errand::Name(name) => cmd.arg("CLIENT").arg("SETNAME").arg(name),
        Errand::Info => cmd.arg("INFO").arg("server").arg("replication"),
        Errand::Config => {
            let cmd = cmd.arg("CONFIG").arg("GET");
            cmd.arg("appendonly").arg("appendfsync")
        }
        Errand::Load(script) => cmd.arg("SCRIPT").arg("LOAD").arg(script.source()),
        Errand::Subscribe(logs) => {
            let name = if naming.sharded {
                "SSUBSCRIBE"
            } else {
                "SUBSCRIBE"
            };
            channels(cmd.arg(name), logs, naming)
        }
        Errand::Unsubscribe(logs) => {
            let name = if naming.sharded {
                "SUNSUBSCRIBE"
            } else {
                "UNSUBSCRIBE"
            };
            channels(cmd.arg(name), logs, naming)
        }
        Errand::SubscribeSwitches => cmd.arg("SUBSCRIBE").arg("+switch-master"),
        Errand::Ping => cmd.arg("PING"),
        Errand::Wait { replicas, timeout } => {
            cmd.arg("WAIT").arg(replicas).arg(millis(timeout).max(1))
        }
        Errand::WaitAof { replicas, timeout } => {
            let cmd = cmd.arg("WAITAOF").arg(1).arg(replicas);
            cmd.arg(millis(timeout).max(1))
        }
        Errand::Role => cmd.arg("ROLE"),
        Errand::Resp3 => cmd.arg("HELLO").arg(3),
        Errand::Asking => cmd.arg("ASKING"),
        Errand::SentinelPrimary(name) => {
            let cmd = cmd.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME");
            cmd.arg(name)
        }
        Errand::ClusterSlots => cmd.arg("CLUSTER").arg("SLOTS"),
    };
    write(&cmd, out);
}

/// A call of a script that is being put together.
struct Call(Cmd);

impl Call {
    fn new(script: Script, keys: &[String]) -> Self {
        let mut cmd = Cmd::new();
        cmd.arg("EVALSHA").arg(script.digest()).arg(keys.len());
        for key in keys {
            cmd.arg(key);
        }
        Self(cmd)
    }

    fn arg(&mut self, text: &str) -> &mut Self {
        self.0.arg(text);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.arg(number.min(NUMBER_MAX));
        self
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.0.arg(u8::from(flag));
        self
    }

    fn position(&mut self, position: &Position) -> &mut Self {
        self.number(position.offset);
        self.0.arg(position.epoch.number());
        self
    }
}

fn vouch(
    bucket: Bucket,
    run: u64,
    seen: &[(LogName, Position)],
    epoch: Epoch,
    naming: &Naming,
) -> Cmd {
    let streams = seen.iter().map(|(log, _)| naming.log(log));
    let keys: Vec<String> = std::iter::once(naming.heads(bucket))
        .chain(streams)
        .collect();
    let mut call = Call::new(Script::Vouch, &keys);
    call.number(run)
        .number(epoch.number().into())
        .arg(naming.publish());
    for (_, position) in seen {
        call.position(position);
    }
    call.0
}

fn page(log: &LogName, from: From, max: PageMax, epoch: Epoch, naming: &Naming) -> Cmd {
    let bucket = Bucket::of(log);
    let keys = [naming.heads(bucket), naming.marks(bucket), naming.log(log)];
    let mut call = Call::new(Script::Page, &keys);
    call.number(epoch.number().into());
    match from {
        From::Behind(offset) => call.arg("behind").number(offset),
        From::Mark => call.arg("mark").arg(""),
        From::Oldest => call.arg("oldest").arg(""),
        From::Head => call.arg("head").arg(""),
        From::Before(Some(offset)) => call.arg("before").number(offset),
        From::Before(None) => call.arg("before").arg(""),
    };
    call.number(max.entries as u64).number(max.bytes as u64);
    call.0
}

fn mark(bucket: Bucket, marks: &[(LogName, Position)], naming: &Naming) -> Cmd {
    let logs = marks.iter().map(|(log, _)| naming.log(log));
    let keys = [naming.heads(bucket), naming.marks(bucket)];
    let keys: Vec<String> = keys.into_iter().chain(logs).collect();
    let mut call = Call::new(Script::Mark, &keys);
    for (_, position) in marks {
        call.position(position);
    }
    call.0
}

/// No script: what is there is read as it is.
fn heads(bucket: Bucket, logs: &[LogName], naming: &Naming) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg("HMGET").arg(naming.heads(bucket));
    for log in logs {
        cmd.arg(naming.log(log));
    }
    cmd
}

fn channels<'c>(cmd: &'c mut Cmd, logs: &[LogName], naming: &Naming) -> &'c mut Cmd {
    for log in logs {
        cmd.arg(naming.log(log));
    }
    cmd
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NUMBER_MAX)
}

fn write(cmd: &Cmd, out: &mut BytesMut) {
    out.extend_from_slice(&cmd.get_packed_command());
}
