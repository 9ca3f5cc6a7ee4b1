//! A crowd of clients in a process of their own that come, stay and do what they are told: see `load crowd`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Dropped, it is ended.
pub(super) struct Crowd {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Crowd {
    /// Starts it; [`answer`](Self::answer) tells when all have come.
    pub(super) fn start(mut load: Command) -> Result<Self> {
        let mut child = load
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().context("it was piped")?;
        Ok(Self {
            child,
            orders,
            answers: BufReader::new(answers),
        })
    }

    /// Starts it and waits until all have come.
    pub(super) fn gather(load: Command) -> Result<Self> {
        let mut crowd = Self::start(load)?;
        crowd.answer()?;
        Ok(crowd)
    }

    /// Waits for the next line.
    ///
    /// # Errors
    /// Something went wrong, which the line tells.
    pub(super) fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).context("the crowd said nothing")?;
        match said["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => Ok(said),
        }
    }

    /// Says what to do, and does not wait for it.
    pub(super) fn order(&mut self, order: &str) -> Result<()> {
        let orders = self.orders.as_mut().context("it has left")?;
        writeln!(orders, "{order}").context("the crowd has ended")
    }

    /// Lets all go.
    ///
    /// # Errors
    /// One had been lost.
    pub(super) fn leave(mut self) -> Result<()> {
        self.orders = None;
        self.answer().map(drop)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
