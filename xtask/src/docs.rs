//! The documentation held against what is there: every relative link leads to a file, and to a heading of it if it names one
//! (addresses elsewhere are not asked), and every event of the log is in its table.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{paths, source};

/// Folders with pages of others, or none.
const PASSED_OVER: [&str; 4] = ["target", "node_modules", ".git", "rfc"];

/// Every page below `folder`.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the project");
    let mut found = Vec::new();
    for entry in entries.map(|entry| entry.expect("an entry of it")) {
        let path = entry.path();
        let is_passed_over = PASSED_OVER.iter().any(|name| entry.file_name() == *name);
        if path.is_dir() && !path.is_symlink() && !is_passed_over {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The lines of a page without those of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// What links lead to: `](TARGET)`, outside of code.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        // Every second piece between backquotes is code; a link's text may be code, so only what is in it goes.
        let outside: String = line.split('`').step_by(2).collect();
        let links = outside.split("](").skip(1);
        let ends = links.filter_map(|rest| rest.split([')', ' ']).next());
        targets.extend(ends.map(str::to_owned));
    }
    targets
}

/// What a heading is called in an address, as GitHub has it.
fn anchor(heading: &str) -> String {
    let lower = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |char: &char| char.is_alphanumeric() || matches!(char, '-' | '_' | ' ');
    lower
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

/// Whether a link of `page` leads somewhere.
fn leads_somewhere(page: &Path, target: &str) -> bool {
    if target.contains(':') {
        return true;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => page.to_owned(),
        file => page.parent().unwrap_or(page).join(file),
    };
    if heading.is_empty() || path.extension().is_none_or(|extension| extension != "md") {
        return path.exists();
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut headings = prose(&text).filter(|line| line.starts_with('#'));
    headings.any(|line| anchor(line) == heading)
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages(paths::root());
    assert!(pages.len() > 20, "the documentation was not found");
    let mut broken = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).expect("a page");
        let lost = targets(&text);
        let lost = lost.iter().filter(|target| !leads_somewhere(page, target));
        broken.extend(lost.map(|target| format!("{}: {target}", paths::shown(page))));
    }
    assert!(
        broken.is_empty(),
        "links to nothing:\n{}",
        broken.join("\n")
    );
}

#[test]
fn a_link_to_nothing_is_found() {
    let page = paths::root().join("README.md");
    let text =
        "[a](docs/NONE.md), `[code](x)`, [`b`](Cargo.toml) [c](#nowhere)\n```\n[d](y)\n```\n";
    let targets = targets(text);
    assert_eq!(targets, ["docs/NONE.md", "Cargo.toml", "#nowhere"]);
    let leads = |target: &str| leads_somewhere(&page, target);
    assert_eq!(
        targets
            .iter()
            .map(|target| leads(target))
            .collect::<Vec<_>>(),
        [false, true, false]
    );
    assert!(leads("docs/LIMITS.md#a-connection"));
    assert!(!leads("docs/LIMITS.md#a-collection"));
}

/// What `text` has behind each `event = "`.
fn events(text: &str) -> impl Iterator<Item = &str> {
    let behind = text.split("event = \"").skip(1);
    behind.filter_map(|rest| rest.split('"').next())
}

#[test]
fn every_event_of_the_log_is_documented() {
    let page = fs::read_to_string(paths::root().join("docs/OBSERVABILITY.md")).expect("the page");
    let sources = source::read_all(&["server/src"]).expect("the server's source");
    let mut missing = Vec::new();
    for file in &sources {
        let lines = file.text.lines().take(file.lines_before_tests());
        let code: String = lines.collect::<Vec<_>>().join("\n");
        let unknown = events(&code).filter(|event| !page.contains(&format!("`{event}`")));
        missing.extend(unknown.map(|event| format!("{}: {event}", file.path)));
    }
    assert!(
        missing.is_empty(),
        "not in docs/OBSERVABILITY.md:\n{}",
        missing.join("\n")
    );
    assert_eq!(
        events("info!(event = \"stop\", x)").collect::<Vec<_>>(),
        ["stop"]
    );
}
