//! Citations: `[6455-5.1-3]` in a comment, or several as `[6455-5.1-3, 6455-5.2-1]`, and where they stand.

use anyhow::{Context, Result};

use super::items::{Items, Kind};
use crate::source::Source;

/// A rule named in a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Citation {
    /// The rule's id, as it was written.
    pub(super) id: String,
    pub(super) path: String,
    pub(super) line: usize,
    /// The function, type or constant around it; empty at the head of a file.
    pub(super) item: String,
    /// A test cites it, not the code.
    pub(super) by_test: bool,
}

/// All citations in `sources`, and what is wrong with where they stand.
pub(super) fn find(sources: &[Source]) -> Result<(Vec<Citation>, Vec<String>)> {
    let (mut citations, mut findings) = (Vec::new(), Vec::new());
    for source in sources {
        if !source.text.contains("[6455-") && !source.text.contains("[7692-") {
            continue;
        }
        let items = Items::read(&source.text).with_context(|| source.path.clone())?;
        for (line, text) in (1..).zip(source.text.lines()) {
            for (column, id) in ids(text) {
                if items.is_in_string((line, column)) {
                    continue;
                }
                match cite(source, &items, line, id) {
                    Ok(citation) => citations.push(citation),
                    Err(finding) => findings.push(finding),
                }
            }
        }
    }
    Ok((citations, findings))
}

/// The ids in the citations of a line, and the column of each citation's bracket, in characters.
fn ids(line: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices('[') {
        let Some((inside, _)) = line[at + 1..].split_once(']') else {
            continue;
        };
        if inside.starts_with("6455-") || inside.starts_with("7692-") {
            let column = line[..at].chars().count();
            found.extend(inside.split(',').map(|id| (column, id.trim())));
        }
    }
    found
}

fn cite(source: &Source, items: &Items, line: usize, id: &str) -> Result<Citation, String> {
    let item = items.at(line);
    let is_test_code = source.is_test() || item.is_some_and(|item| item.in_test_module);
    let is_test = match item {
        Some(item) if source.is_test() => item.kind != Kind::Other,
        Some(item) => item.kind == Kind::Test,
        None => false,
    };
    if is_test_code && !is_test {
        return Err(format!(
            "{}:{line}: {id} is cited in test code, but outside of a test",
            source.path
        ));
    }
    Ok(Citation {
        id: id.to_owned(),
        path: source.path.clone(),
        line,
        item: item.map(|item| item.name.clone()).unwrap_or_default(),
        by_test: is_test,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> (Vec<(String, String, bool)>, Vec<String>) {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let (citations, findings) = find(&[source]).expect("it is Rust");
        let citations = citations
            .into_iter()
            .map(|citation| (citation.id, citation.item, citation.by_test))
            .collect();
        (citations, findings)
    }

    fn cited(id: &str, item: &str, by_test: bool) -> (String, String, bool) {
        (id.to_owned(), item.to_owned(), by_test)
    }

    #[test]
    fn code_cites_in_its_comments_and_not_in_its_strings() {
        let text = "//! [6455-1-1]\nfn a() {\n    // früh [6455-5.1-1, 7692-7-2] and [1, 2]\n    \
                    let x = \"[6455-9-9]\"; // [6455-5.1-2]\n}\n";
        let expected = vec![
            cited("6455-1-1", "", false),
            cited("6455-5.1-1", "a", false),
            cited("7692-7-2", "a", false),
            cited("6455-5.1-2", "a", false),
        ];
        assert_eq!(found("protocol/src/a.rs", text), (expected, vec![]));
    }

    #[test]
    fn tests_cite_in_their_comments() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    /// [6455-5.1-1]\n    #[test]\n    fn b() {}\n}\n";
        let expected = vec![cited("6455-5.1-1", "b", true)];
        assert_eq!(found("protocol/src/a.rs", text), (expected.clone(), vec![]));
        let text = "/// [6455-5.1-1]\nfn b() {}\n";
        assert_eq!(found("protocol/tests/a.rs", text), (expected, vec![]));
    }

    #[test]
    fn test_code_outside_of_tests_tests_nothing() {
        let text = "#[cfg(test)]\nmod tests {\n    // [6455-5.1-1]\n    const A: u8 = 1; // [6455-5.1-2]\n}\n";
        let (citations, findings) = found("protocol/src/a.rs", text);
        assert_eq!(citations, []);
        assert_eq!(
            findings,
            [
                "protocol/src/a.rs:3: 6455-5.1-1 is cited in test code, but outside of a test",
                "protocol/src/a.rs:4: 6455-5.1-2 is cited in test code, but outside of a test",
            ]
        );
        let (citations, findings) = found("protocol/tests/a.rs", "//! [6455-5.1-1]\n");
        assert_eq!((citations, findings.len()), (vec![], 1));
    }
}
