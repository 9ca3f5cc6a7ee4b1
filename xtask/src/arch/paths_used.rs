//! Finds the paths that a source text uses, as `std::io::Read` in `use std::{io::Read, net}`, and
//! method calls as `.elapsed`. Works on tokens, so comments and strings do not count, and skips
//! what stands under `#[cfg(test)]`. It does not know types or follow renames.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path, and the line where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

/// All paths in `text`, in order.
pub(super) fn find(text: &str) -> Result<Vec<Used>> {
    let stream: TokenStream = text
        .parse()
        .map_err(|error| anyhow!("cannot be read as Rust: {error}"))?;
    let mut found = Vec::new();
    Cursor::new(stream).scan(&mut found);
    Ok(found)
}

struct Cursor {
    tokens: Vec<TokenTree>,
    at: usize,
}

impl Cursor {
    fn new(stream: TokenStream) -> Self {
        Self {
            tokens: stream.into_iter().collect(),
            at: 0,
        }
    }

    fn scan(&mut self, found: &mut Vec<Used>) {
        while let Some(token) = self.tokens.get(self.at) {
            match token {
                TokenTree::Group(group) if self.is_test_attribute(group) => self.skip_item(),
                TokenTree::Group(group) => {
                    Self::new(group.stream()).scan(found);
                    self.at += 1;
                }
                TokenTree::Ident(word) if word == "use" => {
                    self.at += 1;
                    self.tree(&[], found);
                }
                TokenTree::Ident(_) => self.path(&[], 2, found),
                TokenTree::Punct(dot) if dot.as_char() == '.' => self.method(found),
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.at += 1,
            }
        }
    }

    /// The `[cfg(test)]` of `#[cfg(test)]`.
    fn is_test_attribute(&self, group: &Group) -> bool {
        let inside = group.stream().to_string().replace(' ', "");
        group.delimiter() == Delimiter::Bracket && inside == "cfg(test)"
    }

    /// Goes past what an attribute belongs to: up to its braces or its semicolon.
    fn skip_item(&mut self) {
        self.at += 1;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
                TokenTree::Punct(end) if end.as_char() == ';' => return,
                TokenTree::Group(_)
                | TokenTree::Punct(_)
                | TokenTree::Ident(_)
                | TokenTree::Literal(_) => {}
            }
        }
    }

    /// A `use` tree after `prefix`: a path, or a list of trees in braces.
    fn tree(&mut self, prefix: &[String], found: &mut Vec<Used>) {
        self.eat_colons();
        match self.tokens.get(self.at) {
            Some(TokenTree::Group(list)) => {
                self.at += 1;
                Self::new(list.stream()).list(prefix, found);
            }
            Some(TokenTree::Ident(_)) => self.path(prefix, 1, found),
            Some(TokenTree::Punct(_) | TokenTree::Literal(_)) | None => self.at += 1,
        }
    }

    /// Trees between commas; what follows a tree up to the comma (`as x`) does not matter.
    fn list(&mut self, prefix: &[String], found: &mut Vec<Used>) {
        while self.at < self.tokens.len() {
            self.tree(prefix, found);
            while self.at < self.tokens.len() && !self.eat(',') {
                self.at += 1;
            }
        }
    }

    /// A path that begins with the word here; told when it has `segments_min` segments.
    fn path(&mut self, prefix: &[String], segments_min: usize, found: &mut Vec<Used>) {
        let line = self
            .tokens
            .get(self.at)
            .map_or(0, |token| token.span().start().line);
        let mut path = prefix.to_vec();
        while let Some(TokenTree::Ident(word)) = self.tokens.get(self.at) {
            path.push(word.to_string());
            self.at += 1;
            if !self.eat_colons() {
                break;
            }
        }
        if let Some(TokenTree::Group(list)) = self.tokens.get(self.at)
            && self.after_colons()
        {
            self.at += 1;
            return Self::new(list.stream()).list(&path, found);
        }
        if path.len() >= segments_min {
            found.push(Used { path, line });
        }
    }

    /// `.name`, told as a path of that one segment.
    fn method(&mut self, found: &mut Vec<Used>) {
        self.at += 1;
        if let Some(TokenTree::Ident(name)) = self.tokens.get(self.at) {
            found.push(Used {
                path: vec![format!(".{name}")],
                line: name.span().start().line,
            });
            self.at += 1;
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        let here =
            matches!(self.tokens.get(self.at), Some(TokenTree::Punct(p)) if p.as_char() == wanted);
        self.at += usize::from(here);
        here
    }

    fn eat_colons(&mut self) -> bool {
        let colon =
            |at| matches!(self.tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
        let both = colon(self.at) && colon(self.at + 1);
        self.at += 2 * usize::from(both);
        both
    }

    fn after_colons(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        matches!(before, Some(TokenTree::Punct(p)) if p.as_char() == ':')
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    fn paths(text: &str) -> Vec<String> {
        let found = find(text).expect("the text is Rust");
        found.iter().map(|used| used.path.join("::")).collect()
    }

    #[test]
    fn nested_use_lists_are_spread_out() {
        let text = "use std::{io::{self, Read}, net::TcpStream as T}; use mio;";
        assert_eq!(
            paths(text),
            [
                "std::io::self",
                "std::io::Read",
                "std::net::TcpStream",
                "mio"
            ]
        );
    }

    #[test]
    fn paths_in_code_and_in_macros_are_found() {
        let text = "fn f(a: mio::Token) { assert!(std::net::x(), 1); let b = Instant::now(); }";
        assert_eq!(paths(text), ["mio::Token", "std::net::x", "Instant::now"]);
    }

    #[test]
    fn methods_are_found() {
        assert_eq!(paths("fn f() { start.elapsed(); }"), [".elapsed"]);
    }

    #[test]
    fn comments_strings_and_plain_words_do_not_count() {
        assert!(paths("/// std::net\nfn mio() { let a = \"std::net::x\"; } // mio::x").is_empty());
    }

    #[test]
    fn a_block_after_a_path_is_no_use_list() {
        assert_eq!(
            paths("impl a::B { fn c() -> d::E { f::g() } }"),
            ["a::B", "d::E", "f::g"]
        );
    }

    #[test]
    fn code_under_cfg_test_is_skipped() {
        let text =
            "#[cfg(test)] use a::b; fn f() {} #[cfg(test)] mod tests { use c::d; } use e::f;";
        assert_eq!(paths(text), ["e::f"]);
    }

    #[test]
    fn a_finding_knows_its_line() {
        assert_eq!(
            find("\n\nuse mio::Poll;").expect("the text is Rust")[0].line,
            3
        );
    }
}
