//! Deploys of ever larger pages: what grows with the number of files, and how fast.

use std::path::{Path, PathBuf};

use super::cloud::Cloud;
use super::several;
use super::tools::{Kit, create, write};
use crate::error::BenchError;
use crate::process;
use crate::result::{Cell, Goal, Line, Plot, Row, Table};
use crate::section::Context;
use crate::statistics::{fitted, growth, readable};

/// What each file of a page holds, bytes.
const FILE_BYTES: usize = 2_000;
/// Linear, and what a noisy machine adds to that.
const EXPONENT_MAX: f64 = 1.15;

/// Of pages of one size.
#[derive(Debug, Default)]
struct Size {
    files: f64,
    first_seconds: Vec<f64>,
    first_calls: Vec<f64>,
    again_seconds: Vec<f64>,
    again_calls: Vec<f64>,
}

/// # Errors
/// What stopped it.
pub(super) fn measure(
    context: &Context,
    kit: &Kit,
) -> Result<(Table, Vec<Plot>, Goal), BenchError> {
    let sizes: &[u32] = if context.is_quick {
        &[10, 30, 100, 300]
    } else {
        &[10, 100, 300, 1_000]
    };
    let cloud = Cloud::start()?;
    cloud.bucket_with(&[]);
    let smallest = page(&kit.home, 1)?;
    let mut found = Vec::new();
    process::watch(&mut kit.publish(&smallest, &cloud))?;
    for files in sizes {
        crate::tell(&format!("    a page of {files} files"));
        let page = page(&kit.home, *files)?;
        let mut size = Size {
            files: f64::from(*files),
            ..Size::default()
        };
        for _ in 0..context.runs(2, 1) {
            let first = run(kit, &page, &cloud)?;
            size.first_seconds.push(first.0);
            size.first_calls.push(first.1);
            let again = run(kit, &page, &cloud)?;
            size.again_seconds.push(again.0);
            size.again_calls.push(again.1);
            // All of it is removed, so that the next one is sent whole.
            process::watch(&mut kit.publish(&smallest, &cloud))?;
        }
        found.push(size);
    }
    Ok((table(&found), vec![plot(&found)], goal(&found)))
}

/// A page of so many files, no two of which are alike.
fn page(home: &Path, files: u32) -> Result<PathBuf, BenchError> {
    let folder = home.join(format!("page-{files}"));
    create(&folder)?;
    write(
        &folder.join("index.html"),
        b"<!doctype html><title>page</title>",
    )?;
    for number in 1..files {
        let line = format!("file {number} of {files}\n");
        let text = line.repeat(FILE_BYTES / line.len());
        write(&folder.join(format!("{number}.txt")), text.as_bytes())?;
    }
    Ok(folder)
}

/// Seconds and calls of one deploy.
fn run(kit: &Kit, page: &Path, cloud: &Cloud) -> Result<(f64, f64), BenchError> {
    let before = cloud.calls();
    let run = process::watch(&mut kit.publish(page, cloud))?;
    let calls = cloud.calls() - before;
    #[expect(clippy::cast_precision_loss, reason = "it does not come near 2^52")]
    Ok((run.wall.as_secs_f64(), calls as f64))
}

fn table(found: &[Size]) -> Table {
    let rows = found.iter().map(|size| Row {
        name: readable(size.files),
        cells: vec![
            several(&size.first_seconds, "s"),
            several(&size.first_calls, ""),
            several(&size.again_seconds, "s"),
            several(&size.again_calls, ""),
        ],
    });
    let of: [fn(&Size) -> &[f64]; 4] = [
        |it| &it.first_seconds,
        |it| &it.first_calls,
        |it| &it.again_seconds,
        |it| &it.again_calls,
    ];
    let exponents = of.map(|of| {
        steepest(found, of).map_or(Cell::None, |it| Cell::Text(format!("files^{it:.2}")))
    });
    let all = Row {
        name: "growth, over all".to_owned(),
        cells: of
            .map(|of| fitted("files", &points(found, of)).map_or(Cell::None, Cell::Text))
            .into(),
    };
    let last = Row {
        name: "between the last two".to_owned(),
        cells: exponents.into(),
    };
    Table {
        title: "A page of so many files: published, and deployed again with nothing to do"
            .to_owned(),
        columns: [
            "files",
            "published",
            "calls of AWS",
            "nothing to do",
            "calls of AWS",
        ]
        .map(str::to_owned)
        .into(),
        rows: rows.chain([all, last]).collect(),
    }
}

fn plot(found: &[Size]) -> Plot {
    let line = |name: &str, of: fn(&Size) -> &[f64]| Line {
        name: name.to_owned(),
        points: points(found, of),
    };
    Plot {
        name: "deploy-growth".to_owned(),
        title: "chatctl deploy against the number of the page's files".to_owned(),
        x: "files".to_owned(),
        y: "seconds".to_owned(),
        is_logarithmic: true,
        lines: vec![
            line("published", |it| &it.first_seconds),
            line("nothing to do", |it| &it.again_seconds),
        ],
    }
}

fn goal(found: &[Size]) -> Goal {
    let of_first = steepest(found, |it| &it.first_seconds).unwrap_or(f64::INFINITY);
    let of_again = steepest(found, |it| &it.again_seconds).unwrap_or(f64::INFINITY);
    Goal {
        what: "a deploy's time against the number of the page's files".to_owned(),
        goal: "linear at most".to_owned(),
        measured: format!(
            "files^{of_first:.2} published, files^{of_again:.2} with nothing to do, between the largest two"
        ),
        is_met: of_first.max(of_again) <= EXPONENT_MAX,
        why_not: (of_first.max(of_again) > EXPONENT_MAX).then(|| why_not(found)),
    }
}

/// Whether there are more calls than files, or each of them takes longer.
fn why_not(found: &[Size]) -> String {
    let told = found.iter().rev().take(2).rev().map(|it| {
        let calls = least(&it.first_calls);
        format!(
            "of {} files, publishing makes {} calls, {} ms for each, and finding nothing to do {}",
            readable(it.files),
            readable(calls),
            readable(least(&it.first_seconds) * 1e3 / calls),
            readable(least(&it.again_calls)),
        )
    });
    told.collect::<Vec<_>>().join("; ")
}

/// The exponent between the two largest sizes, where what does not grow hides the least of what does.
fn steepest(found: &[Size], of: fn(&Size) -> &[f64]) -> Option<f64> {
    let last = &found[found.len().saturating_sub(2)..];
    growth(&points(last, of))
}

fn points(found: &[Size], of: fn(&Size) -> &[f64]) -> Vec<(f64, f64)> {
    found.iter().map(|it| (it.files, least(of(it)))).collect()
}

/// The least of some runs is what the others had to wait for something else.
fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(files: f64, seconds: f64) -> Size {
        Size {
            files,
            first_seconds: vec![seconds, seconds * 2.0],
            first_calls: vec![files],
            again_seconds: vec![0.2],
            again_calls: vec![7.0],
        }
    }

    #[test]
    fn what_grows_faster_than_the_page_is_seen_behind_what_does_not_grow() {
        let linear = [10.0, 100.0, 1000.0].map(|files| size(files, 1.0 + files / 100.0));
        assert!(goal(&linear).is_met, "{:?}", goal(&linear));
        let quadratic = [10.0, 100.0, 1000.0].map(|files| size(files, 1.0 + files * files / 1e4));
        assert!(!goal(&quadratic).is_met, "{:?}", goal(&quadratic));
        assert!(!goal(&linear[..1]).is_met, "one size tells nothing");
    }
}
