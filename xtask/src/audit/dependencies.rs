//! cargo-deny: licences, sources and banned crates, and the advisories where they can be had.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, checkout, run, tell};

/// How long the database of advisories may take: it is small, and who has no network knows at once.
const FETCH_TIMEOUT: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Licences, sources and banned crates, by `deny.toml`.
pub(crate) fn check(deny: Command) -> Outcome {
    // An exception that nothing needs any more.
    let unneeded = ["--deny", "license-exception-not-encountered"];
    let checks = ["licenses", "bans", "sources"];
    checked(deny, &[&unneeded[..], &checks].concat())
}

/// What is known against the dependencies. Where nobody can be asked nothing is known, and that is no
/// fault of the change: it is told loudly, and does not fail.
pub(crate) fn advisories(mut fetch: Command, deny: Command) -> Outcome {
    fetch
        .current_dir(checkout())
        .args(["--locked", "--log-level", "off", "fetch", "db"])
        // Nobody is there to be asked for a password.
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let fetch = fetch.spawn();
    let fetch = fetch.map_err(|error| format!("`cargo-deny` cannot be run: {error}"))?;
    match ends_within(fetch, FETCH_TIMEOUT) {
        Ok(()) => checked(deny, &["--disable-fetch", "advisories"]),
        Err(problem) => {
            tell(&format!(
                "    WARNING: the advisories of RustSec cannot be had ({problem}).\n    WARNING: \
                 NO DEPENDENCY WAS CHECKED AGAINST THEM. Run this where github.com can be reached."
            ));
            Ok(())
        }
    }
}

fn checked(mut deny: Command, arguments: &[&str]) -> Outcome {
    deny.current_dir(checkout());
    let deny = deny.args(["--locked", "--log-level", "warn", "check"]);
    // Findings alone: each comes with the tree of what depends on it.
    run(deny.arg("--hide-inclusion-graph").args(arguments))
}

/// Waits for a process, and ends it where that takes too long.
fn ends_within(mut child: Child, timeout: Duration) -> Outcome {
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) if since.elapsed() < timeout => std::thread::sleep(BETWEEN_LOOKS),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("not within {} s", timeout.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).spawn().unwrap()
    }

    #[test]
    fn whoever_takes_too_long_is_ended() {
        let minute = Duration::from_mins(1);
        assert_eq!(ends_within(shell("true"), minute), Ok(()));
        assert!(
            ends_within(shell("exit 3"), minute)
                .unwrap_err()
                .contains('3')
        );
        let since = Instant::now();
        let late = ends_within(shell("exec sleep 60"), Duration::from_millis(100));
        assert!(late.unwrap_err().contains("not within"));
        assert!(since.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn advisories_that_cannot_be_had_do_not_fail_and_those_that_can_are_checked() {
        let command = |program: &str| Command::new(program);
        assert_eq!(advisories(command("false"), command("false")), Ok(()));
        assert!(advisories(command("/nowhere/at/all"), command("true")).is_err());
        assert!(advisories(command("true"), command("false")).is_err());
        assert_eq!(advisories(command("true"), command("true")), Ok(()));
    }
}
