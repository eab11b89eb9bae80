//! The terminal of whoever watches, if there is one: what is redrawn in place there.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use terminal_size::{Height, Width, terminal_size_of};

use super::Notes;
use super::harmless::{Colours, harmless};
use super::live::{Board, COLUMNS, Size, frame};
use crate::cloud::StackEvent;

/// A terminal, and the list that is on it.
#[derive(Debug, Default)]
pub(super) struct Screen(Option<Shown>);

#[derive(Debug)]
struct Shown {
    board: Board,
    /// When the board's time began.
    since: Instant,
    drawn: Vec<String>,
}

impl Screen {
    /// The one that standard error is, if it can do more than take lines.
    pub(super) fn of_process() -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|it| it == "dumb" || it.is_empty());
        (io::stderr().is_terminal() && !is_dumb).then(Self::default)
    }

    /// Takes an event into the list; [`Screen::redraw`] shows it.
    pub(super) fn note(&mut self, event: &StackEvent, elapsed: Duration) {
        let shown = self.0.get_or_insert_with(|| Shown {
            board: Board::default(),
            since: Instant::now()
                .checked_sub(elapsed)
                .unwrap_or_else(Instant::now),
            drawn: Vec::new(),
        });
        shown.board.note(event, elapsed);
    }

    /// Shows the list as it is now.
    pub(super) fn redraw(&mut self, notes: &Notes) {
        let Some(shown) = &mut self.0 else { return };
        let size = size();
        let lines = shown.board.lines(shown.since.elapsed(), size);
        let lines: Vec<_> = lines
            .iter()
            .map(|it| harmless(it, Colours::None).into_owned())
            .collect();
        notes.tell(&frame(&shown.drawn, &lines, size.columns));
        shown.drawn = lines;
    }

    /// Leaves the list as it is: what comes next stands below it.
    pub(super) fn leave(&mut self) {
        self.0 = None;
    }
}

/// Asked each time: a window's size changes.
pub(super) fn size() -> Size {
    match terminal_size_of(io::stderr()) {
        Some((Width(columns), Height(rows))) if columns > 0 && rows > 0 => Size {
            columns: columns.into(),
            rows: rows.into(),
        },
        _ => Size {
            columns: COLUMNS,
            rows: 24,
        },
    }
}
