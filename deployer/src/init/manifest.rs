//! The manifest of an app's workspace: the paragraphs of this project's that are about the functions, so that
//! they are built there as they are here.

/// This project's.
const WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// Where the functions' own manifest is, which takes versions, lints and profiles from its workspace.
pub(super) const PACKAGE_FILE: &str = "handlers/Cargo.toml";

/// The functions' own, here as there.
pub(super) const PACKAGE: &str = include_str!("../../../handlers/Cargo.toml");

const DEPENDENCIES: &str = "[workspace.dependencies]";

/// What is about the functions. A paragraph is what has no empty line in it, and its comment is with it.
const TAKEN: [&str; 8] = [
    "[workspace.package]",
    "[workspace.lints.rust]",
    "[workspace.lints.clippy]",
    "[profile.dev]",
    "[profile.dev.package.\"*\"]",
    "[profile.dev.package.sha2]",
    "[profile.dev.build-override]",
    "[profile.lambda]",
];

/// Where it is said what the others are for: `members` differ, and the versions are those of the functions.
const HEAD: &str = "\
# The functions as a workspace of their own. `chatctl dev` builds them with the profile `dev`,
# `chatctl deploy` with `lambda`.
[workspace]
resolver = \"3\"
members = [\"handlers\"]
";

/// The app's manifest.
pub(super) fn of_the_app() -> String {
    let mut paragraphs = vec![HEAD.to_owned()];
    for header in TAKEN {
        paragraphs.extend(paragraph(header).map(|it| format!("{it}\n")));
        if header == "[workspace.package]" {
            paragraphs.push(dependencies());
        }
    }
    paragraphs.join("\n")
}

fn paragraph(header: &str) -> Option<&'static str> {
    let mut paragraphs = WORKSPACE.split("\n\n").map(str::trim);
    paragraphs.find(|it| it.lines().any(|line| line == header))
}

/// The versions of what the functions and their tests need.
fn dependencies() -> String {
    let needed: Vec<_> = PACKAGE
        .lines()
        .filter_map(|line| line.strip_suffix(".workspace = true"))
        .collect();
    let versions = paragraph(DEPENDENCIES).unwrap_or_default().lines();
    let versions = versions.filter(|line| {
        let name = line.split(" = ").next().unwrap_or_default();
        needed.contains(&name)
    });
    let lines: Vec<_> = std::iter::once(DEPENDENCIES).chain(versions).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use toml::{Table, Value};

    use super::*;
    use crate::init::App;

    /// What is about `chatctl` alone.
    const LEFT_OUT: [&str; 2] = ["profile.dist", "profile.dev.package.zlib-rs"];

    fn at<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
        let mut parts = path.split('.');
        let mut value = table.get(parts.next()?)?;
        for part in parts {
            value = value.get(part)?;
        }
        Some(value)
    }

    fn without(mut table: Table, path: &str) -> Table {
        let (parents, name) = path.rsplit_once('.').unwrap();
        let mut inner = &mut table;
        for part in parents.split('.') {
            inner = inner[part].as_table_mut().unwrap();
        }
        assert!(inner.remove(name).is_some(), "there is no {path} any more");
        table
    }

    #[test]
    fn an_app_is_built_from_the_same_versions_with_the_same_lints_and_profiles() {
        let ours: Table = WORKSPACE.parse().unwrap();
        let app: Table = of_the_app().parse().unwrap();
        let members = at(&app, "workspace.members").unwrap().as_array().unwrap();
        assert_eq!(members.as_slice(), [Value::from("handlers")]);

        let package: Table = PACKAGE.parse().unwrap();
        let names = |section: &str| -> BTreeSet<String> {
            package[section]
                .as_table()
                .unwrap()
                .keys()
                .cloned()
                .collect()
        };
        let needed = &names("dependencies") | &names("dev-dependencies");
        let versions = at(&app, "workspace.dependencies")
            .unwrap()
            .as_table()
            .unwrap();
        assert_eq!(versions.keys().cloned().collect::<BTreeSet<_>>(), needed);
        for (name, version) in versions {
            let here = format!("workspace.dependencies.{name}");
            assert_eq!(Some(version), at(&ours, &here), "{name}");
        }

        let mut rest = ours;
        for path in LEFT_OUT {
            rest = without(rest, path);
        }
        for path in ["workspace.members", "workspace.dependencies"] {
            rest = without(rest, path);
        }
        let app = without(without(app, "workspace.members"), "workspace.dependencies");
        assert_eq!(app, rest);
    }

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// cargo takes out of the lock what nobody needs, and keeps the versions of all else.
    fn pruned() -> String {
        let folder = std::env::temp_dir().join(format!("chatctl-lock-{}", std::process::id()));
        let folder = Folder(folder);
        App::new(None).unwrap().write(&folder.0).unwrap();
        let lock = folder.0.join("Cargo.lock");
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        std::fs::copy(ours, &lock).unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["metadata", "--offline", "--format-version", "1"]);
        let output = cargo.current_dir(&folder.0).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        std::fs::read_to_string(&lock).unwrap()
    }

    #[test]
    fn the_lock_is_this_projects_without_what_the_functions_do_not_need() {
        let pruned = pruned();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/init/handlers.lock");
        if std::env::var_os("UPDATE_LOCK").is_some() {
            std::fs::write(&path, &pruned).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(
            kept == pruned,
            "`UPDATE_LOCK=1 cargo test -p chatctl the_lock_is` writes it anew"
        );
        assert!(kept.contains("name = \"dynoxide-rs\""), "the tests' part");
        assert!(!kept.contains("name = \"clap\""), "nobody else's");
    }
}
