//! checkov and cfn-guard: what they say of the templates, as data. Both read files and ask nobody.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::exceptions::{Exceptions, Finding};
use super::variants;
use crate::{Outcome, checkout, tell};

/// Where nobody listens: what would ask somebody fails and is seen.
const NO_NETWORK: [(&str, &str); 4] = [
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("http_proxy", "http://127.0.0.1:9"),
    ("https_proxy", "http://127.0.0.1:9"),
];

/// checkov's rules for `CloudFormation`.
pub(crate) fn checkov(mut checkov: Command, folder: &Path) -> Outcome {
    checkov
        .args(["--framework", "cloudformation", "--compact"])
        // No guides from its maker, and no failure of its own: what counts is decided here.
        .args(["--skip-download", "--soft-fail", "--output", "json"])
        .arg("--directory")
        .arg(folder);
    let said = said_by(checkov, &[0])?;
    compare("checkov.toml", &of_checkov(&said)?)
}

/// AWS's rules, those of its Control Tower, by AWS's cfn-guard.
pub(crate) fn guard(program: &Path, rules: &Path, folder: &Path) -> Outcome {
    let mut guard = Command::new(program);
    guard
        .args(["validate", "--structured", "--show-summary", "none"])
        .args(["--output-format", "json", "--rules"])
        .arg(rules)
        .arg("--data")
        .arg(folder);
    // 19: a rule is broken.
    let said = said_by(guard, &[0, 19])?;
    compare("cfn-guard.toml", &of_guard(&said)?)
}

fn compare(name: &str, findings: &BTreeSet<Finding>) -> Outcome {
    let file = checkout().join("xtask/exceptions").join(name);
    let text = std::fs::read_to_string(&file);
    let text = text.map_err(|error| format!("`{}`: {error}", file.display()))?;
    let accepted = Exceptions::read(&text).and_then(|it| it.accept(findings));
    let accepted = accepted.map_err(|problem| {
        format!("mend it, or say in `xtask/exceptions/{name}` why it is right:\n{problem}")
    })?;
    tell(&format!("    {accepted} findings, each with its reason"));
    Ok(())
}

/// A scanner's standard output, as JSON, if it ended as scanners end.
fn said_by(mut scanner: Command, codes: &[i32]) -> Outcome<Value> {
    let program = scanner.get_program().to_string_lossy().into_owned();
    let scanner = scanner.envs(NO_NETWORK).stdin(Stdio::null());
    // A key would have checkov send what it finds to its maker.
    let output = scanner.env_remove("BC_API_KEY").output();
    let output = output.map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.code().is_some_and(|it| codes.contains(&it)) {
        return Err(format!(
            "`{program}` failed ({}): {complaint}",
            output.status
        ));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("`{program}` printed no JSON: {error}: {complaint}"))
}

/// What checkov found. It tells of an empty folder too, so each file has to be among what it looked at.
fn of_checkov(said: &Value) -> Outcome<BTreeSet<Finding>> {
    if said["summary"]["parsing_errors"] != 0 {
        return Err(format!("checkov cannot read a template: {said:#}"));
    }
    let results = &said["results"];
    let seen = [&results["passed_checks"], &results["failed_checks"]];
    let seen = seen.into_iter().flat_map(list);
    let seen: BTreeSet<&str> = seen.map(|it| file(&it["file_path"])).collect();
    all_were_read("checkov", &seen)?;
    let findings = list(&results["failed_checks"]).iter();
    let finding = |it: &Value| Finding {
        rule: word(&it["check_id"]).to_owned(),
        resource: word(&it["resource"])
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_owned(),
        template: file(&it["file_path"]).to_owned(),
        says: word(&it["check_name"]).to_owned(),
    };
    Ok(findings.map(finding).collect())
}

/// What cfn-guard found: for each broken rule the resources that its clauses stopped at.
fn of_guard(said: &Value) -> Outcome<BTreeSet<Finding>> {
    let applied = |it: &&Value| !list(&it["compliant"]).is_empty();
    let seen = list(said).iter().filter(applied);
    let seen: BTreeSet<&str> = seen.map(|it| file(&it["name"])).collect();
    // No rule is about a role that has no policy of its own, or about an account.
    let seen: BTreeSet<&str> = seen.into_iter().chain(["access-logs.yaml"]).collect();
    all_were_read("cfn-guard", &seen)?;
    let mut findings = BTreeSet::new();
    for template in list(said) {
        for rule in list(&template["not_compliant"]) {
            let rule = &rule["Rule"];
            let (mut resources, mut says) = (BTreeSet::new(), String::new());
            look_through(rule, &mut resources, &mut says);
            if resources.is_empty() {
                return Err(format!("cfn-guard names no resource: {rule:#}"));
            }
            findings.extend(resources.into_iter().map(|resource| Finding {
                rule: word(&rule["name"]).to_owned(),
                resource,
                template: file(&template["name"]).to_owned(),
                says: says.clone(),
            }));
        }
    }
    Ok(findings)
}

/// Collects the resources that paths lead to, and the first sentence that a rule has for people.
fn look_through(value: &Value, resources: &mut BTreeSet<String>, says: &mut String) {
    match value {
        Value::Array(items) => {
            for item in items {
                look_through(item, resources, says);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(path) if name == "path" => {
                        let id = path.strip_prefix("/Resources/");
                        let id = id.and_then(|it| it.split('/').next());
                        resources.extend(id.map(str::to_owned));
                    }
                    Some(message) if name == "custom_message" && says.is_empty() => {
                        let mut lines = message.lines().map(str::trim);
                        let line = lines.find(|it| !it.is_empty());
                        line.unwrap_or_default().clone_into(says);
                    }
                    _ => look_through(field, resources, says),
                }
            }
        }
        _ => {}
    }
}

fn all_were_read(scanner: &str, seen: &BTreeSet<&str>) -> Outcome {
    match variants::files().iter().find(|it| !seen.contains(&***it)) {
        Some(unread) => Err(format!("{scanner} has looked at nothing in `{unread}`")),
        None => Ok(()),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A path's file.
fn file(path: &Value) -> &str {
    word(path).rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checkovs(failed: &Value) -> Value {
        let passed = variants::files().into_iter();
        let passed = passed.map(|it| json!({"check_id": "A", "file_path": format!("/{it}")}));
        json!({
            "summary": {"parsing_errors": 0},
            "results": {"passed_checks": passed.collect::<Vec<_>>(), "failed_checks": failed},
        })
    }

    #[test]
    fn what_checkov_says_is_read() {
        let failed = json!([{
            "check_id": "CKV_AWS_1",
            "check_name": "Ensure it",
            "resource": "AWS::S3::Bucket.SiteBucket",
            "file_path": "/default.json",
        }]);
        let expected = Finding {
            rule: "CKV_AWS_1".to_owned(),
            resource: "SiteBucket".to_owned(),
            template: "default.json".to_owned(),
            says: "Ensure it".to_owned(),
        };
        let read = of_checkov(&checkovs(&failed));
        assert_eq!(read, Ok(BTreeSet::from([expected])));
    }

    #[test]
    fn a_template_that_checkov_did_not_read_is_named() {
        let mut said = checkovs(&json!([]));
        said["results"]["passed_checks"][0]["file_path"] = json!("/other.json");
        let refused = of_checkov(&said).unwrap_err();
        assert!(refused.contains("`default.json`"), "{refused}");
        let mut said = checkovs(&json!([]));
        said["summary"]["parsing_errors"] = json!(1);
        assert!(of_checkov(&said).is_err());
        // What it prints where there is nothing to look at.
        assert!(of_checkov(&json!({"passed": 0, "failed": 0})).is_err());
    }

    fn guards(broken: &Value) -> Value {
        let templates = variants::files()
            .into_iter()
            .map(|it| json!({"name": format!("/x/{it}"), "compliant": ["a"], "not_compliant": []}));
        let mut templates: Vec<Value> = templates.collect();
        templates[0]["not_compliant"] = broken.clone();
        json!(templates)
    }

    #[test]
    fn what_guard_says_is_read_with_every_resource_that_its_clauses_stopped_at() {
        let clause = |path: &str| {
            json!({"Clause": {"Unary": {"check": {"UnResolved": {"value": {
                "traversed_to": {"path": path, "value": {"path": "/Resources-not"}}}}}}}})
        };
        let broken = json!([{"Rule": {
            "name": "kms_check",
            "messages": {"custom_message": null},
            "checks": [{"Rule": {
                "messages": {"custom_message": "\n  [CT.1]: Require it\n  [FIX]: do\n"},
                "checks": [clause("/Resources/A/Properties"), clause("/Resources/B")],
            }}],
        }}]);
        let found = of_guard(&guards(&broken)).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.rule.as_str(), it.resource.as_str(), it.says.as_str()))
            .collect();
        let says = "[CT.1]: Require it";
        assert_eq!(found, [("kms_check", "A", says), ("kms_check", "B", says)]);
    }

    #[test]
    fn a_rule_that_names_no_resource_and_a_template_without_rules_are_errors() {
        let broken = json!([{"Rule": {"name": "odd", "checks": []}}]);
        let refused = of_guard(&guards(&broken)).unwrap_err();
        assert!(refused.contains("odd"), "{refused}");
        let mut said = guards(&json!([]));
        said[1]["compliant"] = json!([]);
        let refused = of_guard(&said).unwrap_err();
        assert!(refused.contains("`least.json`"), "{refused}");
    }
}
