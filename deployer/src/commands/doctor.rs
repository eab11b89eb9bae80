//! `chatctl doctor`: whether this machine and the account have what is needed.

use serde_json::json;

use super::{CHAT_OWNER, until_interrupted};
use crate::cloud::aws::Aws;
use crate::doctor::{self, Finding, Need};
use crate::error::Error;
use crate::output::Output;
use crate::settings::DoctorSettings;

/// Looks at everything that is asked for and says what mends it.
///
/// # Errors
/// [`Error::NotReady`], if something is missing that is needed.
pub(crate) fn run(settings: &DoctorSettings, output: &mut Output) -> Result<(), Error> {
    until_interrupted(async {
        let mut findings = doctor::of_machine(&settings.folder).await;
        let need = if let Some(account) = &settings.account {
            findings.extend(match Aws::connect(account).await {
                Ok(aws) => {
                    let looked = doctor::of_account(&aws, &aws.region, &settings.stage, CHAT_OWNER);
                    Box::pin(looked).await
                }
                Err(error) => doctor::no_account(&error),
            });
            Need::Deploy
        } else {
            // What a deploy alone needs nobody has asked about.
            findings.retain(|it| it.need != Need::Deploy);
            Need::Dev
        };
        let text = if settings.json {
            format!("{}\n", summary(settings, &findings))
        } else {
            text(settings, &findings)
        };
        output.data(&text)?;
        let missing = doctor::missing(&findings, need);
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::NotReady { missing })
        }
    })
}

/// For people.
fn text(settings: &DoctorSettings, findings: &[Finding]) -> String {
    let mut text: String = findings.iter().map(Finding::text).collect();
    text += "\n";
    text += &readiness("chatctl dev", &doctor::missing(findings, Need::Dev));
    if settings.account.is_some() {
        text += &readiness("chatctl deploy", &doctor::missing(findings, Need::Deploy));
    }
    text
}

fn readiness(command: &str, missing: &[&str]) -> String {
    if missing.is_empty() {
        format!("`{command}` can run\n")
    } else {
        format!("`{command}` cannot run without: {}\n", missing.join(", "))
    }
}

/// For programs.
fn summary(settings: &DoctorSettings, findings: &[Finding]) -> serde_json::Value {
    let is_ready = |need| doctor::missing(findings, need).is_empty();
    let deploy = settings.account.is_some().then(|| is_ready(Need::Deploy));
    json!({
        "event": "result",
        "dev": is_ready(Need::Dev),
        "deploy": deploy,
        "checks": findings.iter().map(Finding::json).collect::<Vec<_>>(),
    })
}
