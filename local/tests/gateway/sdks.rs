//! AWS's own SDKs drive `@connections` unchanged. They are installed below the target folder once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::App;

const BOTO3: &str = "boto3==1.44.5";
const JAVASCRIPT: &str = "@aws-sdk/client-apigatewaymanagementapi@3.1169.0";

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

/// Runs installers in order, unless they have been through before with the same package.
async fn install(folder: &Path, package: &str, commands: &mut [Command]) {
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == package) {
        return;
    }
    std::fs::create_dir_all(folder).expect("a folder");
    for command in commands {
        run(command, INSTALL_DEADLINE).await;
    }
    std::fs::write(done, package).expect("a note");
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
    let folder = folder("boto3");
    let python = folder.join("bin/python");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&folder);
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", BOTO3]);
    install(&folder, BOTO3, &mut [venv, pip]).await;
    let mut command = Command::new(&python);
    command.arg(script("boto3_drive.py"));
    assert_driven(command, App::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_sdk_drives_connections() {
    let folder = folder("javascript");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"])
        .args([folder.as_os_str(), JAVASCRIPT.as_ref()]);
    install(&folder, JAVASCRIPT, &mut [npm]).await;
    let mut command = Command::new("node");
    command.arg(script("javascript_drive.mjs")).arg(&folder);
    assert_driven(command, App::start().await).await;
}
