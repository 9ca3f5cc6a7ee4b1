//! A copy of the protocol crate that is quick to build again and again: its test files as modules of one program, since
//! linking twenty programs is most of the time that a change takes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::paths;

/// The folder of the copy.
pub(super) fn folder() -> PathBuf {
    paths::target().join("mutation")
}

/// Makes the copy anew; what was built in it stays.
pub(super) fn make() -> Result<()> {
    let (crate_copy, root) = (folder().join("protocol"), paths::root());
    if crate_copy.exists() {
        fs::remove_dir_all(&crate_copy).with_context(|| paths::shown(&crate_copy))?;
    }
    copy_folder(&root.join("protocol"), &crate_copy)?;
    copy_file(&root.join("Cargo.lock"), &folder().join("Cargo.lock"))?;
    let manifest = read(&root.join("Cargo.toml"))?;
    write(&folder().join("Cargo.toml"), &with_one_member(&manifest))?;
    join_tests(&crate_copy)
}

/// The workspace's manifest with the protocol crate alone.
fn with_one_member(manifest: &str) -> String {
    let line = |line: &str| match line.split_once(" = ").map(|(key, _)| key) {
        Some(key @ ("members" | "default-members")) => format!("{key} = [\"protocol\"]\n"),
        _ => format!("{line}\n"),
    };
    manifest.lines().map(line).collect()
}

/// Makes one program of the test files, but for those with an allocator of their own, which stay what they are.
fn join_tests(crate_copy: &Path) -> Result<()> {
    let folder = crate_copy.join("tests");
    let (mut all, mut targets) = (String::from("mod common;\n"), target("all"));
    for name in test_files(&folder)? {
        let path = folder.join(format!("{name}.rs"));
        let text = read(&path)?;
        if text.contains("#[global_allocator]") {
            targets += &target(&name);
        } else {
            all += &format!("#[path = \"{name}.rs\"]\nmod {name};\n");
            write(&path, &text.replace("mod common;", "use crate::common;"))?;
        }
    }
    write(&folder.join("all.rs"), &all)?;
    let path = crate_copy.join("Cargo.toml");
    let found_by_name = "[package]\nautotests = false\nautoexamples = false\nautobenches = false\n";
    let manifest = read(&path)?.replace("[package]\n", found_by_name);
    write(&path, &(manifest + &targets))
}

fn target(name: &str) -> String {
    format!("\n[[test]]\nname = \"{name}\"\npath = \"tests/{name}.rs\"\n")
}

fn test_files(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| paths::shown(folder))?;
    let names = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<_> = names
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| paths::shown(to))?;
    for entry in fs::read_dir(from).with_context(|| paths::shown(from))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &to)?,
            false => copy_file(&entry.path(), &to)?,
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::copy(from, to).with_context(|| paths::shown(from));
    copied.map(|_| ())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| paths::shown(path))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| paths::shown(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copied_workspace_has_one_member() {
        let manifest = "[workspace]\nmembers = [\"a\", \"b\"]\ndefault-members = [\"a\"]\nx = 1\n";
        let expected =
            "[workspace]\nmembers = [\"protocol\"]\ndefault-members = [\"protocol\"]\nx = 1\n";
        assert_eq!(with_one_member(manifest), expected);
    }
}
