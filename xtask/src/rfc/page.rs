//! `docs/rfc-coverage.md`: a table for each section, of each rule, where it is kept and what tests it, or whose it is.

use std::fmt::Write as _;

use super::citations::Citation;
use super::coverage::{Coverage, Covered, count_exceptions, count_ours};
use super::rules::Rfc;

/// About how much of a rule's words the page has, in characters.
const QUOTE_CHARS: usize = 180;

const HEAD: &str = "# RFC coverage

Every MUST, MUST NOT, SHALL, SHOULD, SHOULD NOT, REQUIRED and RECOMMENDED of RFC 6455, sections 4 to 10, and RFC 7692,
sections 5 to 8: where the code keeps it and which tests hold it, or whose duty it is. The full words are in
[`docs/rfc`](rfc).

`cargo xtask rfc` writes this page from the citations in the sources (`[6455-5.1-1]`), and `cargo xtask test` checks it.
";

/// The page.
pub(super) fn write(coverage: &Coverage<'_>) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n| RFC | rules | kept, with a test | with an exception | for others |\n");
    page.push_str("|---|---:|---:|---:|---:|\n");
    for (rfc, covered) in &coverage.rfcs {
        let (all, ours) = (covered.len(), count_ours(covered));
        let [first, last] = rfc.sections;
        row(
            &mut page,
            &[
                format!(
                    "[RFC {0}](https://www.rfc-editor.org/rfc/rfc{0}), sections {first} to {last}",
                    rfc.number
                ),
                all.to_string(),
                ours.to_string(),
                count_exceptions(covered).to_string(),
                (all - ours).to_string(),
            ],
        );
    }
    for (rfc, covered) in &coverage.rfcs {
        sections(&mut page, rfc, covered);
    }
    page
}

fn sections(page: &mut String, rfc: &Rfc, covered: &[Covered<'_>]) {
    let number = rfc.number;
    let _ = writeln!(page, "\n## RFC {number}: {}", rfc.title);
    for section in covered.chunk_by(|a, b| a.rule.section() == b.rule.section()) {
        let name = section.first().map_or("", |covered| covered.rule.section());
        let _ = writeln!(
            page,
            "\n### [§{name}](https://www.rfc-editor.org/rfc/rfc{number}#section-{name})\n"
        );
        page.push_str("| rule | words | code | tests |\n|---|---|---|---|\n");
        for covered in section {
            row(page, &cells(covered));
        }
    }
}

fn cells(covered: &Covered<'_>) -> [String; 4] {
    let rule = covered.rule;
    let (code, tests) = match &rule.reason {
        Some(reason) => (String::new(), format!("*{reason}*")),
        None => {
            let except = rule.except.as_ref();
            let except = except.map_or(String::new(), |text| format!("<br>*Except: {text}*"));
            (places(&covered.code), places(&covered.tests) + &except)
        }
    };
    [
        rule.id.clone(),
        shortened(&rule.quote, &rule.level),
        code,
        tests,
    ]
}

fn places(citations: &[&Citation]) -> String {
    citations
        .iter()
        .map(|c| place(c))
        .collect::<Vec<_>>()
        .join("<br>")
}

/// A link to the file, without a line: lines move.
fn place(citation: &Citation) -> String {
    let Citation { path, item, .. } = citation;
    let file = path
        .rsplit_once('/')
        .map_or(path.as_str(), |(_, file)| file);
    let name = if item.is_empty() { file } else { item };
    format!("[`{name}`](../{path})")
}

fn row(page: &mut String, cells: &[String]) {
    for cell in cells {
        page.push_str("| ");
        page.push_str(&cell.replace('|', "\\|"));
        page.push(' ');
    }
    page.push_str("|\n");
}

/// The words around the duty, which is bold: a long sentence loses its end, and its beginning if the duty comes late.
fn shortened(quote: &str, level: &str) -> String {
    let at = quote.find(level).unwrap_or_default();
    let (before, duty) = quote.split_at(at);
    let behind = duty.strip_prefix(level).unwrap_or(duty);
    let before = last_words(before, QUOTE_CHARS / 2);
    let behind = first_words(behind, QUOTE_CHARS.saturating_sub(before.chars().count()));
    format!("{before}**{level}**{behind}")
}

fn first_words(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => {
            let whole = text[..end].rfind(' ').unwrap_or(end);
            format!("{} …", &text[..whole])
        }
    }
}

fn last_words(text: &str, chars: usize) -> String {
    match text.char_indices().rev().nth(chars) {
        None => text.to_owned(),
        Some((start, _)) => {
            let whole = text[start..].find(' ').map_or(start, |space| start + space);
            format!("… {}", text[whole..].trim_start())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc::rules::Rule;

    fn rule(id: &str, quote: &str, reason: Option<&str>) -> Rule {
        Rule {
            id: id.to_owned(),
            level: "MUST".to_owned(),
            quote: quote.to_owned(),
            reason: reason.map(str::to_owned),
            except: None,
        }
    }

    #[test]
    fn a_rule_has_a_row_with_links_or_its_reason() {
        let rfcs = [Rfc {
            number: "6455",
            title: "The WebSocket Protocol",
            sections: [4, 10],
            rules: vec![
                rule("6455-5.1-1", "a |Host| MUST come", None),
                rule("6455-5.1-2", "it MUST", Some("Theirs.")),
                Rule {
                    except: Some("Not on Sundays.".to_owned()),
                    ..rule("6455-5.1-3", "it MUST", None)
                },
            ],
        }];
        let citation = |path: &str, item: &str, by_test| Citation {
            id: "6455-5.1-1".to_owned(),
            path: path.to_owned(),
            line: 1,
            item: item.to_owned(),
            by_test,
        };
        let cited = [
            citation("a/src/b.rs", "B::c", false),
            citation("a/src/b.rs", "", false),
            citation("a/tests/d.rs", "e", true),
        ];
        let page = write(&Coverage::new(&rfcs, &cited));
        for line in [
            "| [RFC 6455](https://www.rfc-editor.org/rfc/rfc6455), sections 4 to 10 | 3 | 2 | 1 | 1 |",
            "### [§5.1](https://www.rfc-editor.org/rfc/rfc6455#section-5.1)",
            "| 6455-5.1-1 | a \\|Host\\| **MUST** come | [`B::c`](../a/src/b.rs)<br>[`b.rs`](../a/src/b.rs) \
             | [`e`](../a/tests/d.rs) |",
            "| 6455-5.1-2 | it **MUST** |  | *Theirs.* |",
            "| 6455-5.1-3 | it **MUST** |  | <br>*Except: Not on Sundays.* |",
        ] {
            assert!(
                page.lines().any(|written| written == line),
                "{line}\n{page}"
            );
        }
    }

    #[test]
    fn a_long_quote_keeps_the_words_around_its_duty() {
        let quote = format!("{}MUST {}", "early ".repeat(40), "late ".repeat(40));
        let short = shortened(&quote, "MUST");
        assert!(short.starts_with("… early"), "{short}");
        assert!(short.contains("early **MUST** late"), "{short}");
        assert!(short.ends_with("late …"), "{short}");
        assert!(short.chars().count() < QUOTE_CHARS + 20, "{short}");
        assert_eq!(shortened("it MUST be", "MUST"), "it **MUST** be");
    }
}
