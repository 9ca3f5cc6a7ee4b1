//! The messages of all connections: a few that differ, again and again, as one run of bytes made before the clock starts.

use anyhow::{Result, ensure};

use crate::content::Kind;
use crate::{deflate, frame};

/// How long the run is at least behind its first period: what one `send` takes at most.
const RUN_MAX: u64 = 1 << 20;

/// What is sent and what comes back.
pub(crate) struct Requests {
    pub(crate) opcode: u8,
    pub(crate) compressed: bool,
    /// The contents of the replies, in turn.
    pub(crate) replies: Vec<Vec<u8>>,
    /// Compressed replies that were found to be right, for each content.
    pub(crate) known: Vec<Vec<Vec<u8>>>,
    /// Where in a period each message begins.
    begins: Vec<u64>,
    period: u64,
    run: Vec<u8>,
}

impl Requests {
    pub(crate) fn new(
        kind: Kind,
        bytes: usize,
        depth: u64,
        compressed: bool,
        dots: bool,
    ) -> Result<Self> {
        ensure!(bytes > 0, "a message of no bytes tells nothing");
        let variants = if bytes < 1 << 16 { 4 } else { 2 };
        let contents: Vec<_> = (0..variants)
            .map(|variant| kind.make(bytes, variant))
            .collect();
        let (mut run, mut begins, mut longest) = (Vec::new(), Vec::new(), 0);
        for (number, content) in contents.iter().enumerate() {
            let begin = run.len() as u64;
            begins.push(begin);
            let key = frame::key(number as u64);
            match compressed {
                true => {
                    let payload = deflate::compressed(content)?;
                    frame::push(&mut run, kind.opcode(), true, &payload, key);
                }
                false => frame::push(&mut run, kind.opcode(), false, content, key),
            }
            longest = longest.max(run.len() as u64 - begin);
        }
        let period = run.len() as u64;
        let len = period + (longest * depth).min(RUN_MAX);
        let run = run.iter().copied().cycle().take(len as usize).collect();
        let known = vec![Vec::new(); contents.len()];
        let replies = match dots {
            true => vec![vec![b'.'; bytes]],
            false => contents,
        };
        Ok(Self {
            opcode: kind.opcode(),
            compressed,
            replies,
            known,
            begins,
            period,
            run,
        })
    }

    /// Where in all that a connection ever sends its message of this number begins.
    pub(crate) fn position(&self, number: u64) -> u64 {
        let count = self.begins.len() as u64;
        number / count * self.period + self.begins[(number % count) as usize]
    }

    /// What lies from `begin` on: up to `end`, if that is not too much at once.
    pub(crate) fn slice(&self, begin: u64, end: u64) -> &[u8] {
        let from = (begin % self.period) as usize;
        let len = ((end - begin) as usize).min(self.run.len() - from);
        &self.run[from..from + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_the_run_is_the_same_stream() {
        let requests = Requests::new(Kind::Ascii, 20, 3, false, false).unwrap();
        let mut whole = Vec::new();
        for number in 0..12 {
            let key = frame::key(number % 4);
            frame::push(
                &mut whole,
                frame::TEXT,
                false,
                &requests.replies[number as usize % 4],
                key,
            );
        }
        assert_eq!(requests.position(12), whole.len() as u64);
        for step in 1..90 {
            let (mut sent, end) = (0, whole.len() as u64);
            while sent < end {
                let bytes = requests.slice(sent, end.min(sent + step));
                assert_eq!(bytes, &whole[sent as usize..][..bytes.len()]);
                sent += bytes.len() as u64;
            }
        }
    }
}
