//! `chatctl synth`: print the template.

use crate::cli::TemplateFormat;
use crate::error::Error;
use crate::output::Output;
use crate::settings::SynthSettings;
use crate::template;

/// Prints the template of a stage on standard output, and nothing else.
///
/// # Errors
/// [`Error`], if the template is faulty or cannot be printed.
pub(crate) fn run(settings: &SynthSettings, output: &mut Output) -> Result<(), Error> {
    let document = template::synthesize(&settings.template)?;
    let text = match settings.format {
        TemplateFormat::Yaml => document.to_yaml(),
        TemplateFormat::Json => document.to_json(),
    };
    output.data(&text)?;
    Ok(())
}
