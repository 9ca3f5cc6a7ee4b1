//! The other implementations: one process each, asked again and again through pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::outcome::Answer;
use super::sequence::{BYTES_MAX, Sequence};
use crate::{exec, setup};

/// Another implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Ws,
    Wsproto,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Ws, Self::Wsproto];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wsproto => "wsproto",
        }
    }

    fn command(self) -> Command {
        match self {
            Self::Ws => {
                let mut command = exec::command("node");
                command.arg("tests/scripts/judge_ws.mjs");
                command.arg(BYTES_MAX.to_string());
                command
            }
            Self::Wsproto => {
                let mut command = exec::command(setup::python::CLIENTS.interpreter());
                command.arg("tests/scripts/judge_wsproto.py");
                command
            }
        }
    }
}

/// Its process.
pub(super) struct Peer {
    pub(super) kind: Kind,
    child: Child,
    asked: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    pub(super) fn start(kind: Kind) -> Result<Self> {
        let mut command = kind.command();
        println!("   $ {}", exec::line(&command));
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped
            .spawn()
            .with_context(|| format!("{} could not be started", kind.name()))?;
        Ok(Self {
            kind,
            asked: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("it was piped a line above")),
            child,
        })
    }

    /// Call [`answer`](Self::answer) before the next question: the pipes hold no more than one.
    pub(super) fn ask(&mut self, sequence: &Sequence) -> Result<()> {
        let asked = self.asked.as_mut().context("the peer was told to end")?;
        let length = u32::try_from(sequence.bytes.len())?;
        let head = [&length.to_be_bytes()[..], &[sequence.deflate as u8]].concat();
        asked.write_all(&[&head[..], &sequence.bytes].concat())?;
        Ok(asked.flush()?)
    }

    pub(super) fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("{} ended: {}", self.kind.name(), self.child.wait()?);
        }
        Answer::read(&line).with_context(|| format!("{} said {line}", self.kind.name()))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        self.asked = None;
        let _ = self.child.wait();
    }
}
