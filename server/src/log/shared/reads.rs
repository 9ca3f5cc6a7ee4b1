//! Pages that workers want: they wait while Redis is away, and are never newer than what was announced. What somebody reads who does
//! not follow is never older than when it was asked for either: it waits until what is there was announced.

use super::core::{Ask, Core};
use super::masters::Purpose;
use super::pages::{Cut, Wanted, at_least_one, head};
use crate::ids::LogName;
use crate::log::shared::{Bucket, Command, Extracted, From};
use crate::log::{PageMax, Part, Position, Reply, StoreError};

/// Pages that wait: more are refused at once.
const READING_MAX: usize = 65_536;

/// Pages of a bucket that are on their way: with Redis back, all who waited ask at once, and what is sent must be answered in time.
const PAGES_MAX: u8 = 16;

/// A page that somebody waits for.
#[derive(Debug)]
pub(super) struct Reading<C> {
    pub(super) log: LogName,
    wanted: Wanted,
    max: PageMax,
    context: C,
    /// What Redis was asked for.
    asked: From,
    /// What was known of the log when it was.
    known: u64,
    /// Up to where the log must have been announced, once that is known.
    needs: Option<u64>,
}

impl<C> Core<C> {
    pub(super) fn read(&mut self, log: LogName, wanted: Wanted, max: PageMax, context: C) {
        if self.reading >= READING_MAX {
            let error = Err(StoreError::Unavailable);
            return self.replies.push(Reply::Page(error, context));
        }
        self.reading += 1;
        let reading = Reading {
            log,
            wanted,
            max: at_least_one(max),
            context,
            asked: wanted.from(),
            known: 0,
            needs: None,
        };
        let bucket = Bucket::of(&reading.log);
        self.shelf(bucket).reads.push_back(reading);
        self.list(bucket);
    }

    pub(super) fn send_reads(&mut self, bucket: Bucket) {
        while self.shelf(bucket).is_open()
            && self.shelf(bucket).pages < PAGES_MAX
            && let Some(mut reading) = self.shelf(bucket).reads.pop_front()
        {
            let log = self.shelf(bucket).logs.get(reading.log.as_str());
            let known = log.map_or(0, |log| log.number);
            if reading.known != known {
                reading.known = known;
                (reading.asked, reading.needs) = (reading.wanted.from(), None);
            }
            if let (Wanted::Part(Part::Before(_)), Some(needs)) = (reading.wanted, reading.needs) {
                // Not what came since.
                reading.asked = From::Before(Some(needs + 1));
            }
            let page = Command::Page {
                log: reading.log.clone(),
                from: reading.asked,
                max: reading.max,
                epoch: self.new_epoch(),
            };
            self.shelf(bucket).pages += 1;
            let purpose = Purpose::Page(Box::new(reading));
            self.ask(bucket, Ask::Command(page), purpose);
        }
    }

    /// The same question again, before those that came later.
    pub(super) fn read_again(&mut self, reading: Reading<C>) {
        let bucket = Bucket::of(&reading.log);
        self.shelf(bucket).reads.push_front(reading);
        self.list(bucket);
    }

    /// What was to answer it will not: it is asked again.
    pub(super) fn page_lost(&mut self, reading: Reading<C>) {
        self.page_came(Bucket::of(&reading.log));
        self.read_again(reading);
    }

    pub(super) fn page_refused(&mut self, reading: Reading<C>) {
        self.page_came(Bucket::of(&reading.log));
        self.reading -= 1;
        let error = Err(StoreError::Unavailable);
        self.replies.push(Reply::Page(error, reading.context));
    }

    /// There is room for another on the way.
    fn page_came(&mut self, bucket: Bucket) {
        let shelf = self.shelf(bucket);
        shelf.pages = shelf.pages.saturating_sub(1);
        if !shelf.reads.is_empty() {
            self.list(bucket);
        }
    }

    pub(super) fn page_read(&mut self, mut reading: Reading<C>, extracted: Extracted) {
        let name = reading.log.clone();
        let bucket = Bucket::of(&name);
        self.page_came(bucket);
        let Some(until) = self.shown_until(bucket, &reading, head(&extracted)) else {
            return self.read_again(reading);
        };
        let wanted = reading.wanted;
        let needs = *reading
            .needs
            .get_or_insert_with(|| wanted.needs(&extracted));
        if until.offset < needs {
            self.shelf(bucket).ahead.push((needs, reading));
            return self.go_on(bucket, &name);
        }
        match wanted.cut(extracted, reading.asked, wanted.end(until, needs)) {
            Cut::Page(page) => {
                self.reading -= 1;
                self.saw(bucket, &name, page.head);
                self.replies.push(Reply::Page(Ok(page), reading.context));
            }
            Cut::Ahead(offset) => self.shelf(bucket).ahead.push((offset, reading)),
            Cut::From(from) => {
                (reading.asked, reading.needs) = (from, None);
                self.read_again(reading);
            }
        }
        self.go_on(bucket, &name);
    }

    /// Up to where a page may show a log that ends there; `None` if it is to be read again.
    fn shown_until(
        &mut self,
        bucket: Bucket,
        reading: &Reading<C>,
        end: Position,
    ) -> Option<Position> {
        let log = self.shelf(bucket).logs.get_mut(reading.log.as_str());
        let Some(log) = log.filter(|log| log.is_watched()) else {
            return Some(end);
        };
        if log.number != reading.known {
            return None;
        }
        if log.is_broken_by(end) {
            self.break_off(bucket, &reading.log);
            return None;
        }
        Some(log.show(end))
    }

    /// Those who were ahead of what was announced of a log may read on.
    pub(super) fn let_go_on(&mut self, bucket: Bucket, name: &LogName, until: Option<Position>) {
        let shelf = self.shelf(bucket);
        if shelf.ahead.is_empty() {
            return;
        }
        let is_due = |(offset, reading): &mut (u64, Reading<C>)| {
            reading.log == *name && until.is_none_or(|until| *offset <= until.offset)
        };
        let due: Vec<_> = shelf.ahead.extract_if(.., is_due).collect();
        for (_, reading) in due {
            self.read_again(reading);
        }
    }
}
