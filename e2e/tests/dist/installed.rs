//! What `cargo install --path deployer` installs, outside of the checkout that it was built from, and without it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::chatctl;
use e2e::within_deadline;
use tokio::process::Command;

use super::{BUILD_DEADLINE, Dev};

/// Where it was installed, with an empty folder. It goes with the test.
struct Installed(PathBuf);

impl Installed {
    async fn new() -> Self {
        // Not below cargo's own folder: there the checkout would be around it.
        let root = std::env::temp_dir().join(format!("chatctl-installed-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join("empty")).expect("a folder");
        let root = Self(root.canonicalize().expect("made"));
        let mut cargo = Command::from(chatctl::cargo());
        cargo.args(["install", "--path", "deployer", "--locked", "--quiet"]);
        // Of what has been compiled already, and from no registry.
        cargo.args(["--debug", "--offline", "--root"]).arg(&root.0);
        cargo.kill_on_drop(true);
        let made = tokio::time::timeout(BUILD_DEADLINE, cargo.output()).await;
        let made = made.expect("it is built in time").expect("cargo runs");
        let stderr = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{stderr}");
        root
    }

    fn program(&self) -> PathBuf {
        self.0.join("bin/chatctl")
    }

    /// One of its programs in the empty folder, with nobody's settings.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let here = chatctl::command(&[]);
        for (name, _) in here.as_std().get_envs() {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.0.join("empty"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// The same program, built from a checkout that is gone: the path inside it is another one.
    fn of_what_is_gone(&self) -> PathBuf {
        let built_from = chatctl::checkout().join("deployer");
        let (built_from, another) = (bytes(&built_from), bytes(&gone().join("deployer")));
        let mut program = std::fs::read(self.program()).expect("installed");
        let size = built_from.len();
        let places = program.windows(size).enumerate();
        let places = places.filter(|(_, window)| *window == built_from);
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        assert!(!places.is_empty(), "it does not know where it was built");
        for at in places {
            program[at..at + size].copy_from_slice(&another);
        }
        // A copy, so that anybody may run it.
        let path = self.0.join("bin/of-what-is-gone");
        std::fs::copy(self.program(), &path).expect("a program");
        std::fs::write(&path, program).expect("a program");
        path
    }
}

/// A folder that is not there, with a name as long as the checkout's.
fn gone() -> PathBuf {
    let mut path = bytes(&chatctl::checkout());
    let last = path.last_mut().expect("a name");
    *last = if *last == b'X' { b'Y' } else { b'X' };
    let gone = PathBuf::from(String::from_utf8(path).expect("characters"));
    assert!(!gone.exists(), "{}", gone.display());
    gone
}

fn bytes(path: &Path) -> Vec<u8> {
    path.to_str().expect("characters").as_bytes().to_owned()
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn installed_by_cargo_it_builds_from_the_checkout_it_was_built_from_and_says_when_that_is_gone()
 {
    let installed = Installed::new().await;
    it_runs_what_the_checkout_has(&installed).await;
    it_says_what_to_do_without_it(&installed).await;
}

async fn it_runs_what_the_checkout_has(installed: &Installed) {
    // Built before the deadline runs; it then finds it up to date.
    let _ = chatctl::bootstrap();
    let dev = ["dev", "--port", "0", "--json"];
    let dev = Dev::start(installed.command(&installed.program(), &dev)).await;
    assert!(dev.urls["site"].is_string(), "{}", dev.urls);
    let notes = dev.end().await;
    let checkout = chatctl::checkout();
    let told = format!("functions and template from `{}`", checkout.display());
    assert!(notes.contains(&told), "{notes}");
}

async fn it_says_what_to_do_without_it(installed: &Installed) {
    let program = installed.of_what_is_gone();
    let mut dev = installed.command(&program, &["dev", "--port", "0"]);
    let output = within_deadline("end", dev.output()).await;
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = format!(
        "template from this program itself\nerror: the sources of the functions are not here\nhint: the checkout `{}` that this program \
         was built from is gone; run it inside another, or name one with `--source`\n",
        gone().display()
    );
    assert_eq!(said, expected);
}
