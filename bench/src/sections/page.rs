//! The page in a browser: what it weighs, how soon it can be used, and whether it stays smooth with
//! thousands of messages on it. `bench/page/measure.mjs` measures; here it is told.

use serde::Deserialize;

use crate::error::BenchError;
use crate::process;
use crate::result::{Cell, Findings, Row, Table};
use crate::section::Context;
use crate::statistics::Summary;

/// A frame that takes longer than this was not shown at the next of 60 times a second.
const SMOOTH_MS: f64 = 20.0;

const ABOUT: [&str; 2] = [
    "The page of `chatctl dev --release` in Chromium without a window, on the processors that it shares \
     with the server. Each load begins with an empty cache; it can be used once its button can be \
     pressed. The floor is a page with one button and one script.",
    "Frames are told by `requestAnimationFrame`, whose best is 16.7 ms: while 20 messages a second come \
     in, while each frame scrolls by half a screen, and while somebody types 25 characters a second.",
];

/// What `measure.mjs` prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    page: Vec<Load>,
    empty: Vec<Load>,
    frames: Vec<Frames>,
    filled_ms: f64,
    said: u64,
    shown: u64,
    lost: u64,
    heap_bytes: f64,
    complaints: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Load {
    interactive: f64,
    painted: Option<f64>,
    requests: f64,
    bytes: f64,
    compressed: f64,
}

#[derive(Debug, Deserialize)]
struct Frames {
    messages: u64,
    what: String,
    times: Vec<f64>,
}

/// # Errors
/// What stopped it.
pub(crate) fn measure(context: &Context, blank: Findings) -> Result<Findings, BenchError> {
    let chatctl = context.program("chatctl")?;
    // Built here, not while the browser waits.
    context.bootstrap(None)?;
    let mut node = process::program("node");
    node.arg("bench/page/measure.mjs")
        .args(context.is_quick.then_some("--quick"))
        .current_dir(&context.checkout)
        .env("CHATCTL", chatctl)
        .env_remove("SITE");
    let said = process::output_of(&mut node)?;
    let measured: Measured = serde_json::from_slice(&said).map_err(|source| BenchError::Json {
        path: "bench/page/measure.mjs".into(),
        source,
    })?;
    told(&measured, blank)
}

fn told(measured: &Measured, blank: Findings) -> Result<Findings, BenchError> {
    let mut notes = vec![format!(
        "With {} messages on the page its scripts hold {} MiB. Before, {} of them came in and were shown in \
         {} s.",
        measured.shown,
        crate::statistics::readable(measured.heap_bytes / 1024.0 / 1024.0),
        measured.said,
        crate::statistics::readable(measured.filled_ms / 1e3),
    )];
    if !measured.complaints.is_empty() {
        notes.push(format!("The page complained: {:?}.", measured.complaints));
    }
    Ok(Findings {
        about: ABOUT.map(str::to_owned).to_vec(),
        tables: vec![loads(measured)?, frames(measured)?],
        losses: measured.lost,
        notes,
        ..blank
    })
}

fn loads(measured: &Measured) -> Result<Table, BenchError> {
    let floor: Vec<f64> = measured.empty.iter().map(|it| it.interactive).collect();
    let floor = summary(&floor)?.median;
    let row = |name: &str, loads: &[Load]| {
        let of = |pick: fn(&Load) -> f64| summary(&loads.iter().map(pick).collect::<Vec<_>>());
        let painted: Vec<f64> = loads.iter().filter_map(|it| it.painted).collect();
        let number = |summary: Summary, unit: &str, times: f64| Cell::Number {
            value: summary.median * times,
            unit: unit.to_owned(),
        };
        let milliseconds = |summary| Cell::Figure {
            summary,
            unit: "ms".to_owned(),
        };
        let kib = 1.0 / 1024.0;
        Ok::<Row, BenchError>(Row {
            name: name.to_owned(),
            cells: vec![
                Cell::Ratio(of(|it| it.interactive)?.median / floor),
                number(of(|it| it.requests)?, "", 1.0),
                number(of(|it| it.bytes)?, "KiB", kib),
                number(of(|it| it.compressed)?, "KiB", kib),
                Summary::of(&painted).map_or(Cell::None, milliseconds),
                milliseconds(of(|it| it.interactive)?),
            ],
        })
    };
    Ok(Table {
        title: "A first visit".to_owned(),
        columns: [
            "",
            "beside an empty page",
            "requests",
            "bodies",
            "compressed with gzip",
            "first paint",
            "can be used",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: vec![
            row("the chat", &measured.page)?,
            row("an empty page", &measured.empty)?,
        ],
    })
}

fn frames(measured: &Measured) -> Result<Table, BenchError> {
    let rows = measured.frames.iter().map(|it| {
        let mut sorted = it.times.clone();
        sorted.sort_by(f64::total_cmp);
        let summary = summary(&sorted)?;
        let late = sorted.iter().filter(|it| **it > SMOOTH_MS).count();
        let milliseconds = |value| Cell::Number {
            value,
            unit: "ms".to_owned(),
        };
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let cells = vec![
            Cell::Number {
                value: it.messages as f64,
                unit: String::new(),
            },
            milliseconds(summary.median),
            milliseconds(percentile(&sorted, 99)),
            milliseconds(summary.high),
            Cell::Text(format!("{late} of {}", sorted.len())),
        ];
        Ok::<Row, BenchError>(Row {
            name: it.what.clone(),
            cells,
        })
    });
    Ok(Table {
        title: "Frames".to_owned(),
        columns: [
            "while",
            "messages there",
            "p50",
            "p99",
            "longest",
            "late frames",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: rows.collect::<Result<_, _>>()?,
    })
}

/// Of numbers in order; 0 of none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

fn summary(runs: &[f64]) -> Result<Summary, BenchError> {
    Summary::of(runs).ok_or_else(|| BenchError::Measurement("the browser told no times".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Machine;

    fn blank() -> Findings {
        Findings {
            section: "page".to_owned(),
            at: String::new(),
            machine: Machine {
                processor: String::new(),
                processors: 1,
                memory_gib: 1,
                system: String::new(),
                load_before: 0.0,
            },
            is_quick: false,
            about: vec![],
            goals: vec![],
            tables: vec![],
            plots: vec![],
            losses: 0,
            notes: vec![],
        }
    }

    #[test]
    fn what_the_script_prints_is_told_and_what_the_page_misses_is_a_loss() {
        let load = r#"{"interactive": 90.5, "painted": 60, "requests": 11, "bytes": 102400, "compressed": 30720}"#;
        let printed = format!(
            r#"{{"page": [{load}], "empty": [{load}], "filledMs": 9000, "said": 5000, "shown": 1200, "lost": 2,
                "heapBytes": 1048576, "complaints": [],
                "frames": [{{"messages": 5000, "what": "typing", "times": [16.7, 16.6, 50.0]}}]}}"#
        );
        let measured: Measured = serde_json::from_str(&printed).unwrap();
        let findings = told(&measured, blank()).unwrap();
        assert_eq!(findings.losses, 2);
        let text = findings.lines().join("\n");
        for part in ["bodies 100 KiB", "gzip 30 KiB", "p50 16.7 ms", "1 of 3"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn a_page_that_told_nothing_is_an_error_and_no_table() {
        let printed = r#"{"page": [], "empty": [], "frames": [], "filledMs": 0, "said": 0, "shown": 0, "lost": 0,
            "heapBytes": 0, "complaints": []}"#;
        let measured: Measured = serde_json::from_str(printed).unwrap();
        assert!(told(&measured, blank()).is_err());
    }

    #[test]
    fn percentiles_are_of_those_that_are_there() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let told = [99, 50, 100].map(|percent| percentile(&hundred, percent));
        assert!((told[0] - 99.0).abs() < 1e-9 && (told[1] - 50.0).abs() < 1e-9);
        assert!((told[2] - 100.0).abs() < 1e-9 && percentile(&[], 99).abs() < 1e-9);
    }
}
