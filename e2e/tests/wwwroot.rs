//! Pages that came to be by mistake or mean no good, and other files that somebody leaves or names:
//! `chatctl dev` and `chatctl deploy` say the same of them, and do nothing before.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use e2e::ministack::Ministack;
use e2e::{chatctl, stack, within_deadline};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is taken for a checkout, with a page. It goes with the test.
struct Checkout(PathBuf);

impl Checkout {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("chatctl-wwwroot-{}-{number}", std::process::id());
        let checkout = Self(std::env::temp_dir().join(folder));
        for file in ["Cargo.toml", "handlers/Cargo.toml", "secret"] {
            write(&checkout.0.join(file), "not a manifest");
        }
        let template = chatctl::checkout().join("cloudformation");
        symlink(template, checkout.0.join("cloudformation")).expect("a link");
        write(&checkout.page().join("index.html"), "<!doctype html>");
        checkout
    }

    fn page(&self) -> PathBuf {
        self.0.join("wwwroot")
    }

    fn file(&self, name: impl AsRef<OsStr>) {
        write(&self.page().join(name.as_ref()), "x");
    }

    fn link(&self, name: &str, target: &str) {
        symlink(target, self.page().join(name)).expect("a link");
    }

    fn pipe(&self, name: &str) -> PathBuf {
        let path = self.page().join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        path
    }

    /// What `chatctl` says of it to who deploys it and to who runs it here. Neither gets further than
    /// that: there is no AWS, and nothing that could be built.
    async fn said(&self) -> [String; 2] {
        let (page, checkout) = (text(&self.page()), text(&self.0));
        let deploy = ["deploy", "--wwwroot", &page, "--bootstrap", "/bin/true"];
        let dev = ["dev", "--port", "0", "--source", &checkout];
        [refused(&deploy).await, refused(&dev).await]
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, content).expect("a file");
}

fn text(path: &Path) -> String {
    path.to_str().expect("characters").to_owned()
}

/// `chatctl`, with credentials for an AWS that is not there, as another user than root, who may read
/// everything.
async fn run(arguments: &[&str]) -> Output {
    let mut command = chatctl::command(arguments);
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    if rustix::process::geteuid().is_root() {
        command.uid(65_534);
    }
    within_deadline("end of chatctl", command.output())
        .await
        .expect("chatctl runs")
}

/// What it says on standard error, if it fails as a deploy or a start does.
async fn refused(arguments: &[&str]) -> String {
    let output = run(arguments).await;
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    said
}

type Make = fn(&Checkout);

#[tokio::test]
async fn what_cannot_be_published_is_named_with_its_remedy_before_anything_is_done() {
    let cases: &[(Make, &str, &str)] = &[
        (
            |it| it.link("a", "../secret"),
            "`{}/a` is a link that leads out of the folder",
            "cp -rL",
        ),
        (
            |it| it.link("a", "/etc/passwd"),
            "`{}/a` is a link that leads out of the folder",
            "cp -rL",
        ),
        (
            |it| it.link("a", "nowhere"),
            "`{}/a` is a link that leads nowhere",
            "cp -rL",
        ),
        (
            |it| it.link("a", "a"),
            "`{}/a` is a link that leads nowhere",
            "cp -rL",
        ),
        (
            |it| it.link("a", "."),
            "`{}/a` is a link that leads to a folder",
            "cp -rL",
        ),
        (
            |it| drop(it.pipe("a")),
            "`{}/a` is a named pipe, and no file",
            "take it out",
        ),
        (
            |it| it.file("a\nb"),
            "`{}/a\\nb` has a name that has control characters",
            "another name",
        ),
        (
            |it| it.file("a\u{1b}]0;evil\u{7}"),
            "`{}/a\\u{1b}]0;evil\\u{7}` has a name that has control characters",
            "another name",
        ),
        (
            |it| it.file(OsStr::from_bytes(b"a\xff")),
            "has a name that is not UTF-8",
            "another name",
        ),
        (
            |it| it.file("a\\b"),
            "`{}/a\\b` has a name that has a backslash",
            "another name",
        ),
        (
            |it| it.file("d/".repeat(520) + "x"),
            "has a name that is longer than 1,024 bytes",
            "another name",
        ),
        (
            |it| {
                let film = std::fs::File::create(it.page().join("film")).expect("a file");
                film.set_len(6 << 30).expect("a sparse file");
            },
            "`{}` has more than 256 MiB, `film` alone 6144 MiB",
            "put large files elsewhere",
        ),
        (
            |it| {
                it.file("folder/x");
                let none = std::fs::Permissions::from_mode(0o0);
                std::fs::set_permissions(it.page().join("folder"), none).expect("a mode");
            },
            "`{}/folder` cannot be read",
            "let it be read",
        ),
    ];
    for (make, message, hint) in cases {
        let checkout = Checkout::new();
        make(&checkout);
        let message = message.replace("{}", &text(&checkout.page()));
        for said in checkout.said().await {
            let mut lines = said.lines().skip_while(|it| !it.starts_with("error: "));
            assert_eq!(
                lines.next(),
                Some("error: the page cannot be published"),
                "{said}"
            );
            let cause = lines.next().unwrap_or_default();
            assert!(cause.contains(&message), "{said}, not {message}");
            let remedy = said.lines().find(|it| it.starts_with("hint: "));
            assert!(remedy.is_some_and(|it| it.contains(hint)), "{said}");
            assert!(!said.contains(['\u{1b}', '\u{7}']), "{said:?}");
        }
    }
}

/// A file that nobody may open is found when it is read: before anything is done by a deploy, and by
/// `chatctl dev` when it is asked for.
#[tokio::test]
async fn a_file_that_may_not_be_read_is_named() {
    let checkout = Checkout::new();
    checkout.file("locked");
    let locked = checkout.page().join("locked");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o0)).expect("a mode");
    let page = text(&checkout.page());
    let said = refused(&["deploy", "--wwwroot", &page, "--bootstrap", "/bin/true"]).await;
    let message = format!("caused by: `{page}/locked` cannot be read");
    assert!(said.contains(&message), "{said}");
}

#[tokio::test]
async fn a_folder_without_a_page_is_none() {
    let checkout = Checkout::new();
    let page = text(&checkout.page());
    std::fs::remove_file(checkout.page().join("index.html")).expect("it was there");
    let deploy = ["deploy", "--wwwroot", &page, "--bootstrap", "/bin/true"];
    let said = refused(&deploy).await;
    assert!(
        said.contains(&format!("there is no `index.html` in `{page}`")),
        "{said}"
    );
}

/// Names that are odd, and all right.
const ODD: [&str; 14] = [
    "-rf",
    "--flag=x",
    "100% sure.txt",
    "Case.txt",
    "a b+c&d=e?f#g.txt",
    "a..%2fb.txt",
    "case.txt",
    "caf\u{e9}.txt",
    "cafe\u{301}.txt",
    "deep/er/est.txt",
    "日本.txt",
    "quote'\"<>.txt",
    "trailing. ",
    "~tilde",
];

fn odd_page(checkout: &Checkout) {
    for name in ODD {
        write(&checkout.page().join(name), name);
    }
    checkout.link("link.txt", "deep/er/est.txt");
    write(&checkout.page().join("config.json"), "forged");
    for hidden in [".env", ".git/config", ".DS_Store", "deep/.secret"] {
        checkout.file(hidden);
    }
}

/// A name as an address has it.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[tokio::test]
async fn an_odd_page_is_shown_here_as_it_is_published_hidden_files_never_and_our_configuration_wins()
 {
    let checkout = Checkout::new();
    odd_page(&checkout);
    let here = stack::start(|options| options.site = Some(checkout.page())).await;
    let site = here.site_url();
    let authority = site.trim_start_matches("http://").trim_end_matches('/');

    let ministack = Ministack::start().await;
    let (page, bootstrap) = (text(&checkout.page()), chatctl::packaged_bootstrap());
    let deploy = [
        "deploy",
        "--json",
        "--bootstrap",
        &text(&bootstrap),
        "--wwwroot",
        &page,
    ];
    let deployed = chatctl::result_on(&ministack, &deploy).await;
    let published = deployed["site"].as_str().expect("a URL").to_owned();

    for name in ODD {
        let path = encoded(name);
        let there = ministack.get(&format!("{published}{path}")).await;
        let (status, body) = get(authority, &path).await;
        assert_eq!((status, body.as_str()), (200, name), "{name} here");
        assert_eq!(there.status(), 200, "{name} there");
        assert_eq!(there.body().as_ref(), name.as_bytes(), "{name} there");
    }
    assert_eq!(get(authority, "link.txt").await.1, "deep/er/est.txt");
    for hidden in [".env", ".git/config", ".DS_Store", "deep/.secret"] {
        assert_eq!(get(authority, hidden).await.0, 403, "{hidden}");
    }
    let config = ministack.get(&format!("{published}config.json")).await;
    assert_eq!(config.body().as_ref(), br#"{"server":"/dev"}"#);

    let resource = json!({"StackName": "chat-dev", "LogicalResourceId": "SiteBucket"});
    let resource = ministack.aws("cloudformation", "describe_stack_resource", resource);
    let bucket = resource.await["StackResourceDetail"]["PhysicalResourceId"].clone();
    let objects = ministack
        .aws("s3", "list_objects_v2", json!({"Bucket": bucket}))
        .await;
    let keys = objects["Contents"].as_array().expect("objects").iter();
    let keys: Vec<&str> = keys.filter_map(|it| it["Key"].as_str()).collect();
    let own = |it: &&&str| ![".chatctl-published", ".chatctl-verified"].contains(*it);
    let mut found: Vec<&str> = keys.iter().filter(own).copied().collect();
    let mut expected = [&ODD[..], &["link.txt", "config.json", "index.html"]].concat();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    here.stop().await;
}

async fn get(authority: &str, path: &str) -> (u16, String) {
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    let answer = within_deadline(path, async {
        let mut stream = TcpStream::connect(authority).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    });
    let answer = answer.await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    (status.expect("a status"), body.to_owned())
}

#[tokio::test]
async fn settings_that_are_hostile_are_refused_and_neither_waited_for_nor_believed() {
    let checkout = Checkout::new();
    let nested = format!("tags = {}", "[".repeat(200_000));
    let tables = format!("{} = 1", vec!["a"; 100_000].join("."));
    let huge = format!("# {}\nregion = \"eu-central-1\"\n", "x".repeat(2_000_000));
    let evil = "\"re\\u001b]0;evil\\u0007gion\" = 1";
    let file = checkout.0.join("hostile.toml");
    let path = text(&file);
    for (content, expected) in [
        (nested.as_str(), "hostile.toml:1:"),
        (&tables, "hostile.toml:1:"),
        (&huge, "it has more than 1048576 bytes"),
        (evil, "there is no setting `re\\u001b]0;evil\\u0007gion`"),
        ("region = \"a\u{202e}b\nc\"", "hostile.toml:2:"),
        ("\0", "hostile.toml:1:"),
    ] {
        write(&file, content);
        let output = run(&["synth", "--config", &path]).await;
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{expected}: {said:.300}");
        assert!(said.contains(expected), "{said:.300}, not {expected}");
        assert!(
            !said.contains(['\u{1b}', '\u{7}', '\u{202e}']),
            "{said:.300}"
        );
        assert!(said.len() < 10_000, "{} bytes", said.len());
    }
    std::fs::write(&file, b"region = \"\xff\"").expect("a file");
    for named in [path.as_str(), "/dev/zero", "/nowhere", "/tmp"] {
        let output = run(&["synth", "--config", named]).await;
        assert_eq!(output.status.code(), Some(2), "{named}");
    }
    // One that is found where the user is, and is no file, is none of the user's.
    let pipe = checkout.pipe("chatctl.toml");
    let mut synth = chatctl::command(&["synth"]);
    let synth = synth.current_dir(pipe.parent().expect("a folder")).output();
    let synth = within_deadline("end of chatctl", synth)
        .await
        .expect("it runs");
    assert!(synth.status.success());
}

#[tokio::test]
async fn values_of_variables_and_arguments_command_no_terminal_and_forge_no_line() {
    let evil = "x\u{1b}[2J\u{1b}]0;evil\u{7}\u{202e}\nhint: all is well";
    for (name, value) in [
        ("CHATCTL_STAGE", evil),
        ("CHATCTL_PORT", evil),
        ("CHATCTL_CONFIG", evil),
        ("CHATCTL_DATA", "/proc/\u{1b}[2Jx"),
        ("CHATCTL_SOURCE", evil),
    ] {
        let output = chatctl::command(&["dev"]).env(name, value).output();
        let output = within_deadline("end of chatctl", output)
            .await
            .expect("it runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!output.status.success(), "{name}: {said}");
        assert!(
            !said.contains(['\u{1b}', '\u{7}', '\u{202e}']),
            "{name}: {said:?}"
        );
        let forged = said.lines().any(|it| it.starts_with("hint: all is well"));
        assert!(!forged, "{name}: {said}");
    }
    let arguments = run(&["synth", evil]).await;
    let said = String::from_utf8(arguments.stderr).expect("UTF-8");
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
}
