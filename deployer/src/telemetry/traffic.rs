//! What is measured of a chat, and what it comes to over the last hour. Pure.
//!
//! What AWS measures of its own accord is always there. The functions' own metrics (`chatctl`) cost
//! money each month and may be off: then nothing is known of what only they tell.

use std::time::Duration;

use serde_json::{Value, json};

use super::words::{grouped, sparkline};
use super::{Function, Movements};
use crate::cloud::{MetricQuery, Point};

const MINUTE: Duration = Duration::from_mins(1);
const FIVE_MINUTES: Duration = Duration::from_mins(5);
const MINUTE_S: i64 = 60;
const FIVE_MINUTES_S: i64 = 5 * MINUTE_S;

/// What is looked at.
const MINUTES: i64 = 60;

/// Of a curve's character.
const MINUTES_EACH: i64 = 2;

/// How far back who came and went is looked at: long enough for a quiet time, and one page of points.
const MOVEMENTS_S: i64 = 24 * 60 * 60;

/// Where a chat is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The stack's name.
    pub(crate) stack: String,
    /// The WebSocket API's id.
    pub(crate) api: String,
    /// Its stage.
    pub(crate) stage: String,
    /// The functions' names, as [`Function::ALL`] has them.
    pub(crate) functions: [String; 3],
    /// The table.
    pub(crate) table: String,
}

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Invocations(Function),
    FunctionErrors(Function),
    FunctionThrottles(Function),
    GatewayErrors,
    Latency(&'static str),
    Own(&'static str),
    Broadcast(&'static str),
    ReadUnits,
    WriteUnits,
    ReadThrottles,
    WriteThrottles,
}

/// All that is asked for of the last hour.
fn measures() -> Vec<Measure> {
    let of_functions = Function::ALL.into_iter().flat_map(|function| {
        [
            Measure::Invocations(function),
            Measure::FunctionErrors(function),
            Measure::FunctionThrottles(function),
        ]
    });
    let others = [
        Measure::GatewayErrors,
        Measure::Latency("p50"),
        Measure::Latency("p99"),
        Measure::Own("Messages"),
        Measure::Own("Deliveries"),
        Measure::Own("Gone"),
        Measure::Own("Throttled"),
        Measure::Own("Errors"),
        Measure::Broadcast("p50"),
        Measure::Broadcast("p99"),
        Measure::ReadUnits,
        Measure::WriteUnits,
        Measure::ReadThrottles,
        Measure::WriteThrottles,
    ];
    of_functions.chain(others).collect()
}

impl Measure {
    fn query(self, place: &Place) -> MetricQuery {
        let lambda = |name, function: Function| {
            let index = Function::ALL.iter().position(|it| *it == function);
            let function = place.functions[index.unwrap_or_default()].clone();
            ("AWS/Lambda", name, vec![("FunctionName", function)])
        };
        let gateway = |name| {
            let dimensions = vec![("ApiId", place.api.clone()), ("Stage", place.stage.clone())];
            ("AWS/ApiGateway", name, dimensions)
        };
        let own = |name| ("chatctl", name, vec![("Stack", place.stack.clone())]);
        let table = |name| {
            (
                "AWS/DynamoDB",
                name,
                vec![("TableName", place.table.clone())],
            )
        };
        let (namespace, name, dimensions) = match self {
            Self::Invocations(function) => lambda("Invocations", function),
            Self::FunctionErrors(function) => lambda("Errors", function),
            Self::FunctionThrottles(function) => lambda("Throttles", function),
            Self::GatewayErrors => gateway("ExecutionError"),
            Self::Latency(_) => gateway("IntegrationLatency"),
            Self::Own(name) => own(name),
            Self::Broadcast(_) => own("BroadcastTime"),
            Self::ReadUnits => table("ConsumedReadCapacityUnits"),
            Self::WriteUnits => table("ConsumedWriteCapacityUnits"),
            Self::ReadThrottles => table("ReadThrottleEvents"),
            Self::WriteThrottles => table("WriteThrottleEvents"),
        };
        let (statistic, period) = match self {
            // Percentiles of several minutes cannot be put together from those of each.
            Self::Latency(statistic) | Self::Broadcast(statistic) => (statistic, FIVE_MINUTES),
            _ => ("Sum", MINUTE),
        };
        MetricQuery {
            namespace,
            name,
            dimensions,
            statistic,
            period,
        }
    }
}

/// What there is to ask for, and between which times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measured {
    /// The queries.
    pub(crate) queries: Vec<MetricQuery>,
    /// In seconds since 1970.
    pub(crate) start_s: i64,
    /// In seconds since 1970.
    pub(crate) end_s: i64,
}

impl Measured {
    /// The traffic of the hour before now.
    pub(crate) fn traffic(place: &Place, now_s: i64) -> Self {
        let queries = measures().into_iter().map(|it| it.query(place));
        Self {
            queries: queries.collect(),
            start_s: first_minute(now_s).div_euclid(FIVE_MINUTES_S) * FIVE_MINUTES_S,
            end_s: end(now_s),
        }
    }

    /// Who came and went in the day before now.
    pub(crate) fn movements(place: &Place, now_s: i64) -> Self {
        let queries = [Function::Connect, Function::Disconnect].map(|function| MetricQuery {
            period: FIVE_MINUTES,
            ..Measure::Invocations(function).query(place)
        });
        Self {
            queries: queries.into(),
            start_s: (now_s - MOVEMENTS_S).div_euclid(FIVE_MINUTES_S) * FIVE_MINUTES_S,
            end_s: end(now_s),
        }
    }

    /// What was measured then.
    pub(crate) fn moved(&self, mut series: Vec<Vec<Point>>) -> Movements {
        series.resize(2, Vec::new());
        let went = series.pop().unwrap_or_default();
        let came = series.pop().unwrap_or_default();
        Movements {
            since_s: self.start_s,
            until_s: self.end_s,
            came,
            went,
        }
    }
}

/// The beginning of the first minute of the hour that ends with the minute that is now.
fn first_minute(now_s: i64) -> i64 {
    now_s.div_euclid(MINUTE_S) * MINUTE_S - (MINUTES - 1) * MINUTE_S
}

fn end(now_s: i64) -> i64 {
    (now_s.div_euclid(MINUTE_S) + 1) * MINUTE_S
}

/// The traffic of an hour.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Traffic {
    measured: Vec<(Measure, Vec<Point>)>,
    first_s: i64,
    /// Whether the functions' own metrics are measured at all.
    has_own: bool,
}

/// A count of the hour.
struct Count {
    name: &'static str,
    measures: Vec<Measure>,
}

impl Traffic {
    /// What was measured in the hour before now, as [`Measured::traffic`] asks for it. `metrics_off` is
    /// whether the functions are known not to measure anything.
    pub(crate) fn new(series: Vec<Vec<Point>>, now_s: i64, metrics_off: bool) -> Self {
        let measured: Vec<_> = measures().into_iter().zip(series).collect();
        let has = |is_meant: fn(&Measure) -> bool| {
            measured.iter().any(|(measure, points)| {
                is_meant(measure) && points.iter().any(|it| it.value > 0.0)
            })
        };
        let has_own = has(|it| matches!(it, Measure::Own(_)));
        let has_frames = has(|it| *it == Measure::Invocations(Function::Action));
        Self {
            // An hour in which nothing was said looks the same as one in which nothing was measured.
            has_own: has_own || (!has_frames && !metrics_off),
            measured,
            first_s: first_minute(now_s),
        }
    }

    /// For people: a table, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for count in counts() {
            let is_own = count
                .measures
                .iter()
                .all(|it| matches!(it, Measure::Own(_)));
            if is_own && !self.has_own {
                lines.push(format!("  {:<14}{:>12}", count.name, "-"));
                continue;
            }
            let minutes = self.minutes(&count.measures);
            let curve = sparkline(&per_character(&minutes));
            let sum = grouped(minutes.iter().sum());
            lines.push(format!("  {:<14}{sum:>12}  {curve}", count.name));
        }
        lines.extend(self.times("latency", Measure::Latency));
        if self.has_own {
            lines.extend(self.times("broadcast", Measure::Broadcast));
        } else {
            lines
                .push("  (- is told by the functions' own metrics alone, and they are off)".into());
        }
        lines
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let mut traffic = json!({"minutes": MINUTES, "own_metrics": self.has_own});
        for count in counts() {
            let is_own = count
                .measures
                .iter()
                .all(|it| matches!(it, Measure::Own(_)));
            let key = count.name.replace(' ', "_");
            if is_own && !self.has_own {
                traffic[key] = Value::Null;
                continue;
            }
            let minutes = self.minutes(&count.measures);
            traffic[key] = json!({"sum": minutes.iter().sum::<f64>(), "each": minutes});
        }
        for (key, of) in [
            (
                "latency_ms",
                Measure::Latency as fn(&'static str) -> Measure,
            ),
            ("broadcast_ms", Measure::Broadcast),
        ] {
            traffic[key] = match self.typical_and_worst(of) {
                Some((p50, p99)) => json!({"p50": p50, "p99": p99}),
                None => Value::Null,
            };
        }
        traffic
    }

    /// A sum of the hour, of a row of [`Traffic::lines`].
    #[cfg(test)]
    fn sum(&self, name: &str) -> f64 {
        let count = counts().into_iter().find(|it| it.name == name).unwrap();
        self.minutes(&count.measures).iter().sum()
    }

    fn times(&self, name: &str, of: fn(&'static str) -> Measure) -> Option<String> {
        let (p50, p99) = self.typical_and_worst(of)?;
        Some(format!(
            "  {name:<14}{:>12}  {} at worst (p50 and p99 of 5 minutes)",
            format!("{} ms", grouped(p50)),
            format_args!("{} ms", grouped(p99))
        ))
    }

    /// The median of the medians, and the highest of the p99s.
    fn typical_and_worst(&self, of: fn(&'static str) -> Measure) -> Option<(f64, f64)> {
        let values = |statistic| {
            let mut values: Vec<_> = self
                .points(of(statistic))
                .iter()
                .map(|it| it.value)
                .collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (medians, highest) = (values("p50"), values("p99"));
        let median = *medians.get(medians.len() / 2)?;
        Some((median, *highest.last()?))
    }

    fn minutes(&self, measures: &[Measure]) -> Vec<f64> {
        let mut minutes = vec![0.0; usize::try_from(MINUTES).unwrap_or_default()];
        for point in measures.iter().flat_map(|it| self.points(*it)) {
            let index = (point.at_s - self.first_s).div_euclid(MINUTE_S);
            let index = usize::try_from(index).ok();
            if let Some(minute) = index.and_then(|it| minutes.get_mut(it)) {
                *minute += point.value;
            }
        }
        minutes
    }

    fn points(&self, measure: Measure) -> &[Point] {
        let found = self.measured.iter().find(|(it, _)| *it == measure);
        found.map_or(&[], |(_, points)| points)
    }
}

/// The rows of the table.
fn counts() -> Vec<Count> {
    let each = |of: fn(Function) -> Measure| Function::ALL.map(of).to_vec();
    let count = |name, measures| Count { name, measures };
    let mut errors = each(Measure::FunctionErrors);
    errors.push(Measure::GatewayErrors);
    let mut throttles = each(Measure::FunctionThrottles);
    throttles.extend([Measure::ReadThrottles, Measure::WriteThrottles]);
    let invocations = |function| vec![Measure::Invocations(function)];
    vec![
        count("came", invocations(Function::Connect)),
        count("went", invocations(Function::Disconnect)),
        count("actions", invocations(Function::Action)),
        count("messages", vec![Measure::Own("Messages")]),
        count("deliveries", vec![Measure::Own("Deliveries")]),
        count("found gone", vec![Measure::Own("Gone")]),
        count("slowed posts", vec![Measure::Own("Throttled")]),
        count("chat errors", vec![Measure::Own("Errors")]),
        count("crashes", errors),
        count("throttles", throttles),
        count("read units", vec![Measure::ReadUnits]),
        count("write units", vec![Measure::WriteUnits]),
    ]
}

fn per_character(minutes: &[f64]) -> Vec<f64> {
    let each = usize::try_from(MINUTES_EACH).unwrap_or(1);
    minutes.chunks(each).map(|it| it.iter().sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_795_316_490;

    fn place() -> Place {
        Place {
            stack: "chat-dev".to_owned(),
            api: "api".to_owned(),
            stage: "dev".to_owned(),
            functions: ["c", "d", "a"].map(str::to_owned),
            table: "table".to_owned(),
        }
    }

    fn series(points: &[(Measure, i64, f64)]) -> Vec<Vec<Point>> {
        let of = |measure| {
            let own = points.iter().filter(move |it| it.0 == measure);
            let points = own.map(|&(_, at_s, value)| Point { at_s, value });
            points.collect()
        };
        measures().into_iter().map(of).collect()
    }

    const FRAMES: Measure = Measure::Invocations(Function::Action);

    #[test]
    fn the_hour_ends_with_the_minute_that_is_now_and_what_is_before_it_does_not_count() {
        let minute = NOW_S / 60 * 60;
        let points = [
            (FRAMES, minute, 1.0),
            (FRAMES, minute - 59 * 60, 10.0),
            (FRAMES, minute - 60 * 60, 100.0),
            (FRAMES, minute + 60, 1000.0),
        ];
        let traffic = Traffic::new(series(&points), NOW_S, false);
        assert!((traffic.sum("actions") - 11.0).abs() < f64::EPSILON);
        let each = &traffic.json()["actions"]["each"];
        assert_eq!(
            (each[0].as_f64(), each[59].as_f64()),
            (Some(10.0), Some(1.0))
        );
        let measured = Measured::traffic(&place(), NOW_S);
        assert!(measured.start_s <= minute - 59 * 60 && measured.start_s % 300 == 0);
        assert_eq!(measured.end_s, minute + 60);
    }

    #[test]
    fn all_kinds_of_throttles_and_of_crashes_are_added_up() {
        let at = NOW_S / 60 * 60;
        let throttles = [
            Measure::FunctionThrottles(Function::Connect),
            Measure::FunctionThrottles(Function::Action),
            Measure::ReadThrottles,
            Measure::WriteThrottles,
        ];
        let crashes = [
            Measure::FunctionErrors(Function::Disconnect),
            Measure::GatewayErrors,
        ];
        let points: Vec<_> = throttles
            .iter()
            .chain(&crashes)
            .map(|it| (*it, at, 1.0))
            .collect();
        let traffic = Traffic::new(series(&points), NOW_S, false);
        assert!((traffic.sum("throttles") - 4.0).abs() < f64::EPSILON);
        assert!((traffic.sum("crashes") - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn where_frames_came_and_the_functions_measured_nothing_their_metrics_are_off() {
        let at = NOW_S / 60 * 60;
        let frames = (FRAMES, at, 5.0);
        let messages = (Measure::Own("Messages"), at, 2.0);
        for (points, metrics_off, has_own) in [
            (&[][..], false, true),
            (&[], true, false),
            (&[frames], false, false),
            (&[frames, messages], false, true),
            // Switched off a moment ago: what was measured before is told.
            (&[frames, messages], true, true),
        ] {
            let traffic = Traffic::new(series(points), NOW_S, metrics_off);
            assert_eq!(traffic.has_own, has_own, "{points:?} {metrics_off}");
            assert_eq!(traffic.json()["messages"].is_null(), !has_own);
            let lines = traffic.lines();
            let told = lines.iter().any(|it| it.contains("they are off"));
            assert_eq!(told, !has_own, "{lines:?}");
        }
    }

    #[test]
    fn a_percentile_is_the_median_of_the_medians_and_the_worst_of_the_worst() {
        let p50 = |at, value| (Measure::Latency("p50"), at, value);
        let p99 = |at, value| (Measure::Latency("p99"), at, value);
        let at = NOW_S / 300 * 300;
        let points = [
            p50(at - 600, 90.0),
            p50(at - 300, 10.0),
            p50(at, 20.0),
            p99(at - 300, 500.0),
            p99(at, 30.0),
        ];
        let traffic = Traffic::new(series(&points), NOW_S, false);
        assert_eq!(
            traffic.json()["latency_ms"],
            json!({"p50": 20.0, "p99": 500.0})
        );
        assert_eq!(traffic.json()["broadcast_ms"], Value::Null);
        let lines = traffic.lines();
        assert_eq!(
            lines.last().unwrap(),
            "  latency              20 ms  500 ms at worst (p50 and p99 of 5 minutes)"
        );
        for line in lines {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn each_metric_is_asked_for_by_the_dimensions_that_aws_has_it_under() {
        let queries = Measured::traffic(&place(), NOW_S).queries;
        // What AWS takes at once.
        assert!(queries.len() <= 500);
        for (namespace, dimensions) in [
            ("AWS/ApiGateway", &[("ApiId", "api"), ("Stage", "dev")][..]),
            ("chatctl", &[("Stack", "chat-dev")]),
            ("AWS/DynamoDB", &[("TableName", "table")]),
        ] {
            let dimensions: Vec<_> = dimensions
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect();
            let own: Vec<_> = queries
                .iter()
                .filter(|it| it.namespace == namespace)
                .collect();
            assert!(!own.is_empty() && own.iter().all(|it| it.dimensions == dimensions));
        }
        let functions: Vec<_> = queries
            .iter()
            .filter(|it| it.name == "Invocations")
            .collect();
        let names: Vec<_> = functions
            .iter()
            .map(|it| it.dimensions[0].1.as_str())
            .collect();
        assert_eq!(names, ["c", "d", "a"]);
    }

    #[test]
    fn who_came_and_who_went_are_told_apart() {
        let measured = Measured::movements(&place(), NOW_S);
        assert!(NOW_S < measured.end_s && measured.end_s <= NOW_S + 60);
        let before = NOW_S - 24 * 3600 - measured.start_s;
        assert!((0..300).contains(&before) && measured.start_s % 300 == 0);
        let point = |value| vec![Point { at_s: NOW_S, value }];
        let moved = measured.moved(vec![point(1.0), point(2.0)]);
        assert!((moved.came[0].value - 1.0).abs() < f64::EPSILON);
        assert!((moved.went[0].value - 2.0).abs() < f64::EPSILON);
        assert!(measured.moved(Vec::new()).came.is_empty());
    }
}
