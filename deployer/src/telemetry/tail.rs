//! The logs of the functions, merged by time, and followed.
//!
//! CloudWatch gives each group's events in the order of their times, but some come late: whoever follows
//! asks again for the last minute each time, and tells apart by their ids what was told already.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::{Function, Line, TelemetryError};
use crate::cloud::{CloudError, LogEvent, Logs};

/// How late an event may come and still be told by whoever follows.
const OVERLAP_MS: i64 = 60_000;

/// How long AWS may search without finding anything: a page can be empty and not the last.
const SEARCH_LIMIT: Duration = Duration::from_mins(10);

/// Pages in a row that may fail while logs are followed, before that counts as a failure.
const FOLLOW_LIMIT: Duration = Duration::from_mins(5);

/// Whether somebody still listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Going {
    /// Yes.
    On,
    /// No: it can end.
    Ends,
}

/// A function and its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The function.
    pub(crate) function: Function,
    /// Its log group.
    pub(crate) group: String,
}

/// A reading of several logs.
#[derive(Debug)]
pub(crate) struct Tail {
    sources: Vec<Source>,
    start_ms: i64,
    /// The newest event so far.
    newest_ms: Option<i64>,
    /// What was told of the last minute, with its times.
    told: HashMap<(Function, String), i64>,
    /// Since when nothing has been answered.
    failing: Option<Instant>,
}

/// What is known of one log during a sweep.
struct Reading {
    source: Source,
    waiting: VecDeque<LogEvent>,
    next: Next,
}

enum Next {
    First,
    More(String),
    None,
}

impl Tail {
    /// Reads these from a time on, in milliseconds since 1970.
    pub(crate) fn new(sources: Vec<Source>, start_ms: i64) -> Self {
        Self {
            sources,
            start_ms,
            newest_ms: None,
            told: HashMap::new(),
            failing: None,
        }
    }

    /// Gives all that has been written since, the oldest first, and nothing that it gave before, but for
    /// what is older than the last minute of an earlier sweep.
    ///
    /// # Errors
    /// [`TelemetryError`], if AWS does not tell.
    pub(crate) async fn sweep(
        &mut self,
        cloud: &impl Logs,
        mut tell: impl FnMut(Vec<Line>) -> Result<Going, TelemetryError>,
    ) -> Result<Going, TelemetryError> {
        let start_ms = self.next_start();
        let mut readings: Vec<_> = self.sources.iter().cloned().map(Reading::new).collect();
        loop {
            fill(cloud, &mut readings, start_ms).await?;
            let lines = self.take(&mut readings);
            if lines.is_empty() && readings.iter().all(Reading::is_over) {
                return Ok(Going::On);
            }
            if tell(lines)? == Going::Ends {
                return Ok(Going::Ends);
            }
        }
    }

    /// Whether a sweep that failed so is worth another one, which whoever follows would wait for. It is
    /// for some minutes.
    pub(crate) fn bears(&mut self, error: &TelemetryError) -> bool {
        let is_passing = matches!(error, TelemetryError::Cloud(error) if error.is_passing());
        let since = *self.failing.get_or_insert_with(Instant::now);
        is_passing && since.elapsed() < FOLLOW_LIMIT
    }

    /// A sweep has succeeded.
    pub(crate) fn recovers(&mut self) {
        self.failing = None;
    }

    fn next_start(&self) -> i64 {
        let again = self.newest_ms.map(|it| it - OVERLAP_MS);
        again.map_or(self.start_ms, |it| it.max(self.start_ms))
    }

    /// What is the next for sure: as long as each log that goes on has something to compare with.
    fn take(&mut self, readings: &mut [Reading]) -> Vec<Line> {
        let mut lines = Vec::new();
        while readings
            .iter()
            .all(|it| it.is_over() || !it.waiting.is_empty())
        {
            let first = readings.iter_mut().filter(|it| !it.waiting.is_empty());
            // The first of those that are alike: the order of the functions, not of the answers.
            let Some(reading) = first.min_by_key(|it| it.waiting.front().map(|it| it.at_ms)) else {
                break;
            };
            let function = reading.source.function;
            if let Some(event) = reading.waiting.pop_front()
                && self.is_new(function, &event)
            {
                lines.push(Line::new(function, &event));
            }
        }
        lines
    }

    fn is_new(&mut self, function: Function, event: &LogEvent) -> bool {
        let newest = self.newest_ms.map_or(event.at_ms, |it| it.max(event.at_ms));
        if self.newest_ms != Some(newest) {
            self.newest_ms = Some(newest);
            // Older ones are not asked for again. Seldom, for it looks at all of them.
            if self.told.len().is_power_of_two() {
                self.told.retain(|_, at_ms| *at_ms >= newest - OVERLAP_MS);
            }
        }
        let key = (function, event.id.clone());
        self.told.insert(key, event.at_ms).is_none()
    }
}

impl Reading {
    fn new(source: Source) -> Self {
        Self {
            source,
            waiting: VecDeque::new(),
            next: Next::First,
        }
    }

    /// Whether no more comes than is waiting.
    fn is_over(&self) -> bool {
        matches!(self.next, Next::None)
    }
}

/// Has each log that goes on have something waiting, at the same time.
async fn fill(
    cloud: &impl Logs,
    readings: &mut [Reading],
    start_ms: i64,
) -> Result<(), TelemetryError> {
    let filled = readings.iter_mut().map(|reading| async move {
        let since = Instant::now();
        while reading.waiting.is_empty() && !reading.is_over() {
            if since.elapsed() > SEARCH_LIMIT {
                return Err(TelemetryError::SearchDeadline {
                    limit: SEARCH_LIMIT,
                });
            }
            let token = match std::mem::replace(&mut reading.next, Next::None) {
                Next::More(token) => Some(token),
                Next::First | Next::None => None,
            };
            let page = cloud.log_page(&reading.source.group, start_ms, token);
            let page = page
                .await
                .map_err(|error: CloudError| TelemetryError::Cloud(error))?;
            reading.waiting = page.events.into();
            reading.next = page.next.map_or(Next::None, Next::More);
        }
        Ok(())
    });
    try_join_all(filled).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::cloud::LogPage;

    /// Logs with pages of their own, and a note of what was asked.
    #[derive(Default)]
    struct Fake {
        pages: RefCell<HashMap<String, VecDeque<Result<LogPage, CloudError>>>>,
        asked: RefCell<Vec<(String, i64, Option<String>)>>,
    }

    impl Logs for Fake {
        async fn log_page(
            &self,
            group: &str,
            start_ms: i64,
            token: Option<String>,
        ) -> Result<LogPage, CloudError> {
            let asked = (group.to_owned(), start_ms, token);
            self.asked.borrow_mut().push(asked);
            let mut pages = self.pages.borrow_mut();
            let next = pages.get_mut(group).and_then(VecDeque::pop_front);
            next.unwrap_or_else(|| Ok(LogPage::default()))
        }
    }

    impl Fake {
        fn page(self, group: &str, events: &[(i64, &str)], next: Option<&str>) -> Self {
            let event = |&(at_ms, id): &(i64, &str)| LogEvent {
                id: id.to_owned(),
                at_ms,
                message: id.to_owned(),
            };
            let page = LogPage {
                events: events.iter().map(event).collect(),
                next: next.map(str::to_owned),
            };
            self.answer(group, Ok(page))
        }

        fn answer(self, group: &str, page: Result<LogPage, CloudError>) -> Self {
            let mut pages = self.pages.borrow_mut();
            pages.entry(group.to_owned()).or_default().push_back(page);
            drop(pages);
            self
        }
    }

    fn tail(start_ms: i64) -> Tail {
        let sources = [Function::Connect, Function::Action].map(|function| Source {
            function,
            group: function.name().to_owned(),
        });
        Tail::new(sources.into(), start_ms)
    }

    async fn swept(tail: &mut Tail, cloud: &Fake) -> Vec<i64> {
        let mut times = Vec::new();
        let going = tail.sweep(cloud, |lines| {
            times.extend(lines.iter().map(Line::at_ms));
            Ok(Going::On)
        });
        assert_eq!(going.await.unwrap(), Going::On);
        times
    }

    #[tokio::test]
    async fn logs_are_merged_by_time_over_all_pages_the_empty_ones_too() {
        let cloud = Fake::default()
            .page("connect", &[(1, "a"), (5, "b")], Some("c2"))
            .page("connect", &[], Some("c3"))
            .page("connect", &[(6, "c"), (9, "d")], None)
            .page("action", &[(2, "e"), (3, "f"), (7, "g")], Some("a2"))
            .page("action", &[(8, "h")], None);
        assert_eq!(swept(&mut tail(0), &cloud).await, [1, 2, 3, 5, 6, 7, 8, 9]);
        let asked = cloud.asked.borrow();
        let tokens = asked.iter().filter_map(|(_, _, token)| token.as_deref());
        let mut tokens: Vec<_> = tokens.collect();
        tokens.sort_unstable();
        assert_eq!(tokens, ["a2", "c2", "c3"]);
    }

    #[tokio::test]
    async fn who_follows_is_told_what_came_late_and_nothing_twice() {
        let cloud = Fake::default()
            .page("connect", &[(100_000, "a")], None)
            .page("action", &[(100_500, "b")], None)
            // Of the last minute again, and one of it that comes only now.
            .page("connect", &[(99_000, "late"), (100_000, "a")], None)
            .page("action", &[(100_500, "b"), (200_000, "c")], None)
            // The same id in another log is another event.
            .page("connect", &[(200_001, "c")], None);
        let mut tail = tail(5);
        assert_eq!(swept(&mut tail, &cloud).await, [100_000, 100_500]);
        assert_eq!(swept(&mut tail, &cloud).await, [99_000, 200_000]);
        assert_eq!(swept(&mut tail, &cloud).await, [200_001]);
        let starts: Vec<_> = cloud.asked.borrow().iter().map(|it| it.1).collect();
        assert_eq!(starts, [5, 5, 40_500, 40_500, 140_000, 140_000]);
    }

    #[tokio::test]
    async fn what_was_told_is_forgotten_when_it_is_not_asked_for_again() {
        let mut tail = tail(0);
        for minute in 0..100 {
            let at = minute * OVERLAP_MS;
            let events: Vec<_> = (0..20)
                .map(|it| (at + it, format!("{minute}-{it}")))
                .collect();
            let events: Vec<_> = events.iter().map(|(at, id)| (*at, id.as_str())).collect();
            let cloud = Fake::default().page("action", &events, None);
            assert_eq!(swept(&mut tail, &cloud).await.len(), 20);
        }
        assert!(tail.told.len() < 200, "{}", tail.told.len());
    }

    #[tokio::test]
    async fn it_ends_when_nobody_listens_and_asks_for_no_more() {
        let cloud = Fake::default().page("connect", &[(1, "a")], None).page(
            "action",
            &[(2, "b")],
            Some("more"),
        );
        let ended = tail(0).sweep(&cloud, |_| Ok(Going::Ends)).await.unwrap();
        assert_eq!(ended, Going::Ends);
        assert_eq!(cloud.asked.borrow().len(), 2);
    }

    #[tokio::test]
    async fn a_passing_failure_is_borne_for_a_while_and_any_other_is_not() {
        let throttled = CloudError::of_answer("logs:FilterLogEvents", "ThrottlingException", "no");
        let denied = CloudError::of_answer("logs:FilterLogEvents", "AccessDeniedException", "no");
        for (error, is_borne) in [(throttled, true), (denied, false)] {
            let cloud = Fake::default().answer("action", Err(error));
            let mut tail = tail(0);
            let error = tail.sweep(&cloud, |_| Ok(Going::On)).await.unwrap_err();
            assert_eq!(tail.bears(&error), is_borne, "{error}");
            tail.failing = Instant::now().checked_sub(FOLLOW_LIMIT);
            assert!(!tail.bears(&error), "{error}");
            tail.recovers();
            assert_eq!(tail.bears(&error), is_borne, "{error}");
        }
    }
}
