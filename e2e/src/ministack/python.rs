//! MiniStack and boto3 in a virtual environment, installed once below cargo's own folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::chatctl;

/// Pinned: what MiniStack refuses and what it lets through changes from one version to the next.
/// CloudWatch speaks CBOR and Cognito signs, which MiniStack leaves to packages of their own.
const REQUIREMENTS: [&str; 4] = [
    "ministack==1.5.33",
    "boto3==1.43.106",
    "cbor2==6.2.1",
    "cryptography==50.0.2",
];
/// The wheels are 40 MB.
const INSTALL_TIMEOUT: Duration = Duration::from_mins(5);

/// The environment's Python.
///
/// # Panics
/// When it cannot be installed.
pub(super) async fn installed() -> PathBuf {
    let folder = chatctl::target().join("python/ministack");
    let finished = folder.join("finished");
    let wanted = REQUIREMENTS.join("\n");
    let python = folder.join("bin/python");
    let is_finished = || std::fs::read_to_string(&finished).is_ok_and(|it| it == wanted);
    if is_finished() {
        return python;
    }
    let _lock = lock(&folder.with_extension("lock")).await;
    if !is_finished() {
        let venv = ["-m", "venv", "--clear"];
        run(Command::new("python3").args(venv).arg(&folder)).await;
        let install = ["-m", "pip", "install", "--quiet"];
        run(Command::new(&python).args(install).args(REQUIREMENTS)).await;
        // Last, so that one that was interrupted is made again.
        std::fs::write(&finished, wanted).expect("a file in a new folder");
    }
    python
}

/// Keeps other test processes from installing at the same time.
async fn lock(path: &Path) -> File {
    let folder = path.parent().expect("a file in a folder");
    std::fs::create_dir_all(folder).expect("a folder below cargo's own");
    let file = File::create(path).expect("a file below cargo's own folder");
    let since = Instant::now();
    while let Err(error) = file.try_lock() {
        assert!(
            since.elapsed() < INSTALL_TIMEOUT,
            "`{}`: {error}",
            path.display()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    file
}

async fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).kill_on_drop(true).status();
    let status = tokio::time::timeout(INSTALL_TIMEOUT, status)
        .await
        .expect("it is installed in time");
    let status = status.expect("Python 3 runs");
    assert!(status.success(), "{command:?}");
}
