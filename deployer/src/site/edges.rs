//! Waiting until every edge has the distribution.

use std::time::Duration;

use super::SiteError;
use crate::cloud::Distributions;
use crate::output::Output;
use crate::wait::Patience;

/// A new distribution takes some minutes, at worst more than half an hour.
const LIMIT: Duration = Duration::from_hours(1);

/// Waits until a distribution is as it was last asked for, everywhere. A stack that was made in express
/// mode is finished before that.
///
/// # Errors
/// [`SiteError`], if AWS does not get there, or does not say.
pub(crate) async fn until_deployed(
    cloud: &impl Distributions,
    distribution: &str,
    output: &mut Output,
) -> Result<(), SiteError> {
    let mut patience = Patience::new(LIMIT, Duration::from_millis(500), Duration::from_secs(10));
    let (mut last, mut is_told) = (None, false);
    loop {
        match cloud.is_deployed(distribution).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.is_passing() => last = Some(Box::new(error)),
            Err(error) => return Err(error.into()),
        }
        if !is_told {
            is_told = true;
            output.step("CloudFront brings the distribution to its edges (usually 3 to 5 min)")?;
        }
        if !output.during(patience.pause()).await {
            return Err(SiteError::NotDeployed {
                distribution: distribution.to_owned(),
                limit: LIMIT,
                last,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::cloud::CloudError;

    /// A distribution that answers so, one look after the other, and then is deployed.
    struct Fake {
        answers: RefCell<Vec<Result<bool, CloudError>>>,
        looks: Cell<usize>,
    }

    impl Distributions for Fake {
        async fn invalidate(&self, _: &str) -> Result<String, CloudError> {
            Ok(String::new())
        }

        async fn is_invalidated(&self, _: &str, _: &str) -> Result<bool, CloudError> {
            Ok(true)
        }

        async fn is_deployed(&self, _: &str) -> Result<bool, CloudError> {
            self.looks.set(self.looks.get() + 1);
            self.answers.borrow_mut().pop().unwrap_or(Ok(true))
        }
    }

    async fn waited(answers: Vec<Result<bool, CloudError>>) -> (Result<(), SiteError>, usize) {
        let fake = Fake {
            answers: RefCell::new(answers),
            looks: Cell::new(0),
        };
        let outcome = until_deployed(&fake, "E1", &mut Output::to_nobody()).await;
        (outcome, fake.looks.get())
    }

    #[tokio::test]
    async fn it_is_waited_for_through_throttling() {
        let throttled = CloudError::of_answer("cloudfront:GetDistribution", "Throttling", "slow");
        let (outcome, looks) = waited(vec![Ok(false), Err(throttled)]).await;
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(looks, 3);
    }

    #[tokio::test]
    async fn what_will_not_get_better_ends_it_at_once() {
        let denied = CloudError::of_answer("cloudfront:GetDistribution", "AccessDenied", "no");
        let (outcome, looks) = waited(vec![Err(denied)]).await;
        let hint = outcome.unwrap_err().hint();
        assert!(hint.contains("cloudfront:GetDistribution"), "{hint}");
        assert_eq!(looks, 1);
    }
}
