//! Several [`Command::Append`]s as one call of their script: a call costs Redis as much as some messages. What each of them became
//! comes back apart, so that nothing but the bytes knows of it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use redis::Value;

use super::naming::Naming;
use super::pack::{NUMBER_MAX, millis};
use super::script::Script;
use crate::ids::{CANARY_LOG, LogName};
use crate::log::redis::{Bucket, Command, Stored};
use crate::log::{Draft, Retention};

/// Messages in a call with several commands: Redis does nothing else meanwhile, and so many take it some milliseconds at most.
const MESSAGES_MAX: usize = 512;

/// Bytes in a call with several commands, beside its last one.
const BYTES_MAX: usize = 1 << 20;

/// How long a canary is kept: each process may leave one of its own behind.
const CANARY_AGE: Duration = Duration::from_secs(60);

/// A call that is being put together. In order: what is added later is done later.
#[derive(Debug, Default)]
pub struct Appends {
    commands: usize,
    messages: usize,
    /// The bucket of the last command.
    bucket: Option<Bucket>,
    keys: Words,
    rules: Vec<[u64; 3]>,
    plan: BytesMut,
    /// Key and entry of each message.
    entries: Words,
    text: String,
}

/// Arguments as Redis reads them.
#[derive(Debug, Default)]
struct Words {
    count: usize,
    bytes: BytesMut,
}

impl Appends {
    /// How many commands are in it.
    #[must_use]
    pub const fn commands(&self) -> usize {
        self.commands
    }

    /// Whether this one, if it appends, may be in the same call: a script may use what one server of a cluster has, which is a
    /// bucket for sure.
    #[must_use]
    pub fn has_room_for(&self, command: &Command, naming: &Naming) -> bool {
        let Command::Append {
            bucket, messages, ..
        } = command
        else {
            return false;
        };
        let Some(last) = self.bucket else {
            return true;
        };
        let is_near = naming.share_calls(last, *bucket);
        let bytes = self.keys.bytes.len() + self.entries.bytes.len();
        is_near && self.messages + messages.len() <= MESSAGES_MAX && bytes < BYTES_MAX
    }

    /// Adds a command; one that does not append is left out.
    pub fn add(&mut self, command: &Command, naming: &Naming) {
        let Command::Append {
            bucket,
            run,
            epoch,
            messages,
        } = command
        else {
            return;
        };
        self.commands += 1;
        self.messages += messages.len();
        self.bucket = Some(*bucket);
        let logs = by_log(messages);
        self.keys.add(naming.heads(*bucket).as_bytes());
        self.plan.put_u64_le(*run);
        self.plan.put_u32_le(epoch.number());
        self.plan.put_u16_le(small(logs.len()));
        for (log, indices) in &logs {
            self.keys.add(naming.log(log).as_bytes());
            // The rule may change in between; the newest holds for all.
            let newest = indices.last().and_then(|index| messages.get(*index));
            let retention = newest.map_or_else(Retention::default, |stored| stored.retention);
            let rule = self.rule(rule(log, &retention));
            self.plan.put_u16_le(small(rule));
            self.plan.put_u16_le(small(indices.len()));
            for message in indices.iter().filter_map(|index| messages.get(*index)) {
                self.entry(&message.draft);
            }
        }
    }

    /// Which rule this is.
    fn rule(&mut self, rule: [u64; 3]) -> usize {
        let known = self.rules.iter().rposition(|known| *known == rule);
        known.unwrap_or_else(|| {
            self.rules.push(rule);
            self.rules.len() - 1
        })
    }

    /// Neither sender nor session nor number has a NUL in it.
    fn entry(&mut self, draft: &Draft) {
        let seq = draft.seq.as_deref().map_or("", |seq| seq.get());
        let time = draft.time.min(NUMBER_MAX).to_string();
        let text = &mut self.text;
        text.clear();
        for part in [draft.from.as_str(), "\0", draft.session.as_str(), "\0", seq] {
            text.push_str(part);
        }
        self.entries
            .add(if seq.is_empty() { b"" } else { text.as_bytes() });
        let content = draft.content.get();
        self.entries.add_parts(&[&time, " ", text, "\0", content]);
    }

    /// Appends the bytes of the call, if there is any command in it.
    pub fn write(&self, naming: &Naming, out: &mut BytesMut) {
        if self.commands == 0 {
            return;
        }
        let mut head = Words::default();
        for word in ["EVALSHA", Script::Append.digest()] {
            head.add(word.as_bytes());
        }
        head.add(self.keys.count.to_string().as_bytes());
        let mut rules = BytesMut::with_capacity(24 * self.rules.len());
        for number in self.rules.iter().flatten() {
            rules.put_u64_le(*number);
        }
        let mut parts = Words::default();
        for part in [naming.publish().as_bytes(), &rules, &self.plan] {
            parts.add(part);
        }
        let all = [&head, &self.keys, &parts, &self.entries];
        let count: usize = all.iter().map(|words| words.count).sum();
        out.extend_from_slice(format!("*{count}\r\n").as_bytes());
        for words in all {
            out.extend_from_slice(&words.bytes);
        }
    }
}

impl Words {
    fn add(&mut self, word: &[u8]) {
        self.begin(word.len());
        self.bytes.extend_from_slice(word);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// One argument of several parts.
    fn add_parts(&mut self, parts: &[&str]) {
        self.begin(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.bytes.extend_from_slice(part.as_bytes());
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn begin(&mut self, length: usize) {
        self.count += 1;
        self.bytes
            .extend_from_slice(format!("${length}\r\n").as_bytes());
    }
}

/// What each of the commands of a call is answered; `None` if the reply is to another number of them.
#[must_use]
pub fn answers_of(reply: Value, commands: usize) -> Option<Vec<Value>> {
    if let Value::ServerError(_) = reply {
        // None of them was done.
        return Some(vec![reply; commands]);
    }
    let Value::Array(parts) = reply else {
        return None;
    };
    (parts.len() == commands).then_some(parts)
}

/// A number that is bounded by how many messages there may be.
fn small(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The messages of each log, in the order in which their scripts have them: logs as they come first, and in each as they came.
pub(super) fn by_log(messages: &[Stored]) -> Vec<(&LogName, Vec<usize>)> {
    let mut logs: Vec<(&LogName, Vec<usize>)> = Vec::new();
    let mut places: HashMap<&LogName, usize, foldhash::fast::RandomState> = HashMap::default();
    for (index, message) in messages.iter().enumerate() {
        let log = &message.draft.log;
        let place = *places.entry(log).or_insert_with(|| {
            logs.push((log, Vec::new()));
            logs.len() - 1
        });
        logs[place].1.push(index);
    }
    logs
}

/// A retention as the script reads it.
fn rule(log: &LogName, retention: &Retention) -> [u64; 3] {
    let mut age = retention.age_max;
    if log.as_str() == CANARY_LOG {
        age = age.min(CANARY_AGE);
    }
    let numbers = [retention.entries_max, millis(age), retention.bytes_max];
    numbers.map(|number| number.min(NUMBER_MAX / 100))
}
