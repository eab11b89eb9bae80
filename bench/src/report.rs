//! The page and its plots, made of the results alone.

use std::fmt::Write as _;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::BenchError;
use crate::result::{Findings, Plot, Results, Table};
use crate::section::Section;
use crate::statistics::readable;

/// What the page says before any figure.
const HEAD: &str = "\
# Benchmarks

`cargo xtask bench` measures chatctl and what people would pick instead side by side, in one run on one
machine, and writes this page; `--only SECTION` measures a part, `--quick` shows in a few minutes that it
works. It installs the peers itself, at pinned versions, below `target/`. Figures are medians, with the
least and the most of all runs in brackets. Such machines are noisy: believe ratios of one run rather than
times, and no test asserts any of them. `results.json` has all of it as data.
";

/// Writes `README.md` and the plots beside it.
///
/// # Errors
/// What cannot be written or drawn.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<(), BenchError> {
    let mut page = String::from(HEAD);
    for findings in &results.sections {
        page += &section(findings);
        for plot in &findings.plots {
            draw(plot, &folder.join(format!("{}.svg", plot.name)))?;
        }
    }
    let path = folder.join("README.md");
    std::fs::write(&path, page).map_err(|source| BenchError::File { path, source })
}

fn section(findings: &Findings) -> String {
    let known = Section::all()
        .iter()
        .find(|it| it.name() == findings.section);
    let title = known.map_or(findings.section.as_str(), |it| it.title());
    let mut text = format!("\n## {title}\n\n");
    let machine = &findings.machine;
    let _ = writeln!(
        text,
        "{}{} on {} × {}, {} GiB, Linux {}, load {} before.\n",
        if findings.is_quick {
            "**A quick run, not to be quoted.** "
        } else {
            ""
        },
        findings.at,
        machine.processors,
        machine.processor,
        machine.memory_gib,
        machine.system,
        machine.load_before,
    );
    for paragraph in &findings.about {
        let _ = writeln!(text, "{paragraph}\n");
    }
    if !findings.goals.is_empty() {
        text += "| | goal | measured | |\n| --- | --- | --- | --- |\n";
        for goal in &findings.goals {
            let met = if goal.is_met { "met" } else { "**missed**" };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {met} |",
                goal.what, goal.goal, goal.measured
            );
        }
        text.push('\n');
        for goal in &findings.goals {
            if let Some(why) = &goal.why_not {
                let _ = writeln!(text, "Why “{}” is missed: {why}\n", goal.what);
            }
        }
    }
    for table in &findings.tables {
        text += &markdown(table);
    }
    for plot in &findings.plots {
        let _ = writeln!(text, "![{}]({}.svg)\n", plot.title, plot.name);
    }
    for note in &findings.notes {
        let _ = writeln!(text, "{note}\n");
    }
    let _ = writeln!(text, "Messages lost during the run: {}.", findings.losses);
    text
}

fn markdown(table: &Table) -> String {
    let mut text = format!("**{}**\n\n| {} |\n", table.title, table.columns.join(" | "));
    let _ = writeln!(text, "|{}", " --- |".repeat(table.columns.len()));
    for row in &table.rows {
        let cells: Vec<String> = row.cells.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
    }
    text.push('\n');
    text
}

/// Draws lines over axes that begin at nothing, or where they are logarithmic at the least point, and upwards at
/// the power of ten below it: within a decade the marks would be too many to read.
fn draw(plot: &Plot, path: &Path) -> Result<(), BenchError> {
    let reason = |error: &dyn std::fmt::Display| BenchError::Plot {
        name: plot.name.clone(),
        reason: error.to_string(),
    };
    let points = || plot.lines.iter().flat_map(|line| &line.points);
    let least = |pick: fn(&(f64, f64)) -> f64| points().map(pick).fold(f64::INFINITY, f64::min);
    let most = |pick: fn(&(f64, f64)) -> f64| points().map(pick).fold(f64::MIN, f64::max);
    if points().next().is_none() {
        return Err(reason(&"it has no points"));
    }
    let root = SVGBackend::new(path, (920, 400)).into_drawing_area();
    root.fill(&WHITE).map_err(|it| reason(&it))?;
    // Beside the lines, where it covers none.
    let (lines, legend) = root.split_horizontally(700);
    name_lines(plot, &legend).map_err(|it| reason(&it))?;
    let mut builder = ChartBuilder::on(&lines);
    builder
        .caption(&plot.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(70);
    /// The rest is the same on both kinds of axes, whose types differ.
    macro_rules! finish {
        ($chart:expr) => {{
            let mut chart = $chart.map_err(|it| reason(&it))?;
            chart
                .configure_mesh()
                .x_desc(plot.x.as_str())
                .y_desc(plot.y.as_str())
                .x_label_formatter(&|it| readable(*it))
                .y_label_formatter(&|it| readable(*it))
                .draw()
                .map_err(|it| reason(&it))?;
            for (index, line) in plot.lines.iter().enumerate() {
                chart
                    .draw_series(LineSeries::new(line.points.clone(), style(index)).point_size(3))
                    .map_err(|it| reason(&it))?;
            }
        }};
    }
    let (x_most, y_most) = (most(|it| it.0), most(|it| it.1));
    if plot.is_logarithmic {
        let x = (least(|it| it.0)..x_most * 1.1).log_scale();
        let y = (decade(least(|it| it.1), f64::floor)..decade(y_most, f64::ceil)).log_scale();
        finish!(builder.build_cartesian_2d(x, y));
    } else {
        finish!(builder.build_cartesian_2d(0.0..x_most * 1.05, 0.0..y_most * 1.1));
    }
    root.present().map_err(|it| reason(&it))
}

/// The power of ten next to a value that is more than nothing.
fn decade(value: f64, round: fn(f64) -> f64) -> f64 {
    10_f64.powf(round(value.log10()))
}

/// The line of a plot's nth series.
fn style(index: usize) -> ShapeStyle {
    Palette99::pick(index).to_rgba().stroke_width(2)
}

/// Says which line is whose.
fn name_lines<B: DrawingBackend>(
    plot: &Plot,
    area: &DrawingArea<B, Shift>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    for ((index, line), y) in plot.lines.iter().enumerate().zip((60..).step_by(22)) {
        area.draw(&PathElement::new([(4, y), (24, y)], style(index)))?;
        let name = line.name.replace('`', "");
        let style = TextStyle::from(("sans-serif", 13)).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(name, (32, y), style))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Cell, Goal, Line, Machine, Row};
    use crate::statistics::Summary;

    fn findings() -> Findings {
        Findings {
            section: "talk".to_owned(),
            at: "2026-01-01T00:00:00Z".to_owned(),
            machine: Machine {
                processor: "a processor".to_owned(),
                processors: 2,
                memory_gib: 4,
                system: "6.1".to_owned(),
                load_before: 0.1,
            },
            is_quick: false,
            about: vec!["How.".to_owned()],
            goals: vec![Goal {
                what: "a round trip".to_owned(),
                goal: "< 1 ms".to_owned(),
                measured: "2 ms".to_owned(),
                is_met: false,
                why_not: Some("it sleeps".to_owned()),
            }],
            tables: vec![Table {
                title: "Round trips".to_owned(),
                columns: vec!["who".to_owned(), "p50".to_owned()],
                rows: vec![Row {
                    name: "chatctl".to_owned(),
                    cells: vec![Cell::Figure {
                        summary: Summary::of(&[1.0, 2.0, 4.0]).unwrap(),
                        unit: "ms".to_owned(),
                    }],
                }],
            }],
            plots: vec![Plot {
                name: "rooms".to_owned(),
                title: "Rooms".to_owned(),
                x: "members".to_owned(),
                y: "ms".to_owned(),
                is_logarithmic: true,
                lines: vec![Line {
                    name: "chatctl".to_owned(),
                    points: vec![(10.0, 0.035), (1000.0, 1.29)],
                }],
            }],
            losses: 0,
            notes: vec![],
        }
    }

    #[test]
    fn the_page_tells_figures_goals_and_why_one_is_missed() {
        let text = section(&findings());
        for part in [
            "## Talking locally",
            "| chatctl | 2 ms (1–4) |",
            "| a round trip | < 1 ms | 2 ms | **missed** |",
            "it sleeps",
            "![Rooms](rooms.svg)",
            "Messages lost during the run: 0.",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn what_was_measured_before_stays_until_it_is_measured_again() {
        let folder = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        let mut results = Results::default();
        results.put(findings());
        results.put(Findings {
            section: "cold-start".to_owned(),
            plots: vec![],
            ..findings()
        });
        results.write(&folder).unwrap();
        let mut again = Results::read(&folder).unwrap();
        let names: Vec<_> = again.sections.iter().map(|it| it.section.clone()).collect();
        assert_eq!(names, ["cold-start", "talk"]);
        again.put(Findings {
            losses: 3,
            ..findings()
        });
        assert_eq!(again.sections.len(), 2);
        write(&again, &folder).unwrap();
        let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(page.contains("Messages lost during the run: 3."));
        let plot = std::fs::read_to_string(folder.join("rooms.svg")).unwrap();
        assert!(plot.contains("<svg") && plot.contains("members"));
        let marks: Vec<_> = plot
            .lines()
            .map(str::trim)
            .filter(|it| it.parse::<f64>().is_ok())
            .collect();
        assert_eq!(
            marks,
            ["0.1", "1", "10", "10", "100"],
            "decades, as they are read"
        );
        // To the right of all that is drawn.
        let name = plot.lines().position(|it| it.contains("chatctl"));
        let tag = name.and_then(|it| plot.lines().nth(it.saturating_sub(1)));
        assert!(tag.is_some_and(|it| it.contains("x=\"732\"")), "{tag:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_plot_without_points_is_refused_by_its_name() {
        let mut findings = findings();
        findings.plots[0].lines.clear();
        let error = draw(&findings.plots[0], Path::new("/nonexistent/x.svg")).unwrap_err();
        assert!(error.to_string().contains("`rooms`"), "{error}");
    }
}
