//! Whether the same bytes come out of the same sources in another folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{FUNCTIONS, How, Processor, folder, make, name};
use crate::cargo::cargo;
use crate::{Outcome, checkout, output_of, run, step, tell};

/// Makes the archive, makes it again from a copy of the sources, and names what differs.
pub(crate) fn check() -> Outcome {
    make(How::Whole)?;
    let first = folder()?;
    let again = first.join("again");
    remove(&again)?;
    let second = step("the same again, elsewhere", || make_in(&again))?;
    let name = name(Processor::of(std::env::consts::OS, std::env::consts::ARCH)?);
    let archive = format!("{name}.tar.gz");
    let parts = [FUNCTIONS, &name, &archive];
    let differing = differences(&first, &second, &parts)?;
    if !differing.is_empty() {
        return Err(format!(
            "not the same bytes again: {}; the others are in `{}`",
            differing.join("; "),
            second.display()
        ));
    }
    // Of no use any more, and large.
    remove(&again)?;
    tell(&format!("\n{archive}: the same bytes again"));
    Ok(())
}

/// Makes it in a folder, with sources, cargo's own folder and the target folder elsewhere, and tells where.
fn make_in(folder: &Path) -> Outcome<PathBuf> {
    let sources = folder.join("a checkout");
    copy_sources(&checkout(), &sources)?;
    let target = folder.join("target");
    let mut dist = cargo("run");
    dist.args(["--quiet", "--package", "xtask", "--", "dist"])
        .current_dir(&sources)
        .env_remove("CARGO_BUILD_TARGET_DIR")
        .env("CARGO_TARGET_DIR", &target);
    if let Some(home) = super::paths::cargo_home() {
        // Another way to the same packages.
        let link = folder.join("cargo");
        std::os::unix::fs::symlink(home, &link)
            .map_err(|error| format!("`{}`: {error}", link.display()))?;
        dist.env("CARGO_HOME", link);
    }
    run(&mut dist)?;
    Ok(target.join("dist"))
}

/// Copies what belongs to a checkout, as it is now: what git knows, and what it would take up.
fn copy_sources(from: &Path, to: &Path) -> Outcome {
    let mut list = Command::new("git");
    list.current_dir(from).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let list = output_of(&mut list)?;
    for name in list.split(|byte| *byte == 0).filter(|it| !it.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        let (file, copy) = (from.join(&name), to.join(&name));
        if !file.is_file() {
            continue; // It was removed, and git does not know yet.
        }
        let folder = copy.parent().unwrap_or(to);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::copy(&file, &copy))
            .map_err(|error| format!("`{}`: {error}", copy.display()))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Outcome {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("`{}`: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// What differs between two folders in these parts of them, a sentence each.
fn differences(one: &Path, other: &Path, parts: &[&str]) -> Outcome<Vec<String>> {
    let (first, second) = (files(one, parts)?, files(other, parts)?);
    let names: BTreeSet<_> = first.keys().chain(second.keys()).collect();
    let mut told = Vec::new();
    for name in names {
        let shown = name.display();
        match (first.get(name), second.get(name)) {
            (Some(first), Some(second)) => {
                let (first, second) = (read(first)?, read(second)?);
                told.extend(difference(&first, &second).map(|it| format!("`{shown}` {it}")));
            }
            (Some(_), None) => told.push(format!("`{shown}` is missing the second time")),
            (None, _) => told.push(format!("`{shown}` was not there the first time")),
        }
    }
    Ok(told)
}

/// How two files differ, if they do.
fn difference(one: &[u8], other: &[u8]) -> Option<String> {
    if one == other {
        return None;
    }
    let same = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other);
    let at = same.count();
    let (one, other) = (one.len(), other.len());
    Some(format!(
        "differs from byte {at} on ({one} and {other} bytes)"
    ))
}

/// The files below parts of a folder, or that those are, by their names in it.
fn files(folder: &Path, parts: &[&str]) -> Outcome<BTreeMap<PathBuf, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut open: Vec<PathBuf> = parts.iter().map(PathBuf::from).collect();
    while let Some(name) = open.pop() {
        let path = folder.join(&name);
        if path.is_dir() {
            let failed = |error: std::io::Error| format!("`{}`: {error}", path.display());
            for entry in std::fs::read_dir(&path).map_err(failed)? {
                open.push(name.join(entry.map_err(failed)?.file_name()));
            }
        } else if path.exists() {
            found.insert(name, path);
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("xtask-again-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn with(&self, files: &[(&str, &str)]) -> PathBuf {
            for (name, content) in files {
                let file = self.0.join(name);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, content).unwrap();
            }
            self.0.clone()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_differs_is_named_and_what_is_no_part_is_not_looked_at() {
        let (one, other) = (Folder::new("one"), Folder::new("other"));
        let first = [
            ("x.tar.gz", "same"),
            ("x/man/a.1", "same"),
            ("x/program", "0123456"),
            ("x/old", "there"),
            ("build/rest", "one"),
        ];
        let second = [
            ("x.tar.gz", "same"),
            ("x/man/a.1", "same"),
            ("x/program", "01234x67"),
            ("x/new", "there"),
            ("build/rest", "another"),
        ];
        let (one, other) = (one.with(&first), other.with(&second));
        let parts = ["x", "x.tar.gz"];
        assert_eq!(
            differences(&one, &other, &parts).unwrap(),
            [
                "`x/new` was not there the first time",
                "`x/old` is missing the second time",
                "`x/program` differs from byte 5 on (7 and 8 bytes)",
            ]
        );
        let nothing: [&str; 0] = [];
        assert_eq!(differences(&one, &one, &parts).unwrap(), nothing);
    }

    #[test]
    fn a_copy_has_what_is_changed_and_new_and_nothing_that_git_is_told_to_ignore() {
        let (from, to) = (Folder::new("from"), Folder::new("to"));
        let from = from.with(&[
            (".gitignore", "/target\n"),
            ("a file.txt", "first"),
            ("gone.txt", "gone"),
            ("target/large", "ignored"),
        ]);
        for arguments in [["init", "--quiet"], ["add", "--all"]] {
            let mut git = Command::new("git");
            run(git.current_dir(&from).args(arguments)).unwrap();
        }
        std::fs::write(from.join("a file.txt"), "changed").unwrap();
        std::fs::write(from.join("new.txt"), "new").unwrap();
        std::fs::remove_file(from.join("gone.txt")).unwrap();
        copy_sources(&from, &to.0).unwrap();
        let copied = files(&to.0, &["."]).unwrap();
        let names: Vec<_> = copied.keys().map(|it| it.to_string_lossy()).collect();
        assert_eq!(names, ["./.gitignore", "./a file.txt", "./new.txt"]);
        let content = std::fs::read_to_string(to.0.join("a file.txt")).unwrap();
        assert_eq!(content, "changed");
    }
}
