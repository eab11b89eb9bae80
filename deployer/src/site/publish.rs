//! Publishing a page to a bucket, and to the edges of the distribution in front of it.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::page::Difference;
use super::{Edits, Host, Page, SiteError};
use crate::cloud::{Buckets, CloudError, Distributions, NewObject, PUTS_AT_ONCE, StoredObject};
use crate::output::Output;
use crate::wait::Patience;

/// An invalidation takes a minute, in the worst case a quarter of an hour.
const INVALIDATION_LIMIT: Duration = Duration::from_mins(20);

/// How often people are told that it is still waited for.
const TOLD_EVERY: Duration = Duration::from_secs(15);

/// In the bucket from when the page there is whole and shown until the next change of it. Without it a
/// page that was sent but never shown would look finished. Its content is what the objects say of
/// themselves, type and cache header, which a list of them does not tell: its own MD5, which the list
/// does tell, is compared instead of each of them.
const MARK: &str = ".chatctl-published";

/// In the bucket from when the chat was found to work, from outside, until anything of it changes. Its
/// content is what the chat was made from then. Without it, or with another content, a deploy that finds
/// nothing to change tries the chat all the same: the one before may have been cut off, or have failed.
const PROOF: &str = ".chatctl-verified";

/// What a publish has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// Whether there was anything to do.
    pub(crate) is_changed: bool,
    /// The MD5 of the proof that the chat was found to work as it is.
    proof_md5: Option<String>,
}

impl Published {
    /// Whether the chat was found to work with this, and nothing has changed since.
    pub(crate) fn is_verified(&self, with: &str) -> bool {
        self.proof_md5.as_deref() == Some(format!("{:x}", md5::compute(with)).as_str())
    }
}

/// What the bucket of a page holds.
#[derive(Debug)]
pub(crate) struct Listing(Vec<StoredObject>);

impl Listing {
    /// # Errors
    /// [`CloudError`], if AWS does not say.
    pub(crate) async fn of(cloud: &impl Buckets, bucket: &str) -> Result<Self, CloudError> {
        Ok(Self(cloud.objects(bucket, "").await?))
    }

    /// Whether the chat was found to work with this, and neither it nor its page was changed by this
    /// program since.
    pub(crate) fn proves(&self, with: &str) -> bool {
        let md5 = format!("{:x}", md5::compute(with));
        self.0.iter().any(|it| it.key == PROOF && it.md5 == md5)
    }
}

/// Remembers that the chat works with this.
///
/// # Errors
/// [`CloudError`], if AWS does not do it.
pub(crate) async fn note_verified(
    cloud: &impl Buckets,
    bucket: &str,
    with: String,
) -> Result<(), CloudError> {
    let proof = object(PROOF, with, "text/plain");
    cloud.put(bucket, proof).await
}

/// Forgets that it does.
///
/// # Errors
/// [`CloudError`], if AWS does not do it.
pub(crate) async fn forget_verified(cloud: &impl Buckets, bucket: &str) -> Result<(), CloudError> {
    cloud.remove(bucket, &[PROOF.to_owned()]).await
}

/// Makes a bucket hold a page and nothing else, and whoever serves it show it. The bucket is looked at
/// unless it was just `listed`.
///
/// # Errors
/// [`SiteError`], if AWS does not do it.
pub(crate) async fn publish(
    cloud: &(impl Buckets + Distributions),
    bucket: &str,
    host: &Host,
    page: Page,
    listed: Option<Listing>,
    output: &mut Output,
) -> Result<Published, SiteError> {
    let since = Instant::now();
    let Plan {
        difference,
        rules,
        is_marked,
        is_whole,
        proof_md5,
    } = Plan::new(
        match listed {
            Some(listing) => listing,
            None => Listing::of(cloud, bucket).await?,
        },
        host,
        page,
    );
    if difference.is_none() && is_whole {
        output.step("page: nothing to change")?;
        return Ok(Published {
            is_changed: false,
            proof_md5,
        });
    }
    output.step(&format!(
        "page: {} files to send, {} to remove",
        difference.first.len() + difference.last.len(),
        difference.stale.len()
    ))?;
    if is_marked {
        let marks = [MARK.to_owned(), PROOF.to_owned()];
        cloud.remove(bucket, &marks).await?;
    }
    put_all(cloud, bucket, difference.first).await?;
    put_all(cloud, bucket, difference.last).await?;
    if !difference.stale.is_empty() {
        cloud.remove(bucket, &difference.stale).await?;
    }
    if let Host::Distribution(distribution) = host {
        output.step("page: CloudFront forgets the old one (about a minute)")?;
        invalidate(cloud, distribution, INVALIDATION_LIMIT, output).await?;
    }
    cloud
        .put(bucket, object(MARK, rules, "application/json"))
        .await?;
    output.step(&format!(
        "page: published in {:.1} s",
        since.elapsed().as_secs_f64()
    ))?;
    Ok(Published {
        is_changed: true,
        proof_md5: None,
    })
}

/// The keys of what [`publish`] would send and remove.
///
/// # Errors
/// [`CloudError`], if AWS does not say what is in the bucket.
pub(crate) async fn edits(
    cloud: &impl Buckets,
    bucket: &str,
    host: &Host,
    page: Page,
) -> Result<Edits, CloudError> {
    let plan = Plan::new(Listing::of(cloud, bucket).await?, host, page);
    Ok(Edits::of(plan.difference))
}

/// What there is to do.
struct Plan {
    difference: Difference,
    /// What the objects are to say of themselves: the mark's content.
    rules: String,
    /// Whether the bucket has a mark, whatever it says.
    is_marked: bool,
    /// Whether it says that the page there was whole, shown, and by the same rules.
    is_whole: bool,
    /// The MD5 of the proof, if there is one.
    proof_md5: Option<String>,
}

impl Plan {
    fn new(Listing(mut stored): Listing, host: &Host, page: Page) -> Self {
        let page = page.on(host);
        let rules = page.rules(host);
        let mut take = |key| {
            let index = stored.iter().position(|it| it.key == key);
            index.map(|index| stored.remove(index))
        };
        let (mark, proof) = (take(MARK), take(PROOF));
        let is_marked = mark.is_some();
        let is_whole = mark.is_some_and(|it| it.md5 == format!("{:x}", md5::compute(&rules)));
        Self {
            difference: Difference::new(page, host, &stored, is_whole),
            rules,
            is_marked,
            is_whole,
            proof_md5: proof.map(|it| it.md5),
        }
    }
}

/// What is for deploys and not for visitors.
fn object(key: &str, content: String, content_type: &str) -> NewObject {
    NewObject {
        key: key.to_owned(),
        body: content.into(),
        content_type: content_type.to_owned(),
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

async fn invalidate(
    cloud: &impl Distributions,
    distribution: &str,
    limit: Duration,
    output: &mut Output,
) -> Result<(), SiteError> {
    let since = Instant::now();
    let id = cloud.invalidate(distribution).await?;
    let mut patience = Patience::new(limit, Duration::from_millis(500), Duration::from_secs(5));
    let mut told = TOLD_EVERY;
    let mut last = None;
    loop {
        match cloud.is_invalidated(distribution, &id).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.is_passing() => last = Some(Box::new(error)),
            Err(error) => return Err(error.into()),
        }
        if !patience.pause().await {
            return Err(SiteError::NotInvalidated { limit, last });
        }
        let elapsed = since.elapsed();
        if elapsed >= told {
            told = elapsed + TOLD_EVERY;
            output.step(&still_waiting(elapsed, limit))?;
        }
    }
}

fn still_waiting(elapsed: Duration, limit: Duration) -> String {
    format!(
        "page: CloudFront still forgets the old one, {} s so far ({} at most)",
        elapsed.as_secs(),
        humantime::format_duration(limit)
    )
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
        is_slow: bool,
    }

    impl Fake {
        fn new() -> Self {
            Self {
                objects: RefCell::default(),
                calls: RefCell::default(),
                calls_left: Cell::new(usize::MAX),
                is_slow: false,
            }
        }

        fn call(&self, what: String) -> Result<(), CloudError> {
            let left = self.calls_left.get().checked_sub(1);
            let left = left.ok_or_else(|| CloudError::of_credentials("cut off"))?;
            self.calls_left.set(left);
            self.calls.borrow_mut().push(what);
            Ok(())
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
            if self.is_slow {
                return Err(CloudError::of_answer("GetInvalidation", "Throttling", "no"));
            }
            Ok(true)
        }

        async fn is_deployed(&self, _: &str) -> Result<bool, CloudError> {
            Ok(true)
        }
    }

    fn cloudfront() -> Host {
        Host::Distribution("distribution".to_owned())
    }

    fn website() -> Host {
        Host::Website {
            policy: "default-src 'none'".to_owned(),
        }
    }

    async fn published_on(fake: &Fake, host: &Host) -> Result<bool, SiteError> {
        let page = Page::embedded().with_config("{}".to_owned());
        let mut output = Output::to_nobody();
        let published = publish(fake, "bucket", host, page, None, &mut output).await;
        published.map(|it| it.is_changed)
    }

    async fn published(fake: &Fake) -> Result<bool, SiteError> {
        published_on(fake, &cloudfront()).await
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
    async fn a_chat_counts_as_verified_until_its_stack_its_page_or_its_luck_changes() {
        let fake = Fake::new();
        let again = async || {
            let page = Page::embedded().with_config("{}".to_owned());
            let mut output = Output::to_nobody();
            publish(&fake, "bucket", &cloudfront(), page, None, &mut output).await
        };
        assert!(!again().await.unwrap().is_verified("stack"));
        assert!(!again().await.unwrap().is_verified("stack"));
        note_verified(&fake, "bucket", "stack".to_owned())
            .await
            .unwrap();
        let published = again().await.unwrap();
        assert!(!published.is_changed && published.is_verified("stack"));
        assert!(!published.is_verified("another"));

        // A page that changes takes the proof with it.
        fake.objects.borrow_mut().remove("index.html");
        assert!(!again().await.unwrap().is_verified("stack"));
        assert!(!again().await.unwrap().is_verified("stack"));
        note_verified(&fake, "bucket", "stack".to_owned())
            .await
            .unwrap();
        forget_verified(&fake, "bucket").await.unwrap();
        assert!(!again().await.unwrap().is_verified("stack"));
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
            is_finished_by_the_next_one(&fake, &whole, &format!("cut off at {cut}")).await;
        }
    }

    #[tokio::test]
    async fn so_is_a_change_that_is_cut_off_anywhere() {
        let whole = Fake::new();
        published(&whole).await.unwrap();
        let changed = || {
            let fake = Fake::new();
            let mut objects = whole.objects.borrow().clone();
            objects.insert("style.css".to_owned(), "old".to_owned());
            objects.insert("stale.js".to_owned(), "old".to_owned());
            *fake.objects.borrow_mut() = objects;
            fake
        };
        let fake = changed();
        published(&fake).await.unwrap();
        let expected = [
            "list",
            "remove .chatctl-published .chatctl-verified",
            "put style.css",
            "remove stale.js",
            "invalidate",
            "put .chatctl-published",
        ];
        assert_eq!(*fake.calls.borrow(), expected);
        // Before the second call nothing is touched.
        for cut in 2..expected.len() {
            let fake = changed();
            fake.calls_left.set(cut);
            assert!(published(&fake).await.is_err(), "{cut}");
            is_finished_by_the_next_one(&fake, &whole, &format!("cut off at {cut}")).await;
        }
    }

    async fn is_finished_by_the_next_one(fake: &Fake, whole: &Fake, when: &str) {
        fake.calls_left.set(usize::MAX);
        fake.calls.borrow_mut().clear();
        assert!(published(fake).await.unwrap(), "{when}");
        assert_eq!(*fake.objects.borrow(), *whole.objects.borrow(), "{when}");
        let invalidated = fake.calls.borrow().contains(&"invalidate".to_owned());
        assert!(invalidated, "{when}");
    }

    #[tokio::test]
    async fn objects_of_which_the_headers_alone_change_are_sent_again() {
        let fake = Fake::new();
        published_on(&fake, &website()).await.unwrap();
        let by_website = fake.objects.borrow().clone();
        let calls = fake.calls.take();
        assert!(!calls.contains(&"invalidate".to_owned()), "{calls:?}");
        assert!(!published_on(&fake, &website()).await.unwrap());
        assert_eq!(fake.calls.take(), ["list"]);

        assert!(published(&fake).await.unwrap());
        let calls = fake.calls.take();
        for key in by_website.keys() {
            assert!(calls.contains(&format!("put {key}")), "{key}: {calls:?}");
        }
        assert_ne!(
            fake.objects.borrow()["index.html"],
            by_website["index.html"]
        );
        assert_eq!(fake.objects.borrow()["main.js"], by_website["main.js"]);

        assert!(published_on(&fake, &website()).await.unwrap());
        assert_eq!(*fake.objects.borrow(), by_website);
    }

    #[tokio::test]
    async fn an_invalidation_is_waited_for_no_longer_than_it_may_take() {
        let fake = Fake {
            is_slow: true,
            ..Fake::new()
        };
        let limit = Duration::from_millis(1);
        let waited = invalidate(&fake, "distribution", limit, &mut Output::to_nobody()).await;
        let Err(SiteError::NotInvalidated {
            last: Some(last), ..
        }) = waited
        else {
            panic!("{waited:?}");
        };
        assert!(matches!(*last, CloudError::Throttled { .. }), "{last}");
    }

    #[test]
    fn who_waits_is_told_for_how_long() {
        assert_eq!(
            still_waiting(Duration::from_secs(31), INVALIDATION_LIMIT),
            "page: CloudFront still forgets the old one, 31 s so far (20m at most)"
        );
    }
}
