//! What is found, as data. The page is made of nothing else.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::statistics::Summary;

/// All that was ever found, the newest of each section.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// In the order of `Section::all`.
    pub(crate) sections: Vec<Findings>,
}

/// What one section found in one run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// `Section::name`.
    pub(crate) section: String,
    /// When it began, RFC 3339, UTC.
    pub(crate) at: String,
    /// The machine it ran on.
    pub(crate) machine: Machine,
    /// Whether it was a quick run, whose figures are not to be quoted.
    pub(crate) is_quick: bool,
    /// What is measured and how, a paragraph each, in Markdown.
    pub(crate) about: Vec<String>,
    /// The goals, met or not.
    pub(crate) goals: Vec<Goal>,
    /// The figures.
    pub(crate) tables: Vec<Table>,
    /// The figures that are better seen than read.
    pub(crate) plots: Vec<Plot>,
    /// Messages that somebody should have had and did not, over the whole run.
    pub(crate) losses: u64,
    /// What else was seen, a paragraph each, in Markdown.
    pub(crate) notes: Vec<String>,
}

/// The machine of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// As the processor calls itself.
    pub(crate) processor: String,
    /// How many of them.
    pub(crate) processors: usize,
    /// GiB.
    pub(crate) memory_gib: u64,
    /// The kernel.
    pub(crate) system: String,
    /// One minute's load average before the section began: other work makes every figure worse.
    pub(crate) load_before: f64,
}

/// What was hoped for, and what came.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// What is looked at.
    pub(crate) what: String,
    /// What it should be.
    #[expect(
        clippy::struct_field_names,
        reason = "it is the goal; the rest tells of it"
    )]
    pub(crate) goal: String,
    /// What it is.
    pub(crate) measured: String,
    /// Whether that is good enough.
    pub(crate) is_met: bool,
    /// What a profile says where it is not.
    pub(crate) why_not: Option<String>,
}

/// A table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// What it shows.
    pub(crate) title: String,
    /// The head of its columns, that of the rows' names first.
    pub(crate) columns: Vec<String>,
    /// Its rows.
    pub(crate) rows: Vec<Row>,
}

/// A row of a table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Who or what was measured.
    pub(crate) name: String,
    /// One for each column but the first.
    pub(crate) cells: Vec<Cell>,
}

/// A cell of a table.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cell {
    /// Not measured, or there is no such thing.
    None,
    /// Words.
    Text(String),
    /// How often as much as that of the row it is compared with: 1 is the same.
    Ratio(f64),
    /// A count, or another number that does not vary.
    Number {
        /// How many.
        value: f64,
        /// Of what; may be empty.
        unit: String,
    },
    /// Of several runs.
    Figure {
        /// Of the runs.
        summary: Summary,
        /// Of what.
        unit: String,
    },
}

/// A plot of lines.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plot {
    /// The file's name without `.svg`: lower-case letters, digits and hyphens.
    pub(crate) name: String,
    /// What it shows.
    pub(crate) title: String,
    /// What goes right, with its unit.
    pub(crate) x: String,
    /// What goes up, with its unit.
    pub(crate) y: String,
    /// Whether both axes are logarithmic, where a straight line of slope 1 is linear growth.
    pub(crate) is_logarithmic: bool,
    /// The lines.
    pub(crate) lines: Vec<Line>,
}

/// A line of a plot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Who or what.
    pub(crate) name: String,
    /// From left to right.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Results {
    /// What an earlier run left in `folder`, if any did.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub(crate) fn read(folder: &Path) -> Result<Self, BenchError> {
        let path = folder.join("results.json");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|source| BenchError::Json { path, source })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(BenchError::File { path, source }),
        }
    }

    /// Puts the newest findings in the place of the older ones.
    pub(crate) fn put(&mut self, findings: Findings) {
        self.sections.retain(|it| it.section != findings.section);
        self.sections.push(findings);
        let order = crate::section::Section::all();
        self.sections.sort_by_key(|it| {
            order
                .iter()
                .position(|section| section.name() == it.section)
        });
    }

    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), BenchError> {
        let path = folder.join("results.json");
        let text = serde_json::to_string_pretty(self).map_err(|source| BenchError::Json {
            path: path.clone(),
            source,
        })?;
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text + "\n"))
            .map_err(|source| BenchError::File { path, source })
    }
}

impl Findings {
    /// For the terminal: the goals, and every row of every table.
    pub(crate) fn lines(&self) -> Vec<String> {
        let goals = self.goals.iter().map(|it| {
            let mark = if it.is_met { "met   " } else { "missed" };
            format!("{mark} {}: {} (goal: {})", it.what, it.measured, it.goal)
        });
        let rows = self.tables.iter().flat_map(|table| {
            let title = std::iter::once(table.title.clone());
            title.chain(table.rows.iter().map(|row| {
                let cells = row.cells.iter().zip(table.columns.iter().skip(1));
                let cells: Vec<String> = cells
                    .map(|(cell, column)| format!("{column} {cell}"))
                    .collect();
                format!("  {}: {}", row.name, cells.join(", "))
            }))
        });
        goals
            .chain(rows)
            .chain([format!("losses: {}", self.losses)])
            .collect()
    }
}

/// A unit behind its number.
fn spaced(unit: &str) -> String {
    if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = crate::statistics::readable;
        match self {
            Self::None => formatter.write_str("–"),
            Self::Text(text) => formatter.write_str(text),
            Self::Ratio(ratio) => write!(formatter, "{} ×", number(*ratio)),
            Self::Number { value, unit } => {
                write!(formatter, "{}{}", number(*value), spaced(unit))
            }
            Self::Figure { summary, unit } => write!(
                formatter,
                "{}{} ({}–{})",
                number(summary.median),
                spaced(unit),
                number(summary.low),
                number(summary.high)
            ),
        }
    }
}
