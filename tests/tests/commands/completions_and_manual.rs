//! `tidewire completions` and `tidewire man`: scripts that a shell accepts and that complete, and pages for every command.

use std::process::Command;

use tidewire_tests::Directory;
use tidewire_tests::command::run;

/// Every command that people are to find.
const COMMANDS: [&str; 11] = [
    "bench",
    "serve",
    "log",
    "verify",
    "chat",
    "tail",
    "token",
    "capture",
    "replay",
    "completions",
    "man",
];

#[test]
fn bash_completes_commands_flags_and_values() {
    let directory = Directory::new();
    let script = directory.path().join("tidewire.bash");
    std::fs::write(&script, completions("bash")).expect("a file of our own");
    let complete = |words: &str| {
        let program = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); \
             _tidewire tidewire \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &program])
            .output();
        let output = output.expect("bash");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(complete("tidewire ta"), "tail");
    assert_eq!(complete("tidewire chat --on"), "--once");
    assert_eq!(complete("tidewire token --algorithm Ed"), "EdDSA");
    assert_eq!(complete("tidewire completions po"), "powershell");
}

#[test]
fn there_is_a_script_for_each_shell() {
    for (shell, words) in [
        ("zsh", "#compdef tidewire"),
        ("fish", "complete -c tidewire"),
        ("elvish", "edit:completion:arg-completer[tidewire]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = completions(shell);
        assert!(script.contains(words), "{shell}: {script}");
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} knows {command}");
        }
    }
    let (code, ..) = run(&["completions", "tcsh"], b"");
    assert_eq!(code, Some(2));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let (code, page, stderr) = run(&["man"], b"");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(page.contains(".TH tidewire 1"), "{page}");
    let directory = Directory::new();
    let dir = directory.path().join("man1");
    let shown = dir.to_str().expect("a path in UTF-8");
    let (code, stdout, stderr) = run(&["man", "--dir", shown], b"");
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    for command in COMMANDS {
        let page = std::fs::read_to_string(dir.join(format!("tidewire-{command}.1")));
        let page = page.unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(page.contains(&format!("tidewire\\-{command}")), "{page}");
    }
    let (code, _, stderr) = run(&["man", "--dir", "/proc/no"], b"");
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("cannot write pages into /proc/no"),
        "{stderr}"
    );
}

fn completions(shell: &str) -> String {
    let (code, script, stderr) = run(&["completions", shell], b"");
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{shell}");
    script
}
