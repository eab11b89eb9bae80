//! CloudFormation.

use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::primitives::DateTimeFormat;
use aws_sdk_cloudformation::types::{
    Capability, ChangeAction, ChangeSetStatus, ChangeSetType, DeploymentConfig,
    DeploymentConfigMode, EventFilter, HookFailureMode, OperationEvent, OperationType, Parameter,
    Replacement, ResourceChange, StackStatus, Tag,
};

use super::{Aws, failed, incomplete};
use crate::cloud::{
    Action, Change, CloudError, Failure, OWNER_TAG, Order, Proposal, ProposalView, Sent,
    StackEvent, StackResource, StackView, Stacks, Subject, Wanted,
};
use crate::stack::Status;

impl Stacks for Aws {
    async fn find(&self, stack: &str) -> Result<Option<StackView>, CloudError> {
        let answer = self.stacks.describe_stacks().stack_name(stack).send().await;
        let answer = match answer {
            // The only way in which AWS tells that there is none.
            Err(error)
                if error.code() == Some("ValidationError")
                    && error
                        .message()
                        .is_some_and(|it| it.contains("does not exist")) =>
            {
                return Ok(None);
            }
            other => other.map_err(failed("cloudformation:DescribeStacks"))?,
        };
        let found = answer.stacks().first();
        Ok(found.map(|stack| StackView {
            id: stack.stack_id().unwrap_or_default().to_owned(),
            status: Status::new(stack.stack_status().map_or(
                "UNKNOWN",
                aws_sdk_cloudformation::types::StackStatus::as_str,
            )),
            outputs: stack
                .outputs()
                .iter()
                .filter_map(|it| Some((it.output_key()?.to_owned(), it.output_value()?.to_owned())))
                .collect(),
            parameters: stack
                .parameters()
                .iter()
                .filter_map(|it| {
                    let value = it.parameter_value()?.to_owned();
                    Some((it.parameter_key()?.to_owned(), value))
                })
                .collect(),
            tags: stack
                .tags()
                .iter()
                .filter_map(|it| Some((it.key()?.to_owned(), it.value()?.to_owned())))
                .collect(),
            owner: stack
                .tags()
                .iter()
                .find(|it| it.key() == Some(OWNER_TAG))
                .and_then(|it| it.value().map(str::to_owned)),
            is_protected: stack.enable_termination_protection().unwrap_or_default(),
            changed: stack
                .last_updated_time()
                .or(stack.creation_time())
                .and_then(|it| it.fmt(DateTimeFormat::DateTime).ok()),
        }))
    }

    async fn propose(
        &self,
        wanted: &Wanted,
        sent: Sent<'_>,
        is_new: bool,
        order: &Order<'_>,
    ) -> Result<Proposal, CloudError> {
        const CALL: &str = "cloudformation:CreateChangeSet";
        let parameters = wanted.parameters.iter().map(|(key, value)| {
            Parameter::builder()
                .parameter_key(key)
                .parameter_value(value)
                .build()
        });
        let owner = (OWNER_TAG, wanted.owner);
        let tags = wanted
            .tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let tags = tags
            .chain([owner])
            .map(|(key, value)| Tag::builder().key(key).value(value).build());
        let name = change_set_name(wanted);
        let call = self
            .stacks
            .create_change_set()
            .stack_name(&wanted.name)
            .change_set_name(&name)
            .change_set_type(if is_new {
                ChangeSetType::Create
            } else {
                ChangeSetType::Update
            })
            .set_parameters(Some(parameters.collect()))
            .set_tags(Some(tags.collect()))
            .capabilities(Capability::CapabilityIam)
            .set_role_arn(order.terms.role_arn.clone())
            .set_deployment_config(deployment_config(order))
            .client_token(&order.token);
        let call = match sent {
            Sent::Inside => call.template_body(&wanted.template),
            Sent::As { bucket, key } => call.template_url(url_of(&self.region, bucket, key)),
        };
        let answer = match call.clone().send().await {
            // An earlier run was cut off before it could use or delete its own.
            Err(error) if error.code() == Some("AlreadyExistsException") => {
                let left = self.stacks.delete_change_set().stack_name(&wanted.name);
                let deleted = left.change_set_name(&name).send().await;
                deleted.map_err(failed("cloudformation:DeleteChangeSet"))?;
                call.send().await
            }
            other => other,
        };
        let answer = answer.map_err(failed(CALL))?;
        Ok(Proposal {
            id: answer
                .id()
                .ok_or_else(|| incomplete(CALL, "id"))?
                .to_owned(),
            stack_id: answer
                .stack_id()
                .ok_or_else(|| incomplete(CALL, "stack id"))?
                .to_owned(),
        })
    }

    async fn proposal(&self, proposal: &Proposal) -> Result<ProposalView, CloudError> {
        let mut changes = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .stacks
                .describe_change_set()
                .change_set_name(&proposal.id)
                .stack_name(&proposal.stack_id)
                .set_next_token(token)
                .send()
                .await
                .map_err(failed("cloudformation:DescribeChangeSet"))?;
            match answer.status() {
                Some(ChangeSetStatus::CreateComplete) => {}
                Some(ChangeSetStatus::CreatePending | ChangeSetStatus::CreateInProgress) => {
                    return Ok(ProposalView::Pending);
                }
                other => {
                    let status = other.map_or("UNKNOWN", ChangeSetStatus::as_str);
                    let reason = answer.status_reason().unwrap_or(status);
                    return Ok(ProposalView::Failed(reason.to_owned()));
                }
            }
            let page = answer.changes().iter();
            changes.extend(page.filter_map(|it| it.resource_change().map(change)));
            token = answer.next_token;
            if token.is_none() {
                return Ok(ProposalView::Ready(changes));
            }
        }
    }

    async fn execute(&self, proposal: &Proposal, order: &Order<'_>) -> Result<(), CloudError> {
        // In express mode the change set itself says whether a failure is kept.
        let keeps_failure = order.keeps_failure && !order.terms.is_express;
        let call = self
            .stacks
            .execute_change_set()
            .change_set_name(&proposal.id)
            .stack_name(&proposal.stack_id)
            .set_disable_rollback(keeps_failure.then_some(true))
            .client_request_token(&order.token);
        let answer = call.send().await;
        answer
            .map(drop)
            .map_err(failed("cloudformation:ExecuteChangeSet"))
    }

    async fn discard(&self, proposal: &Proposal) -> Result<(), CloudError> {
        let call = self
            .stacks
            .delete_change_set()
            .change_set_name(&proposal.id)
            .stack_name(&proposal.stack_id);
        let answer = call.send().await;
        answer
            .map(drop)
            .map_err(failed("cloudformation:DeleteChangeSet"))
    }

    async fn delete(&self, stack: &str, order: &Order<'_>) -> Result<(), CloudError> {
        let call = self
            .stacks
            .delete_stack()
            .stack_name(stack)
            .set_role_arn(order.terms.role_arn.clone())
            .client_request_token(&order.token);
        let answer = call.send().await;
        answer
            .map(drop)
            .map_err(failed("cloudformation:DeleteStack"))
    }

    async fn protect(&self, stack: &str, is_protected: bool) -> Result<(), CloudError> {
        let call = self
            .stacks
            .update_termination_protection()
            .stack_name(stack)
            .enable_termination_protection(is_protected);
        let answer = call.send().await;
        answer
            .map(drop)
            .map_err(failed("cloudformation:UpdateTerminationProtection"))
    }

    async fn continue_rollback(&self, stack: &str, order: &Order<'_>) -> Result<(), CloudError> {
        let call = self
            .stacks
            .continue_update_rollback()
            .stack_name(stack)
            .set_role_arn(order.terms.role_arn.clone())
            .client_request_token(&order.token);
        let answer = call.send().await;
        answer
            .map(drop)
            .map_err(failed("cloudformation:ContinueUpdateRollback"))
    }

    async fn roll_back(&self, stack: &str, order: &Order<'_>) -> Result<(), CloudError> {
        let call = self
            .stacks
            .rollback_stack()
            .stack_name(stack)
            .set_role_arn(order.terms.role_arn.clone())
            .client_request_token(&order.token);
        let answer = call.send().await;
        answer
            .map(drop)
            .map_err(failed("cloudformation:RollbackStack"))
    }

    async fn failures(&self, subject: Subject<'_>) -> Result<Vec<Failure>, CloudError> {
        let mut events = Vec::new();
        let mut token = None;
        loop {
            let call = self
                .stacks
                .describe_events()
                .filters(EventFilter::builder().failed_events(true).build())
                .set_next_token(token);
            let call = match subject {
                Subject::Stack(id) => call.stack_name(id),
                // By its id alone: AWS takes a change set's name together with nothing.
                Subject::Proposal(proposal) => call.change_set_name(&proposal.id),
            };
            let answer = call.send().await;
            let answer = answer.map_err(failed("cloudformation:DescribeEvents"))?;
            token = answer.next_token;
            events.extend(answer.operation_events.unwrap_or_default());
            if token.is_none() {
                break;
            }
        }
        // The newest come first.
        events.reverse();
        events.sort_by_key(|it| it.timestamp().map(|it| (it.secs(), it.subsec_nanos())));
        Ok(events.iter().filter_map(failure).collect())
    }

    async fn events(
        &self,
        stack: &str,
        after: Option<&str>,
    ) -> Result<Vec<StackEvent>, CloudError> {
        let mut events = Vec::new();
        let mut token = None;
        'pages: loop {
            let answer = self
                .stacks
                .describe_stack_events()
                .stack_name(stack)
                .set_next_token(token)
                .send()
                .await
                .map_err(failed("cloudformation:DescribeStackEvents"))?;
            // The newest come first.
            for event in answer.stack_events() {
                let id = event.event_id().unwrap_or_default();
                if Some(id) == after {
                    break 'pages;
                }
                let event = StackEvent {
                    id: id.to_owned(),
                    resource: event.logical_resource_id().unwrap_or_default().to_owned(),
                    kind: event.resource_type().unwrap_or_default().to_owned(),
                    status: event
                        .resource_status()
                        .map(|it| it.as_str().to_owned())
                        .unwrap_or_default(),
                    reason: event.resource_status_reason().map(str::to_owned),
                };
                let is_first = after.is_none() && event.begins_operation();
                events.push(event);
                if is_first {
                    break 'pages;
                }
            }
            token = answer.next_token;
            if token.is_none() {
                break;
            }
        }
        events.reverse();
        Ok(events)
    }

    async fn resources(&self, stack: &str) -> Result<Vec<StackResource>, CloudError> {
        // What could not be made may be somebody else's, and what deletion skipped is meant to stay.
        let is_present = |status: &str| {
            !["DELETE_COMPLETE", "DELETE_SKIPPED", "CREATE_FAILED"].contains(&status)
        };
        let listed = self.listed(stack).await?.into_iter();
        let present = listed.filter(|(_, status)| is_present(status));
        Ok(present.map(|(resource, _)| resource).collect())
    }

    async fn names(&self, prefix: &str, owner: &str) -> Result<Vec<String>, CloudError> {
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .stacks
                .describe_stacks()
                .set_next_token(token)
                .send()
                .await
                .map_err(failed("cloudformation:DescribeStacks"))?;
            let found = answer.stacks().iter().filter(|stack| {
                // What is only begun has no tags yet.
                stack.stack_status() == Some(&StackStatus::ReviewInProgress)
                    || stack
                        .tags()
                        .iter()
                        .any(|it| it.key() == Some(OWNER_TAG) && it.value() == Some(owner))
            });
            let found = found.filter_map(|it| it.stack_name());
            names.extend(found.filter(|it| it.starts_with(prefix)).map(str::to_owned));
            token = answer.next_token;
            if token.is_none() {
                return Ok(names);
            }
        }
    }
}

impl Aws {
    /// Each resource that a stack has or had, with its status. AWS tells it of a stack that is gone as well.
    pub(super) async fn listed(
        &self,
        stack: &str,
    ) -> Result<Vec<(StackResource, String)>, CloudError> {
        let mut resources = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .stacks
                .list_stack_resources()
                .stack_name(stack)
                .set_next_token(token)
                .send()
                .await
                .map_err(failed("cloudformation:ListStackResources"))?;
            resources.extend(answer.stack_resource_summaries().iter().map(|it| {
                let resource = StackResource {
                    resource: it.logical_resource_id().unwrap_or_default().to_owned(),
                    kind: it.resource_type().unwrap_or_default().to_owned(),
                    physical_id: it.physical_resource_id().map(str::to_owned),
                };
                let status = it.resource_status().map(|it| it.as_str().to_owned());
                (resource, status.unwrap_or_default())
            }));
            token = answer.next_token;
            if token.is_none() {
                return Ok(resources);
            }
        }
    }
}

/// How the Regions begin whose endpoints are in other domains than all others': China's, the isolated ones',
/// the European sovereign cloud's.
const DOMAINS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
];

/// An object's address as CloudFormation reads templates by: that of S3 in the Region, whichever way a
/// program reaches S3 itself.
fn url_of(region: &str, bucket: &str, key: &str) -> String {
    let other = DOMAINS.into_iter().find(|(it, _)| region.starts_with(it));
    let domain = other.map_or("amazonaws.com", |(_, domain)| domain);
    format!("https://s3.{region}.{domain}/{bucket}/{key}")
}

/// Express mode alone keeps a failure unless it is told to undo it; then there is no update that it does
/// not take, and no state that only it can leave.
fn deployment_config(order: &Order<'_>) -> Option<DeploymentConfig> {
    let config = DeploymentConfig::builder()
        .mode(DeploymentConfigMode::Express)
        .disable_rollback(order.keeps_failure);
    order.terms.is_express.then(|| config.build())
}

/// A failure in our words, if the event tells why.
fn failure(event: &OperationEvent) -> Option<Failure> {
    let is_warning = [event.validation_failure_mode(), event.hook_failure_mode()]
        .contains(&Some(&HookFailureMode::Warn));
    let reason = event
        .validation_status_reason()
        .or(event.hook_status_reason())
        .or(event.resource_status_reason())?;
    let is_rollback = matches!(
        event.operation_type(),
        Some(OperationType::Rollback | OperationType::ContinueRollback)
    );
    (!is_warning).then(|| Failure {
        operation: event.operation_id().unwrap_or_default().to_owned(),
        is_rollback,
        token: event.client_request_token().map(str::to_owned),
        resource: event.logical_resource_id().unwrap_or_default().to_owned(),
        kind: event.resource_type().unwrap_or_default().to_owned(),
        reason: reason.to_owned(),
    })
}

/// The same for the same wish. So what a run that was cut off has left is found by the next one, which
/// would not know of it otherwise; and two that run at the same time do not meet by their clocks.
fn change_set_name(wanted: &Wanted) -> String {
    format!("chatctl-{}", wanted.fingerprint())
}

fn change(change: &ResourceChange) -> Change {
    let action = match (change.action(), change.replacement()) {
        (Some(ChangeAction::Add | ChangeAction::Import), _) => Action::Add,
        (Some(ChangeAction::Remove), _) => Action::Remove,
        (_, Some(Replacement::True)) => Action::Replace,
        (_, Some(Replacement::Conditional)) | (Some(ChangeAction::Dynamic), _) => {
            Action::MayReplace
        }
        _ => Action::Modify,
    };
    Change {
        action,
        resource: change.logical_resource_id().unwrap_or_default().to_owned(),
        kind: change.resource_type().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(template: &str, code: &str) -> Wanted {
        Wanted {
            name: "chat-dev".to_owned(),
            template: template.to_owned(),
            parameters: vec![("CodeKey".to_owned(), code.to_owned())],
            owner: "chat",
            tags: Vec::new(),
            aside: None,
        }
    }

    #[test]
    fn a_template_in_a_bucket_is_read_by_the_address_of_its_own_region() {
        for (region, domain) in [
            ("eu-west-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            let expected = format!("https://s3.{region}.{domain}/packages/a/b");
            assert_eq!(url_of(region, "packages", "a/b"), expected);
        }
    }

    #[test]
    fn a_change_set_is_called_by_what_is_wanted() {
        let name = change_set_name(&wanted("template", "code"));
        assert_eq!(name, change_set_name(&wanted("template", "code")));
        for other in [wanted("template", "other"), wanted("other", "code")] {
            assert_ne!(name, change_set_name(&other));
        }
        // AWS takes letters, digits and hyphens, after a letter.
        assert!(name.starts_with("chatctl-"));
        assert!(
            name.bytes()
                .all(|it| it == b'-' || it.is_ascii_alphanumeric())
        );
    }
}
