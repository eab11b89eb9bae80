//! The list of a stack's resources that is redrawn in place while AWS works on them. Pure: events and
//! the time to lines, and lines to what a terminal does. Who draws them is `screen`.

use std::time::Duration;

use crate::cloud::StackEvent;
use crate::progress::expected;
use crate::stack;

/// The width of a terminal that does not tell it.
pub(super) const COLUMNS: usize = 80;

/// Lines besides the list that should stay in sight.
const ROWS_LEFT: usize = 4;

/// Resources that are shown however low the terminal is.
const ROWS_MIN: usize = 3;

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What is known of a stack and its resources.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The stack's own row.
    stack: Option<Row>,
    resources: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    kind: String,
    status: String,
    /// Why it failed, in AWS's words.
    reason: Option<String>,
    begun: Duration,
    ended: Option<Duration>,
}

impl Board {
    /// Takes note of an event, so long after the beginning.
    pub(super) fn note(&mut self, event: &StackEvent, elapsed: Duration) {
        if event.kind == stack::STACK {
            note(&mut self.stack, event, elapsed);
            return;
        }
        let known = self
            .resources
            .iter_mut()
            .find(|it| it.name == event.resource);
        if let Some(row) = known {
            row.note(event, elapsed);
        } else {
            self.resources.push(Row::new(event, elapsed));
        }
    }

    /// As it is to be seen now: the stack, then what failed, what is under way, the longest first, and
    /// as far as there is room what is done, the latest first.
    pub(super) fn lines(&self, elapsed: Duration, size: Size) -> Vec<String> {
        let done = self.resources.iter().filter(|it| it.is_done()).count();
        let under_way = self.resources.len() - done;
        let stack = self.stack.as_ref();
        let head = format!(
            "  {} {}: {}, {done} done, {under_way} under way",
            stack.map_or("stack", |it| it.name.as_str()),
            stack.map_or("", |it| it.status.as_str()),
            in_words(stack.map_or(elapsed, |it| it.took(elapsed))),
        );
        let mut rows: Vec<_> = self.resources.iter().collect();
        rows.sort_by_key(|it| it.rank());
        let room = size.rows.saturating_sub(ROWS_LEFT).max(ROWS_MIN);
        let hidden = rows.len().saturating_sub(room);
        rows.truncate(room);
        let width = rows.iter().map(|it| it.name.chars().count()).max();
        let mut lines = vec![head];
        lines.extend(
            rows.iter()
                .map(|it| it.line(elapsed, width.unwrap_or_default())),
        );
        if hidden > 0 {
            lines.push(format!("    and {hidden} more"));
        }
        lines.iter().map(|it| clipped(it, size.columns)).collect()
    }
}

fn note(row: &mut Option<Row>, event: &StackEvent, elapsed: Duration) {
    match row {
        Some(row) => row.note(event, elapsed),
        None => *row = Some(Row::new(event, elapsed)),
    }
}

impl Row {
    fn new(event: &StackEvent, elapsed: Duration) -> Self {
        let mut row = Self {
            name: event.resource.clone(),
            kind: event.kind.clone(),
            status: String::new(),
            reason: None,
            begun: elapsed,
            ended: None,
        };
        row.note(event, elapsed);
        row
    }

    fn note(&mut self, event: &StackEvent, elapsed: Duration) {
        self.status.clone_from(&event.status);
        self.reason = event.reason.clone().filter(|_| event.is_failure());
        let goes_on = self.status.ends_with("_IN_PROGRESS");
        if goes_on && self.ended.is_some() {
            // Once more: what was made is undone, or what is replaced goes.
            self.begun = elapsed;
        }
        self.ended = (!goes_on).then_some(elapsed);
    }

    fn is_done(&self) -> bool {
        self.ended.is_some()
    }

    fn took(&self, elapsed: Duration) -> Duration {
        self.ended.unwrap_or(elapsed).saturating_sub(self.begun)
    }

    fn rank(&self) -> (u8, Duration) {
        match self.ended {
            Some(_) if self.status.contains("FAILED") => (0, self.begun),
            None => (1, self.begun),
            Some(ended) => (2, Duration::MAX.saturating_sub(ended)),
        }
    }

    fn line(&self, elapsed: Duration, width: usize) -> String {
        let remark = match &self.reason {
            Some(reason) => reason,
            None if self.is_done() => "",
            None => expected(&self.kind).unwrap_or_default(),
        };
        let line = format!(
            "    {:<width$}  {:<18}  {:>9}  {remark}",
            self.name,
            self.status,
            in_words(self.took(elapsed)),
        );
        let is_space = |it: char| {
            if it.is_whitespace() || it.is_control() {
                ' '
            } else {
                it
            }
        };
        line.trim_end().chars().map(is_space).collect()
    }
}

/// A time as people say it.
fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A line that fits, the last column left free: some terminals break a line that fills it.
pub(super) fn clipped(line: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1).max(1);
    if line.chars().count() <= room {
        return line.to_owned();
    }
    let kept: String = line.chars().take(room - 1).collect();
    kept + "…"
}

/// What takes a terminal from the lines that were `drawn` to others: back up, away with them, and anew.
/// Where the terminal has become narrower, the old ones take more rows than they did.
pub(super) fn frame(drawn: &[String], lines: &[String], columns: usize) -> String {
    let rows = |line: &String| line.chars().count().max(1).div_ceil(columns.max(1));
    let up: usize = drawn.iter().map(rows).sum();
    let back = if up > 0 {
        format!("\x1b[{up}A\r\x1b[J")
    } else {
        String::new()
    };
    format!("{back}{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        columns: COLUMNS,
        rows: 24,
    };

    fn board(events: &[(u64, &str, &str, &str)]) -> Board {
        let mut board = Board::default();
        for (at, resource, kind, status) in events {
            let event = StackEvent {
                id: String::new(),
                resource: (*resource).to_owned(),
                kind: (*kind).to_owned(),
                status: (*status).to_owned(),
                reason: status
                    .contains("FAILED")
                    .then(|| "no more\nof them".to_owned()),
            };
            board.note(&event, Duration::from_secs(*at));
        }
        board
    }

    const TABLE: &str = "AWS::DynamoDB::Table";
    const DISTRIBUTION: &str = "AWS::CloudFront::Distribution";

    #[test]
    fn what_is_under_way_comes_before_what_is_done_and_the_long_one_says_how_long() {
        let board = board(&[
            (0, "chat-dev", stack::STACK, "CREATE_IN_PROGRESS"),
            (1, "ChatTable", TABLE, "CREATE_IN_PROGRESS"),
            (2, "SiteDistribution", DISTRIBUTION, "CREATE_IN_PROGRESS"),
            (3, "SiteDistribution", DISTRIBUTION, "CREATE_IN_PROGRESS"),
            (9, "ChatTable", TABLE, "CREATE_COMPLETE"),
        ]);
        assert_eq!(
            board.lines(Duration::from_secs(130), SIZE),
            [
                "  chat-dev CREATE_IN_PROGRESS: 2 min 10 s, 1 done, 1 under way",
                "    SiteDistribution  CREATE_IN_PROGRESS  2 min 8 s  usually 3 to 5 min",
                "    ChatTable         CREATE_COMPLETE           8 s",
            ]
        );
    }

    #[test]
    fn what_failed_is_on_top_and_what_is_undone_counts_anew() {
        let board = board(&[
            (1, "Role", "AWS::IAM::Role", "CREATE_IN_PROGRESS"),
            (2, "Role", "AWS::IAM::Role", "CREATE_COMPLETE"),
            (3, "ChatTable", TABLE, "CREATE_IN_PROGRESS"),
            (9, "ChatTable", TABLE, "CREATE_FAILED"),
            (10, "Role", "AWS::IAM::Role", "DELETE_IN_PROGRESS"),
        ]);
        let lines = board.lines(Duration::from_secs(12), SIZE);
        assert_eq!(
            lines[1..],
            [
                "    ChatTable  CREATE_FAILED             6 s  no more of them",
                "    Role       DELETE_IN_PROGRESS        2 s",
            ]
        );
    }

    #[test]
    fn a_low_terminal_shows_what_matters_and_a_narrow_one_breaks_no_line() {
        let names: Vec<_> = (0..40).map(|it| format!("Resource{it}")).collect();
        let mut events: Vec<_> = names
            .iter()
            .map(|it| (1, it.as_str(), TABLE, "CREATE_COMPLETE"))
            .collect();
        events.push((2, "SiteDistribution", DISTRIBUTION, "CREATE_IN_PROGRESS"));
        let board = board(&events);
        for (columns, rows) in [(80, 24), (40, 10), (10, 5), (1, 1), (0, 0)] {
            let lines = board.lines(Duration::from_secs(5), Size { columns, rows });
            assert!(
                lines.len() <= (rows - rows.min(2)).max(5),
                "{rows}: {lines:#?}"
            );
            let widest = lines.iter().map(|it| it.chars().count()).max();
            assert!(widest < Some(columns.max(2)), "{columns}: {lines:#?}");
            let start = "    SiteDistribution"
                .get(..columns.saturating_sub(2))
                .unwrap_or("");
            assert!(lines[1].starts_with(start), "{lines:#?}");
        }
        let lines = board.lines(Duration::from_secs(5), SIZE);
        assert_eq!(lines.last().unwrap(), "    and 21 more");
    }

    #[test]
    fn a_frame_takes_the_place_of_the_one_before_even_if_the_terminal_shrank() {
        let lines = ["head".to_owned(), "x".repeat(70)];
        assert_eq!(frame(&[], &lines, 80), format!("head\n{}", lines[1]));
        let next = ["new".to_owned()];
        assert_eq!(frame(&lines, &next, 80), "\x1b[2A\r\x1b[Jnew");
        assert_eq!(frame(&lines, &next, 40), "\x1b[3A\r\x1b[Jnew");
    }
}
