//! The query of an address: `a=1&b=x%20y`, names and values percent-decoded.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// A name or a value that is not UTF-8 when decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// The pairs in order; a name without `=` has an empty value. `+` is a space, as browsers' forms write it.
pub(super) fn pairs(
    query: &str,
) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), NotUtf8>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
}

fn decode(text: &str) -> Result<Cow<'_, str>, NotUtf8> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes())
        .decode_utf8()
        .map_err(|_| NotUtf8)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(query: &str) -> Result<Vec<(String, String)>, NotUtf8> {
        pairs(query)
            .map(|pair| pair.map(|(a, b)| (a.into_owned(), b.into_owned())))
            .collect()
    }

    #[test]
    fn names_and_values_are_decoded() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            decoded("room=a&room=b%26c&&x&y=1+2=3&%C3%BC=%e2%82%ac"),
            Ok(vec![
                pair("room", "a"),
                pair("room", "b&c"),
                pair("x", ""),
                pair("y", "1 2=3"),
                pair("ü", "€")
            ])
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        assert_eq!(decoded("a=%ff"), Err(NotUtf8));
    }

    #[test]
    fn a_percent_sign_without_two_digits_stands_for_itself() {
        assert_eq!(
            decoded("a=100%"),
            Ok(vec![("a".to_owned(), "100%".to_owned())])
        );
    }
}
