//! Templates that are too large for a request: AWS reads those from a bucket, where they are only until it
//! has.

use super::StackError;
use crate::cloud::{Aside, Buckets, NewObject, Order, Sent, Wanted};

/// What a request takes of a template, in bytes: `TemplateBody` of `CreateChangeSet`.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 51_200;

/// A template in a bucket.
#[derive(Debug)]
pub(super) struct Laid {
    bucket: String,
    key: String,
}

impl Laid {
    /// Puts the template into its bucket, if no request would take it. The key is the order's own: no other
    /// run overwrites it before it is read, or takes it away.
    pub(super) async fn of(
        cloud: &impl Buckets,
        wanted: &Wanted,
        order: &Order<'_>,
    ) -> Result<Option<Self>, StackError> {
        let bytes = wanted.template.len();
        if bytes <= TEMPLATE_BYTES_MAX {
            return Ok(None);
        }
        let Some(Aside { bucket, prefix }) = &wanted.aside else {
            return Err(StackError::TooLarge {
                stack: wanted.name.clone(),
                bytes,
            });
        };
        let key = format!("{prefix}{}", order.token);
        let object = NewObject {
            key: key.clone(),
            body: wanted.template.clone().into(),
            content_type: "text/plain".to_owned(),
            cache_control: None,
        };
        cloud.put(bucket, object).await?;
        let bucket = bucket.clone();
        Ok(Some(Self { bucket, key }))
    }

    pub(super) fn sent(&self) -> Sent<'_> {
        Sent::As {
            bucket: &self.bucket,
            key: &self.key,
        }
    }

    /// Once the change set is made, AWS has a copy of its own. What stays because this fails goes
    /// with a later deploy, or with the stage.
    pub(super) async fn take_away(self, cloud: &impl Buckets) {
        drop(cloud.remove(&self.bucket, &[self.key]).await);
    }
}
