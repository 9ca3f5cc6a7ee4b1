//! The Rust files of the workspace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::paths;

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every `.rs` file under `folders`, in order.
pub(crate) fn read_all(folders: &[&str]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for folder in folders {
        let folder = paths::root().join(folder);
        if folder.exists() {
            walk(&folder, &mut sources)?;
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn walk(folder: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "corpus", "artifacts"].contains(&name.as_str()) {
                walk(&path, sources)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            sources.push(Source {
                path: paths::shown(&path),
                text,
            });
        }
    }
    Ok(())
}

impl Source {
    /// Whether the whole file is test code: `tests.rs`, `…_tests.rs` or anything in a folder `tests`.
    pub(crate) fn is_test(&self) -> bool {
        let stem = self.path.trim_end_matches(".rs");
        stem.split('/').any(|part| part == "tests") || stem.ends_with("_tests")
    }

    /// Lines up to the first `#[cfg(test)]`; the house puts tests last.
    pub(crate) fn lines_before_tests(&self) -> usize {
        match self.is_test() {
            true => 0,
            false => self
                .text
                .lines()
                .take_while(|line| line.trim() != "#[cfg(test)]")
                .count(),
        }
    }

    /// The file's module: `server/src/chat/hub.rs` is `["chat", "hub"]`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let inside = self
            .path
            .split_once("/src/")
            .map_or("", |(_, inside)| inside);
        let mut module: Vec<_> = inside.trim_end_matches(".rs").split('/').collect();
        if matches!(module.last(), Some(&("mod" | "lib" | "main"))) {
            module.pop();
        }
        module
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_module_is_named_by_its_path() {
        assert_eq!(
            source("server/src/chat/hub.rs", "").module(),
            ["chat", "hub"]
        );
        assert_eq!(source("server/src/chat/mod.rs", "").module(), ["chat"]);
        assert!(source("server/src/lib.rs", "").module().is_empty());
    }

    #[test]
    fn lines_of_tests_do_not_count() {
        assert_eq!(
            source(
                "a/src/b.rs",
                "//! a\nfn b() {}\n#[cfg(test)]\nmod tests {}\n"
            )
            .lines_before_tests(),
            2
        );
        assert_eq!(
            source("a/src/b/tests.rs", "//! a\n").lines_before_tests(),
            0
        );
    }
}
