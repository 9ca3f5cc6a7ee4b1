//! A server that is killed under load and restarted on its directory: what it acknowledged is there, once and in order, and
//! its clients go on where they were. (`cargo xtask chaos kill` does it a hundred times.)

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tidewire_tests::launch::{binary, target_directory};
use tidewire_tests::verify::KEEPS_ALL;
use tidewire_tests::{Launch, wait_until};

/// Who publishes and who follows, if `verify` is not told otherwise.
const CLIENTS: u64 = 16;

#[test]
fn what_was_acknowledged_survives_kills_early_in_a_group() {
    killed_at(&[130, 310, 90, 220], 1);
}

#[test]
fn what_was_acknowledged_survives_kills_a_while_apart() {
    killed_at(&[400, 250, 520], 2);
}

/// Kills the server after these milliseconds, each counted from its start, and the first from when its clients have come.
#[track_caller]
fn killed_at(moments: &[u64], seed: u64) {
    let data = empty_directory(&format!("kill-and-restart-{seed}"));
    let launch = Launch::default().data(&data).arguments(&KEEPS_ALL);
    let mut server = launch.start();
    let address = server.address();
    let mut verify = Command::new(binary())
        .args(["verify", &format!("ws://{address}"), "--until-eof"])
        .args(["--rate", "2000", "--seed", &seed.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    wait_until("the clients have come", || {
        server.health().connections >= CLIENTS
    });
    for moment in moments {
        thread::sleep(Duration::from_millis(*moment));
        server.kill();
        server = launch.clone().on_port(address.port()).start();
    }
    drop(verify.stdin.take());
    let output = verify.wait_with_output().expect("its output");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}\n{output:?}");
    let reconnects = text.lines().find(|line| line.contains("reconnects"));
    assert!(
        reconnects.is_some_and(|line| !line.ends_with(" 0")),
        "it was killed under them: {text}"
    );
    std::fs::remove_dir_all(&data).expect("our own directory");
}

fn empty_directory(name: &str) -> PathBuf {
    let path = target_directory().join("tmp").join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory of our own");
    // The server runs elsewhere, perhaps.
    path.canonicalize().expect("it was made a line above")
}
