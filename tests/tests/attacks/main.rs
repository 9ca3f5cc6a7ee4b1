//! Attacks that servers like this one fell to, as docs/attacks.toml lists them: what each is answered with, that it is paid for by
//! its own connection, and that good clients beside it notice nothing. Only those that no other test is about.

mod a_frames;
mod b_fragments;
mod c_handshakes;
mod d_deflate;
mod e_rights;
mod f_sockets;
mod g_chat;

use tidewire_tests::http::get;
use tidewire_tests::{Launch, Server, bystanders, wait_until};

/// What the memory may be above what it was, once an attack is over: what the allocator keeps for itself. An attack that could
/// leave something takes several times as much in all.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

/// An attack on a server with the defaults; see [`under_attack_as`].
#[track_caller]
fn under_attack(attack: impl FnOnce(&Server)) {
    under_attack_as(&Launch::default(), attack);
}

/// An attack on a server beside good clients that chat: they notice nothing, and the server is the same process afterwards, with
/// the descriptors and about the memory that it had.
#[track_caller]
fn under_attack_as(launch: &Launch, attack: impl FnOnce(&Server)) {
    let mut server = launch.start();
    // What is made once, on first use, is there: the pools of a thread, the page, the good clients' room.
    bystanders::beside_in("before the attack", &server, || get(server.address(), "/"));
    let before = server.usage();
    bystanders::beside_in("beside the attack", &server, || attack(&server));
    wait_until("all descriptors are free again", || {
        server.usage().descriptors <= before.descriptors
    });
    wait_until("the memory is free again", || {
        server.usage().resident_bytes <= before.resident_bytes + GROWTH_BYTES_MAX
    });
    assert_eq!(server.exit_status(), None, "it is the same process");
    assert_eq!(get(server.address(), "/health").json()["status"], "up");
}

/// How much more memory the server has than before.
#[track_caller]
fn growth(server: &Server, before: u64) -> u64 {
    server.usage().resident_bytes.saturating_sub(before)
}
