//! Messages on their way into logs: bounded in number, bytes and time, in batches of a bucket, and told the truth about. What was
//! sent to a Redis that went away is sent again only where its key keeps it from being there twice.

use std::sync::Arc;

use super::core::{Ask, Core};
use super::masters::Purpose;
use super::runs::Run;
use crate::ids::LogName;
use crate::log::shared::{Ack, Appended, Bucket, Command, Stored};
use crate::log::{
    AppendError, Draft, Entry, Keep, Placed, Position, Reply, Retention, Rule, StoreError,
};

/// Messages whose senders wait: more are refused at once.
const WAITING_MAX: usize = 65_536;

/// Bytes of their contents.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Messages in a batch.
const BATCH_MAX: usize = 128;

/// Bytes of content in a batch, beside its last message.
const BATCH_BYTES_MAX: usize = 256 << 10;

/// Batches of a bucket that are on their way: while one is answered, the next fills.
const BATCHES_MAX: u8 = 2;

/// A message that is to be sent.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) number: u64,
    pub(super) stored: Stored,
}

/// A message that is to be sent again.
#[derive(Debug)]
pub(super) struct Returned {
    queued: Queued,
    /// It was not taken for certain; else its link ended before it was known.
    is_refused: bool,
}

/// Somebody waits for the place of a message.
#[derive(Debug)]
pub(super) struct Waiting<C> {
    context: C,
    bucket: Bucket,
    bytes: usize,
    /// Its place is known, and is told once what is before it was handed on.
    is_placed: bool,
    /// It has waited for that beyond its deadline.
    is_late: bool,
    /// It may have been taken on a link that ended.
    is_sent_again: bool,
}

impl<C> Core<C> {
    pub(super) fn append(&mut self, mut draft: Draft, context: C) {
        draft.time = self.time_of_redis(draft.time);
        let bytes = draft.content.get().len();
        let is_full = self.waiting.len() >= WAITING_MAX
            || (self.waiting_bytes + bytes > WAITING_BYTES_MAX && self.waiting_bytes > 0);
        if is_full {
            return self.refuse(context, StoreError::Unavailable);
        }
        let bucket = Bucket::of(&draft.log);
        let number = self.next_number();
        let retention = retention(self.rules.of(draft.log.as_str()));
        let stored = Stored { draft, retention };
        self.waiting_bytes += bytes;
        let waiting = Waiting {
            context,
            bucket,
            bytes,
            is_placed: false,
            is_late: false,
            is_sent_again: false,
        };
        self.waiting.insert(number, waiting);
        let deadline = self.now.instant + self.timeout;
        self.deadlines.push_back((deadline, number));
        self.shelf(bucket)
            .queue
            .push_back(Queued { number, stored });
        self.list(bucket);
    }

    fn refuse(&mut self, context: C, error: StoreError) {
        let error = AppendError::Store(error);
        self.replies.push(Reply::Appended(Err(error), context));
    }

    /// Who waits for a message is answered now.
    pub(super) fn take_waiting(&mut self, number: u64) -> Option<C> {
        let waiting = self.waiting.remove(&number)?;
        self.waiting_bytes -= waiting.bytes;
        Some(waiting.context)
    }

    fn is_awaited(&self, number: u64) -> bool {
        self.waiting.contains_key(&number)
    }

    /// Tells a sender that its message is there; it comes to others, and to who sent it, by another way.
    pub(super) fn tell_place(&mut self, log: &LogName, number: u64, position: Position, time: u64) {
        if let Some(context) = self.take_waiting(number) {
            self.saw(Bucket::of(log), log, position);
            let placed = Placed::Duplicate { position, time };
            self.replies.push(Reply::Appended(Ok(placed), context));
        }
    }

    /// The place of a message is certain, and cannot be told in order yet.
    pub(super) fn note_place(&mut self, number: u64) {
        if let Some(waiting) = self.waiting.get_mut(&number) {
            waiting.is_placed = true;
        }
    }

    /// Senders that have waited for too long are told so. One whose message has its place has the same time once more: told of the
    /// place now, it would be given the message as if another had sent it.
    pub(super) fn give_up_late_ones(&mut self) {
        while let Some(&(deadline, number)) = self.deadlines.front() {
            let is_over = deadline <= self.now.instant;
            if !is_over && self.is_awaited(number) {
                return;
            }
            self.deadlines.pop_front();
            let Some(waiting) = self.waiting.get_mut(&number) else {
                continue;
            };
            if waiting.is_placed && !std::mem::replace(&mut waiting.is_late, true) {
                let deadline = self.now.instant + self.timeout;
                self.deadlines.push_back((deadline, number));
                continue;
            }
            let bucket = waiting.bucket;
            self.give_up(number);
            self.forget_given_up(bucket);
        }
    }

    pub(super) fn give_up(&mut self, number: u64) {
        if let Some(context) = self.take_waiting(number) {
            self.refuse(context, StoreError::Unavailable);
        }
    }

    /// Nobody waits for these any more, and they were not sent.
    fn forget_given_up(&mut self, bucket: Bucket) {
        let (waiting, queue) = (
            &self.waiting,
            &mut self.shelves[usize::from(bucket.number())].queue,
        );
        while let Some(first) = queue.front()
            && !waiting.contains_key(&first.number)
        {
            queue.pop_front();
        }
    }

    /// Whether a link that has ended may have left there what is now to be sent again: that is what came first.
    pub(super) fn may_have_some_already(&mut self, bucket: Bucket) -> bool {
        let first = self.shelf(bucket).queue.front().map(|queued| queued.number);
        let waiting = first.and_then(|first| self.waiting.get(&first));
        waiting.is_some_and(|waiting| waiting.is_sent_again)
    }

    /// Sends what waits for a bucket, as far as there is room on its way.
    pub(super) fn send_appends(&mut self, bucket: Bucket) {
        while let Run::Open(run) = self.shelf(bucket).run
            && self.shelf(bucket).is_open()
            && self.shelf(bucket).returned.is_empty()
            && self.shelf(bucket).batches < BATCHES_MAX
        {
            let (numbers, messages) = self.next_batch(bucket);
            if numbers.is_empty() {
                return;
            }
            let epoch = self.new_epoch();
            let append = Command::Append {
                bucket,
                run,
                epoch,
                messages,
            };
            let shelf = self.shelf(bucket);
            shelf.batches += 1;
            if let Some(index) = shelf.master {
                self.masters[index].copies.asks = true;
            }
            let purpose = Purpose::Append(bucket, numbers);
            self.ask(bucket, Ask::Command(append), purpose);
        }
    }

    fn next_batch(&mut self, bucket: Bucket) -> (Vec<u64>, Vec<Stored>) {
        let (mut numbers, mut messages, mut bytes) = (Vec::new(), Vec::new(), 0);
        while numbers.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            let Some(queued) = self.shelf(bucket).queue.pop_front() else {
                break;
            };
            if !self.is_awaited(queued.number) {
                continue;
            }
            let draft = &queued.stored.draft;
            bytes += draft.content.get().len();
            let log = self.shelf(bucket).logs.get_mut(draft.log.as_str());
            if let Some(log) = log {
                log.appending += 1;
            }
            numbers.push(queued.number);
            messages.push(queued.stored);
        }
        (numbers, messages)
    }

    // ---- what became of them ----

    /// A message of our own is not on its way any more.
    fn append_over(&mut self, bucket: Bucket, log: &LogName) {
        if let Some(log) = self.shelf(bucket).logs.get_mut(log.as_str()) {
            log.appending = log.appending.saturating_sub(1);
        }
    }

    /// A master has taken a batch.
    pub(super) fn batch_placed(
        &mut self,
        index: usize,
        (bucket, numbers): (Bucket, Vec<u64>),
        command: Command,
        appended: &[Appended],
    ) {
        self.shelf(bucket).batches -= 1;
        self.list(bucket);
        for ((number, stored), appended) in numbers.into_iter().zip(messages(command)).zip(appended)
        {
            let log = stored.draft.log.clone();
            self.append_over(bucket, &log);
            match *appended {
                Appended::At(position) => {
                    self.overtaken(bucket, number, &log, true);
                    self.message_placed(index, number, stored, position);
                }
                Appended::Before { position, time } => {
                    self.was_there(index, number, &log, position, time);
                    self.go_on(bucket, &log);
                }
                Appended::LogsFull => {
                    if let Some(context) = self.take_waiting(number) {
                        let error = AppendError::LogsFull;
                        self.replies.push(Reply::Appended(Err(error), context));
                    }
                    self.go_on(bucket, &log);
                }
                Appended::Refused => {
                    self.give_up(number);
                    self.go_on(bucket, &log);
                }
            }
        }
        self.send_returned(bucket);
    }

    /// What was said before a message that is there now, and was not taken, does not come behind it.
    /// `is_taken`: that one is there; else it may be, and so may be what its link was to take before.
    fn overtaken(&mut self, bucket: Bucket, number: u64, log: &LogName, is_taken: bool) {
        let is_over = |it: &mut Returned| {
            let is_before = it.queued.number < number && it.queued.stored.draft.log == *log;
            is_before && (is_taken || it.is_refused)
        };
        let over = self.shelf(bucket).returned.extract_if(.., is_over);
        let over: Vec<u64> = over.map(|it| it.queued.number).collect();
        for number in over {
            self.give_up(number);
        }
    }

    fn message_placed(&mut self, index: usize, number: u64, stored: Stored, position: Position) {
        let draft = stored.draft;
        let entry = Arc::new(Entry { position, draft });
        let bucket = Bucket::of(&entry.draft.log);
        let time = entry.draft.time;
        let is_certain = self.ack == Ack::Primary;
        if !is_certain {
            self.await_copies(index, &entry.draft.log.clone(), position, number, time);
        }
        self.own_placed(bucket, number, entry, is_certain);
    }

    /// A message was there already.
    fn was_there(
        &mut self,
        index: usize,
        number: u64,
        log: &LogName,
        position: Position,
        time: u64,
    ) {
        let bucket = Bucket::of(log);
        let waiting = self.waiting.get(&number);
        let is_certain = self.ack == Ack::Primary;
        // Then it is probably this one itself, and comes to its sender as such.
        let is_to_come = waiting.is_some_and(|waiting| waiting.is_sent_again)
            && self.own_found(bucket, log, number, position, time, is_certain);
        if !is_certain {
            // It may be there since others were too few to have it.
            self.await_copies(index, log, position, number, time);
        } else if is_to_come {
            self.note_place(number);
        } else {
            self.tell_place(log, number, position, time);
        }
    }

    /// Redis has not taken a batch.
    pub(super) fn batch_refused(
        &mut self,
        bucket: Bucket,
        numbers: Vec<u64>,
        command: Command,
        is_again: bool,
    ) {
        let shelf = self.shelf(bucket);
        shelf.batches = shelf.batches.saturating_sub(1);
        for (number, stored) in numbers.into_iter().zip(messages(command)) {
            self.append_over(bucket, &stored.draft.log);
            if is_again {
                let queued = Queued { number, stored };
                let is_refused = true;
                let returned = Returned { queued, is_refused };
                self.shelf(bucket).returned.push(returned);
            } else {
                self.give_up(number);
            }
        }
        self.send_returned(bucket);
    }

    /// The link ended before a batch was answered.
    pub(super) fn batch_lost(
        &mut self,
        bucket: Bucket,
        numbers: Vec<u64>,
        command: Command,
        is_sent: bool,
    ) {
        let shelf = self.shelf(bucket);
        shelf.batches = shelf.batches.saturating_sub(1);
        for (number, stored) in numbers.into_iter().zip(messages(command)) {
            self.append_over(bucket, &stored.draft.log);
            if is_sent {
                self.overtaken(bucket, number, &stored.draft.log, false);
            }
            if is_sent && stored.draft.seq.is_none() {
                self.give_up(number);
                continue;
            }
            if let Some(waiting) = self.waiting.get_mut(&number) {
                waiting.is_sent_again |= is_sent;
            }
            let queued = Queued { number, stored };
            let is_refused = !is_sent;
            let returned = Returned { queued, is_refused };
            self.shelf(bucket).returned.push(returned);
        }
        self.send_returned(bucket);
    }

    /// What was not taken is sent again once no batch is on its way: one that is behind it may be taken, and what was said first would
    /// come after what was said then.
    fn send_returned(&mut self, bucket: Bucket) {
        if self.shelf(bucket).batches == 0 {
            for returned in std::mem::take(&mut self.shelf(bucket).returned) {
                let Queued { number, stored } = returned.queued;
                self.queue_again(bucket, number, stored);
            }
        }
        self.list(bucket);
    }

    /// In the order in which they came.
    fn queue_again(&mut self, bucket: Bucket, number: u64, stored: Stored) {
        if self.is_awaited(number) {
            let queue = &mut self.shelf(bucket).queue;
            let at = queue.partition_point(|queued| queued.number < number);
            queue.insert(at, Queued { number, stored });
        }
    }

    // ---- marks ----

    pub(super) fn mark(&mut self, log: LogName, position: Position) {
        let bucket = Bucket::of(&log);
        self.shelf(bucket).marks.insert(log, position);
        self.list(bucket);
    }

    pub(super) fn send_marks(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        if shelf.marks.is_empty() || !shelf.is_open() {
            // Those that wait for longer are of owners who will be told twice.
            if shelf.marks.len() > MARKS_MAX {
                shelf.marks.clear();
            }
            return;
        }
        let marks = shelf.marks.drain().collect();
        let mark = Command::Mark { bucket, marks };
        self.ask(bucket, Ask::Command(mark), Purpose::Mark(bucket));
    }

    /// Newer ones may have come meanwhile.
    pub(super) fn marks_lost(&mut self, command: Command) {
        if let Command::Mark { bucket, marks } = command {
            for (log, position) in marks {
                self.shelf(bucket).marks.entry(log).or_insert(position);
            }
        }
    }
}

/// The messages of a batch.
fn messages(command: Command) -> Vec<Stored> {
    match command {
        Command::Append { messages, .. } => messages,
        Command::Greet { .. }
        | Command::Vouch { .. }
        | Command::Open { .. }
        | Command::Page { .. }
        | Command::Heads { .. }
        | Command::Mark { .. }
        | Command::Beat { .. } => Vec::new(),
    }
}

/// Marks of a bucket that wait while Redis is away.
const MARKS_MAX: usize = 4096;

/// How long a log is kept: not at all is a length, too.
pub(super) const fn retention(rule: &Rule) -> Retention {
    match rule.keep {
        Keep::Durable | Keep::Memory => rule.retention,
        Keep::Nothing => Retention {
            entries_max: 0,
            ..rule.retention
        },
    }
}
