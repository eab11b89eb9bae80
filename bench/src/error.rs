//! What can stop a benchmark.

use std::path::PathBuf;

/// What stopped it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A file or folder.
    #[error("`{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that holds something else.
    #[error("`{}` is not what was written there", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A program that cannot be started or watched.
    #[error("`{program}` cannot be run")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program that failed.
    #[error("`{program}` {how}; it said: {said}")]
    Failed {
        /// Which.
        program: String,
        /// Its exit status, or that it took too long.
        how: String,
        /// The end of what it printed.
        said: String,
    },
    /// A plot.
    #[error("the plot `{name}` cannot be drawn: {reason}")]
    Plot {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// Some sections could not be measured; the others were.
    #[error("not measured: {}; what stopped each is told above", .0.join(", "))]
    Sections(Vec<&'static str>),
    /// Something else that was measured wrongly or not at all.
    #[error("{0}")]
    Measurement(String),
}
