//! CloudFormation: what has become of a stack over time, and what was changed behind its back.

use aws_sdk_cloudformation::types::{
    StackDriftDetectionStatus, StackDriftStatus, StackResourceDriftStatus,
};

use super::{Aws, failed, incomplete};
use crate::cloud::{CloudError, Detection, Drifted, History, StackHistory};

impl StackHistory for Aws {
    async fn history(&self, stack: &str) -> Result<History, CloudError> {
        const CALL: &str = "cloudformation:DescribeStacks";
        let answer = self.stacks.describe_stacks().stack_name(stack).send().await;
        let answer = answer.map_err(failed(CALL))?;
        let stack = answer.stacks().first();
        let stack = stack.ok_or_else(|| incomplete(CALL, "stack"))?;
        let changed = stack.last_updated_time().or(stack.creation_time());
        let drift = stack.drift_information();
        let status = drift.and_then(|it| it.stack_drift_status());
        let checked = drift.and_then(|it| it.last_check_timestamp());
        Ok(History {
            changed_s: changed.map(aws_sdk_cloudformation::primitives::DateTime::secs),
            drift: status
                .map_or("NOT_CHECKED", StackDriftStatus::as_str)
                .to_owned(),
            checked_s: checked.map(aws_sdk_cloudformation::primitives::DateTime::secs),
        })
    }

    async fn detect_drift(&self, stack: &str) -> Result<String, CloudError> {
        const CALL: &str = "cloudformation:DetectStackDrift";
        let call = self.stacks.detect_stack_drift().stack_name(stack);
        let answer = call.send().await.map_err(failed(CALL))?;
        let id = answer.stack_drift_detection_id;
        id.ok_or_else(|| incomplete(CALL, "id"))
    }

    async fn detection(&self, id: &str) -> Result<Detection, CloudError> {
        let answer = self
            .stacks
            .describe_stack_drift_detection_status()
            .stack_drift_detection_id(id)
            .send()
            .await
            .map_err(failed("cloudformation:DescribeStackDriftDetectionStatus"))?;
        let found = answer.stack_drift_status().map(StackDriftStatus::as_str);
        Ok(match answer.detection_status() {
            Some(StackDriftDetectionStatus::DetectionComplete) => {
                Detection::Done(found.unwrap_or("UNKNOWN").to_owned())
            }
            Some(StackDriftDetectionStatus::DetectionFailed) => {
                let reason = answer.detection_status_reason();
                Detection::Failed(reason.unwrap_or("for no reason that AWS tells").to_owned())
            }
            _ => Detection::InProgress,
        })
    }

    async fn drifted(&self, stack: &str) -> Result<Vec<Drifted>, CloudError> {
        let mut drifted = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .stacks
                .describe_stack_resource_drifts()
                .stack_name(stack)
                .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
                .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
                .set_next_token(token)
                .send()
                .await
                .map_err(failed("cloudformation:DescribeStackResourceDrifts"))?;
            drifted.extend(answer.stack_resource_drifts().iter().map(|it| {
                let properties = it.property_differences().iter();
                let status = it.stack_resource_drift_status();
                Drifted {
                    resource: it.logical_resource_id().unwrap_or_default().to_owned(),
                    kind: it.resource_type().unwrap_or_default().to_owned(),
                    status: status
                        .map_or("UNKNOWN", StackResourceDriftStatus::as_str)
                        .to_owned(),
                    properties: properties
                        .filter_map(|it| it.property_path().map(str::to_owned))
                        .collect(),
                }
            }));
            token = answer.next_token;
            if token.is_none() {
                return Ok(drifted);
            }
        }
    }
}
