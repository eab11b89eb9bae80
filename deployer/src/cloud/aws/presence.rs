//! Whether resources are there, asked of the services that they are of.

use aws_sdk_cloudformation::types::StackStatus;
use aws_sdk_s3::error::SdkError;

use super::{Aws, failed};
use crate::cloud::{CloudError, Presence, StackResource};

/// Whether a call found what it was for; `$absent` are the codes of those that are not there.
macro_rules! is_found {
    ($call:expr, $permission:literal, $absent:pat) => {
        match $call.send().await.map_err(failed($permission)) {
            Ok(_) => Ok(true),
            Err(CloudError::Refused { code, .. }) if matches!(code.as_str(), $absent) => Ok(false),
            Err(error) => Err(error),
        }
    };
}

impl Presence for Aws {
    async fn is_there(&self, resource: &StackResource) -> Result<Option<bool>, CloudError> {
        let Some(id) = &resource.physical_id else {
            return Ok(None);
        };
        let is_there = match resource.kind.as_str() {
            "AWS::S3::Bucket" => self.has_bucket(id).await,
            "AWS::DynamoDB::Table" => is_found!(
                self.tables.describe_table().table_name(id),
                "dynamodb:DescribeTable",
                "ResourceNotFoundException"
            ),
            "AWS::Lambda::Function" => is_found!(
                self.functions
                    .get_function_configuration()
                    .function_name(id),
                "lambda:GetFunctionConfiguration",
                "ResourceNotFoundException"
            ),
            "AWS::CloudFront::Distribution" => is_found!(
                self.distributions.get_distribution().id(id),
                "cloudfront:GetDistribution",
                "NoSuchDistribution"
            ),
            "AWS::CloudFront::OriginAccessControl" => is_found!(
                self.distributions.get_origin_access_control().id(id),
                "cloudfront:GetOriginAccessControl",
                "NoSuchOriginAccessControl"
            ),
            "AWS::CloudFront::ResponseHeadersPolicy" => is_found!(
                self.distributions.get_response_headers_policy().id(id),
                "cloudfront:GetResponseHeadersPolicy",
                "NoSuchResponseHeadersPolicy"
            ),
            _ => return Ok(None),
        };
        is_there.map(Some)
    }

    async fn fates(&self, stack_id: &str) -> Result<Vec<(StackResource, String)>, CloudError> {
        self.listed(stack_id).await
    }

    async fn last_gone(&self, name: &str) -> Result<Option<String>, CloudError> {
        let mut gone = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .stacks
                .list_stacks()
                .stack_status_filter(StackStatus::DeleteComplete)
                .set_next_token(token)
                .send()
                .await
                .map_err(failed("cloudformation:ListStacks"))?;
            let found = answer.stack_summaries().iter();
            let found = found.filter(|it| it.stack_name() == Some(name));
            gone.extend(found.filter_map(|it| {
                let time = it.deletion_time().map(|it| (it.secs(), it.subsec_nanos()));
                Some((time, it.stack_id()?.to_owned()))
            }));
            token = answer.next_token;
            if token.is_none() {
                return Ok(gone.into_iter().max().map(|(_, id)| id));
            }
        }
    }
}

impl Aws {
    /// The answer has no body, and so no code.
    async fn has_bucket(&self, name: &str) -> Result<bool, CloudError> {
        let answer = self.buckets.head_bucket().bucket(name).send().await;
        match answer {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => Ok(false),
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 403 => Err(
                CloudError::of_answer("s3:ListBucket", "AccessDenied", "it may not be looked at"),
            ),
            Err(error) => Err(failed("s3:ListBucket")(error)),
        }
    }
}
