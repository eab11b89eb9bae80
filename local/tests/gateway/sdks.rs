//! AWS's own SDKs drive `@connections` unchanged. `cargo xtask test` installs them and says where they
//! are; otherwise they are installed below the target folder, once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::App;

/// What is to be installed, read by `cargo xtask test`, too.
const BOTO3: &str = include_str!("../sdks/requirements.txt");
const JAVASCRIPT: &str = include_str!("../sdks/npm-package.txt");

/// Registries are slow at times.
const INSTALL_DEADLINE: Duration = Duration::from_mins(5);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdks")
        .join(name)
}

/// Runs a program to its end and gives its standard output.
async fn run(command: &mut Command, deadline: Duration) -> String {
    let ended = tokio::time::timeout(deadline, command.kill_on_drop(true).output()).await;
    let output = ended.expect("in time").expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Where a package is: in the folder that `variable` names, or in one of our own after the installers
/// have been through, in order, unless they have been before with the same package. They need
/// `needs`.
async fn installed(
    variable: &str,
    name: &str,
    package: &str,
    needs: &str,
    installers: impl FnOnce(&Path) -> Vec<Command>,
) -> PathBuf {
    if let Some(folder) = std::env::var_os(variable) {
        return folder.into();
    }
    let folder = folder(name);
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == package) {
        return folder;
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    for mut command in installers(&folder) {
        let program = command.as_std().get_program();
        let program = program.to_string_lossy().into_owned();
        let output = command.kill_on_drop(true).output();
        let output = tokio::time::timeout(INSTALL_DEADLINE, output).await;
        let output = output.unwrap_or_else(|_| panic!("`{program}` takes too long"));
        let output = output.unwrap_or_else(|error| panic!("`{program}`: {error}; {needs}"));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "`{program}`: {said}\n{needs}");
    }
    std::fs::write(done, package).expect("a note");
    folder
}

/// What an SDK has to see of a connection that it posts to, looks at and deletes.
async fn assert_driven(mut command: Command, mut app: App) {
    let mut client = app
        .try_connect("", "User-Agent: test/1\r\n")
        .await
        .expect("admitted");
    let event = app.event("CONNECT").await;
    let id = event["requestContext"]["connectionId"].as_str();
    command
        .arg(format!("http://{}/live", app.authority()))
        .arg(id.expect("an id"));
    let output = run(&mut command, Duration::from_mins(1)).await;
    let seen: Value = serde_json::from_str(&output).expect("JSON");
    let time = event["requestContext"]["requestTime"].as_str();
    let day = &time.expect("a time")[..2];
    let date = seen["connectedAt"].as_str().expect("a date");
    assert!(date.ends_with(day), "{date}");
    assert_eq!(
        seen,
        json!({
            "connectedAt": date,
            "ordered": true,
            "sourceIp": "127.0.0.1",
            "userAgent": "test/1",
            "tooLarge": ["PayloadTooLargeException", 413],
            "post": ["GoneException", 410],
            "get": ["GoneException", 410],
            "delete": ["GoneException", 410],
        })
    );
    assert_eq!(client.text().await, "from the SDK");
    assert_eq!(client.closed().await, 1000);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_drives_connections() {
    let needs = "this test needs Python 3 with `venv` (Debian: `python3-venv`)";
    let installers = |folder: &Path| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(folder);
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", BOTO3.trim()]);
        vec![venv, pip]
    };
    let folder = installed("CHAT_TEST_BOTO3", "boto3", BOTO3, needs, installers).await;
    let mut command = Command::new(folder.join("bin/python"));
    command.arg(script("boto3_drive.py"));
    assert_driven(command, App::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_sdk_drives_connections() {
    let needs = "this test needs Node 20.19 or later with npm (Debian: `nodejs`, `npm`)";
    let installers = |folder: &Path| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"])
            .args([folder.as_os_str(), JAVASCRIPT.trim().as_ref()]);
        vec![npm]
    };
    let variable = "CHAT_TEST_JAVASCRIPT_SDK";
    let folder = installed(variable, "javascript", JAVASCRIPT, needs, installers).await;
    let mut command = Command::new("node");
    command.arg(script("javascript_drive.mjs")).arg(&folder);
    assert_driven(command, App::start().await).await;
}
