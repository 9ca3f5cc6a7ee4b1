//! The costs that the documentation states are the measured ones, and those that must be nothing are nothing.

#[path = "common/allocations.rs"]
mod allocations;
#[path = "common/costs.rs"]
mod costs;

use costs::{allocations_a_message, states};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// The figures depend on the size of pointers.
#[cfg(target_pointer_width = "64")]
#[test]
fn the_documentation_states_what_is_measured() {
    let documented = include_str!("../src/guide/costs.md");
    assert_eq!(
        costs::tables(),
        documented,
        "to state what is measured now: cargo run --example costs > protocol/src/guide/costs.md"
    );
}

#[test]
fn messages_that_lie_whole_in_the_input_and_prepared_ones_allocate_nothing() {
    let free: Vec<_> = allocations_a_message()
        .into_iter()
        .filter(|(_, allocations)| *allocations == 0.0)
        .map(|(message, _)| message)
        .collect();
    for message in [
        costs::WHOLE,
        costs::WHOLE_TEXT,
        costs::SENT,
        costs::PREPARED,
        costs::PREPARED_SMALL,
        costs::PREPARED_COMPRESSED,
    ] {
        assert!(
            free.contains(&message),
            "{message}: only {free:?} take no allocation"
        );
    }
}

#[test]
fn idle_connections_own_nothing() {
    let states = states();
    for idle in [
        costs::FRESH,
        costs::AFTER_MESSAGES,
        costs::ALONE,
        costs::ALONE_AFTER_MESSAGES,
        costs::CLOSED,
    ] {
        assert!(states.contains(&(idle, 0)), "{idle}: {states:?}");
    }
}
