//! The grammar of the header values that a handshake reads: comma-separated tokens and extension lists (RFC 6455 §9.1,
//! RFC 9110 §5.6).

use std::borrow::Cow;
use std::fmt;

/// The elements of a comma-separated list, trimmed; empty ones are skipped as RFC 9110 §5.6.1.2 asks.
///
/// For values without quoted strings: `Connection`, `Upgrade`, `Sec-WebSocket-Protocol`, `Sec-WebSocket-Version`.
pub fn list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(|element| element.trim_matches([' ', '\t']))
        .filter(|element| !element.is_empty())
}

/// Whether `text` is a token: one or more visible ASCII characters other than delimiters (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// What a host and a port are made of, brackets of an IPv6 address included: not the delimiters around them in a URI, and
/// no comma, which would make a list.
pub(crate) const fn may_stand_in_host(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b',' | b'/' | b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>'
        )
}

/// An extension as offered or agreed in `Sec-WebSocket-Extensions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The extension's token.
    pub name: &'a str,
    /// Its parameters, in order.
    pub parameters: Vec<Parameter<'a>>,
}

/// A parameter of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its token.
    pub name: &'a str,
    /// Its value, unescaped where it was quoted, a token in either form.
    pub value: Option<Cow<'a, str>>,
}

/// The value does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedExtensions;

impl fmt::Display for MalformedExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed list of extensions")
    }
}

impl std::error::Error for MalformedExtensions {}

/// Reads one `Sec-WebSocket-Extensions` value: `extension-list = 1#extension` (§9.1). Linear in its length.
///
/// # Errors
/// The value does not follow the grammar; "the recipient of such malformed data MUST immediately _Fail the WebSocket
/// Connection_" (§9.1).
pub fn extensions(value: &str) -> Result<Vec<Extension<'_>>, MalformedExtensions> {
    let mut scanner = Scanner { rest: value };
    let mut found = Vec::new();
    loop {
        // [6455-9.1-1]
        scanner.skip_space();
        if !scanner.rest.is_empty() && !scanner.rest.starts_with(',') {
            found.push(scanner.extension()?);
        }
        if scanner.rest.is_empty() {
            return if found.is_empty() {
                Err(MalformedExtensions)
            } else {
                Ok(found)
            };
        }
        scanner.expect(',')?;
    }
}

/// What is left of the value.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// `extension = extension-token *( ";" extension-param )`.
    fn extension(&mut self) -> Result<Extension<'a>, MalformedExtensions> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        self.skip_space();
        while self.rest.starts_with(';') {
            self.expect(';')?;
            self.skip_space();
            parameters.push(self.parameter()?);
            self.skip_space();
        }
        Ok(Extension { name, parameters })
    }

    /// `extension-param = token [ "=" (token | quoted-string) ]`.
    fn parameter(&mut self) -> Result<Parameter<'a>, MalformedExtensions> {
        let name = self.token()?;
        self.skip_space();
        if !self.rest.starts_with('=') {
            return Ok(Parameter { name, value: None });
        }
        self.expect('=')?;
        self.skip_space();
        let value = if self.rest.starts_with('"') {
            self.quoted_token()?
        } else {
            Cow::Borrowed(self.token()?)
        };
        Ok(Parameter {
            name,
            value: Some(value),
        })
    }

    /// "When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token'
    /// ABNF" (§9.1). [6455-9.1-2, 6455-4.3-1]
    fn quoted_token(&mut self) -> Result<Cow<'a, str>, MalformedExtensions> {
        self.expect('"')?;
        // Nearly always there is nothing to unescape, and the value is lent.
        let mut value = Cow::Borrowed(self.token_bytes());
        while let Some(escaped) = self.rest.strip_prefix('\\') {
            let (byte, rest) = escaped.split_at_checked(1).ok_or(MalformedExtensions)?;
            self.rest = rest;
            value.to_mut().push_str(byte);
            value.to_mut().push_str(self.token_bytes());
        }
        self.expect('"')?;
        if is_token(&value) {
            Ok(value)
        } else {
            Err(MalformedExtensions)
        }
    }

    fn token(&mut self) -> Result<&'a str, MalformedExtensions> {
        let token = self.token_bytes();
        if token.is_empty() {
            Err(MalformedExtensions)
        } else {
            Ok(token)
        }
    }

    /// The next bytes that can stand in a token; maybe none.
    fn token_bytes(&mut self) -> &'a str {
        let end = self
            .rest
            .bytes()
            .position(|byte| !is_token_byte(byte))
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    fn expect(&mut self, delimiter: char) -> Result<(), MalformedExtensions> {
        self.rest = self
            .rest
            .strip_prefix(delimiter)
            .ok_or(MalformedExtensions)?;
        Ok(())
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Named<'a> = (&'a str, Vec<(&'a str, Option<&'a str>)>);

    /// Checks what `value` is read as.
    fn assert_extensions(value: &str, expected: &[Named<'_>]) {
        let found = extensions(value).unwrap();
        let named: Vec<Named<'_>> = found
            .iter()
            .map(|extension| {
                let parameters = extension.parameters.iter();
                let named = parameters.map(|p| (p.name, p.value.as_deref()));
                (extension.name, named.collect())
            })
            .collect();
        assert_eq!(named, expected);
    }

    #[test]
    fn several_extensions_with_and_without_parameters() {
        assert_extensions(
            "foo, permessage-deflate; client_max_window_bits; server_max_window_bits=10 ,bar;x=\"y\"",
            &[
                ("foo", vec![]),
                (
                    "permessage-deflate",
                    vec![
                        ("client_max_window_bits", None),
                        ("server_max_window_bits", Some("10")),
                    ],
                ),
                ("bar", vec![("x", Some("y"))]),
            ],
        );
    }

    #[test]
    fn empty_elements_are_skipped() {
        assert_extensions(",, a ,,b,", &[("a", vec![]), ("b", vec![])]);
    }

    /// [6455-9.1-1]
    #[test]
    fn what_is_not_in_the_grammar_is_refused() {
        for value in [
            "",
            ",",
            ";",
            "a;",
            "a;;b",
            "a=1",
            "a; b=",
            "a; b=\"",
            "a; b=\"c",
            "a; b=\"c d\"",
            "a; b=\"\"",
            "a b",
            "a; b c",
            "é",
            "a; b=\"c\\\"\"",
        ] {
            assert_eq!(extensions(value), Err(MalformedExtensions), "{value:?}");
        }
    }

    #[test]
    fn lists_are_trimmed() {
        assert_eq!(
            list(" keep-alive,\tUpgrade ,, x").collect::<Vec<_>>(),
            ["keep-alive", "Upgrade", "x"]
        );
    }
}
