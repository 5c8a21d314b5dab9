//! The text files of the project.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

/// Folders that hold what machines made.
const SKIPPED: [&str; 3] = [".git", "target", "node_modules"];
/// Largest file that is read as text, in bytes: what is larger is data.
const TEXT_LEN_MAX: u64 = 1024 * 1024;

/// A text file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct File {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) text: String,
}

/// All files of the project.
#[derive(Default, Debug)]
pub(crate) struct Tree {
    files: BTreeMap<PathBuf, File>,
    names: BTreeSet<PathBuf>,
}

impl Tree {
    /// Reads all text files below `root`, but for what is in `target` and the like.
    pub(crate) fn read(root: &Path, target: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let whole = root.join(&folder);
            tree.names.insert(folder.clone());
            for entry in fs::read_dir(&whole).with_context(|| format!("cannot read {}", whole.display()))? {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                let skipped = SKIPPED.iter().any(|name| entry.file_name() == *name) || entry.path() == target;
                if skipped {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                } else {
                    tree.names.insert(path.clone());
                    if entry.metadata()?.len() <= TEXT_LEN_MAX
                        && let Ok(text) = fs::read_to_string(entry.path())
                    {
                        tree.files.insert(path.clone(), File { path, text });
                    }
                }
            }
        }
        Ok(tree)
    }

    /// All text files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// The Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.with_extension("rs")
    }

    /// The documents.
    pub(crate) fn markdown(&self) -> impl Iterator<Item = &File> {
        self.with_extension("md")
    }

    /// What is in a file, if it is there.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(Path::new(path)).map(|file| file.text.as_str())
    }

    /// Whether there is such a file or folder. `path` may go up by `..`.
    pub(crate) fn has(&self, path: &Path) -> bool {
        let mut plain = PathBuf::new();
        for component in path.components() {
            match component {
                Component::ParentDir if !plain.pop() => return false,
                Component::ParentDir | Component::CurDir => {}
                Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(component),
            }
        }
        self.names.contains(&plain)
    }

    fn with_extension(&self, extension: &str) -> impl Iterator<Item = &File> {
        self.files.values().filter(move |file| file.path.extension().is_some_and(|found| found == extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_machines_made_is_not_looked_at() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["docs", "target", "built"] {
            fs::create_dir(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("a.md"), "text").unwrap();
        }
        let tree = Tree::read(root.path(), &root.path().join("built")).unwrap();
        assert_eq!(tree.files().map(|file| file.path.clone()).collect::<Vec<_>>(), [PathBuf::from("docs/a.md")]);
        assert!(tree.has(Path::new("docs/../docs/a.md")));
        assert!(tree.has(Path::new("docs")));
        assert!(!tree.has(Path::new("../docs/a.md")));
    }
}
