//! What is on this machine: the tools that build, room for what they build, and a free port.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::join;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::{Finding, Need};
use crate::build::{self, Architecture, BuildError, Sources, carried};

/// How long a program may take to tell its version.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What a first build of everything takes, roughly.
const ROOM_KB: u64 = 3_000_000;

/// The port that `chatctl dev` takes unless told otherwise.
const PORT: u16 = 8765;

/// The oldest Rust that compiles this.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The oldest Node that runs the tests in a browser.
const NODE: &str = "20.19";

const RUSTUP: &str = "install Rust with rustup: https://rustup.rs";

/// Looks at this machine, as seen from a folder.
pub(crate) async fn of_machine(folder: &Path) -> Vec<Finding> {
    let sources = Sources::find(folder, carried::is_carrying());
    if sources.is_none() && carried::is_carrying() {
        let told = "this program carries the functions: nothing is built";
        let sources = Finding::good("sources", Need::Dev, told);
        return vec![sources, of_port().await];
    }
    let checkout = sources.as_ref().map(Sources::checkout);
    let (rust, cc, lambda, room, port, node, python) = join!(
        told(&["rustc", "--version"]),
        told(&["cc", "--version"]),
        lambda(),
        room(checkout.unwrap_or(folder)),
        of_port(),
        told(&["node", "--version"]),
        told(&["python3", "--version"]),
    );
    vec![
        of_sources(sources.as_ref()),
        of_rust(rust.as_deref()),
        of_compiler(cc.as_deref()),
        lambda,
        of_room(room),
        port,
        of_node(node.as_deref()),
        of_python(python.as_deref()),
    ]
}

fn of_sources(sources: Option<&Sources>) -> Finding {
    if let Some(sources) = sources {
        let path = sources.checkout().display().to_string();
        return Finding::good("sources", Need::Dev, path);
    }
    let error = BuildError::NoSources;
    Finding::missing("sources", Need::Dev, error.to_string(), error.hint())
}

async fn of_port() -> Finding {
    match TcpListener::bind(("127.0.0.1", PORT)).await {
        Ok(_) => Finding::good(
            "port",
            Need::Dev,
            format!("{PORT} is free for `chatctl dev`"),
        ),
        Err(_) => Finding::warning(
            "port",
            Need::Dev,
            format!("{PORT} is taken, maybe by a `chatctl dev` that runs"),
            "`chatctl dev --port 0` takes a free one",
        ),
    }
}

/// The first line that a program prints, if it runs.
async fn told(words: &[&str]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let output = output_of(Command::new(program).args(arguments)).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default().trim();
    output.status.success().then(|| line.to_owned())
}

/// What a command prints and how it ends, if it does so in time.
async fn output_of(command: &mut Command) -> Option<Output> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(ANSWER_LIMIT, output).await.ok()?.ok()
}

fn of_rust(told: Option<&str>) -> Finding {
    let name = "rust";
    let Some(told) = told else {
        return Finding::missing(name, Need::Dev, "`rustc` does not run", RUSTUP);
    };
    let version = version(told);
    if version >= self::version(RUST) {
        return Finding::good(name, Need::Dev, told);
    }
    let detail = format!("{told}; it takes {RUST} or later");
    Finding::missing(name, Need::Dev, detail, "`rustup update stable`")
}

fn of_compiler(told: Option<&str>) -> Finding {
    match told {
        Some(told) => Finding::good("c compiler", Need::Dev, told),
        None => Finding::missing(
            "c compiler",
            Need::Dev,
            "`cc` does not run: it links every program and builds parts of some",
            "`sudo apt install build-essential`, or your system's like of it",
        ),
    }
}

/// What builds programs that Lambda can run.
async fn lambda() -> Finding {
    let (has_zigbuild, zig, ziglang, libc) = join!(
        build::has_zigbuild(),
        told(&["zig", "version"]),
        told(&["python3", "-m", "ziglang", "version"]),
        told(&["getconf", "GNU_LIBC_VERSION"]),
    );
    let host = (std::env::consts::OS, std::env::consts::ARCH);
    of_lambda(
        has_zigbuild,
        zig.or(ziglang).as_deref(),
        libc.as_deref(),
        host,
    )
}

fn of_lambda(
    has_zigbuild: bool,
    zig: Option<&str>,
    libc: Option<&str>,
    host: (&str, &str),
) -> Finding {
    const MEND: &str = "`cargo install cargo-zigbuild` and `pip install ziglang`";
    let name = "lambda linker";
    let lambdas = build::GLIBC;
    match (has_zigbuild, zig) {
        (true, Some(zig)) => {
            let detail = format!("cargo-zigbuild with zig {zig}, for glibc {lambdas}");
            return Finding::good(name, Need::Deploy, detail);
        }
        (true, None) => {
            let detail = "cargo-zigbuild is here and its zig is not, so that nothing builds";
            return Finding::missing(name, Need::Deploy, detail, "`pip install ziglang`");
        }
        (false, _) => {}
    }
    let own = Architecture::default().as_str();
    if host != ("linux", own) {
        let detail = format!("nothing here builds for Linux on {own}");
        let target = "and `rustup target add x86_64-unknown-linux-gnu`";
        return Finding::missing(name, Need::Deploy, detail, format!("{MEND} {target}"));
    }
    let Some(libc) = libc else {
        let detail = format!("this machine's libc is not known; Lambda has glibc {lambdas}");
        return Finding::warning(name, Need::Deploy, detail, MEND);
    };
    if version(libc) <= version(&lambdas.to_string()) {
        let detail = format!("cargo, against {libc}; Lambda has {lambdas}");
        return Finding::good(name, Need::Deploy, detail);
    }
    let detail = format!(
        "cargo, against {libc}, and Lambda has {lambdas}: a deploy looks whether that matters, \
         before it sends anything"
    );
    Finding::warning(name, Need::Deploy, detail, format!("if it does: {MEND}"))
}

/// The free kilobytes where things are built. `df` knows of quotas and overlays, and is everywhere.
async fn room(checkout: &Path) -> Option<u64> {
    let built = std::env::var_os("CARGO_TARGET_DIR").map(std::path::PathBuf::from);
    let built = built.filter(|it| it.exists());
    let place = built.as_deref().unwrap_or(checkout);
    let output = output_of(Command::new("df").arg("-Pk").arg(place)).await?;
    free_kb(&String::from_utf8_lossy(&output.stdout))
}

/// What is available, of the second line, <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/df.html>.
fn free_kb(table: &str) -> Option<u64> {
    let fields: Vec<_> = table.lines().nth(1)?.split_whitespace().collect();
    // Before the share, wherever that is: the first and the last field can have spaces.
    let share = fields.iter().rposition(|it| it.ends_with('%'))?;
    fields.get(share.checked_sub(1)?)?.parse().ok()
}

fn of_room(free_kb: Option<u64>) -> Finding {
    let Some(free_kb) = free_kb else {
        let remedy = "a first build takes 3 GB";
        return Finding::warning("disk", Need::Dev, "how much is free is not known", remedy);
    };
    let detail = format!("{}.{} GB free", free_kb / 1_000_000, free_kb / 100_000 % 10);
    if free_kb >= ROOM_KB {
        return Finding::good("disk", Need::Dev, detail);
    }
    let detail = format!("{detail}, and a first build takes 3 GB");
    let remedy = "free some, or name a folder elsewhere with `CARGO_TARGET_DIR`";
    Finding::warning("disk", Need::Dev, detail, remedy)
}

fn of_node(told: Option<&str>) -> Finding {
    let remedy = "`chatctl` goes without; for `cargo xtask test` see https://nodejs.org";
    match told {
        Some(told) if version(told) >= version(NODE) => Finding::good("node", Need::Tests, told),
        Some(told) => {
            let detail = format!("{told}; the tests take {NODE} or later");
            Finding::warning("node", Need::Tests, detail, remedy)
        }
        None => Finding::warning("node", Need::Tests, "`node` does not run", remedy),
    }
}

fn of_python(told: Option<&str>) -> Finding {
    match told {
        Some(told) => Finding::good("python", Need::Tests, told),
        None => Finding::warning(
            "python",
            Need::Tests,
            "`python3` does not run",
            "`chatctl` goes without; `cargo xtask test` wants it",
        ),
    }
}

/// The first number with a dot in a text, as far as it can be compared: `v20.19.2` is 20, 19.
fn version(text: &str) -> (u32, u32) {
    let words = text.split(|it: char| !(it.is_ascii_digit() || it == '.'));
    let versions = words.filter_map(|word| {
        let mut parts = word.split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        }
    });
    versions.into_iter().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        for (text, expected) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)", (1, 95)),
            ("v20.19.2", (20, 19)),
            ("Python 3.11.7", (3, 11)),
            ("glibc 2.36", (2, 36)),
            ("1.95", (1, 95)),
            ("no number", (0, 0)),
            ("7", (0, 0)),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn an_old_rust_or_none_is_missing_with_what_mends_it() {
        for (told, verdict, remedy) in [
            (Some("rustc 1.95.0 (x)"), Verdict::Good, ""),
            (Some("rustc 2.0.0 (x)"), Verdict::Good, ""),
            (
                Some("rustc 1.94.1 (x)"),
                Verdict::Missing,
                "`rustup update stable`",
            ),
            (None, Verdict::Missing, RUSTUP),
        ] {
            let finding = of_rust(told);
            assert_eq!(finding.verdict, verdict, "{told:?}");
            assert_eq!(finding.remedy.unwrap_or_default(), remedy, "{told:?}");
        }
    }

    #[test]
    fn what_cannot_build_for_lambda_says_what_can() {
        let (linux, mac) = (("linux", "x86_64"), ("macos", "aarch64"));
        for (has_zigbuild, zig, libc, host, verdict) in [
            (true, Some("0.17.0"), None, mac, Verdict::Good),
            (true, None, Some("glibc 2.31"), linux, Verdict::Missing),
            (false, None, None, mac, Verdict::Missing),
            (false, None, Some("glibc 2.34"), linux, Verdict::Good),
            (
                false,
                Some("0.17.0"),
                Some("glibc 2.41"),
                linux,
                Verdict::Warning,
            ),
            (false, None, None, linux, Verdict::Warning),
        ] {
            let finding = of_lambda(has_zigbuild, zig, libc, host);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            let mends = finding
                .remedy
                .is_some_and(|it| it.contains("pip install ziglang"));
            assert_eq!(mends, verdict != Verdict::Good);
        }
    }

    #[test]
    fn too_little_room_is_said_before_a_build_finds_out() {
        for (line, expected) in [
            (
                "/dev/vda 263174212 27000000 65000000 30% /",
                Some(65_000_000),
            ),
            (
                "//nas/a b 263174212 27000000 1500000 29% /my home",
                Some(1_500_000),
            ),
            ("overlay - - - - /", None),
            ("", None),
        ] {
            let head = "Filesystem 1024-blocks Used Available Capacity Mounted on";
            assert_eq!(free_kb(&format!("{head}\n{line}\n")), expected, "{line}");
        }
        assert_eq!(of_room(None).verdict, Verdict::Warning);
        assert_eq!(of_room(Some(2_999_999)).verdict, Verdict::Warning);
        assert_eq!(of_room(Some(3_000_000)).detail, "3.0 GB free");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_or_fails_tells_nothing() {
        assert_eq!(told(&["no-such-program-here"]).await, None);
        assert_eq!(told(&["false"]).await, None);
        assert_eq!(told(&["echo", "v1.2"]).await.as_deref(), Some("v1.2"));
    }
}
