//! The sections there are, and what each is given.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::BenchError;
use crate::result::{Findings, Machine};
use crate::sections;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// From the start of a function's process to its first request for work
    ColdStart,
    /// Conversations on this machine: round trips, rooms, deliveries, connections
    Talk,
    /// What a message costs on AWS
    Cost,
    /// Deploys, from the client's side
    Deploy,
    /// The page in a browser
    Page,
}

impl Section {
    /// In the order of the report.
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// As on the command line and in `results.json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ColdStart => "cold-start",
            Self::Talk => "talk",
            Self::Cost => "cost",
            Self::Deploy => "deploy",
            Self::Page => "page",
        }
    }

    /// As the report's heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::ColdStart => "Cold start",
            Self::Talk => "Talking locally",
            Self::Cost => "What a message costs",
            Self::Deploy => "Deploying, from the client's side",
            Self::Page => "The page",
        }
    }

    /// # Errors
    /// What stopped it.
    pub(crate) fn measure(self, context: &Context) -> Result<Findings, BenchError> {
        let blank = context.blank(self)?;
        match self {
            Self::ColdStart => sections::cold_start::measure(context, blank),
            Self::Talk => sections::talk::measure(context, blank),
            Self::Cost => sections::cost::measure(context, blank),
            Self::Deploy => sections::deploy::measure(context, blank),
            Self::Page => sections::page::measure(context, blank),
        }
    }
}

/// What every section is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The clone.
    pub(crate) checkout: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// Fewer runs, smaller rooms.
    pub(crate) is_quick: bool,
    /// chatctl without its peers.
    pub(crate) is_alone: bool,
}

impl Context {
    /// # Errors
    /// If cargo does not tell where its target folder is.
    pub(crate) fn new(is_quick: bool, is_alone: bool) -> Result<Self, BenchError> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or_else(|| BenchError::Measurement("the crate has no folder above it".to_owned()))?
            .to_owned();
        let mut cargo = cargo();
        cargo
            .args(["metadata", "--format-version=1", "--no-deps"])
            .current_dir(&checkout);
        let said = crate::process::output_of(&mut cargo)?;
        let metadata: serde_json::Value =
            serde_json::from_slice(&said).map_err(|source| BenchError::Json {
                path: "cargo metadata".into(),
                source,
            })?;
        let target = metadata["target_directory"].as_str().ok_or_else(|| {
            BenchError::Measurement("`cargo metadata` names no target folder".to_owned())
        })?;
        Ok(Self {
            target: PathBuf::from(target),
            checkout,
            is_quick,
            is_alone,
        })
    }

    /// Where benchmarks keep what they install and build.
    pub(crate) fn folder(&self) -> PathBuf {
        self.target.join("bench")
    }

    /// How many runs: `usually`, or fewer in a quick run.
    pub(crate) fn runs(&self, usually: usize, quickly: usize) -> usize {
        if self.is_quick { quickly } else { usually }
    }

    /// Builds and gives one of the workspace's programs, optimised.
    ///
    /// # Errors
    /// If it does not build.
    pub(crate) fn program(&self, package: &str) -> Result<PathBuf, BenchError> {
        let mut cargo = cargo();
        cargo
            .args(["build", "--release", "--locked", "--package", package])
            .current_dir(&self.checkout);
        crate::process::output_of(&mut cargo)?;
        Ok(self.target.join("release").join(package))
    }

    /// Builds the functions' program as it is packaged for Lambda, but for what the environment of cargo has
    /// besides, and gives it.
    ///
    /// # Errors
    /// If it does not build.
    pub(crate) fn bootstrap(
        &self,
        environment: Option<(&str, &str)>,
    ) -> Result<PathBuf, BenchError> {
        let mut cargo = cargo();
        cargo
            .args(["build", "--profile", "lambda", "--locked"])
            .args(["--package", "handlers", "--bin", "bootstrap"])
            .envs(environment)
            .current_dir(&self.checkout);
        crate::process::output_of(&mut cargo)?;
        Ok(self.target.join("lambda/bootstrap"))
    }

    fn blank(&self, section: Section) -> Result<Findings, BenchError> {
        Ok(Findings {
            section: section.name().to_owned(),
            at: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .map_err(|error| BenchError::Measurement(error.to_string()))?,
            machine: machine()?,
            is_quick: self.is_quick || self.is_alone,
            about: Vec::new(),
            goals: Vec::new(),
            tables: Vec::new(),
            plots: Vec::new(),
            losses: 0,
            notes: Vec::new(),
        })
    }
}

fn cargo() -> Command {
    crate::process::program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn machine() -> Result<Machine, BenchError> {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|source| BenchError::File {
            path: path.into(),
            source,
        })
    };
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let memory_kib: u64 = after(&read("/proc/meminfo")?, "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or(0);
    Ok(Machine {
        processor: after(&read("/proc/cpuinfo")?, "model name"),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        memory_gib: memory_kib.div_ceil(1024 * 1024),
        system: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        load_before: read("/proc/loadavg")?
            .split(' ')
            .next()
            .and_then(|load| load.parse().ok())
            .unwrap_or(0.0),
    })
}
