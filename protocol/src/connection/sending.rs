//! What an application sends, and what leaves for the peer.

use std::io::IoSlice;
use std::time::Instant;

use super::{Connection, Phase};
use crate::batch::Batch;
use crate::close::{CloseCode, CloseFrame};
use crate::error::Misuse;
use crate::frame::{CONTROL_PAYLOAD_MAX, Opcode};
use crate::message::Message;
use crate::owned::OwnedMessage;
use crate::prepared::Prepared;
use crate::send::THROUGH_MAX;

impl Connection {
    /// How many messages one write of [`send_all_through`](Self::send_all_through) takes from where they lie.
    pub const SENT_THROUGH_MAX: usize = THROUGH_MAX;

    // ---- what the application does ----

    /// Queues a message.
    ///
    /// # Errors
    /// [`Misuse::Closed`] once the connection is closing or closed, [`Misuse::UnfinishedMessage`] between the fragments of
    /// another message.
    pub fn send(&mut self, message: &Message<'_>) -> Result<(), Misuse> {
        self.check_open()?;
        self.sender.check_between_messages()?;
        self.sender.message(message.opcode(), message.payload());
        Ok(())
    }

    /// Sends a message from where it lies: `write` is called once, with what is unsent and this message behind it, and returns
    /// how many bytes the transport took (0 when it would block). Only what it did not take is copied, and is sent like all
    /// that is queued; so a server that writes large messages of its own to a transport with room copies nothing. Where the
    /// bytes are others on the wire, because a client masks them or they are compressed, this is [`send`](Self::send) and a
    /// write.
    ///
    /// ```
    /// # use tidewire_protocol::{Config, Connection, Message};
    /// # let mut connection = Connection::server(Config::default().into(), std::time::Instant::now());
    /// # let mut socket = Vec::new();
    /// use std::io::Write as _;
    ///
    /// let page = "a large text".repeat(10_000);
    /// let mut outcome = Ok(0);
    /// connection.send_through(&Message::text(&page), |slices| {
    ///     outcome = socket.write_vectored(slices);
    ///     *outcome.as_ref().unwrap_or(&0)
    /// })?;
    /// assert_eq!(connection.unsent_bytes(), 0);
    /// # Ok::<(), tidewire_protocol::Misuse>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); nothing is written then.
    pub fn send_through(
        &mut self,
        message: &Message<'_>,
        write: impl FnOnce(&[IoSlice<'_>]) -> usize,
    ) -> Result<(), Misuse> {
        self.send_all_through(std::slice::from_ref(message), write)
    }

    /// Sends several messages from where they lie, with one write: [`send_through`](Self::send_through) for many. What goes
    /// through are the first [`SENT_THROUGH_MAX`](Self::SENT_THROUGH_MAX); more are queued behind them. Without a message this
    /// is a write of what is unsent.
    ///
    /// ```
    /// # use std::time::Instant;
    /// # use tidewire_protocol::{Config, Connection};
    /// # let mut connection = Connection::server(Config::default().into(), Instant::now());
    /// # let now = Instant::now();
    /// # let mut bytes = *b"\x81\x85\0\0\0\0Hello\x81\x85\0\0\0\0Hello";
    /// # let mut input = &mut bytes[..];
    /// // An echo of all messages that came together.
    /// let mut messages = Vec::with_capacity(Connection::SENT_THROUGH_MAX);
    /// while messages.len() < Connection::SENT_THROUGH_MAX
    ///     && let Some(message) = connection.take_message(&mut input, now)
    /// {
    ///     messages.push(message);
    /// }
    /// connection.send_all_through(&messages, |slices| {
    ///     // One vectored write, which takes everything.
    ///     slices.iter().map(|slice| slice.len()).sum()
    /// })?;
    /// assert_eq!((messages.len(), connection.unsent_bytes()), (2, 0));
    /// # Ok::<(), tidewire_protocol::Misuse>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); nothing is written then.
    pub fn send_all_through(
        &mut self,
        messages: &[Message<'_>],
        write: impl FnOnce(&[IoSlice<'_>]) -> usize,
    ) -> Result<(), Misuse> {
        self.check_open()?;
        self.sender.check_between_messages()?;
        self.sender.through(messages, write);
        Ok(())
    }

    /// Queues a large message with its memory: a server shares it, a client masks it in place if nobody else has it.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_owned(&mut self, message: impl Into<OwnedMessage>) -> Result<(), Misuse> {
        self.check_open()?;
        self.sender.check_between_messages()?;
        self.sender.owned(message.into());
        Ok(())
    }

    /// Queues a message that was encoded before; a server shares its bytes, unless they are few.
    ///
    /// # Errors
    /// [`Misuse::Closed`] once the connection is closing or closed, [`Misuse::UnfinishedMessage`] between the fragments of
    /// another message.
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<(), Misuse> {
        self.check_open()?;
        self.sender.check_between_messages()?;
        self.sender.prepared(prepared);
        Ok(())
    }

    /// Queues messages that were encoded before and put together.
    ///
    /// # Errors
    /// [`Misuse::Closed`] once the connection is closing or closed, [`Misuse::UnfinishedMessage`] between the fragments of
    /// another message.
    pub fn send_batch(&mut self, batch: &Batch) -> Result<(), Misuse> {
        self.check_open()?;
        self.sender.check_between_messages()?;
        self.sender.batch(batch);
        Ok(())
    }

    /// The same for a connection that has nothing unsent: a server that does not compress offers the bytes to `write`, which says
    /// how many the transport took, and queues the rest. So a fan-out touches nothing but the connection and its socket.
    ///
    /// ```
    /// # use std::time::Instant;
    /// # use tidewire_protocol::{Batch, Config, Connection, Message, Prepared};
    /// # let mut connection = Connection::server(Config::default().into(), Instant::now());
    /// let batch = Batch::new(vec![Prepared::new(&Message::text("Hello"))]);
    /// connection.send_batch_through(&batch, |bytes| bytes.len() - 2)?;
    /// assert_eq!(connection.unsent_bytes(), 2);
    /// # Ok::<(), tidewire_protocol::Misuse>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`send_batch`](Self::send_batch).
    pub fn send_batch_through(
        &mut self,
        batch: &Batch,
        write: impl FnOnce(&[u8]) -> usize,
    ) -> Result<(), Misuse> {
        self.check_open()?;
        self.sender.check_between_messages()?;
        self.sender.batch_through(batch, write);
        Ok(())
    }

    /// Queues a fragment of a message that is sent as it is made; `last` ends it. Each fragment of text is whole characters,
    /// and fragments go out uncompressed. Pings may go between them, other messages not.
    ///
    /// # Errors
    /// [`Misuse::Closed`] once the connection is closing or closed, [`Misuse::OtherKind`] for text inside a binary message
    /// or the other way round.
    pub fn send_fragment(&mut self, fragment: &Message<'_>, last: bool) -> Result<(), Misuse> {
        self.check_open()?;
        self.sender
            .fragment(fragment.opcode(), fragment.payload(), last)
    }

    /// Queues a ping; its answer comes as [`Event::Pong`](crate::Event::Pong).
    ///
    /// # Errors
    /// [`Misuse::ControlTooLong`] for more than 125 bytes, [`Misuse::Closed`] once the connection is closing or closed.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Misuse> {
        self.check_open()?;
        if payload.len() > CONTROL_PAYLOAD_MAX {
            return Err(Misuse::ControlTooLong);
        }
        self.sender.frame(Opcode::Ping, payload);
        Ok(())
    }

    /// Queues a Close frame and waits for the peer's, at most [`Config::close_timeout`](crate::Config::close_timeout).
    ///
    /// Messages that the peer sent before its Close still come. [`Event::Closed`](crate::Event::Closed) ends it.
    ///
    /// # Errors
    /// [`Misuse::Closed`] once the connection is closing or closed, [`Misuse::ControlTooLong`] for a reason of more than
    /// 123 bytes, [`Misuse::CloseCodeNotSendable`] for a code of the other side.
    pub fn close(&mut self, code: CloseCode, reason: &str, now: Instant) -> Result<(), Misuse> {
        self.check_open()?;
        // "whose status code is set to /code/ and whose close reason is set to /reason/" (§7.1.2). [6455-7.1.2-1]
        let frame = CloseFrame::new(code, reason);
        frame.check_sendable_by(self.side())?;
        self.sender.close(&frame);
        self.waiting_since = now;
        self.phase = Phase::Closing {
            sent: Box::new(frame),
        };
        Ok(())
    }

    /// Queues the response of the handshake in front of everything else, so that it leaves in one write with the first
    /// messages. Call it once, before sending anything.
    pub fn queue_handshake(&mut self, response: &[u8]) {
        debug_assert!(self.unsent_bytes() == 0, "the handshake comes first");
        self.sender.raw(response);
    }

    /// Fills `slices` with the next bytes for the peer and returns how many slices there are; 0 when nothing is unsent.
    ///
    /// Hand them to one vectored write and tell [`transmitted`](Self::transmitted) what it took.
    pub fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.sender.slices(slices)
    }

    /// Takes note that the transport took the next `bytes` bytes; 0 when it would block.
    pub fn transmitted(&mut self, bytes: usize) {
        self.sender.transmitted(bytes);
    }

    /// Bytes queued and not sent.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.sender.unsent_bytes()
    }

    /// "MUST ensure the WebSocket connection is in the OPEN state" (§6.1), and "MUST NOT send any more data frames after
    /// sending a Close frame" (§5.5.1). [6455-6.1-1, 6455-6.1-2, 6455-6.1-3, 6455-5.5.1-3]
    const fn check_open(&self) -> Result<(), Misuse> {
        if self.is_open() {
            Ok(())
        } else {
            Err(Misuse::Closed)
        }
    }
}
