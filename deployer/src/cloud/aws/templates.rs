//! CloudFormation's copies of templates.

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::types::TemplateStage;

use super::{Aws, failed};
use crate::cloud::{CloudError, Templates};

impl Templates for Aws {
    async fn template(&self, stack: &str) -> Result<Option<String>, CloudError> {
        let call = self
            .stacks
            .get_template()
            .stack_name(stack)
            .template_stage(TemplateStage::Original);
        match call.send().await {
            // There is no stack, or one whose first change set was never executed.
            Err(error) if error.code() == Some("ValidationError") => Ok(None),
            other => Ok(other
                .map_err(failed("cloudformation:GetTemplate"))?
                .template_body),
        }
    }
}
