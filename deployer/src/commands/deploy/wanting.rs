//! What a deploy wants of its stack: the template, the parameters and the tags that the settings come to.

use crate::build::Package;
use crate::cloud::{Code, StackView, Wanted};
use crate::commands::CHAT_OWNER;
use crate::error::Error;
use crate::output::Output;
use crate::packages;
use crate::releases;
use crate::settings::DeploySettings;
use crate::template::{self, StageName};

/// The settings with what the stack keeps of its own, which is told: whoever wants it otherwise has to say so.
pub(crate) fn keeping(
    settings: &DeploySettings,
    stack: Option<&StackView>,
    output: &mut Output,
) -> Result<DeploySettings, Error> {
    let settings = settings.keeping(stack)?;
    let kept = settings.access.kept();
    if !kept.is_empty() {
        output.step(&format!("kept: {}", kept.join(", ")))?;
    }
    Ok(settings)
}

/// A package in its place, as functions are given it.
pub(crate) fn code(
    settings: &DeploySettings,
    stage: &StageName,
    bucket: String,
    package: &Package,
) -> Code {
    Code {
        bucket,
        key: packages::key(stage, package),
        sha256: package.code_sha256.clone(),
        architecture: settings.architecture.as_str(),
    }
}

pub(crate) fn wanted(settings: &DeploySettings, code: &Code) -> Result<Wanted, Error> {
    let stage = &settings.template.stage;
    let protection = settings.protect.unwrap_or_default();
    let ours = ("chatctl:stage".to_owned(), stage.to_string());
    let document = template::synthesize_protected(&settings.template, protection)?;
    let mut parameters = parameters(settings, code);
    // AWS tells these of a stack as well, given or not.
    parameters.extend(document.defaults(&parameters));
    Ok(Wanted {
        name: stage.stack_name(),
        template: document.to_yaml(),
        parameters,
        owner: CHAT_OWNER,
        tags: std::iter::once(ours).chain(settings.tags.clone()).collect(),
        aside: Some(releases::aside(&code.bucket, stage)),
    })
}

/// The parameters of our own template.
fn parameters(settings: &DeploySettings, code: &Code) -> Vec<(String, String)> {
    let domain = settings.domain.as_ref();
    let protection = settings.protect.unwrap_or_default();
    let own = [
        ("StageName", settings.template.stage.to_string()),
        ("CodeBucket", code.bucket.clone()),
        ("CodeKey", code.key.clone()),
        ("Architecture", settings.architecture.to_string()),
        ("Cdn", settings.cdn.to_string()),
        (
            "DomainName",
            domain.map_or_else(String::new, |it| it.name.to_string()),
        ),
        (
            "CertificateArn",
            domain.map_or_else(String::new, |it| it.certificate.to_string()),
        ),
        ("HistoryDays", settings.history_days.to_string()),
        (
            "MessagesPerSecond",
            settings.messages_per_second.to_string(),
        ),
        ("Protect", protection.to_string()),
    ];
    own.into_iter()
        .chain(settings.operations.parameters())
        .chain(settings.access.parameters())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn every_parameter_of_the_template_is_given() {
        let cli = crate::cli::Cli::try_parse_from(["chatctl", "deploy", "--history-days", "30"]);
        let Ok(crate::cli::Command::Deploy(args)) = cli.map(|it| it.command) else {
            panic!("a good command line");
        };
        let settings = DeploySettings::new(&args).unwrap();
        let code = Code {
            bucket: "bucket".to_owned(),
            key: "key".to_owned(),
            sha256: "sha".to_owned(),
            architecture: "x86_64",
        };
        let given = parameters(&settings, &code);
        let thirty = ("HistoryDays".to_owned(), "30".to_owned());
        assert!(given.contains(&thirty), "{given:?}");
        let document = template::synthesize(&settings.template).unwrap();
        let mut declared: Vec<_> = document.as_value()["Parameters"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let mut given: Vec<_> = given.into_iter().map(|(name, _)| name).collect();
        declared.sort();
        given.sort();
        // One that is not given has its default whatever the settings say.
        assert_eq!(given, declared);
    }

    /// What each setting of a file comes to in the stack.
    const OF_A_FILE: [(&str, &str, &str); 16] = [
        ("allowed-origins", "\"site\"", "AllowedOrigins"),
        ("memory", "512", "Memory"),
        ("throttle-rate", "2000", "ThrottleRate"),
        ("throttle-burst", "900", "ThrottleBurst"),
        ("log-retention", "90", "LogRetention"),
        ("access-logs", "\"on\"", "AccessLogs"),
        ("metrics", "\"off\"", "Metrics"),
        ("dashboard", "\"off\"", "Dashboard"),
        ("alarm-email", "\"ann@example.org\"", "AlarmEmail"),
        ("domain", "\"chat.example.org\"", "DomainName"),
        (
            "certificate-arn",
            "\"arn:aws:acm:us-east-1:123456789012:certificate/1\"",
            "CertificateArn",
        ),
        ("history-days", "30", "HistoryDays"),
        ("messages-per-second", "50", "MessagesPerSecond"),
        ("arch", "\"arm64\"", "Architecture"),
        ("protect", "\"on\"", "Protect"),
        ("stage", "\"prod\"", "StageName"),
    ];

    #[test]
    fn what_a_file_says_is_what_the_stack_gets() {
        let folder = std::env::temp_dir().join(format!("chatctl-wanted-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lines = OF_A_FILE.map(|(key, value, _)| format!("{key} = {value}\n"));
        let text = lines.concat() + "[tags]\nteam = \"chat\"\n";
        std::fs::write(folder.join("chatctl.toml"), text).unwrap();
        let arguments = ["chatctl", "deploy", "--throttle-burst", "700"];
        let parsed = crate::config::parse(arguments.map(Into::into), &folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let crate::cli::Command::Deploy(args) = parsed.unwrap().cli.command else {
            panic!("a deploy");
        };
        let code = Code {
            bucket: "bucket".to_owned(),
            key: "key".to_owned(),
            sha256: "sha".to_owned(),
            architecture: "arm64",
        };
        let wanted = wanted(&DeploySettings::new(&args).unwrap(), &code).unwrap();
        for (key, value, parameter) in OF_A_FILE {
            let value = if key == "throttle-burst" {
                "700"
            } else {
                value
            };
            let expected = (parameter.to_owned(), value.trim_matches('"').to_owned());
            assert!(wanted.parameters.contains(&expected), "{key}: {wanted:?}");
        }
        assert_eq!(wanted.name, "chat-prod");
        assert!(
            wanted
                .tags
                .contains(&("team".to_owned(), "chat".to_owned()))
        );
        assert!(wanted.template.contains("DeletionPolicy: Retain"));
    }
}
