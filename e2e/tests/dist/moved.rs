//! A checkout that was moved, with what was compiled in it.

use std::path::{Path, PathBuf};

use e2e::chatctl;

const MANIFEST: &str = "\
[package]
name = \"moved\"
version = \"1.0.0\"
edition = \"2024\"

[workspace]
";

const MAIN: &str = "fn main() { println!(\"{}\", env!(\"CHATCTL_BUILT_FROM\")) }\n";

/// A package with the build script and cargo's settings of the checkout. It goes with the test.
struct Package(PathBuf);

impl Package {
    fn new() -> Self {
        let root = std::env::temp_dir().join(format!("chatctl-moved-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let package = root.join("before");
        for folder in [".cargo", "src"] {
            std::fs::create_dir_all(package.join(folder)).expect("a folder");
        }
        for (from, to) in [
            ("deployer/build.rs", "build.rs"),
            (".cargo/config.toml", ".cargo/config.toml"),
        ] {
            std::fs::copy(chatctl::checkout().join(from), package.join(to)).expect(from);
        }
        std::fs::write(package.join("Cargo.toml"), MANIFEST).expect("a file");
        std::fs::write(package.join("src/main.rs"), MAIN).expect("a file");
        Self(root.canonicalize().expect("made"))
    }

    /// What its program says that it was built from, and whether anything was compiled for that.
    fn built(&self, name: &str) -> (PathBuf, bool) {
        let package = self.0.join(name);
        let output = chatctl::cargo()
            .args(["run", "--offline"])
            .env("CARGO_TARGET_DIR", package.join("target"))
            .current_dir(&package)
            .output()
            .expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        (PathBuf::from(told.trim_end()), said.contains("Compiling"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_checkout_that_was_moved_or_copied_with_its_target_folder_is_built_from_where_it_is() {
    let package = Package::new();
    assert_eq!(package.built("before"), (package.path("before"), true));
    assert_eq!(package.built("before"), (package.path("before"), false));
    let moved = |from: &str, to: &str| std::fs::rename(package.path(from), package.path(to));
    moved("before", "after").expect("it moves");
    assert_eq!(package.built("after"), (package.path("after"), true));
    assert_eq!(package.built("after"), (package.path("after"), false));
    // The path that it was built from is there, as that of a copy is.
    copy(&package.path("after"), &package.path("copied"));
    assert_eq!(package.built("copied"), (package.path("copied"), true));
}

/// With its times, by which cargo tells what is new.
fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("--archive")
        .args([from, to])
        .status();
    assert!(copied.expect("cp runs").success());
}
