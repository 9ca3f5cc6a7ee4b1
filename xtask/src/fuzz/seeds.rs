//! Seeds: the inputs that fuzzing starts from. They are committed as text, `fuzz/seeds/TARGET.txt`,
//! because text can be read, commented and reviewed, and expanded into files for libFuzzer here.
//!
//! A line is `name: bytes  # why`; bytes are hex digits, `"text"`, and either with `*count`. A line
//! `@begin bytes` puts these bytes in front of every seed that follows.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::paths;

/// Writes the seeds of `target` into a folder of their own and returns it. No file, no seeds.
pub(super) fn expand(target: &str) -> Result<PathBuf> {
    let folder = paths::target().join("fuzz-seeds").join(target);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = super::home().join("seeds").join(format!("{target}.txt"));
    if file.exists() {
        for (name, bytes) in
            parse(&fs::read_to_string(&file)?).with_context(|| paths::shown(&file))?
        {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(folder)
}

fn parse(text: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut begin = Vec::new();
    let mut seeds = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let bytes =
            |rest: &str| bytes(rest).with_context(|| format!("line {}: {line}", number + 1));
        if let Some(rest) = line.strip_prefix("@begin ") {
            begin = bytes(rest)?;
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            let (name, rest) = line
                .split_once(':')
                .with_context(|| format!("line {} has no name", number + 1))?;
            seeds.push((
                name.trim().to_owned(),
                [begin.clone(), bytes(rest)?].concat(),
            ));
        }
    }
    Ok(seeds)
}

/// The bytes of one line up to its comment.
fn bytes(mut rest: &str) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(all);
        }
        let (piece, after) = piece(rest)?;
        let (count, after) = count(after)?;
        all.extend(piece.repeat(count));
        rest = after;
    }
}

/// A quoted text or a run of hex digits, and what follows it.
fn piece(rest: &str) -> Result<(Vec<u8>, &str)> {
    if let Some(quoted) = rest.strip_prefix('"') {
        let (text, after) = quoted.split_once('"').context("a quote is not closed")?;
        return Ok((text.as_bytes().to_vec(), after));
    }
    let end = rest
        .find(|c: char| !c.is_ascii_hexdigit())
        .unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    if digits.is_empty() || digits.len() % 2 == 1 {
        bail!("expected pairs of hex digits or a quoted text at `{rest}`");
    }
    let pairs = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
    Ok((pairs.collect::<Result<_, _>>()?, after))
}

/// The `*count` after a piece; one if there is none.
fn count(rest: &str) -> Result<(usize, &str)> {
    let Some(rest) = rest.strip_prefix('*') else {
        return Ok((1, rest));
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    Ok((digits.parse().context("expected a count after `*`")?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_text_counts_and_comments_are_understood() {
        let seeds = parse("# all\n@begin ff\na: 8185 \"Hi # é\" 00*3 # why\nb: \"x\"*2\n")
            .expect("it is right");
        let a = [b"\xff\x81\x85".as_slice(), "Hi # é".as_bytes(), &[0; 3]].concat();
        assert_eq!(
            seeds,
            [("a".to_owned(), a), ("b".to_owned(), b"\xffxx".to_vec())]
        );
    }

    #[test]
    fn mistakes_name_their_line() {
        let error = parse("a: 81\nb: 8\n").expect_err("half a byte");
        assert!(error.to_string().starts_with("line 2"));
    }
}
