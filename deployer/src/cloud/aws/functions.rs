//! Lambda.

use aws_sdk_lambda::config::Builder as Settings;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Architecture, LastUpdateStatus};

use super::{Aws, failed};
use crate::cloud::{CloudError, Code, FunctionView, Functions, Invoked, Update};

impl Functions for Aws {
    async fn function(&self, name: &str) -> Result<FunctionView, CloudError> {
        let call = self
            .functions
            .get_function_configuration()
            .function_name(name);
        let answer = call.send().await;
        let answer = answer.map_err(failed("lambda:GetFunctionConfiguration"))?;
        Ok(view(
            answer.code_sha256(),
            answer.architectures(),
            answer.last_update_status(),
            answer.last_update_status_reason(),
        ))
    }

    async fn replace_code(&self, name: &str, code: &Code) -> Result<FunctionView, CloudError> {
        let call = self
            .functions
            .update_function_code()
            .function_name(name)
            .s3_bucket(&code.bucket)
            .s3_key(&code.key)
            .architectures(Architecture::from(code.architecture));
        let answer = call.send().await;
        let answer = answer.map_err(failed("lambda:UpdateFunctionCode"))?;
        Ok(view(
            answer.code_sha256(),
            answer.architectures(),
            answer.last_update_status(),
            answer.last_update_status_reason(),
        ))
    }

    async fn invoke(&self, name: &str, event: String) -> Result<Invoked, CloudError> {
        // Whoever asks tries again, and is to hear what was wrong with each try.
        let once = Settings::new().retry_config(RetryConfig::disabled());
        let call = self
            .functions
            .invoke()
            .function_name(name)
            .payload(Blob::new(event))
            .customize()
            .config_override(once);
        let answer = call.send().await;
        let answer = answer.map_err(failed("lambda:InvokeFunction"))?;
        let payload = answer
            .payload()
            .map(|it| String::from_utf8_lossy(it.as_ref()));
        let payload = payload.unwrap_or_default().into_owned();
        Ok(match answer.function_error() {
            None => Invoked::Answered(payload),
            Some(_) => Invoked::Failed(payload),
        })
    }
}

fn view(
    sha256: Option<&str>,
    architectures: &[Architecture],
    status: Option<&LastUpdateStatus>,
    reason: Option<&str>,
) -> FunctionView {
    FunctionView {
        sha256: sha256.unwrap_or_default().to_owned(),
        // Lambda's own default.
        architecture: architectures
            .first()
            .map_or("x86_64", Architecture::as_str)
            .to_owned(),
        update: match status {
            Some(LastUpdateStatus::InProgress) => Update::InProgress,
            Some(LastUpdateStatus::Failed) => {
                Update::Failed(reason.unwrap_or("for no reason that AWS tells").to_owned())
            }
            _ => Update::Done,
        },
    }
}
