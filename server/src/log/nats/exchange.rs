//! Requests over a link, and their answers: each request has a number in the subject to which it is answered. A request is a future, so that
//! a job of several reads as what it does; there is no runtime: [`jobs`](super::jobs) goes on with a job when an answer of its own comes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::text::{self, Message};

/// The number of a job.
pub(super) type JobId = u64;

/// The requests of a link, shared by its jobs.
#[derive(Debug, Clone)]
pub(super) struct Exchange(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    out: BytesMut,
    /// What the subjects begin with to which requests are answered.
    inbox: String,
    number: u64,
    /// By the number of the request.
    open: HashMap<u64, Open, foldhash::fast::RandomState>,
    /// The job that runs.
    current: JobId,
}

#[derive(Debug)]
struct Open {
    job: JobId,
    answer: Option<Message>,
}

impl Exchange {
    /// `inbox` is known to nobody else.
    pub(super) fn new(inbox: String) -> Self {
        Self(Rc::new(RefCell::new(State {
            out: BytesMut::new(),
            inbox,
            number: 0,
            open: HashMap::default(),
            current: 0,
        })))
    }

    /// What is to be subscribed for answers.
    pub(super) fn answers(&self) -> String {
        format!("{}.*", self.0.borrow().inbox)
    }

    /// Sends a request.
    pub(super) fn ask(&self, subject: &str, headers: &[(&str, &str)], body: &[u8]) -> Asked {
        let mut state = self.0.borrow_mut();
        state.number += 1;
        let (number, job) = (state.number, state.current);
        let reply = format!("{}.{number}", state.inbox);
        text::publish(&mut state.out, subject, &reply, headers, body);
        state.open.insert(number, Open { job, answer: None });
        let exchange = self.clone();
        Asked { exchange, number }
    }

    /// Sends what nobody answers.
    pub(super) fn tell(&self, subject: &str) {
        text::publish(&mut self.0.borrow_mut().out, subject, "", &[], b"");
    }

    /// Takes an answer; returns whose.
    pub(super) fn answered(&self, message: Message) -> Option<JobId> {
        let mut state = self.0.borrow_mut();
        let number = message.subject.strip_prefix(state.inbox.as_str())?;
        let number: u64 = number.strip_prefix('.')?.parse().ok()?;
        // It may be one that nobody waits for any more.
        let open = state.open.get_mut(&number)?;
        open.answer = Some(message);
        Some(open.job)
    }

    /// This job runs now.
    pub(super) fn runs(&self, job: JobId) {
        self.0.borrow_mut().current = job;
    }

    /// Moves what is to be sent behind what is there.
    pub(super) fn take_out(&self, out: &mut BytesMut) {
        out.unsplit(self.0.borrow_mut().out.split());
    }
}

/// A request that was sent: its answer, once it is there.
#[derive(Debug)]
pub(super) struct Asked {
    exchange: Exchange,
    number: u64,
}

impl Future for Asked {
    type Output = Message;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Message> {
        let mut state = self.exchange.0.borrow_mut();
        let open = state.open.get_mut(&self.number);
        open.and_then(|open| open.answer.take())
            .map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.exchange.0.borrow_mut().open.remove(&self.number);
    }
}
