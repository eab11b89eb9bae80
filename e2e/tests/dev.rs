//! `chatctl dev` as a process: what it prints, and how it ends.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use e2e::chatctl::{self, Dev, children_of, eventually, is_running};
use e2e::client::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long an end may take on a machine that is busy.
const SOON: Duration = Duration::from_secs(25);

async fn get(url: &str, path: &str) -> String {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = tokio::net::TcpStream::connect(authority)
        .await
        .expect("the port answers");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = String::new();
    let read = stream.read_to_string(&mut response);
    e2e::within_deadline("response", read)
        .await
        .expect("received");
    response
}

#[tokio::test]
async fn once_the_urls_are_printed_the_site_and_the_socket_answer() {
    let dev = Dev::start(&[]).await;
    let page = get(&dev.site, "/").await;
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    let socket_origin = dev.websocket.trim_end_matches("/dev");
    assert!(
        page.contains(&format!("connect-src 'self' {socket_origin};")),
        "{page}"
    );
    let config = get(&dev.site, "/config.json").await;
    let body = config.split("\r\n\r\n").nth(1).expect("a body");
    let config: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(
        config,
        json!({"server": "/dev"}),
        "of the page's own origin"
    );
    assert_eq!(
        dev.websocket,
        format!("{}dev", dev.site.replace("http:", "ws:"))
    );

    let mut ann = Client::connect(&dev.websocket).await;
    let mut bob = Client::connect(&dev.websocket).await;
    ann.send(json!({"type": "message", "from": "ann", "text": "hi"}))
        .await;
    assert_eq!(ann.next().await["text"], "hi");
    assert_eq!(bob.next().await["from"], "ann");
    dev.end("TERM").await;
}

#[tokio::test]
async fn interrupt_and_terminate_end_it_with_exit_code_0_and_no_child_left() {
    for signal in ["INT", "TERM"] {
        let dev = Dev::start(&[]).await;
        let mut client = Client::connect(&dev.websocket).await;
        client.ask(json!({"type": "create", "name": "ann"})).await;
        let children = children_of(dev.pid());
        // One for each function, and as many more as trying the chat has made start.
        assert!(children.len() >= 3, "{children:?}");
        let (code, rest, took) = dev.end(signal).await;
        assert_eq!((code, rest.as_str()), (Some(0), ""), "{signal}");
        assert!(took < SOON, "{signal}: {took:?}");
        assert!(!children.iter().any(|child| is_running(*child)), "{signal}");
    }
}

#[tokio::test]
async fn release_runs_the_packaged_functions() {
    let packaged = chatctl::packaged_bootstrap();
    let dev = Dev::start(&["--release"]).await;
    let children = children_of(dev.pid());
    assert!(children.len() >= 3, "{children:?}");
    for child in children {
        let program = std::fs::read_link(format!("/proc/{child}/exe")).expect("it runs");
        assert_eq!(program, packaged.canonicalize().expect("built"));
    }
    let mut client = Client::connect(&dev.websocket).await;
    assert_eq!(
        client.ask(json!({"type": "create", "name": "ann"})).await["type"],
        "joined"
    );
    dev.end("TERM").await;
}

#[tokio::test]
async fn killed_outright_it_leaves_no_child_either() {
    let dev = Dev::start(&[]).await;
    let children = children_of(dev.pid());
    assert!(children.len() >= 3, "{children:?}");
    let (code, ..) = dev.end("KILL").await;
    assert_eq!(code, None);
    eventually("gone", || !children.iter().any(|child| is_running(*child))).await;
}

#[tokio::test]
async fn for_people_it_prints_both_urls_and_nothing_else_on_standard_output() {
    // Built before a deadline runs.
    let _ = chatctl::bootstrap();
    let mut child = tokio::process::Command::new(chatctl::program())
        .args(["dev", "--port", "0", "--stage", "beta"])
        .current_dir(chatctl::checkout())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut printed = String::new();
    let mut stdout = child.stdout.take().expect("piped");
    while printed.lines().count() < 2 || !printed.ends_with('\n') {
        let mut bytes = [0; 256];
        let read = e2e::within_deadline("URLs", stdout.read(&mut bytes))
            .await
            .expect("readable");
        assert!(read > 0, "it ended early: {printed}");
        printed.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    let lines: Vec<&str> = printed.lines().collect();
    let port = lines[0]
        .strip_prefix("Site:      http://127.0.0.1:")
        .expect(lines[0]);
    let port = port.strip_suffix('/').expect(lines[0]);
    assert_eq!(lines[1], format!("WebSocket: ws://127.0.0.1:{port}/beta"));
    chatctl::send_signal("TERM", child.id().expect("running"));
    let mut notes = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut notes)
        .await
        .expect("readable");
    assert!(notes.contains("Ctrl-C ends it"), "{notes}");
    assert!(
        !notes.contains('\u{1b}') && !printed.contains('\u{1b}'),
        "no colour in a pipe"
    );
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_error_and_exit_code_1() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let output = chatctl::run(&["dev", "--port", &port]).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains(&format!("port {port} of 127.0.0.1 cannot be used")),
        "{error}"
    );
    assert!(
        error.contains("hint: choose another with `--port`"),
        "{error}"
    );
    assert!(output.stdout.is_empty());
}

/// A cargo that says that it was called, and works on for an hour with a process of its own.
fn slow_cargo(folder: &Folder) -> (String, PathBuf) {
    let (script, called) = (folder.0.join("cargo"), folder.0.join("called"));
    let text = format!(
        "#!/bin/sh\nsleep 3600 &\necho $$ $! > '{0}.new'\nmv '{0}.new' '{0}'\nwait\n",
        called.display()
    );
    std::fs::write(&script, text).expect("written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).expect("executable");
    (script.to_str().expect("UTF-8").to_owned(), called)
}

#[tokio::test]
async fn what_cannot_be_used_is_said_before_anything_is_built() {
    let folder = Folder::new("before");
    let (cargo, called) = slow_cargo(&folder);
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let taken = taken.expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    for unusable in [
        &["dev", "--port", &port][..],
        &["dev", "--port", "0", "--data", &cargo],
    ] {
        let mut command = chatctl::command(unusable);
        let output = command.env("CARGO", &cargo).output();
        let output = e2e::within_deadline("error", output)
            .await
            .expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{unusable:?}");
        assert!(!called.exists(), "{unusable:?}");
    }
}

#[tokio::test]
async fn a_signal_during_the_build_ends_cargo_and_what_cargo_runs() {
    for signal in ["INT", "TERM"] {
        let folder = Folder::new(signal);
        let (cargo, called) = slow_cargo(&folder);
        let mut command = chatctl::command(&["dev", "--port", "0"]);
        let mut child = command.env("CARGO", &cargo).spawn().expect("it starts");
        eventually("building", || called.exists()).await;
        let building = std::fs::read_to_string(&called).expect("readable");
        let building = building.split_whitespace().map(str::parse::<u32>);
        let building: Vec<u32> = building.collect::<Result<_, _>>().expect("process ids");
        assert!(building.iter().all(|pid| is_running(*pid)), "{building:?}");

        chatctl::send_signal(signal, child.id().expect("running"));
        let status = e2e::within_deadline("end", child.wait()).await;
        assert_eq!(status.expect("waited for").code(), Some(0), "{signal}");
        eventually("gone", || !building.iter().any(|pid| is_running(*pid))).await;
    }
}

#[tokio::test]
async fn a_reader_of_the_logs_who_stops_does_not_keep_it_from_ending() {
    let mut dev = Dev::start_with(&["--reports"], Stdio::piped()).await;
    let mut logs = dev.take_stderr().expect("a pipe");
    let mut client = Client::connect(&dev.websocket).await;
    // A pipe takes 64 KiB.
    for _ in 0..1000 {
        assert_eq!(client.ask(json!({"type": "ping"})).await["type"], "pong");
    }
    let (code, _, took) = dev.end("TERM").await;
    assert_eq!(code, Some(0));
    assert!(took < SOON, "{took:?}");
    let mut read = Vec::new();
    let reading = logs.read_to_end(&mut read);
    e2e::within_deadline("logs", reading).await.expect("logs");
    assert!(read.len() > 60_000, "the pipe was full: {}", read.len());
}

#[tokio::test]
async fn a_data_folder_keeps_rooms_over_a_restart() {
    let folder = Folder::new("keeps");
    let dev = Dev::start(&["--data", folder.path()]).await;
    let mut ann = Client::connect(&dev.websocket).await;
    let room = ann.ask(json!({"type": "create", "name": "ann"})).await["room"].clone();
    dev.end("TERM").await;

    let dev = Dev::start(&["--data", folder.path()]).await;
    let mut ann = Client::connect(&dev.websocket).await;
    // Her former connection ended with the process, so the name is hers again.
    let joined = ann
        .ask(json!({"type": "join", "room": room, "name": "ann"}))
        .await;
    assert_eq!(
        (&joined["type"], &joined["members"]),
        (&json!("joined"), &json!(["ann"])),
        "{joined}"
    );
    dev.end("TERM").await;
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_named() {
    let folder = Folder::new("refused");
    let file = format!("{}/file", folder.path());
    std::fs::write(&file, "not a folder").expect("written");
    let output = chatctl::run(&["dev", "--port", "0", "--data", &file]).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains(&format!("the data folder `{file}` cannot be used")),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_stage_or_flag_is_wrong_usage() {
    for arguments in [
        &["dev", "--stage", "My Stage"][..],
        &["dev", "--prot", "1"],
        &["dev", "--port", "x"],
    ] {
        let output = chatctl::run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_bootstrap_that_dies_at_start_is_one_clear_error_with_what_it_wrote() {
    let template = chatctl::synthesized().await;
    // Without its variable the real bootstrap stops at once.
    let text = template
        .to_string()
        .replace("\"TABLE_NAME\":", "\"RENAMED\":");
    let template = serde_json::from_str(&text).expect("JSON");
    let mut options = local::Options::new(&template, local::Code::new(chatctl::bootstrap()));
    options.parameters = e2e::stack::parameters();
    let started = e2e::within_deadline("error", local::Stack::start(options)).await;
    let error = started.expect_err("it does not start").to_string();
    assert!(
        error.contains("Function` stopped while starting (exit status 1)"),
        "{error}"
    );
    assert!(error.contains("`TABLE_NAME` is missing"), "{error}");
}

/// A folder below `target/` that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("made");
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is below `target/`.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn nobody_but_this_machine_reaches_what_it_listens_at() {
    let dev = Dev::start(&[]).await;
    let mut processes = children_of(dev.pid());
    processes.push(dev.pid());
    let listening: Vec<String> = processes.into_iter().flat_map(listens_at).collect();
    // The page's port and the two beside it.
    assert!(listening.len() >= 3, "{listening:?}");
    for address in listening {
        assert!(
            address.starts_with("0100007F:"),
            "{address} is not 127.0.0.1"
        );
    }
    dev.end("TERM").await;
}

/// The addresses at which a process waits for connections, as Linux writes them.
fn listens_at(process: u32) -> Vec<String> {
    const LISTEN: &str = "0A";
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs");
    let sockets: Vec<String> = files
        .flatten()
        .filter_map(|it| std::fs::read_link(it.path()).ok())
        .map(|it| it.display().to_string())
        .filter_map(|it| Some(it.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let tables = ["tcp", "tcp6"].map(|it| format!("/proc/{process}/net/{it}"));
    let tables = tables.map(|it| std::fs::read_to_string(it).unwrap_or_default());
    let lines = tables.iter().flat_map(|it| it.lines());
    lines
        .map(|it| it.split_whitespace().collect::<Vec<_>>())
        .filter(|it| it.len() > 9 && it[3] == LISTEN && sockets.iter().any(|own| own == it[9]))
        .map(|it| it[1].to_owned())
        .collect()
}
