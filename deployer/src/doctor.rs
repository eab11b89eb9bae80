//! Whether this machine and the account have what is needed, and what mends it where not.
//!
//! # Layout
//! * `machine`: the tools and what else is here.
//! * `account`: AWS.

mod account;
mod machine;

pub(crate) use account::{no_account, of_account};
pub(crate) use machine::of_machine;

use serde_json::{Value, json};

use crate::telemetry::wrapped;

/// Of a line, behind verdict and name.
const WIDTH: usize = 55;

/// What something is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// `chatctl dev`, and all else.
    Dev,
    /// `chatctl deploy`, and what looks at what it made.
    Deploy,
    /// The tests alone.
    Tests,
}

impl Need {
    fn word(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Deploy => "deploy",
            Self::Tests => "tests",
        }
    }
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it should be.
    Good,
    /// It works, or is not known to; something is worth knowing.
    Warning,
    /// It does not work.
    Missing,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Missing => "missing",
        }
    }
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What.
    pub(crate) name: &'static str,
    /// What it is needed for.
    pub(crate) need: Need,
    /// What came of it.
    pub(crate) verdict: Verdict,
    /// What was seen.
    pub(crate) detail: String,
    /// What mends it.
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn good(name: &'static str, need: Need, detail: impl Into<String>) -> Self {
        Self {
            name,
            need,
            verdict: Verdict::Good,
            detail: detail.into(),
            remedy: None,
        }
    }

    fn warning(
        name: &'static str,
        need: Need,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Warning,
            remedy: Some(remedy.into()),
            ..Self::good(name, need, detail)
        }
    }

    fn missing(
        name: &'static str,
        need: Need,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Missing,
            ..Self::warning(name, need, detail, remedy)
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Missing => "MISSING",
            other => other.word(),
        };
        let mut lines = Vec::new();
        for (index, line) in wrapped(&self.detail, WIDTH).into_iter().enumerate() {
            let (verdict, name) = if index == 0 {
                (verdict, self.name)
            } else {
                ("", "")
            };
            lines.push(format!("{verdict:<8}  {name:<13}  {line}\n"));
        }
        let remedy = self.remedy.iter().map(|it| format!("-> {it}"));
        for line in remedy.flat_map(|it| wrapped(&it, WIDTH)) {
            lines.push(format!("{:<25}{line}\n", ""));
        }
        lines.concat()
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "check": self.name,
            "needed_for": self.need.word(),
            "verdict": self.verdict.word(),
            "detail": self.detail,
            "remedy": self.remedy,
        })
    }
}

/// The names of what is missing for one of the verbs; what the tests alone need keeps nobody from
/// anything.
pub(crate) fn missing(findings: &[Finding], need: Need) -> Vec<&'static str> {
    let is_needed = |it: &&Finding| match need {
        Need::Dev => it.need == Need::Dev,
        Need::Deploy => it.need != Need::Tests,
        Need::Tests => true,
    };
    let missing = findings.iter().filter(|it| it.verdict == Verdict::Missing);
    missing.filter(is_needed).map(|it| it.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_mends_it_within_80_columns() {
        let long = "word ".repeat(30);
        let finding = Finding::missing("functions", Need::Deploy, &long, &long);
        let text = finding.text();
        assert!(
            text.starts_with("MISSING   functions      word word"),
            "{text}"
        );
        assert!(text.contains("-> word"), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert_eq!(finding.json()["verdict"], "missing");
        let good = Finding::good("rust", Need::Dev, "1.95.0");
        assert_eq!(good.text(), "good      rust           1.95.0\n");
    }

    #[test]
    fn what_only_a_deploy_needs_keeps_nobody_from_running_it_here() {
        let findings = [
            Finding::missing("node", Need::Tests, "", ""),
            Finding::missing("credentials", Need::Deploy, "", ""),
            Finding::warning("port", Need::Dev, "", ""),
        ];
        assert_eq!(missing(&findings, Need::Dev), [""; 0]);
        assert_eq!(missing(&findings, Need::Deploy), ["credentials"]);
        assert_eq!(missing(&findings, Need::Tests), ["node", "credentials"]);
    }
}
