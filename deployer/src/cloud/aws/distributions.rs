//! CloudFront.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};

use super::{Aws, failed, incomplete};
use crate::cloud::{CloudError, Distributions};

/// Counts as one path, whatever it matches.
const EVERYTHING: &str = "/*";

impl Distributions for Aws {
    async fn invalidate(&self, distribution: &str) -> Result<String, CloudError> {
        const CALL: &str = "cloudfront:CreateInvalidation";
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let paths = Paths::builder().quantity(1).items(EVERYTHING).build();
        let batch = InvalidationBatch::builder()
            .set_paths(paths.ok())
            // Makes a repeated call the same call.
            .caller_reference(format!("chatctl-{}", now.unwrap_or_default().as_millis()))
            .build()
            .map_err(|error| incomplete(CALL, &error.to_string()))?;
        let call = self
            .distributions
            .create_invalidation()
            .distribution_id(distribution)
            .invalidation_batch(batch);
        let answer = call.send().await.map_err(failed(CALL))?;
        let invalidation = answer.invalidation().map(|it| it.id().to_owned());
        invalidation.ok_or_else(|| incomplete(CALL, "invalidation"))
    }

    async fn is_invalidated(&self, distribution: &str, id: &str) -> Result<bool, CloudError> {
        let call = self
            .distributions
            .get_invalidation()
            .distribution_id(distribution)
            .id(id);
        let answer = call
            .send()
            .await
            .map_err(failed("cloudfront:GetInvalidation"))?;
        Ok(answer
            .invalidation()
            .is_some_and(|it| it.status() == "Completed"))
    }

    async fn is_deployed(&self, distribution: &str) -> Result<bool, CloudError> {
        let call = self.distributions.get_distribution().id(distribution);
        let answer = call
            .send()
            .await
            .map_err(failed("cloudfront:GetDistribution"))?;
        Ok(answer
            .distribution()
            .is_some_and(|it| it.status() == "Deployed"))
    }
}
