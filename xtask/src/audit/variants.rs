//! The templates as AWS would see them: the chat's in each way to deploy it, and those beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::resolve::{Parameters, resolve};
use crate::{Outcome, checkout, output_of};

/// A way to deploy.
struct Variant {
    name: &'static str,
    /// `chatctl synth`'s flags.
    flags: &'static [&'static str],
    /// What differs from the defaults.
    parameters: &'static [(&'static str, &'static str)],
}

/// Between them each condition of the template holds and does not hold.
const VARIANTS: [Variant; 4] = [
    Variant {
        name: "default",
        flags: &[],
        parameters: &[],
    },
    Variant {
        name: "least",
        flags: &[],
        parameters: &[
            ("Cdn", "off"),
            ("Alarms", "off"),
            ("Dashboard", "off"),
            ("Metrics", "off"),
        ],
    },
    Variant {
        name: "most",
        flags: &["--protect", "on"],
        parameters: &[
            ("DomainName", "chat.example.com"),
            (
                "CertificateArn",
                "arn:aws:acm:us-east-1:123456789012:certificate/1",
            ),
            ("AccessLogs", "on"),
            ("AlarmEmail", "ann@example.com"),
            ("AllowedOrigins", "https://www.example.org"),
            ("Issuer", "https://accounts.example.org"),
            ("Audience", "chat"),
            ("JwksUri", "https://accounts.example.org/keys"),
        ],
    },
    Variant {
        name: "topic",
        flags: &[],
        parameters: &[("AlarmTopicArn", "arn:aws:sns:eu-central-1:123456789012:it")],
    },
];

/// What has no default.
const PACKAGE: [(&str, &str); 2] = [("CodeBucket", "packages"), ("CodeKey", "bootstrap.zip")];

/// The templates beside the chat's, which have no conditions.
const OTHERS: [&str; 2] = ["bootstrap.yaml", "access-logs.yaml"];

/// Writes all of them into a folder of their own, and gives it.
pub(crate) fn write(target: &Path, chatctl: &Path) -> Outcome<PathBuf> {
    let folder = target.join("audit");
    let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(failed)?;
    }
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut seen = BTreeSet::new();
    for variant in &VARIANTS {
        let mut synth = Command::new(chatctl);
        // What the machine is set to is no part of it.
        synth.args(["synth", "--format", "json", "--config", ""]);
        let template = output_of(synth.args(variant.flags))?;
        let template: Value = serde_json::from_slice(&template)
            .map_err(|error| format!("`chatctl synth` printed no JSON: {error}"))?;
        let (resolved, holds) = resolve(&template, &parameters(variant))?;
        seen.extend(holds);
        let file = folder.join(format!("{}.json", variant.name));
        std::fs::write(file, format!("{resolved:#}\n")).map_err(failed)?;
    }
    if let Some(untried) = only_one_way(&seen) {
        return Err(format!(
            "the condition `{untried}` is the same in all variants; add one to \
             xtask/src/audit/variants.rs"
        ));
    }
    for name in OTHERS {
        let source = checkout().join("cloudformation/bootstrap").join(name);
        std::fs::copy(source, folder.join(name)).map_err(failed)?;
    }
    Ok(folder)
}

/// The names of the files that are written.
pub(super) fn files() -> Vec<String> {
    let variants = VARIANTS.iter().map(|it| format!("{}.json", it.name));
    variants.chain(OTHERS.map(str::to_owned)).collect()
}

fn parameters(variant: &Variant) -> Parameters {
    let all = variant.parameters.iter().chain(&PACKAGE);
    all.map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect()
}

/// A condition that has but one of its two values.
fn only_one_way(seen: &BTreeSet<(String, bool)>) -> Option<&str> {
    let other = |name: &str, holds: bool| seen.contains(&(name.to_owned(), !holds));
    let found = seen.iter().find(|(name, holds)| !other(name, *holds));
    found.map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_no_variant_changes_is_named() {
        let pairs = |pairs: &[(&str, bool)]| -> BTreeSet<(String, bool)> {
            let pairs = pairs.iter();
            pairs.map(|(name, it)| ((*name).to_owned(), *it)).collect()
        };
        let both = pairs(&[("A", true), ("A", false)]);
        assert_eq!(only_one_way(&both), None);
        let one = pairs(&[("A", true), ("A", false), ("B", true)]);
        assert_eq!(only_one_way(&one), Some("B"));
    }

    #[test]
    fn each_variant_has_a_file_of_its_own() {
        let files = files();
        let unique: BTreeSet<_> = files.iter().collect();
        assert_eq!(unique.len(), VARIANTS.len() + OTHERS.len());
    }
}
