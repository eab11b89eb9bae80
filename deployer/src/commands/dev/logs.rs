//! What the stack tells, for people: held back until the URLs are printed, so that they come first, and
//! shown as it comes from then on. On a terminal a line below all others says how much is going on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use local::{Event, Observer};

use super::activity::{Activity, Complaint, Invocation};
use crate::output::{Footer, plain};

/// Lines that are held back at most; a start that has more to say is shown as it goes.
const HELD_LINES_MAX: usize = 1000;

/// Where lines go.
pub(super) struct Logs {
    footer: Footer,
    /// Whether only what somebody should look at is shown.
    is_quiet: bool,
    state: Mutex<State>,
}

struct State {
    held: Option<Vec<String>>,
    activity: Activity,
    /// Whether somebody else writes to the terminal meanwhile.
    is_paused: bool,
}

impl Logs {
    pub(super) fn new(footer: Footer, is_quiet: bool) -> Arc<Self> {
        let state = State {
            held: Some(Vec::new()),
            activity: Activity::default(),
            is_paused: false,
        };
        Arc::new(Self {
            footer,
            is_quiet,
            state: Mutex::new(state),
        })
    }

    pub(super) fn observer(self: &Arc<Self>) -> Observer {
        let logs = Arc::clone(self);
        Observer::new(move |event| logs.hear(&event))
    }

    fn hear(&self, event: &Event) {
        let line = match event {
            Event::Log { function, line } => match Invocation::of(line) {
                Some(invocation) => {
                    let activity = &mut self.state().activity;
                    activity.note(&invocation, Instant::now());
                    if self.is_quiet && !invocation.is_remarkable() {
                        return;
                    }
                    invocation.line()
                }
                None => match Complaint::of(line) {
                    Some(complaint) => plain(&format!("{function}: {}", complaint.line())),
                    None => plain(&format!("{function}: {line}")),
                },
            },
            Event::Platform { function, line } => plain(&format!("{function}: {line}")),
            Event::Report { function, report } => plain(&format!("{function}: {report}")),
            Event::Fault(fault) => format!("fault: {fault}"),
        };
        self.put(line);
    }

    /// Tells a line as soon as the URLs are printed.
    pub(super) fn tell(&self, line: &str) {
        self.put(plain(line));
    }

    fn put(&self, line: String) {
        let mut state = self.state();
        match &mut state.held {
            Some(lines) if lines.len() < HELD_LINES_MAX => lines.push(line),
            _ => {
                self.show_all(&mut state);
                self.say(&line, &mut state);
            }
        }
    }

    /// The URLs are printed.
    pub(super) fn show(&self) {
        self.show_all(&mut self.state());
    }

    /// Brings the line below all others up to date.
    pub(super) fn refresh(&self) {
        let mut state = self.state();
        if state.held.is_none() && !state.is_paused {
            let footer = state.activity.line(Instant::now());
            self.footer.redraw(&footer);
        }
    }

    /// Somebody else writes to the terminal after this line, and must not be written over: until
    /// [`Logs::resume`] there is no line below all others.
    pub(super) fn pause(&self, line: &str) {
        let mut state = self.state();
        state.is_paused = true;
        self.show_all(&mut state);
        self.say(&plain(line), &mut state);
        self.footer.settle();
    }

    /// Nobody else writes any more.
    pub(super) fn resume(&self) {
        self.state().is_paused = false;
    }

    fn show_all(&self, state: &mut State) {
        for line in state.held.take().into_iter().flatten() {
            self.say(&line, state);
        }
    }

    fn say(&self, line: &str, state: &mut State) {
        let now = Instant::now();
        let footer = (!state.is_paused).then(|| state.activity.line(now));
        self.footer.tell(line, footer.as_deref());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Output;

    const GOOD: &str = r#"{"level":"info","function":"action","event":"ping","outcome":"ok"}"#;
    const BAD: &str = r#"{"level":"error","function":"action","event":"ping","outcome":"failed"}"#;

    /// What a reader of lines sees of these.
    fn shown(is_quiet: bool, lines: &[&str]) -> Vec<String> {
        let (output, written) = Output::to_be_read();
        let logs = Logs::new(output.footer(), is_quiet);
        let hear = |line: &str| {
            let (function, line) = ("F".to_owned(), line.to_owned());
            logs.hear(&Event::Log { function, line });
        };
        for line in lines {
            hear(line);
        }
        output.notes().finish();
        assert_eq!(*written.lock().unwrap(), b"", "before the URLs");
        logs.show();
        hear("last");
        output.notes().finish();
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let text = anstream::adapter::strip_str(&text).to_string();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn invocations_are_short_lines_and_everything_else_is_as_it_is() {
        let lines = shown(false, &["panicked", GOOD, BAD]);
        let expected = [
            "F: panicked",
            "action      ping        ok",
            "action      ping        failed",
            "F: last",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_start_that_fails_is_told_in_words() {
        let line = r#"{"level":"error","message":"it does not start","error":"no table"}"#;
        assert_eq!(
            shown(true, &[line]),
            ["F: it does not start: no table", "F: last"]
        );
    }

    #[test]
    fn who_wants_quiet_hears_of_what_went_wrong_alone() {
        let lines = shown(true, &["panicked", GOOD, BAD]);
        let expected = ["F: panicked", "action      ping        failed", "F: last"];
        assert_eq!(lines, expected);
    }
}
