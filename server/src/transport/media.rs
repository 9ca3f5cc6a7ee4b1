//! What a file is served as: the content types that are safe to name, and the disposition that keeps browsers from running
//! what somebody sent.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a file is if its type is not on the list.
const UNKNOWN: &str = "application/octet-stream";

/// What a browser may show in place: it renders these and runs nothing in them. No SVG, which has scripts.
const INLINE: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "video/mp4",
    "video/ogg",
    "video/webm",
];

/// What keeps its type but is saved, not shown.
const ATTACHED: &[&str] = &["application/pdf", PLAIN];

/// Always in UTF-8: a charset that a sender chooses has made scripts of text before.
const PLAIN: &str = "text/plain; charset=utf-8";

/// Other names for types on the list.
const ALIASES: &[(&str, &str)] = &[
    ("image/jpg", "image/jpeg"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/x-wav", "audio/wav"),
    ("audio/wave", "audio/wav"),
    ("application/ogg", "audio/ogg"),
    ("text/plain", PLAIN),
];

/// The type that a file is served as whose sender says that it is `claimed`.
pub(super) fn safe_type(claimed: &str) -> &'static str {
    let essence = claimed.split(';').next().unwrap_or_default().trim();
    let named = |name: &str| essence.eq_ignore_ascii_case(name);
    let alias = ALIASES.iter().find(|(name, _)| named(name));
    let listed = || INLINE.iter().chain(ATTACHED).find(|name| named(name));
    alias
        .map(|(_, name)| *name)
        .or_else(|| listed().copied())
        .unwrap_or(UNKNOWN)
}

/// All that [`safe_type`] gives.
#[cfg(test)]
pub(super) fn types() -> impl Iterator<Item = &'static str> {
    INLINE.iter().chain(ATTACHED).copied().chain([UNKNOWN])
}

/// The value of Content-Disposition (RFC 6266) for a file of a type that [`safe_type`] gave.
pub(super) fn disposition(content_type: &str, name: Option<&str>) -> Cow<'static, str> {
    let kind = if INLINE.contains(&content_type) {
        "inline"
    } else {
        "attachment"
    };
    match name {
        None => kind.into(),
        Some(name) => format!(
            "{kind}; filename=\"{}\"; filename*=UTF-8''{}",
            fallback(name),
            utf8_percent_encode(name, NOT_ATTR_CHAR)
        )
        .into(),
    }
}

/// What stands unescaped in an extended value: `attr-char` of RFC 8187 §3.2.1.
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The name for who does not read `filename*`: "recipients [...] differ in what characters they accept" (RFC 6266,
/// appendix D), so that only what is harmless everywhere stays.
fn fallback(name: &str) -> String {
    let harmless = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c,
        '.' | '-' | '_' | ' ' => c,
        _ => '_',
    };
    name.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_on_the_list_stay_and_others_are_octets() {
        for (claimed, served) in [
            ("image/png", "image/png"),
            ("IMAGE/PNG; x=y", "image/png"),
            ("image/jpg", "image/jpeg"),
            ("audio/mp3", "audio/mpeg"),
            ("text/plain", PLAIN),
            ("text/plain;charset=utf-7", PLAIN),
            ("application/pdf", "application/pdf"),
            ("text/html", UNKNOWN),
            ("image/svg+xml", UNKNOWN),
            ("text/javascript", UNKNOWN),
            ("image/png, text/html", UNKNOWN),
            ("multipart/form-data; boundary=x", UNKNOWN),
            ("", UNKNOWN),
            ("image/png\r\nX: y", UNKNOWN),
        ] {
            assert_eq!(safe_type(claimed), served, "{claimed:?}");
        }
    }

    #[test]
    fn only_images_and_media_are_shown_in_place() {
        assert_eq!(disposition("image/png", None), "inline");
        for kind in [UNKNOWN, PLAIN, "application/pdf"] {
            assert_eq!(disposition(kind, None), "attachment", "{kind}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_quotes_nor_its_line() {
        assert_eq!(
            disposition(UNKNOWN, Some("a\"; filename=evil.exe\r\nX: ü/..\\%41.txt")),
            "attachment; filename=\"a__ filename_evil.exe__X_ __..__41.txt\"; \
             filename*=UTF-8''a%22%3B%20filename%3Devil.exe%0D%0AX%3A%20%C3%BC%2F..%5C%2541.txt"
        );
    }
}
