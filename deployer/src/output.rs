//! The only place that prints. Standard output is for data, what a command was asked for; everything
//! else, for people, goes to standard error.

mod notes;

use std::error::Error as StdError;
use std::io::{self, ErrorKind, Write};

pub(crate) use notes::Notes;

use crate::error::Error;

/// The two streams of the process, or of a test.
pub(crate) struct Output {
    data: Box<dyn Write>,
    notes: Notes,
}

impl Output {
    /// The process's own streams.
    pub(crate) fn of_process() -> Self {
        Self {
            data: Box::new(io::stdout()),
            notes: Notes::on(io::stderr()),
        }
    }

    /// Writes data, as it is, and sees it off. A reader that went away, having read enough (`head`),
    /// is no failure.
    ///
    /// # Errors
    /// [`Error::Output`], if it cannot be written for any other reason.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), Error> {
        let written = self
            .data
            .write_all(text.as_bytes())
            .and_then(|()| self.data.flush());
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Output(error)),
            _ => Ok(()),
        }
    }

    /// Tells people something, a line.
    pub(crate) fn note(&self, line: &str) {
        self.notes.tell(line);
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
            // Help that was asked for is data, and `clap` knows the terminal's width and colours.
            // As below, nothing is left to be done if it fails.
            let _ = error.print();
            return;
        }
        self.notes.tell(&render(error));
    }
}

/// The error, its causes and the hint, a line each; the last without its end.
fn render(error: &Error) -> String {
    let mut lines = vec![format!("error: {error}\n")];
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    lines.extend(causes.map(|cause| format!("  caused by: {cause}\n")));
    lines.extend(error.hint().map(|hint| format!("hint: {hint}\n")));
    lines.concat().trim_end().to_owned()
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
        Output {
            data: Box::new(Failing(kind)),
            notes: Notes::on(Failing(kind)),
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert!(failing(ErrorKind::BrokenPipe).data("text").is_ok());
    }

    #[test]
    fn a_full_disk_is_a_failure_that_can_still_be_reported() {
        let mut output = failing(ErrorKind::StorageFull);
        let error = output.data("text").unwrap_err();
        output.error(&error);
        output.finish();
        assert_eq!(
            render(&error),
            "error: standard output cannot be written to\n  caused by: no storage space"
        );
    }

    #[test]
    fn an_error_comes_with_its_causes_and_a_hint() {
        let error = "Dev".parse::<StageName>().unwrap_err();
        assert_eq!(
            render(&Error::from(SettingsError::from(error))),
            "error: `Dev` is not a stage name\n\
             hint: set `--stage` or `CHATCTL_STAGE` to lower-case letters, digits and inner hyphens, \
             at most 20, such as `dev`"
        );
    }
}
