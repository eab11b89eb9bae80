//! What a scanner finds, against the file of what is accepted and why. One that is not accepted fails, and
//! so does one that is accepted and no longer found.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::Outcome;

/// What a scanner says of a resource, in one template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) rule: String,
    pub(super) resource: String,
    /// The template's file.
    pub(super) template: String,
    /// The rule's sentence.
    pub(super) says: String,
}

/// A file of `xtask/exceptions/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceptions {
    exception: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    /// The scanner's names of what is accepted: for one reason, often more than one.
    rules: Vec<String>,
    /// Logical ids. One that begins with `*` stands for all that end like it.
    resources: Vec<String>,
    /// The templates in which it is accepted; all of them, if none is named.
    #[serde(default)]
    templates: Vec<String>,
    reason: String,
}

impl Exceptions {
    pub(super) fn read(text: &str) -> Outcome<Self> {
        let read: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        match read.exception.iter().find(|it| it.reason.trim().is_empty()) {
            Some(bare) => Err(format!("no reason is given for {:?}", bare.rules)),
            None => Ok(read),
        }
    }

    /// Nothing but what is accepted, and all that is accepted. Gives how many were.
    pub(super) fn accept(&self, findings: &BTreeSet<Finding>) -> Outcome<usize> {
        let mut problems = self.unknown(findings);
        problems.extend(self.unneeded(findings));
        if problems.is_empty() {
            Ok(findings.len())
        } else {
            Err(problems.join("\n"))
        }
    }

    /// What is found and not accepted, a line for each rule and resource.
    fn unknown(&self, findings: &BTreeSet<Finding>) -> Vec<String> {
        let mut lines: BTreeMap<(&str, &str), (&str, Vec<&str>)> = BTreeMap::new();
        for finding in findings.iter().filter(|it| !self.accepts(it)) {
            let (_, templates) = lines
                .entry((&finding.rule, &finding.resource))
                .or_insert((&finding.says, Vec::new()));
            templates.push(&finding.template);
        }
        let line = |((rule, resource), (says, templates)): ((&str, &str), (&str, Vec<&str>))| {
            format!("{rule}: {resource} ({}): {says}", templates.join(", "))
        };
        lines.into_iter().map(line).collect()
    }

    /// What is accepted and not found.
    fn unneeded(&self, findings: &BTreeSet<Finding>) -> Vec<String> {
        let mut lines = Vec::new();
        for exception in &self.exception {
            for rule in &exception.rules {
                for resource in &exception.resources {
                    let is_it = |it: &&Finding| it.rule == *rule && stands_for(resource, it);
                    let found: Vec<_> = findings.iter().filter(is_it).collect();
                    let is_found =
                        |template: &&String| found.iter().any(|it| it.template == **template);
                    if found.is_empty() || !exception.templates.iter().all(|it| is_found(&it)) {
                        lines.push(format!(
                            "{rule}: {resource}: the exception is no longer needed{}",
                            exception.place()
                        ));
                    }
                }
            }
        }
        lines
    }

    fn accepts(&self, finding: &Finding) -> bool {
        self.exception.iter().any(|it| {
            it.rules.contains(&finding.rule)
                && it.resources.iter().any(|id| stands_for(id, finding))
                && (it.templates.is_empty() || it.templates.contains(&finding.template))
        })
    }
}

impl Exception {
    fn place(&self) -> String {
        match self.templates.as_slice() {
            [] => String::new(),
            some => format!(" in each of {}", some.join(", ")),
        }
    }
}

fn stands_for(pattern: &str, finding: &Finding) -> bool {
    match pattern.strip_prefix('*') {
        Some(end) => finding.resource.ends_with(end),
        None => finding.resource == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[[exception]]
rules = ["DLQ", "VPC"]
resources = ["*Function"]
reason = "because"

[[exception]]
rules = ["KMS"]
resources = ["Table"]
reason = "it is so"
"#;

    fn findings(found: &[(&str, &str)]) -> BTreeSet<Finding> {
        findings_in("default.json", found)
    }

    fn findings_in(template: &str, found: &[(&str, &str)]) -> BTreeSet<Finding> {
        let finding = |(rule, resource): &(&str, &str)| Finding {
            rule: (*rule).to_owned(),
            resource: (*resource).to_owned(),
            template: template.to_owned(),
            says: "do not".to_owned(),
        };
        found.iter().map(finding).collect()
    }

    #[test]
    fn what_is_accepted_passes_and_all_else_is_named() {
        let all = [("DLQ", "AFunction"), ("VPC", "BFunction"), ("KMS", "Table")];
        let exceptions = Exceptions::read(FILE).unwrap();
        assert_eq!(exceptions.accept(&findings(&all)), Ok(3));
        for (rule, resource) in [("KMS", "AFunction"), ("DLQ", "Table"), ("New", "Table")] {
            let more = [&all[..], &[(rule, resource)]].concat();
            let refused = exceptions.accept(&findings(&more)).unwrap_err();
            assert_eq!(
                refused,
                format!("{rule}: {resource} (default.json): do not")
            );
        }
    }

    #[test]
    fn an_exception_that_is_no_longer_needed_is_named() {
        let exceptions = Exceptions::read(FILE).unwrap();
        let found = [("DLQ", "AFunction"), ("KMS", "Table")];
        let refused = exceptions.accept(&findings(&found)).unwrap_err();
        assert_eq!(refused, "VPC: *Function: the exception is no longer needed");
    }

    #[test]
    fn what_is_accepted_in_one_template_is_neither_in_another_nor_missed_there() {
        let file = format!("{FILE}templates = [\"least.json\"]\n");
        let exceptions = Exceptions::read(&file).unwrap();
        let functions = [("DLQ", "AFunction"), ("VPC", "AFunction")];
        let table = [("KMS", "Table")];
        let right = &findings(&functions) | &findings_in("least.json", &table);
        assert_eq!(exceptions.accept(&right), Ok(3));
        let everywhere = &right | &findings(&table);
        let refused = exceptions.accept(&everywhere).unwrap_err();
        assert_eq!(refused, "KMS: Table (default.json): do not");
        let refused = exceptions.accept(&findings(&functions)).unwrap_err();
        assert!(
            refused.contains("no longer needed in each of least.json"),
            "{refused}"
        );
    }

    #[test]
    fn an_exception_without_a_reason_is_none() {
        for text in [
            FILE.replace("because", " "),
            FILE.replace("reason = \"because\"", ""),
            FILE.replace("reason", "raison"),
        ] {
            assert!(Exceptions::read(&text).is_err(), "{text}");
        }
    }
}
