//! Lines one after another, and on a terminal one that stays below all of them.

use std::sync::{Arc, Mutex, PoisonError};

use super::Notes;
use super::harmless::{Colours, harmless};
use super::live::{clipped, frame};
use super::screen::size;

/// Where lines go, and what is below them.
#[derive(Clone)]
pub(crate) struct Footer {
    notes: Notes,
    /// Whether there is a terminal that can do more than take lines.
    is_live: bool,
    /// Whether lines have colours, as far as that is not left to the stream.
    has_colours: bool,
    /// What is below, as it was drawn.
    drawn: Arc<Mutex<Vec<String>>>,
}

impl Footer {
    pub(super) fn new(notes: Notes, is_live: bool, has_colours: bool) -> Self {
        Self {
            notes,
            is_live,
            has_colours,
            drawn: Arc::default(),
        }
    }

    /// Tells a line, in which colours are ours, and says below it what there is to say there.
    pub(crate) fn tell(&self, line: &str, below: Option<&str>) {
        if self.has_colours {
            self.draw(Some(line), below);
        } else {
            let plain = anstream::adapter::strip_str(line).to_string();
            self.draw(Some(&plain), below);
        }
    }

    /// Says something else below.
    pub(crate) fn redraw(&self, below: &str) {
        self.draw(None, Some(below));
    }

    /// Waits until all of it is on the terminal, so that somebody else can write there; not for long.
    pub(crate) fn settle(&self) {
        if self.is_live {
            self.notes.finish();
        }
    }

    fn draw(&self, line: Option<&str>, below: Option<&str>) {
        let line = line.map(|it| harmless(it, Colours::Kept));
        let below = below.map(|it| harmless(it, Colours::None));
        if !self.is_live {
            if let Some(line) = line {
                self.notes.tell(&line);
            }
            return;
        }
        let columns = size().columns;
        let below: Vec<_> = below.map(|it| clipped(&it, columns)).into_iter().collect();
        let lines = line
            .map(std::borrow::Cow::into_owned)
            .into_iter()
            .chain(below.clone());
        // Held while it is told, so that no other line comes in between.
        let mut drawn = self.drawn();
        self.notes
            .tell(&frame(&drawn, &lines.collect::<Vec<_>>(), columns));
        *drawn = below;
    }

    fn drawn(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::*;

    fn told(is_live: bool, tell: impl Fn(&Footer)) -> String {
        let (output, written) = Output::to_be_read();
        tell(&Footer::new(output.notes(), is_live, false));
        output.notes().finish();
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn colours_are_left_out_where_nobody_wants_them_and_what_goes_back_is_not() {
        for (has_colours, shown) in [(true, "\x1b[32mok\x1b[0m"), (false, "ok")] {
            let (output, written) = Output::to_be_read();
            let footer = Footer::new(output.notes(), true, has_colours);
            footer.tell("\x1b[32mok\x1b[0m", Some("0 connected"));
            footer.redraw("1 connected");
            output.notes().finish();
            let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
            let back = "\x1b[1A\r\x1b[J";
            assert_eq!(text, format!("{shown}\n0 connected\n{back}1 connected\n"));
        }
    }

    #[test]
    fn what_is_below_stays_below() {
        let text = told(true, |footer| {
            footer.tell("one", Some("0 connected"));
            footer.tell("two", Some("1 connected"));
            footer.redraw("2 connected");
        });
        let back = "\x1b[1A\r\x1b[J";
        assert_eq!(
            text,
            format!("one\n0 connected\n{back}two\n1 connected\n{back}2 connected\n")
        );
    }

    #[test]
    fn what_is_below_goes_for_who_writes_next() {
        let text = told(true, |footer| {
            footer.redraw("0 connected");
            footer.tell("building", None);
            footer.settle();
            footer.tell("built", Some("0 connected"));
        });
        let back = "\x1b[1A\r\x1b[J";
        assert_eq!(
            text,
            format!("0 connected\n{back}building\nbuilt\n0 connected\n")
        );
    }

    #[test]
    fn without_a_terminal_there_are_lines_alone() {
        let text = told(false, |footer| {
            footer.tell("one", Some("0 connected"));
            footer.redraw("1 connected");
        });
        assert_eq!(text, "one\n");
    }
}
