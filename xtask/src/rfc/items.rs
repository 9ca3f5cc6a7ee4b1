//! The functions, constants and types of a source text, and the lines that each has: its comments and attributes
//! included. Works on tokens, so that it sees into macros such as `proptest!`.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// An item with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// `Header::decode`, `decode_length`, `CONTROL_PAYLOAD_MAX`.
    pub(super) name: String,
    /// The first line and the last.
    pub(super) lines: (usize, usize),
    pub(super) kind: Kind,
    /// It stands under `#[cfg(test)]`.
    pub(super) in_test_module: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A function with `#[test]`.
    Test,
    Function,
    Other,
}

/// A source text, read.
#[derive(Debug)]
pub(super) struct Items {
    items: Vec<Item>,
    /// Line and column of the first and behind the last character of each string.
    strings: Vec<(Place, Place)>,
}

/// A line, from 1, and a column, from 0, in characters.
pub(super) type Place = (usize, usize);

impl Items {
    /// Reads `text`.
    ///
    /// # Errors
    /// It is not Rust.
    pub(super) fn read(text: &str) -> Result<Self> {
        let stream: TokenStream = text
            .parse()
            .map_err(|error| anyhow!("cannot be read as Rust: {error}"))?;
        let mut items = Self {
            items: Vec::new(),
            strings: Vec::new(),
        };
        items.scan(stream, "", false);
        Ok(items)
    }

    /// The innermost item that has `line`.
    pub(super) fn at(&self, line: usize) -> Option<&Item> {
        let around = self
            .items
            .iter()
            .filter(|item| (item.lines.0..=item.lines.1).contains(&line));
        around.min_by_key(|item| item.lines.1 - item.lines.0)
    }

    /// Whether a string literal has this place: then it is no comment.
    pub(super) fn is_in_string(&self, place: Place) -> bool {
        self.strings
            .iter()
            .any(|(first, behind)| (*first..*behind).contains(&place))
    }

    fn scan(&mut self, stream: TokenStream, owner: &str, in_test_module: bool) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut start = Start::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += match token {
                TokenTree::Punct(hash) if hash.as_char() == '#' => {
                    start.attribute(line_of(token), tokens.get(at + 1))
                }
                TokenTree::Ident(word) if is_qualifier(word, tokens.get(at + 1)) => {
                    start.begin(line_of(token));
                    1
                }
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    start.begin(line_of(token));
                    let taken = self.item(&word, &tokens[at..], &start, owner, in_test_module);
                    start = Start::default();
                    taken
                }
                // `pub(crate)`: the item goes on behind it.
                TokenTree::Group(group) if start.line.is_some() && is_scope(group) => 1,
                TokenTree::Group(group) => {
                    start = Start::default();
                    self.scan(group.stream(), owner, in_test_module);
                    1
                }
                TokenTree::Literal(_) | TokenTree::Punct(_) => {
                    self.string(token);
                    start = Start::default();
                    1
                }
            };
        }
    }

    /// Takes the item that `tokens` begins with, if it is one, and returns how many tokens that were.
    fn item(
        &mut self,
        keyword: &str,
        tokens: &[TokenTree],
        start: &Start,
        owner: &str,
        in_test_module: bool,
    ) -> usize {
        if keyword == "impl" || keyword == "trait" {
            let Some((header, Some(body), taken)) = split_item(tokens, true) else {
                return 1;
            };
            self.scan(body.stream(), &type_name(header), in_test_module);
            return taken;
        }
        let (Some(kind), Some(TokenTree::Ident(name))) = (kind_of(keyword), tokens.get(1)) else {
            return 1;
        };
        let ends_at_brace = !matches!(keyword, "const" | "static" | "type");
        let Some((header, body, taken)) = split_item(tokens, ends_at_brace) else {
            return 1;
        };
        let in_test_module = in_test_module || start.is_cfg_test;
        // Of modules only those for tests say something of their lines.
        if keyword != "mod" || start.is_cfg_test {
            let lines = (
                start.line.unwrap_or_default(),
                tokens[taken - 1].span().end().line,
            );
            self.items.push(Item {
                name: named(owner, &name.to_string()),
                lines,
                kind: if start.is_test { Kind::Test } else { kind },
                in_test_module,
            });
        }
        for token in header {
            self.strings_in(token);
        }
        if let Some(body) = body {
            self.scan(body.stream(), "", in_test_module);
        }
        taken
    }

    fn strings_in(&mut self, token: &TokenTree) {
        match token {
            TokenTree::Group(group) => group
                .stream()
                .into_iter()
                .for_each(|token| self.strings_in(&token)),
            TokenTree::Literal(_) => self.string(token),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }

    fn string(&mut self, token: &TokenTree) {
        if let TokenTree::Literal(literal) = token {
            let place = |at: proc_macro2::LineColumn| (at.line, at.column);
            let span = literal.span();
            self.strings.push((place(span.start()), place(span.end())));
        }
    }
}

/// What stands in front of an item.
#[derive(Debug, Default)]
struct Start {
    line: Option<usize>,
    is_test: bool,
    is_cfg_test: bool,
}

impl Start {
    fn begin(&mut self, line: usize) {
        self.line.get_or_insert(line);
    }

    /// Takes an attribute, or a comment for the documentation, which is one; returns how many tokens that were.
    fn attribute(&mut self, line: usize, group: Option<&TokenTree>) -> usize {
        let Some(TokenTree::Group(group)) = group else {
            // `#![…]` belongs to what is around it.
            return 3;
        };
        self.begin(line);
        let inside = group.stream().to_string().replace(' ', "");
        self.is_test |= inside == "test";
        self.is_cfg_test |= inside == "cfg(test)";
        2
    }
}

fn line_of(token: &TokenTree) -> usize {
    token.span().start().line
}

/// Whether `word` stands in front of an item's own keyword, as `const` does in `const fn`.
fn is_qualifier(word: &Ident, next: Option<&TokenTree>) -> bool {
    match word.to_string().as_str() {
        "pub" | "unsafe" | "async" | "extern" => true,
        "const" => matches!(next, Some(TokenTree::Ident(next)) if next == "fn" || next == "unsafe"),
        _ => false,
    }
}

fn is_scope(group: &Group) -> bool {
    group.delimiter() == Delimiter::Parenthesis
}

fn kind_of(keyword: &str) -> Option<Kind> {
    match keyword {
        "fn" => Some(Kind::Function),
        "struct" | "enum" | "union" | "mod" | "const" | "static" | "type" => Some(Kind::Other),
        _ => None,
    }
}

/// What stands before the body, the body, and how many tokens both are: up to a brace or a semicolon.
fn split_item(
    tokens: &[TokenTree],
    ends_at_brace: bool,
) -> Option<(&[TokenTree], Option<&Group>, usize)> {
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if ends_at_brace && group.delimiter() == Delimiter::Brace => {
                return Some((&tokens[..at], Some(group), at + 1));
            }
            TokenTree::Punct(end) if end.as_char() == ';' => {
                return Some((&tokens[..at], None, at + 1));
            }
            TokenTree::Group(_)
            | TokenTree::Ident(_)
            | TokenTree::Punct(_)
            | TokenTree::Literal(_) => {}
        }
    }
    None
}

/// `Scanner` of `impl<'a> Iterator for Scanner<'a>`.
fn type_name(header: &[TokenTree]) -> String {
    let is =
        |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(name) if name == word);
    let behind_for = header.iter().rposition(|token| is(token, "for"));
    let mut depth = 0;
    let mut name = String::new();
    for token in &header[behind_for.map_or(1, |at| at + 1)..] {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => depth -= 1,
            TokenTree::Ident(word) if word == "where" => break,
            TokenTree::Ident(word) if depth == 0 => name = word.to_string(),
            TokenTree::Ident(_)
            | TokenTree::Group(_)
            | TokenTree::Punct(_)
            | TokenTree::Literal(_) => {}
        }
    }
    name
}

fn named(owner: &str, name: &str) -> String {
    if owner.is_empty() {
        name.to_owned()
    } else {
        format!("{owner}::{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"//! A file.

/// A limit.
pub const MAX: usize = { 3 };

impl<'a> std::fmt::Display for Scanner<'a> {
    /// Prints.
    #[must_use]
    pub(crate) const fn fmt(&self) -> usize {
        // inside
        "a [string]".len()
    }
}

fn alone(x: impl Fn() -> u8) {}

proptest! {
    /// A property.
    #[test]
    fn holds(x in 0..3) {
        let y = "one"; // behind
    }
}

#[cfg(test)]
mod tests {
    fn helper() {}
    #[test]
    fn works() {
        helper();
    }
}
"#;

    fn found(line: usize) -> Option<(String, Kind, bool)> {
        let items = Items::read(SOURCE).expect("it is Rust");
        let item = items.at(line)?;
        Some((item.name.clone(), item.kind, item.in_test_module))
    }

    #[test]
    fn each_line_belongs_to_the_innermost_item() {
        let expected = |name: &str, kind| Some((name.to_owned(), kind, false));
        assert_eq!(found(1), None);
        assert_eq!(found(3), expected("MAX", Kind::Other));
        assert_eq!(found(6), None, "the impl itself has no name");
        for line in 7..=12 {
            assert_eq!(found(line), expected("Scanner::fmt", Kind::Function));
        }
        assert_eq!(found(15), expected("alone", Kind::Function));
    }

    #[test]
    fn tests_are_known_also_inside_macros() {
        for line in 18..=22 {
            assert_eq!(found(line), Some(("holds".to_owned(), Kind::Test, false)));
        }
        let helper = ("helper".to_owned(), Kind::Function, true);
        assert_eq!(found(27), Some(helper));
        assert_eq!(found(30), Some(("works".to_owned(), Kind::Test, true)));
    }

    #[test]
    fn strings_are_no_comments() {
        let items = Items::read(SOURCE).expect("it is Rust");
        assert!(items.is_in_string((11, 12)));
        assert!(!items.is_in_string((10, 12)));
        assert!(!items.is_in_string((21, 24)), "a comment behind a string");
    }

    #[test]
    fn what_is_not_rust_is_an_error() {
        assert!(Items::read("fn (").is_err());
    }
}
