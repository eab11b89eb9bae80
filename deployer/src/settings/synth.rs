//! The settings of `synth`.

use super::{Access, SettingsError, Where, origin, role_arn, template_settings};
use crate::cli::{SynthArgs, TemplateFormat};
use crate::policy::Principal;
use crate::template::{Protection, TemplateSettings};

/// The settings of `synth`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SynthSettings {
    /// What the template depends on.
    pub(crate) template: TemplateSettings,
    /// Whether it is of a protected chat.
    pub(crate) protect: Protection,
    /// Who is let in.
    pub(crate) access: Access,
    /// How it is written.
    pub(crate) format: TemplateFormat,
    /// Whose policy is printed instead, if one is.
    pub(crate) policy: Option<Principal>,
    /// Whether the role for access logs is printed instead.
    pub(crate) access_logs_role: bool,
}

impl SynthSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &SynthArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            template: template_settings(&args.stage, &origin(&args.origin, None)?)?,
            protect: args.protect,
            access: Access::new(&args.access, Where::Anywhere)?,
            format: args.format,
            policy: principal(args)?,
            access_logs_role: args.access_logs_role,
        })
    }
}

fn principal(args: &SynthArgs) -> Result<Option<Principal>, SettingsError> {
    if args.service_role_policy {
        return Ok(Some(Principal::ServiceRole));
    }
    if args.operator_policy {
        return Ok(Some(Principal::Operator));
    }
    let role = role_arn(args.role_arn.as_deref())?;
    let deployer = role.map_or(Principal::Deployer, Principal::DeployerWithRole);
    Ok(args.deployer_policy.then_some(deployer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{AccessArgs, OriginArgs, StageArgs};

    fn args(stage: &str) -> SynthArgs {
        SynthArgs {
            stage: StageArgs {
                stage: stage.to_owned(),
            },
            format: TemplateFormat::Json,
            protect: Protection::Off,
            access: AccessArgs {
                allowed_origins: None,
                auth: None,
                issuer: None,
                audience: None,
            },
            origin: OriginArgs { source: None },
            deployer_policy: false,
            role_arn: None,
            service_role_policy: false,
            operator_policy: false,
            access_logs_role: false,
        }
    }

    #[test]
    fn good_arguments_become_settings() {
        let settings = SynthSettings::new(&args("prod")).unwrap();
        assert_eq!(settings.template.stage.as_str(), "prod");
        assert_eq!(settings.format, TemplateFormat::Json);
    }

    #[test]
    fn a_bad_stage_is_refused_with_the_rule() {
        let error = SynthSettings::new(&args("My Stage")).unwrap_err();
        assert_eq!(error.to_string(), "`My Stage` is not a stage name");
        assert!(error.hint().contains("CHATCTL_STAGE"));
    }
}
