//! Nothing yet.

use crate::error::BenchError;
use crate::result::Findings;
use crate::section::Context;

/// # Errors
/// What stopped it.
pub(crate) fn measure(_: &Context, _: Findings) -> Result<Findings, BenchError> {
    Err(BenchError::Measurement("not measured yet".to_owned()))
}
