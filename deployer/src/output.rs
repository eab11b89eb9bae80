//! The only place that prints. Standard output is for data, what a command was asked for; everything
//! else, for people, goes to standard error.

mod footer;
mod harmless;
mod live;
mod notes;
mod screen;

use std::cell::RefCell;
use std::error::Error as StdError;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::pin::pin;
use std::time::{Duration, Instant};

pub(crate) use footer::Footer;
pub(crate) use notes::Notes;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::error::ContextValue;

use crate::error::Error;
use crate::progress::Progress;
use crate::telemetry::Going;
use harmless::{Colours, harmless};
use screen::Screen;

/// How often times that are shown are brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// The word that an error begins with. Colours are for these two words: what they mean is said as well.
const ERROR: Style = AnsiColor::Red.on_default().bold();

/// The word that its remedy begins with.
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// From now on nothing has colours; otherwise it has where a terminal is, as
/// <https://no-color.org> has it. What is printed for programs never has any.
pub(crate) fn without_colours() {
    ColorChoice::Never.write_global();
}

/// What is written, for a test to read.
#[cfg(test)]
struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(test)]
impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a command had to say cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written to")]
pub(crate) struct OutputError(#[source] io::Error);

/// The two streams of the process, or of a test.
pub(crate) struct Output {
    data: Box<dyn Write>,
    /// Whether data that may have colours has them.
    has_coloured_data: bool,
    /// Whether what is told to people has colours, as far as that is not left to the stream.
    has_coloured_notes: bool,
    notes: Notes,
    /// Whether progress is data, a JSON object a line.
    json: bool,
    /// When the program began.
    since: Instant,
    /// What can be redrawn, if anything.
    screen: RefCell<Option<Screen>>,
    /// Who answers questions.
    answers: Answers,
    /// The stack that AWS is at, as far as this program has to do with it.
    under_way: Option<String>,
}

/// Who answers questions.
enum Answers {
    /// Whoever is at standard input.
    OfProcess,
    /// A test, in this order.
    #[cfg(test)]
    OfTest(Vec<&'static str>),
}

impl Output {
    /// The process's own streams.
    pub(crate) fn of_process() -> Self {
        let screen = Screen::of_process();
        let has_colours = |choice| choice != ColorChoice::Never;
        // A stream that takes colours away takes away what goes back as well, which a terminal can do
        // whether somebody wants colours or not.
        let base = if screen.is_some() {
            Self::on(io::stdout(), io::stderr())
        } else {
            Self::on(io::stdout(), AutoStream::auto(io::stderr()))
        };
        Self {
            screen: RefCell::new(screen),
            has_coloured_data: has_colours(AutoStream::choice(&io::stdout())),
            has_coloured_notes: has_colours(AutoStream::choice(&io::stderr())),
            ..base
        }
    }

    /// Any streams, none of which is a terminal.
    fn on(data: impl Write + 'static, notes: impl Write + Send + 'static) -> Self {
        Self {
            data: Box::new(data),
            has_coloured_data: false,
            has_coloured_notes: true,
            notes: Notes::on(notes),
            json: false,
            since: Instant::now(),
            screen: RefCell::new(None),
            answers: Answers::OfProcess,
            under_way: None,
        }
    }

    /// Streams that nobody reads, for tests of what speaks on its way.
    #[cfg(test)]
    pub(crate) fn to_nobody() -> Self {
        Self::on(io::sink(), io::sink())
    }

    /// A stream for people that a test reads, and the answers of its user, if there is one.
    #[cfg(test)]
    pub(crate) fn to_test(
        notes: impl Write + Send + 'static,
        answers: Option<Vec<&'static str>>,
    ) -> Self {
        Self {
            answers: answers.map_or(Answers::OfProcess, Answers::OfTest),
            ..Self::on(io::sink(), notes)
        }
    }

    /// Writes data, with nothing in it that commands a terminal, and sees it off. A reader that went away, having read enough (`head`),
    /// is no failure.
    ///
    /// # Errors
    /// [`OutputError`], if it cannot be written for any other reason.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), OutputError> {
        // On one terminal they stand in the order in which they were said.
        self.notes.finish();
        let written = self
            .data
            .write_all(harmless(text, Colours::None).as_bytes())
            .and_then(|()| self.data.flush());
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(OutputError(error)),
            _ => Ok(()),
        }
    }

    /// Writes data that may have colours, which are left out where none are wanted, and tells whether
    /// somebody still reads it.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub(crate) fn stream(&mut self, text: &str) -> Result<Going, OutputError> {
        let text = harmless(text, Colours::Kept);
        let written = if self.has_coloured_data {
            self.data.write_all(text.as_bytes())
        } else {
            let plain = anstream::adapter::strip_str(&text).to_string();
            self.data.write_all(plain.as_bytes())
        };
        match written.and_then(|()| self.data.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Going::Ends),
            Err(error) => Err(OutputError(error)),
            Ok(()) => Ok(Going::On),
        }
    }

    /// What is told on standard error from many places, with a line below it where a terminal is.
    pub(crate) fn footer(&self) -> Footer {
        let is_live = self.screen.borrow().is_some();
        Footer::new(self.notes(), is_live, self.has_coloured_notes)
    }

    /// Streams of which a test reads the one for people.
    #[cfg(test)]
    pub(crate) fn to_be_read() -> (Self, std::sync::Arc<std::sync::Mutex<Vec<u8>>>) {
        let written = std::sync::Arc::default();
        let stream = Shared(std::sync::Arc::clone(&written));
        (Self::on(io::sink(), stream), written)
    }

    /// From now on progress is for programs, if `json` is.
    pub(crate) fn for_programs(&mut self, json: bool) {
        self.json = json;
    }

    /// Tells what is going on: people on standard error, programs as data.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub(crate) fn progress(&mut self, progress: &Progress<'_>) -> Result<(), OutputError> {
        if self.json {
            let mut json = progress.json();
            if let Progress::Step(_) = progress {
                let elapsed = self.since.elapsed().as_millis();
                json["elapsed_ms"] = u64::try_from(elapsed).unwrap_or(u64::MAX).into();
            }
            return self.data(&format!("{json}\n"));
        }
        if let (Some(screen), Progress::Resource { event, elapsed }) =
            (self.screen.get_mut(), progress)
        {
            screen.note(event, *elapsed);
            return Ok(());
        }
        let time = match progress {
            Progress::Step(_) => format!("{:>5} s  ", self.since.elapsed().as_secs()),
            _ => String::new(),
        };
        self.note(&format!("{time}{}", progress.line()));
        Ok(())
    }

    /// Waits, and keeps what is shown up to date meanwhile.
    pub(crate) async fn during<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let mut wait = pin!(wait);
        loop {
            self.redraw();
            let tick = tokio::time::timeout(TICK, &mut wait).await;
            if let Ok(done) = tick {
                return done;
            }
        }
    }

    fn redraw(&mut self) {
        if let Some(screen) = self.screen.get_mut() {
            screen.redraw(&self.notes);
        }
    }

    /// AWS is, or may be, at a stack from now on.
    pub(crate) fn begins(&mut self, stack: &str) {
        self.under_way = Some(stack.to_owned());
    }

    /// AWS is at nothing any more.
    pub(crate) fn ends(&mut self) {
        self.redraw();
        // What is begun next has a list of its own.
        if let Some(screen) = self.screen.get_mut() {
            screen.leave();
        }
        self.under_way = None;
    }

    /// The stack that AWS is at.
    pub(crate) fn under_way(&self) -> Option<String> {
        self.under_way.clone()
    }

    /// Whether there is somebody to ask.
    pub(crate) fn is_interactive(&self) -> bool {
        match &self.answers {
            Answers::OfProcess => {
                !self.json && io::stdin().is_terminal() && io::stderr().is_terminal()
            }
            #[cfg(test)]
            Answers::OfTest(_) => true,
        }
    }

    /// Tells what is done next.
    ///
    /// # Errors
    /// As [`Output::data`].
    pub(crate) fn step(&mut self, text: &str) -> Result<(), OutputError> {
        self.progress(&Progress::Step(text))
    }

    /// Asks people something and gives their answer, empty at the end of the input.
    pub(crate) async fn ask(&mut self, question: &str) -> String {
        self.note(question);
        self.notes.finish();
        #[cfg(test)]
        if let Answers::OfTest(answers) = &mut self.answers {
            return answers.remove(0).to_owned();
        }
        // On a thread of its own: Ctrl-C has to be heard meanwhile.
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).map(|_| answer)
        });
        // Who cannot be heard has not agreed.
        let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
        answer.trim().to_owned()
    }

    /// Tells people something, a line.
    pub(crate) fn note(&self, line: &str) {
        self.coloured_note(&harmless(line, Colours::None));
    }

    /// Likewise, with colours in it and nothing that others wrote.
    fn coloured_note(&self, line: &str) {
        if let Some(screen) = &mut *self.screen.borrow_mut() {
            screen.leave();
        }
        if self.has_coloured_notes {
            self.notes.tell(line);
        } else {
            let plain = anstream::adapter::strip_str(line).to_string();
            self.notes.tell(&plain);
        }
    }

    /// Where to tell people something while a command runs, from any thread.
    pub(crate) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Sees off what was told to people, as far as somebody reads it.
    pub(crate) fn finish(&self) {
        self.notes.finish();
    }

    /// Tells what went wrong, why, and what to do about it.
    pub(crate) fn error(&self, error: &Error) {
        if let Error::CommandLine(error) = error {
            if error.use_stderr() {
                self.coloured_note(harmless(&refusal(error), Colours::Kept).trim_end());
            } else {
                // Help that was asked for is data, and `clap` knows the terminal's width and colours.
                // As below, nothing is left to be done if it fails.
                let _ = error.print();
            }
            return;
        }
        self.coloured_note(&render(error));
    }
}

/// The error, its causes and the hint, a line each; the last without its end.
fn render(error: &Error) -> String {
    let said = |what: &dyn std::fmt::Display| said(&what.to_string());
    let mut lines = vec![format!("{ERROR}error:{ERROR:#} {}\n", said(error))];
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    lines.extend(causes.map(|cause| format!("  caused by: {}\n", said(cause))));
    let hint = error.hint();
    lines.extend(hint.map(|hint| format!("{HINT}hint:{HINT:#} {}\n", said(&hint))));
    lines.concat().trim_end().to_owned()
}

/// What `clap` says, with colours. Values that it quotes are on one line each.
fn refusal(error: &clap::Error) -> String {
    let text = error.render().ansi().to_string();
    error.context().fold(text, |text, (_, value)| match value {
        ContextValue::String(value) if value.contains('\n') => {
            text.replace(value, &value.replace('\n', "\\n"))
        }
        _ => text,
    })
}

/// A text without anything that commands a terminal, to be put beside what has colours of ours.
pub(crate) fn plain(text: &str) -> String {
    harmless(text, Colours::None).into_owned()
}

/// What an error says, which may be in others' words: a line of theirs is never taken for one of ours.
fn said(text: &str) -> String {
    harmless(text, Colours::None)
        .trim_end()
        .replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::SettingsError;
    use crate::template::StageName;

    /// A stream that fails in one way.
    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    fn failing(kind: ErrorKind) -> Output {
        Output::on(Failing(kind), Failing(kind))
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert!(failing(ErrorKind::BrokenPipe).data("text").is_ok());
    }

    #[test]
    fn what_was_told_before_data_stands_before_it() {
        let written = std::sync::Arc::default();
        let stream = || Shared(std::sync::Arc::clone(&written));
        let mut output = Output::on(stream(), stream());
        for _ in 0..20 {
            output.note("told");
            output.data("data\n").unwrap();
        }
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(written, "told\ndata\n".repeat(20));
    }

    #[test]
    fn who_streams_learns_that_the_reader_went_away() {
        let mut output = failing(ErrorKind::BrokenPipe);
        assert_eq!(output.stream("text").unwrap(), Going::Ends);
        assert!(failing(ErrorKind::StorageFull).stream("text").is_err());
        assert_eq!(Output::to_nobody().stream("text").unwrap(), Going::On);
    }

    #[test]
    fn a_full_disk_is_a_failure_that_can_still_be_reported() {
        let mut output = failing(ErrorKind::StorageFull);
        let error = Error::from(output.data("text").unwrap_err());
        output.error(&error);
        output.finish();
        assert_eq!(
            plain(&error),
            "error: standard output cannot be written to\n  caused by: no storage space"
        );
    }

    fn plain(error: &Error) -> String {
        anstream::adapter::strip_str(&render(error)).to_string()
    }

    #[test]
    fn what_others_wrote_commands_no_terminal_and_forges_no_line() {
        let evil = "D\u{1b}]0;title\u{7}\u{202e}\nhint: run `rm -rf /`";
        let error = Error::from(SettingsError::from(evil.parse::<StageName>().unwrap_err()));
        let text = plain(&error);
        let expected = "error: `D\\u001b]0;title\\u0007\\u202e\n    hint: run `rm -rf /`` is not";
        assert!(text.starts_with(expected), "{text}");
        let (output, written) = Output::to_be_read();
        output.error(&error);
        output.note(evil);
        output.footer().tell(evil, Some(evil));
        output.finish();
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let written = anstream::adapter::strip_str(&written).to_string();
        assert_eq!(
            written.matches("\\u001b]0;title\\u0007").count(),
            3,
            "{written}"
        );
        assert!(
            !written.contains(['\u{1b}', '\u{7}', '\u{202e}']),
            "{written:?}"
        );
    }

    #[test]
    fn data_commands_no_terminal_either() {
        let written = std::sync::Arc::default();
        let mut output = Output::on(Shared(std::sync::Arc::clone(&written)), io::sink());
        output.data("a\u{1b}[2Jb\n").unwrap();
        output.stream("c\u{1b}[2Jd\n").unwrap();
        output.has_coloured_data = true;
        output.stream("\u{1b}[31me\u{1b}[0m\u{1b}[2Jf\n").unwrap();
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(
            written,
            "a\\u001b[2Jb\nc\\u001b[2Jd\n\u{1b}[31me\u{1b}[0m\\u001b[2Jf\n"
        );
    }

    #[test]
    fn two_words_of_an_error_have_colours_and_no_more() {
        let text = render(&Error::Unconfirmed);
        assert_eq!(
            text,
            "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m nothing was deleted: the stage's name was not typed\n\
             \u{1b}[1m\u{1b}[36mhint:\u{1b}[0m type it, or give `--yes`"
        );
    }

    #[test]
    fn an_error_comes_with_its_causes_and_a_hint() {
        let error = "Dev".parse::<StageName>().unwrap_err();
        assert_eq!(
            plain(&Error::from(SettingsError::from(error))),
            "error: `Dev` is not a stage name\n\
             hint: set `--stage` or `CHATCTL_STAGE` to lower-case letters, digits and inner hyphens, \
             at most 20, such as `dev`"
        );
    }
}
