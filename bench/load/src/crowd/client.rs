//! One of a crowd: how far it has come, and what it hears.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, bail, ensure};

use crate::frame::{self, Header};
use crate::net;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connecting,
    Upgrading,
    /// Its first message is awaited.
    Greeted,
    There,
    Lost,
}

/// Whether what came is what is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    It,
    Nothing,
}

pub(super) struct Client {
    pub(super) socket: OwnedFd,
    pub(super) step: Step,
    /// When it was due.
    pub(super) since: u64,
    /// It is to hear something.
    pub(super) awaits: bool,
    /// A part of a frame.
    part: Vec<u8>,
}

impl Client {
    pub(super) const fn new(socket: OwnedFd, since: u64) -> Self {
        Self {
            socket,
            step: Step::Connecting,
            since,
            awaits: false,
            part: Vec::new(),
        }
    }

    /// Sends the handshake: the connection is there.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn ask(&mut self, upgrade: &[u8]) -> Result<()> {
        let sent = net::send(&self.socket, upgrade).context("not connected")?;
        ensure!(sent == upgrade.len(), "an empty socket is full");
        self.step = Step::Upgrading;
        Ok(())
    }

    /// Reads what there is; `text` is what is awaited.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        welcome: bool,
        text: Option<&[u8]>,
    ) -> Result<Heard> {
        let received = match net::receive(&self.socket, buffer)? {
            None => return Ok(Heard::Nothing),
            Some(0) => bail!("closed by the server"),
            Some(received) => &buffer[..received],
        };
        let mut bytes = std::mem::take(&mut self.part);
        bytes.extend_from_slice(received);
        let mut used = 0;
        if self.step == Step::Upgrading {
            match frame::accepted(&bytes, frame::Offer::default())? {
                None => {
                    self.part = bytes;
                    return Ok(Heard::Nothing);
                }
                Some(end) => used = end,
            }
            self.step = match welcome {
                true => Step::Greeted,
                false => Step::There,
            };
        }
        let mut heard = Heard::Nothing;
        while let Some(header) = Header::parse(&bytes[used..])?
            && let Some(payload) = bytes[used + header.len..].get(..header.payload)
        {
            used += header.len + header.payload;
            if self.take(header, payload, text)? == Heard::It {
                heard = Heard::It;
            }
        }
        bytes.drain(..used);
        // Memory of thousands that say nothing is not to be kept.
        if !bytes.is_empty() {
            self.part = bytes;
        }
        Ok(heard)
    }

    fn take(&mut self, header: Header, payload: &[u8], text: Option<&[u8]>) -> Result<Heard> {
        match header.opcode {
            frame::PING => {
                net::pong(&self.socket, payload)?;
                return Ok(Heard::Nothing);
            }
            frame::CLOSE => bail!("closed: {}", String::from_utf8_lossy(payload)),
            _ => {}
        }
        if self.step == Step::Greeted {
            self.step = Step::There;
        }
        let is_it = text.is_some_and(|text| memchr::memmem::find(payload, text).is_some());
        if !is_it {
            return Ok(Heard::Nothing);
        }
        ensure!(self.awaits, "the same came twice");
        self.awaits = false;
        Ok(Heard::It)
    }
}
