//! `chatctl synth`: print the template, or a policy.

use crate::cli::TemplateFormat;
use crate::error::Error;
use crate::output::Output;
use crate::policy;
use crate::settings::SynthSettings;
use crate::template;

/// Prints the template of a stage, or the policy of whoever deploys it, on standard output, and nothing else.
///
/// # Errors
/// [`Error`], if the template is faulty or cannot be printed.
pub(crate) fn run(settings: &SynthSettings, output: &mut Output) -> Result<(), Error> {
    let document = template::synthesize_protected(&settings.template, settings.protect)?;
    if let Some(principal) = &settings.policy {
        let policy = policy::policy(&settings.template.stage, &document, principal);
        output.data(&format!("{policy:#}\n"))?;
        return Ok(());
    }
    let text = match settings.format {
        TemplateFormat::Yaml => document.to_yaml(),
        TemplateFormat::Json => document.to_json(),
    };
    output.data(&text)?;
    Ok(())
}
