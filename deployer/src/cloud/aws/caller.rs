//! Whom AWS takes the caller for, and what the account is allowed.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_lambda::types::AccountLimit;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};

use super::{Aws, failed};
use crate::cloud::{Caller, CloudError, Identity};

impl Caller for Aws {
    async fn identity(&self) -> (Result<Identity, CloudError>, Option<i64>) {
        let clock = Clock::default();
        let call = self.callers.get_caller_identity().customize();
        let answer = call.interceptor(clock.clone()).send().await;
        // Nobody needs to be allowed this.
        let identity = answer.map_err(failed("sts:GetCallerIdentity"));
        let identity = identity.map(|it| Identity {
            account: it.account.unwrap_or_default(),
            arn: it.arn.unwrap_or_default(),
        });
        (identity, clock.told())
    }

    async fn concurrency(&self) -> Result<i32, CloudError> {
        let answer = self.functions.get_account_settings().send().await;
        let answer = answer.map_err(failed("lambda:GetAccountSettings"))?;
        let limit = answer.account_limit();
        Ok(limit.map_or(0, AccountLimit::concurrent_executions))
    }

    async fn has_distribution(&self) -> Result<bool, CloudError> {
        let call = self.distributions.list_distributions().max_items(1);
        let answer = call.send().await;
        let answer = answer.map_err(failed("cloudfront:ListDistributions"))?;
        let list = answer.distribution_list();
        Ok(list.is_some_and(|it| !it.items().is_empty()))
    }
}

/// What time it is by AWS's first answer.
#[derive(Debug, Clone, Default)]
struct Clock(Arc<Mutex<Option<i64>>>);

impl Clock {
    fn told(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|it| DateTime::from_str(it, DateTimeFormat::HttpDate).ok());
        // The first answer: the SDK signs its next try by the clock that this one told.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *told = told.or(date.map(|it| it.secs()));
        Ok(())
    }
}
