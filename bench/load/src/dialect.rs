//! How a server is spoken to that has a protocol of its own inside its messages.

use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};

use crate::{frame, net};

#[derive(Debug, clap::Args)]
pub(crate) struct Dialect {
    /// What is said after the handshake; `\r\n` ends a line
    #[arg(long, default_value = "")]
    hello: String,
    /// Messages are binary
    #[arg(long)]
    binary: bool,
}

impl Dialect {
    pub(crate) const fn opcode(&self) -> u8 {
        match self.binary {
            true => frame::BINARY,
            false => frame::TEXT,
        }
    }

    /// Says what is to be said first, if there is anything.
    pub(crate) fn greet(&self, socket: &OwnedFd) -> Result<()> {
        if self.hello.is_empty() {
            return Ok(());
        }
        let mut hello = Vec::new();
        let text = lines(&self.hello);
        frame::push(
            &mut hello,
            self.opcode(),
            false,
            text.as_bytes(),
            frame::key(0),
        );
        let sent = net::send(socket, &hello)?;
        ensure!(sent == hello.len(), "an empty socket is full");
        Ok(())
    }
}

/// With ends of lines for `\r\n`: a command line has none.
pub(crate) fn lines(text: &str) -> String {
    text.replace("\\r\\n", "\r\n")
}
