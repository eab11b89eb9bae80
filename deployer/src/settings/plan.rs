//! The settings of `plan`.

use super::SettingsError;
use crate::cli::PlanArgs;
use crate::plan::{Load, Region};

/// The settings of `plan`.
#[derive(Debug, PartialEq)]
pub(crate) struct PlanSettings {
    /// What there will be.
    pub(crate) load: Load,
    /// Where.
    pub(crate) region: Region,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

impl PlanSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &PlanArgs) -> Result<Self, SettingsError> {
        // The variables of AWS's SDKs, in their order; no profile is looked at for a table.
        let of_environment = || {
            let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
            let values = names.into_iter().filter_map(|it| std::env::var(it).ok());
            values.into_iter().find(|it| !it.is_empty())
        };
        let region = args.region.clone().or_else(of_environment);
        Ok(Self {
            load: Load::new(args.connections, args.room_size, args.rate)?,
            region: region.as_deref().unwrap_or("us-east-1").parse()?,
            json: args.json,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_for_a_load_and_a_region_that_there_can_be() {
        let args = |room_size: u32, region: &str| PlanArgs {
            connections: 100,
            room_size,
            rate: 0.5,
            region: Some(region.to_owned()),
            json: false,
        };
        let settings = PlanSettings::new(&args(10, "eu-south-1")).unwrap();
        assert_eq!(settings.load, Load::new(100, 10, 0.5).unwrap());
        assert_eq!(settings.region, "eu-south-1".parse().unwrap());
        let error = PlanSettings::new(&args(101, "eu-south-1")).unwrap_err();
        assert!(matches!(error, SettingsError::Load(_)), "{error}");
        let error = PlanSettings::new(&args(10, "Milan")).unwrap_err();
        assert_eq!(error.to_string(), "`Milan` is not the name of a Region");
        assert!(error.hint().contains("--region"), "{}", error.hint());
    }
}
