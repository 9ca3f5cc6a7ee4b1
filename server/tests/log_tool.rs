//! `tidewire log` on directories with a store: what it prints, and the exit code.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::value::RawValue;
use tidewire::ids::{LogName, Session, UserName};
use tidewire::log::disk::{OpenError, Options};
use tidewire::log::{DiskStore, Draft, Store as _};

/// A directory that is removed with its value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn log(arguments: &[&str], dir: &Path) -> Output {
    let (command, rest) = arguments.split_first().unwrap();
    Command::new(env!("CARGO_BIN_EXE_tidewire"))
        .args(["log", command])
        .arg(dir)
        .args(rest)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Opens the store; a process that another test is just starting holds every lock of ours until it is itself.
fn store(dir: &Path) -> DiskStore {
    for _ in 0..500 {
        match DiskStore::open(dir, &Options::default()) {
            Err(OpenError::InUse { .. }) => std::thread::sleep(Duration::from_millis(10)),
            result => return result.unwrap().0,
        }
    }
    panic!("{} stays in use", dir.display());
}

/// Three entries of the log `lobby` and one of `@bob`.
fn filled(name: &str) -> Folder {
    let name = format!("tidewire-log-tool-{}-{name}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    let mut store = store(&folder.0);
    for (count, log) in ["lobby", "lobby", "@bob", "lobby"].into_iter().enumerate() {
        let draft = Draft {
            log: LogName::new(log).unwrap(),
            from: UserName::new("alice").unwrap(),
            session: Session::new("s").unwrap(),
            seq: Some(RawValue::from_string(count.to_string()).unwrap()),
            content: RawValue::from_string(format!("\"message {count}\"")).unwrap(),
            time: 1_700_000_000_000,
        };
        store.append(draft).unwrap();
        store.commit().unwrap();
    }
    folder
}

#[test]
fn ls_lists_the_logs_while_a_server_has_them() {
    let folder = filled("ls");
    let _server = store(&folder.0);
    let output = log(&["ls"], &folder.0);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = text(&output.stdout);
    let lines: Vec<Vec<&str>> = lines
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[1][0], lines[1][3], lines[1][4]), ("@bob", "1", "1"));
    assert_eq!((lines[2][0], lines[2][3], lines[2][4]), ("lobby", "3", "3"));
}

#[test]
fn show_and_export_write_a_json_object_a_line() {
    let folder = filled("show");
    let lines = |arguments: &[&str]| {
        let output = log(arguments, &folder.0);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let lines = text(&output.stdout);
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let shown = lines(&["show", "lobby"]);
    assert_eq!(shown.len(), 3);
    assert_eq!(shown[2]["content"], "message 3");
    let behind = shown[0]["position"].as_str().unwrap();
    assert_eq!(lines(&["show", "lobby", "--since", behind]), shown[1..]);
    assert_eq!(lines(&["show", "lobby", "--limit", "2"]), shown[..2]);
    assert_eq!(lines(&["export"]).len(), 4);
    assert_eq!(lines(&["export", "lobby"]), shown);
}

#[test]
fn verify_finds_a_flipped_bit_and_the_other_entries_are_there() {
    let folder = filled("verify");
    assert_eq!(log(&["verify"], &folder.0).status.code(), Some(0));
    let segment = folder.0.join("00000000000000000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes
        .windows(9)
        .position(|window| window == b"message 1")
        .unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let output = log(&["verify"], &folder.0);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("damaged: segment 1, bytes"));
    let output = log(&["show", "lobby"], &folder.0);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stdout).lines().count(), 2);
    assert!(text(&output.stderr).contains("damaged"), "{output:?}");
}

#[test]
fn repair_says_what_it_would_do_and_needs_the_directory_for_itself() {
    let folder = filled("repair");
    assert!(text(&log(&["repair"], &folder.0).stdout).contains("nothing to repair"));
    let segment = folder.0.join("00000000000000000001.seg");
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() - 5]).unwrap();
    assert!(text(&log(&["repair"], &folder.0).stdout).contains("--yes"));
    let server = store(&folder.0);
    drop(server);
    // A child of another test may have its lock for a moment, until it is the program that it is to be.
    drop(store(&folder.0));
    assert_eq!(log(&["repair", "--yes"], &folder.0).status.code(), Some(0));
}

#[test]
fn wrong_use_is_exit_code_2_and_no_store_is_1() {
    let folder = filled("wrong");
    assert_eq!(log(&["show"], &folder.0).status.code(), Some(2));
    assert_eq!(
        log(&["show", "lobby", "--since", "x"], &folder.0)
            .status
            .code(),
        Some(2)
    );
    let output = log(&["ls"], Path::new("/nowhere/at/all"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
    assert_eq!(
        log(&["show", "no-such-log"], &folder.0).status.code(),
        Some(1)
    );
}
