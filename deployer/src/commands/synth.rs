//! `chatctl synth`: print the template, or a policy.

use crate::cli::TemplateFormat;
use crate::error::Error;
use crate::output::Output;
use crate::policy;
use crate::settings::{Access, SynthSettings};
use crate::template;

/// Prints the template of a stage, the policy of whoever deploys it, or the template of the role for access
/// logs, on standard output, and nothing else.
///
/// # Errors
/// [`Error`], if the template is faulty or cannot be printed.
pub(crate) fn run(settings: &SynthSettings, output: &mut Output) -> Result<(), Error> {
    if settings.access_logs_role {
        output.data(template::access_logs_role()?)?;
        return Ok(());
    }
    let document = template::synthesize_protected(&settings.template, settings.protect)?;
    let access = discovered(&settings.access)?;
    let document = template::with_defaults(document, &access.parameters())?;
    if let Some(principal) = &settings.policy {
        let policy = policy::policy(&settings.template.stage, &document, principal);
        output.data(&format!("{policy:#}\n"))?;
        for own in policy::unknown(&document) {
            output.note(&format!(
                "of `{own}` it says nothing: add what CloudFormation has to be allowed for that"
            ));
        }
        return Ok(());
    }
    let text = match settings.format {
        TemplateFormat::Yaml => document.to_yaml(),
        TemplateFormat::Json => document.to_json(),
    };
    output.data(&text)?;
    Ok(())
}

/// Where people sign in, the provider has to be asked; nobody else ever is.
fn discovered(access: &Access) -> Result<Access, Error> {
    super::until_interrupted(async { Ok(access.discovered().await?) })
}
