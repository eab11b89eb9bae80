//! Publishing a page to a bucket behind a distribution.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::page::Difference;
use super::{Page, SiteError};
use crate::cloud::{Buckets, CloudError, Distributions, NewObject};
use crate::output::Output;
use crate::wait::Patience;

/// Puts at the same time: enough to hide the way to the Region, and few enough for any line.
const PUTS_AT_ONCE: usize = 8;

/// An invalidation takes a minute, in the worst case a quarter of an hour.
const INVALIDATION_LIMIT: Duration = Duration::from_mins(20);

/// In the bucket from before the first change until the edges have forgotten the old page. Found by the
/// next deploy, it tells that one was cut off: without it, a page that was sent but never shown would
/// look finished.
pub(super) const MARKER: &str = ".chatctl-publishing";

/// Makes a bucket hold a page and nothing else, and the distribution show it. Gives whether there was
/// anything to do.
///
/// # Errors
/// [`SiteError`], if AWS does not do it.
pub(crate) async fn publish(
    cloud: &(impl Buckets + Distributions),
    bucket: &str,
    distribution: &str,
    page: Page,
    output: &mut Output,
) -> Result<bool, SiteError> {
    let mut stored = cloud.objects(bucket, "").await?;
    let was_cut_off = stored.iter().any(|it| it.key == MARKER);
    stored.retain(|it| it.key != MARKER);
    let difference = Difference::new(page, &stored);
    if difference.is_none() && !was_cut_off {
        output.step("page: nothing to change")?;
        return Ok(false);
    }
    output.step(&format!(
        "page: {} files to send, {} to remove",
        difference.first.len() + difference.last.len(),
        difference.stale.len()
    ))?;
    cloud.put(bucket, marker()).await?;
    put_all(cloud, bucket, difference.first).await?;
    put_all(cloud, bucket, difference.last).await?;
    if !difference.stale.is_empty() {
        cloud.remove(bucket, &difference.stale).await?;
    }
    output.step("page: CloudFront forgets the old one (about a minute)")?;
    invalidate(cloud, distribution).await?;
    cloud.remove(bucket, &[MARKER.to_owned()]).await?;
    Ok(true)
}

fn marker() -> NewObject {
    NewObject {
        key: MARKER.to_owned(),
        body: Bytes::new(),
        content_type: "text/plain".to_owned(),
        cache_control: Some("no-store"),
    }
}

async fn put_all(
    cloud: &impl Buckets,
    bucket: &str,
    objects: Vec<NewObject>,
) -> Result<(), CloudError> {
    stream::iter(objects)
        .map(|object| cloud.put(bucket, object))
        .buffer_unordered(PUTS_AT_ONCE)
        .try_collect()
        .await
}

async fn invalidate(cloud: &impl Distributions, distribution: &str) -> Result<(), SiteError> {
    let id = cloud.invalidate(distribution).await?;
    let mut patience = Patience::new(
        INVALIDATION_LIMIT,
        Duration::from_millis(500),
        Duration::from_secs(5),
    );
    let mut last = None;
    loop {
        match cloud.is_invalidated(distribution, &id).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error @ (CloudError::Unreachable { .. } | CloudError::Throttled { .. })) => {
                last = Some(Box::new(error));
            }
            Err(error) => return Err(error.into()),
        }
        if !patience.pause().await {
            return Err(SiteError::NotInvalidated {
                limit: INVALIDATION_LIMIT,
                last,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::*;
    use crate::cloud::StoredObject;

    /// A bucket and a distribution that note what is asked of them, and fail from some call on.
    struct Fake {
        objects: RefCell<BTreeMap<String, String>>,
        calls: RefCell<Vec<String>>,
        calls_left: Cell<usize>,
    }

    impl Fake {
        fn new() -> Self {
            Self {
                objects: RefCell::default(),
                calls: RefCell::default(),
                calls_left: Cell::new(usize::MAX),
            }
        }

        fn call(&self, what: String) -> Result<(), CloudError> {
            let left = self.calls_left.get().checked_sub(1);
            let left = left.ok_or_else(|| CloudError::of_credentials("cut off"))?;
            self.calls_left.set(left);
            self.calls.borrow_mut().push(what);
            Ok(())
        }

        fn keys(&self) -> Vec<String> {
            self.objects.borrow().keys().cloned().collect()
        }
    }

    impl Buckets for Fake {
        async fn objects(&self, _: &str, _: &str) -> Result<Vec<StoredObject>, CloudError> {
            self.call("list".to_owned())?;
            let objects = self.objects.borrow();
            let stored = objects.iter().map(|(key, md5)| StoredObject {
                key: key.clone(),
                md5: md5.clone(),
            });
            Ok(stored.collect())
        }

        async fn put(&self, _: &str, object: NewObject) -> Result<(), CloudError> {
            self.call(format!("put {}", object.key))?;
            let md5 = format!("{:x}", md5::compute(&object.body));
            self.objects.borrow_mut().insert(object.key, md5);
            Ok(())
        }

        async fn remove(&self, _: &str, keys: &[String]) -> Result<(), CloudError> {
            self.call(format!("remove {}", keys.join(" ")))?;
            self.objects
                .borrow_mut()
                .retain(|key, _| !keys.contains(key));
            Ok(())
        }

        async fn empty(&self, _: &str) -> Result<usize, CloudError> {
            Ok(0)
        }
    }

    impl Distributions for Fake {
        async fn invalidate(&self, _: &str) -> Result<String, CloudError> {
            self.call("invalidate".to_owned()).map(|()| "1".to_owned())
        }

        async fn is_invalidated(&self, _: &str, _: &str) -> Result<bool, CloudError> {
            Ok(true)
        }

        async fn is_deployed(&self, _: &str) -> Result<bool, CloudError> {
            Ok(true)
        }
    }

    async fn published(fake: &Fake) -> Result<bool, SiteError> {
        let page = Page::embedded().with_config("wss://chat");
        let mut output = Output::to_nobody();
        publish(fake, "bucket", "distribution", page, &mut output).await
    }

    #[tokio::test]
    async fn a_second_publish_sends_and_invalidates_nothing() {
        let fake = Fake::new();
        assert!(published(&fake).await.unwrap());
        fake.calls.borrow_mut().clear();
        assert!(!published(&fake).await.unwrap());
        assert_eq!(*fake.calls.borrow(), ["list"]);
    }

    #[tokio::test]
    async fn a_publish_that_is_cut_off_anywhere_is_finished_by_the_next_one() {
        let whole = Fake::new();
        published(&whole).await.unwrap();
        let calls = whole.calls.borrow().len();
        for cut in 0..calls {
            let fake = Fake::new();
            fake.calls_left.set(cut);
            assert!(published(&fake).await.is_err(), "{cut}");
            let was_touched = !fake.objects.borrow().is_empty();
            fake.calls_left.set(usize::MAX);
            fake.calls.borrow_mut().clear();
            assert!(published(&fake).await.unwrap(), "{cut}");
            assert_eq!(fake.keys(), whole.keys(), "{cut}");
            let invalidated = fake.calls.borrow().contains(&"invalidate".to_owned());
            assert!(invalidated || !was_touched, "{cut}");
        }
    }
}
