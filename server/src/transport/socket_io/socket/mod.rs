//! Socket.IO v5 over a session of Engine.IO: its packets, and how the chat is spoken in them (docs/SOCKETIO.md).

mod attachments;
mod chat;
mod echoes;
mod events;
mod names;
mod packet;
mod recovery;
mod requests;

pub(crate) use attachments::has_binary;
pub(crate) use chat::Chat;
pub(crate) use echoes::{ECHO_BYTES_MAX, Echoes};
pub(crate) use events::entry;
pub use names::{BadEventName, Dictionary, EventName};

/// Reads a text as a content, whatever it is: bytes that are taken out of it come back as they were.
///
/// # Panics
/// They do not.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn fuzz_content(text: &str) {
    // Placeholders of its own would be taken for ours.
    if text.contains("_placeholder") {
        let _ = attachments::put_in(text, &[vec![1], vec![2]]);
        return;
    }
    let (with_holes, bytes) = attachments::take_out(text);
    let again = attachments::put_in(&with_holes, &bytes);
    assert_eq!(again.as_deref(), Ok(text));
    let _ = recovery::positions_of(text);
    let _ = recovery::session_of(text);
}

/// Reads lines as packets, and what follows them, which is no text, as attachments.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn fuzz_packets(data: &[u8]) {
    use super::engine::Body;
    let names = Dictionary::new(&[]);
    let mut assembler = packet::Assembler::default();
    for piece in data.split(|byte| *byte == b'\n') {
        let body = str::from_utf8(piece).map_or_else(|_| Body::Binary(piece.into()), Body::Text);
        let _ = assembler.take(&body, 1 << 16, |whole| {
            let args = whole.packet.args().unwrap_or_default();
            if let Some((name, args)) = args.split_first()
                && let Ok(name) = serde_json::from_str::<String>(name.get())
                && let Some(event) = names.meant(&name)
            {
                let _ = requests::read(event, args, None);
            }
        });
        assert!(assembler.held_bytes() <= 1 << 17, "it is bounded");
    }
}
