//! The quotes against the RFCs' own text: each is there word by word, and each word of a duty is in one of them.
//!
//! The text is not in the repository; `--text` says where it lies.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::rules::{Rfc, levels_in};

/// What is wrong with the quotes.
pub(super) fn check(rfcs: &[Rfc], folder: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for rfc in rfcs {
        let file = folder.join(format!("rfc{}.txt", rfc.number));
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        findings.extend(compare(rfc, &String::from_utf8_lossy(&text)));
    }
    Ok(findings)
}

fn compare(rfc: &Rfc, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut levels: Vec<(String, usize, &str)> = Vec::new();
    let sections = sections(text, rfc.sections);
    for (section, words) in &sections {
        levels.extend(
            levels_in(words)
                .into_iter()
                .map(|(at, level)| (section.clone(), at, level)),
        );
    }
    for rule in &rfc.rules {
        let words = sections.iter().find(|(name, _)| name == rule.section());
        let words = words.map_or("", |(_, words)| words.as_str());
        let places: Vec<usize> = words.match_indices(&rule.quote).map(|(at, _)| at).collect();
        if places.is_empty() {
            findings.push(format!(
                "{}: not the words of section {}",
                rule.id,
                rule.section()
            ));
        }
        levels.retain(|(section, level, _)| {
            let quoted = |at: &usize| (*at..at + rule.quote.len()).contains(level);
            section != rule.section() || !places.iter().any(quoted)
        });
    }
    findings.extend(levels.iter().map(|(section, at, level)| {
        let (_, words) = sections
            .iter()
            .find(|(name, _)| name == section)
            .unwrap_or(&sections[0]);
        let around: String = words[*at..].chars().take(60).collect();
        format!(
            "RFC {}, section {section}: no rule has this {level}: {around}",
            rfc.number
        )
    }));
    findings
}

/// The sections by number, each as one line: no page breaks, no bullets, no comment signs of a grammar.
fn sections(text: &str, [first, last]: [u32; 2]) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines().filter(|line| !is_page_break(line)) {
        if let Some(number) = heading(line) {
            let chapter = number.split('.').next().and_then(|n| n.parse::<u32>().ok());
            inside = chapter.is_some_and(|chapter| (first..=last).contains(&chapter));
            if inside {
                sections.push((number.to_owned(), String::new()));
            }
            continue;
        }
        if let (true, Some((_, words))) = (inside, sections.last_mut()) {
            append(words, line);
        }
    }
    sections
}

/// Appends a line's words; a line that ends with a hyphen goes on without a space.
fn append(words: &mut String, line: &str) {
    let line = line.trim_start();
    let line = line.strip_prefix("o  ").unwrap_or(line);
    let line = line.trim_start_matches([';', ' ']);
    let is_cut = words.ends_with('-') && !words.ends_with(" -");
    for (index, word) in line.split_whitespace().enumerate() {
        if !(words.is_empty() || (index == 0 && is_cut)) {
            words.push(' ');
        }
        words.push_str(word);
    }
}

/// `5.1` of `5.1.  Overview`, at the beginning of a line.
fn heading(line: &str) -> Option<&str> {
    let (number, title) = line.split_once(". ")?;
    let is_number = number.split('.').all(|part| part.parse::<u32>().is_ok());
    (is_number && !title.trim().is_empty()).then_some(number)
}

/// The foot of a page, the head of the next, and what is between them.
fn is_page_break(line: &str) -> bool {
    let foot = line.ends_with(']') && line.contains("[Page ");
    let head =
        line.trim_start_matches('\u{c}').starts_with("RFC ") && line.ends_with(char::is_numeric);
    foot || head || line.starts_with('\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc::rules::Rule;

    const TEXT: &str = "\
3.  Before

   This MUST not count.

5.1.  Overview

   A client MUST mask all

Fette & Melnikov             Standards Track                   [Page 3]
\u{c}
RFC 6455                 The WebSocket Protocol            December 2011

   frames with a non-
   zero key.

   o  A server MUST NOT mask.

11.  Behind

   It MUST not count either.
";

    fn findings(quotes: &[&str]) -> Vec<String> {
        let rule = |quote: &&str| Rule {
            id: "6455-5.1-1".to_owned(),
            level: "MUST".to_owned(),
            quote: (*quote).to_owned(),
            reason: None,
            except: None,
        };
        let rfc = Rfc {
            number: "6455",
            title: "",
            sections: [4, 10],
            rules: quotes.iter().map(rule).collect(),
        };
        compare(&rfc, TEXT)
    }

    #[test]
    fn quotes_are_found_across_lines_and_pages() {
        let quotes = [
            "A client MUST mask all frames with a non-zero key.",
            "A server MUST NOT mask.",
        ];
        assert_eq!(findings(&quotes), [""; 0]);
    }

    #[test]
    fn other_words_and_missing_sentences_are_told() {
        assert_eq!(
            findings(&["A client MUST mask every frame.", "A server MUST NOT mask."]),
            [
                "6455-5.1-1: not the words of section 5.1",
                "RFC 6455, section 5.1: no rule has this MUST: MUST mask all frames with a non-zero key. A server MUST NOT ",
            ]
        );
    }
}
