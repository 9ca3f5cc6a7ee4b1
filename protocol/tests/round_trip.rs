//! What one side encodes the other decodes, at all sizes where a form or a limit changes, however reads and writes cut it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Scenario, binary, observe, text};
use proptest::prelude::*;
use tidewire_protocol::{Config, Event, LimitError, Message, Side};

const LIMIT: u64 = 100_000;

fn config() -> Config {
    Config {
        frame_bytes_max: LIMIT,
        message_bytes_max: LIMIT,
        ..Config::default()
    }
}

/// Sizes around every one where the header or an answer changes.
fn edges() -> Vec<usize> {
    let limit = LIMIT as usize;
    [0, 125, 126, 4096, 65_535, 65_536, limit]
        .into_iter()
        .flat_map(|edge| [edge.saturating_sub(1), edge, edge + 1])
        .collect()
}

/// The first event that the other side sees when it reads in pieces of these sizes what was written in pieces of those.
fn carry(from: Side, message: &Message<'_>, writes: &[usize], reads: &[usize]) -> Event<'static> {
    let mut sender = Scenario::new(from, config());
    sender.connection.send(message).unwrap();
    let mut bytes = Vec::new();
    for &size in writes.iter().cycle() {
        if sender.connection.unsent_bytes() == 0 {
            break;
        }
        bytes.extend(sender.transport_takes(size));
    }
    let mut observed = observe(!from, &config(), &bytes, reads);
    assert_eq!(
        observed.events.len(),
        2 - usize::from(is_end(&observed.events[0]))
    );
    observed.events.swap_remove(0)
}

fn is_end(event: &Event<'_>) -> bool {
    matches!(event, Event::Closed(_))
}

fn expected(message: &Message<'_>) -> Event<'static> {
    match message {
        _ if message.payload().len() as u64 > LIMIT => {
            common::failed(LimitError::FrameBytes { max: LIMIT })
        }
        Message::Text(content) => text(content),
        Message::Binary(content) => binary(content),
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// [6455-6.1-1, 6455-6.1-5, 6455-6.1-8]
#[test]
fn every_size_around_the_edges_in_both_directions() {
    for side in [Side::Server, Side::Client] {
        for length in edges() {
            let ascii = "t".repeat(length);
            let bytes = pattern(length);
            for message in [Message::text(&ascii), Message::binary(&bytes)] {
                let carried = carry(side, &message, &[usize::MAX], &[usize::MAX]);
                // Not assert_eq: a hundred thousand bytes would be printed.
                assert!(
                    carried == expected(&message),
                    "{length} bytes from {side:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// [6455-6.2-1]
    #[test]
    fn any_size_and_any_cut(
        length in prop_oneof![proptest::sample::select(edges()), 0usize..70_000],
        writes in proptest::collection::vec(1usize..30_000, 1..6),
        reads in proptest::collection::vec(1usize..30_000, 1..6),
        from_client: bool,
    ) {
        let side = if from_client { Side::Client } else { Side::Server };
        let bytes = pattern(length);
        let message = Message::binary(&bytes);
        prop_assert!(carry(side, &message, &writes, &reads) == expected(&message));
    }

    #[test]
    fn any_text_and_any_cut(
        content: String,
        repeated in 1usize..50,
        writes in proptest::collection::vec(1usize..100, 1..6),
        reads in proptest::collection::vec(1usize..100, 1..6),
        from_client: bool,
    ) {
        let side = if from_client { Side::Client } else { Side::Server };
        let content = content.repeat(repeated);
        let message = Message::text(&content);
        prop_assert!(carry(side, &message, &writes, &reads) == expected(&message));
    }
}
