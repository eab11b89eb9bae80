//! `chatctl plan`: print what a load needs of AWS, and what it costs.

use crate::error::Error;
use crate::output::Output;
use crate::plan::Plan;
use crate::settings::PlanSettings;

/// Prints the plan and asks nobody.
///
/// # Errors
/// [`Error`], if it cannot be printed.
pub(crate) fn run(settings: &PlanSettings, output: &mut Output) -> Result<(), Error> {
    let plan = Plan::new(settings.load, settings.region.clone());
    let text = if settings.json {
        format!("{}\n", plan.json())
    } else {
        plan.lines()
    };
    output.data(&text)?;
    Ok(())
}
