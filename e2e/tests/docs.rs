//! The documents: what they link to is there, and what they say to type works.

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/figures.rs"]
mod figures;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/paths.rs"]
mod paths;

use std::path::PathBuf;

use e2e::chatctl::checkout;
use e2e::checkout;

/// A document, by its path from the checkout.
pub(crate) struct Document {
    path: PathBuf,
    text: String,
}

/// A block between fences.
pub(crate) struct Block<'a> {
    language: &'a str,
    lines: Vec<&'a str>,
}

impl Document {
    /// One by its path from the checkout.
    pub(crate) fn named(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(checkout().join(&path));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// All that people read: the checkout's Markdown, but for what tools bring and what is built.
    pub(crate) fn all() -> Vec<Self> {
        let files = checkout::files().into_iter();
        let read = files.filter(|it| it.extension().is_some_and(|it| it == "md"));
        read.map(Self::named).collect()
    }

    /// What is between fences, in order.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for line in self.text.lines() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(language), None) => {
                    open = Some(Block {
                        language,
                        lines: Vec::new(),
                    });
                }
                (None, Some(block)) => block.lines.push(line),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: an open fence", self.path.display());
        blocks
    }

    /// The text without what is between fences.
    pub(crate) fn prose(&self) -> String {
        let mut within = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            let is_fence = line.trim_start().starts_with("```");
            within ^= is_fence;
            if !within && !is_fence {
                prose += line;
            }
            prose.push('\n');
        }
        prose
    }
}
