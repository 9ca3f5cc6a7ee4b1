//! socket.io-client from npm, as people use it, in rooms with clients of the chat's own JSON: over each of its transports.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tidewire_tests::Launch;
use tidewire_tests::proxy::{Fault, Proxy};
use tidewire_tests::script::Script;

const TRANSPORTS: [&str; 3] = ["polling", "websocket", "upgrade"];

fn run(task: &str, options: &[&str]) {
    for transport in TRANSPORTS {
        let server = Launch::default().plain().arguments(options).start();
        let url = format!("http://{}", server.address());
        Script::node("socket_io_client.mjs", &[task, transport, &url]).finish();
    }
}

#[test]
fn it_chats_with_who_speaks_json() {
    run("chat", &[]);
}

#[test]
fn it_chats_where_connections_are_not_recovered_and_events_are_the_same_for_all() {
    run("chat", &["--socketio-recovery", "false"]);
}

#[test]
fn it_chats_with_a_server_of_several_workers() {
    run("chat", &["--workers", "3"]);
}

#[test]
fn bytes_are_attachments_for_it_and_a_marker_for_others() {
    run("binary", &[]);
}

#[test]
fn what_is_refused_is_told_in_its_own_way() {
    run("refusals", &[]);
}

#[test]
fn a_message_with_a_key_is_kept_once_over_reconnects() {
    run("keys", &[]);
}

#[test]
fn events_are_called_as_the_configuration_says() {
    run(
        "names",
        &["--socketio-event", "msg=chat message,join=enter"],
    );
}

/// Runs a task whose client comes by a proxy that cuts it off so many times.
fn run_cut(task: &str, cuts: usize, options: &[&str]) {
    for transport in TRANSPORTS {
        for fault in [Fault::Reset, Fault::Finish] {
            let server = Launch::default().plain().arguments(options).start();
            let proxy = Proxy::start(server.address());
            let url = format!("http://{}", server.address());
            let via = format!("http://{}", proxy.address());
            let mut script = Script::node("socket_io_client.mjs", &[task, transport, &url, &via]);
            for _ in 0..cuts {
                script.expect_line("cut");
                cut_until_it_is_gone(&proxy, fault, &mut script);
                script.say("go on");
            }
            script.finish();
        }
    }
}

/// Connections that are ended at most, one a millisecond.
const STRIKES_MAX: usize = 100_000;

/// Ends connections for as long as the client has not noticed: one that polls may have none for a moment.
fn cut_until_it_is_gone(proxy: &Proxy, fault: Fault, script: &mut Script) {
    let is_gone = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Bounded, for a test that has failed.
            for _ in 0..STRIKES_MAX {
                if is_gone.load(Ordering::Relaxed) {
                    return;
                }
                proxy.strike(0, fault);
                thread::sleep(Duration::from_millis(1));
            }
        });
        script.expect_line("gone");
        is_gone.store(true, Ordering::Relaxed);
    });
}

#[test]
fn who_was_cut_off_is_in_its_rooms_again_and_gets_all_that_it_missed_once() {
    run_cut("recovery", 2, &[]);
}

#[test]
fn who_comes_back_to_any_worker_is_recovered() {
    run_cut("recovery", 2, &["--workers", "3"]);
}

#[test]
fn who_missed_what_is_not_kept_any_more_is_told_so_and_not_recovered() {
    run_cut("gap", 1, &["--history-entries", "5"]);
}
