//! Colours: where there is a terminal, or somebody insists, and nowhere else.

use std::process::Output;

use e2e::terminal::Terminal;
use e2e::{chatctl, within_deadline};

/// Makes a pipe count as a terminal, <https://bixense.com/clicolors/>.
const INSIST: (&str, &str) = ("CLICOLOR_FORCE", "1");

const ESCAPE: char = '\u{1b}';

/// What is told of a wrong setting, and of a wrong command line.
async fn told(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let mut told = Vec::new();
    for wrong in [["synth", "--stage=No"], ["synth", "--wrong"]] {
        let arguments = [&wrong[..], arguments].concat();
        let mut command = chatctl::command(&arguments);
        for variable in ["NO_COLOR", "CLICOLOR", INSIST.0] {
            command.env_remove(variable);
        }
        let output = command.envs(variables.iter().copied()).output();
        let Output { status, stderr, .. } = within_deadline("end of chatctl", output)
            .await
            .expect("chatctl runs");
        assert_eq!(status.code(), Some(2));
        told.push(String::from_utf8(stderr).expect("text"));
    }
    told
}

#[tokio::test]
async fn errors_have_colours_on_a_terminal_unless_somebody_wants_none() {
    for variables in [&[INSIST][..], &[INSIST, ("CHATCTL_NO_COLOR", "0")]] {
        let colourful = told(&[], variables).await;
        assert!(colourful.iter().all(|it| it.contains(ESCAPE)));
    }
    let plain = told(&[], &[]).await;
    assert!(plain[0].starts_with("error: `No` is not"), "{plain:?}");
    for (arguments, variables) in [
        (&["--no-color"][..], &[INSIST][..]),
        (&[], &[INSIST, ("CHATCTL_NO_COLOR", "1")]),
        (&[], &[INSIST, ("NO_COLOR", "1")]),
    ] {
        assert_eq!(told(arguments, variables).await, plain, "{variables:?}");
    }
}

#[tokio::test]
async fn on_a_terminal_errors_have_colours_unless_somebody_wants_none() {
    for (variables, has_colours) in [(&[][..], true), (&[("NO_COLOR", "1")][..], false)] {
        let terminal = Terminal::new();
        let mut command = chatctl::command(&["synth", "--stage=No"]);
        for variable in ["NO_COLOR", "CLICOLOR", INSIST.0] {
            command.env_remove(variable);
        }
        command
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stderr(terminal.stdio());
        let status = within_deadline("end of chatctl", command.status()).await;
        assert_eq!(status.expect("chatctl runs").code(), Some(2));
        let hint = || terminal.lines().iter().any(|it| it.starts_with("hint: "));
        chatctl::eventually("told", hint).await;
        assert_eq!(terminal.written().contains(ESCAPE), has_colours);
    }
}
