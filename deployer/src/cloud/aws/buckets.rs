//! S3.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::Builder as Settings;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use aws_sdk_s3::types::{Delete, MetadataDirective, Object, ObjectIdentifier};

use bytes::Bytes;

use super::{Aws, OPERATION_TIMEOUT, failed};
use crate::cloud::{
    Buckets, CloudError, NewObject, PACKAGE_TYPE, PUTS_AT_ONCE, Packages, StoredObject,
    StoredPackage,
};

/// What one call deletes at most.
const DELETED_AT_ONCE_MAX: usize = 1000;

/// What an answer takes at most, once the object is there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The slowest line on which an upload is waited for, all that is put at the same time taken together.
const BYTES_A_SECOND_MIN: usize = 25_000;

impl Buckets for Aws {
    async fn objects(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredObject>, CloudError> {
        let objects = self.list(bucket, prefix).await?;
        Ok(objects
            .iter()
            .map(|object| StoredObject {
                key: object.key().unwrap_or_default().to_owned(),
                md5: object
                    .e_tag()
                    .unwrap_or_default()
                    .trim_matches('"')
                    .to_owned(),
            })
            .collect())
    }

    async fn put(&self, bucket: &str, object: NewObject) -> Result<(), CloudError> {
        let limit = time_to_put(object.body.len());
        self.put_within(bucket, object, limit).await
    }

    async fn remove(&self, bucket: &str, keys: &[String]) -> Result<(), CloudError> {
        let objects = keys.iter().filter_map(|key| identifier(key, None));
        self.delete_objects(bucket, objects.collect()).await
    }

    async fn empty(&self, bucket: &str) -> Result<usize, CloudError> {
        let mut emptied = 0;
        loop {
            // The first page again and again: what is deleted does not come back.
            let answer = self.buckets.list_object_versions().bucket(bucket).send();
            let answer = match answer.await {
                Err(error) if error.code() == Some("NoSuchBucket") => return Ok(emptied),
                other => other.map_err(failed("s3:ListBucketVersions"))?,
            };
            let versions = answer.versions().iter();
            let versions = versions.filter_map(|it| identifier(it.key()?, it.version_id()));
            let markers = answer.delete_markers().iter();
            let markers = markers.filter_map(|it| identifier(it.key()?, it.version_id()));
            let objects: Vec<_> = versions.chain(markers).collect();
            if objects.is_empty() {
                return Ok(emptied);
            }
            let count = objects.len();
            match self.delete_objects(bucket, objects).await {
                // Somebody else was faster.
                Err(CloudError::Refused { code, .. }) if code == "NoSuchBucket" => {
                    return Ok(emptied);
                }
                other => other?,
            }
            emptied += count;
        }
    }
}

impl Packages for Aws {
    async fn packages(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredPackage>, CloudError> {
        let objects = self.list(bucket, prefix).await?;
        let written = |object: &Object| object.last_modified()?.to_millis().ok();
        Ok(objects
            .iter()
            .map(|object| StoredPackage {
                key: object.key().unwrap_or_default().to_owned(),
                written_ms: written(object).unwrap_or_default(),
            })
            .collect())
    }

    async fn read(&self, bucket: &str, key: &str) -> Result<Bytes, CloudError> {
        const CALL: &str = "s3:GetObject";
        let call = self.buckets.get_object().bucket(bucket).key(key);
        let answer = call.send().await.map_err(failed(CALL))?;
        let body = answer.body.collect().await;
        body.map(AggregatedBytes::into_bytes)
            .map_err(|error| CloudError::Unreachable {
                call: CALL,
                detail: error.to_string(),
            })
    }

    async fn refresh(&self, bucket: &str, key: &str) -> Result<(), CloudError> {
        // S3 copies an object onto itself only if something of it is said anew.
        let call = self
            .buckets
            .copy_object()
            .copy_source(format!("{bucket}/{key}"))
            .bucket(bucket)
            .key(key)
            .metadata_directive(MetadataDirective::Replace)
            .content_type(PACKAGE_TYPE);
        call.send().await.map(drop).map_err(failed("s3:PutObject"))
    }
}

impl Aws {
    /// Puts an object, with so much time for each try: an answer that is lost costs a page of many small
    /// files as little as possible.
    pub(super) async fn put_within(
        &self,
        bucket: &str,
        object: NewObject,
        limit: Duration,
    ) -> Result<(), CloudError> {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(limit)
            .operation_timeout(time_with_tries(limit));
        let call = self
            .buckets
            .put_object()
            .bucket(bucket)
            .key(object.key)
            .content_type(object.content_type)
            .set_cache_control(object.cache_control.map(str::to_owned))
            .body(ByteStream::from(object.body))
            .customize()
            .config_override(Settings::new().timeout_config(timeouts.build()));
        call.send().await.map(drop).map_err(failed("s3:PutObject"))
    }

    async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<Object>, CloudError> {
        let mut objects = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .buckets
                .list_objects_v2()
                .bucket(bucket)
                .prefix(prefix)
                .set_continuation_token(token)
                .send()
                .await
                .map_err(failed("s3:ListBucket"))?;
            token = answer.next_continuation_token;
            objects.extend(answer.contents.unwrap_or_default());
            if token.is_none() {
                return Ok(objects);
            }
        }
    }

    async fn delete_objects(
        &self,
        bucket: &str,
        objects: Vec<ObjectIdentifier>,
    ) -> Result<(), CloudError> {
        const CALL: &str = "s3:DeleteObject";
        for some in objects.chunks(DELETED_AT_ONCE_MAX) {
            let delete = Delete::builder()
                .set_objects(Some(some.to_vec()))
                .quiet(true)
                .build();
            let Ok(delete) = delete else { continue };
            let call = self.buckets.delete_objects().bucket(bucket).delete(delete);
            let answer = call.send().await.map_err(failed(CALL))?;
            // The call succeeds even where none of the objects could be deleted.
            if let Some(error) = answer.errors().first() {
                let (code, message) = (error.code(), error.message());
                return Err(CloudError::of_answer(
                    CALL,
                    code.unwrap_or("unknown"),
                    message.or(code).unwrap_or("unknown"),
                ));
            }
        }
        Ok(())
    }
}

fn identifier(key: &str, version: Option<&str>) -> Option<ObjectIdentifier> {
    ObjectIdentifier::builder()
        .key(key)
        .set_version_id(version.map(str::to_owned))
        .build()
        .ok()
}

/// One try of putting so many bytes, on the share of the line that is left beside the others.
fn time_to_put(bytes: usize) -> Duration {
    let share = BYTES_A_SECOND_MIN / PUTS_AT_ONCE;
    let seconds = u64::try_from(bytes / share).unwrap_or(u64::MAX);
    ANSWER_TIMEOUT.saturating_add(Duration::from_secs(seconds))
}

/// A put with its tries: one more than the first, however long that may take.
fn time_with_tries(limit: Duration) -> Duration {
    limit.saturating_mul(2).max(OPERATION_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_is_tried_again_soon_and_a_large_one_has_time_for_a_slow_line() {
        const MEBIBYTE: usize = 1024 * 1024;
        for (bytes, one_try, tries) in [
            (0, 15, 300),
            (2_000, 15, 300),
            (100_000, 47, 300),
            (1_000_000, 335, 670),
            (2_900_000, 943, 1_886),
            (256 * MEBIBYTE, 85_914, 171_828),
        ] {
            let limit = time_to_put(bytes);
            assert_eq!(limit, Duration::from_secs(one_try), "{bytes}");
            let limit = time_with_tries(limit);
            assert_eq!(limit, Duration::from_secs(tries), "{bytes}");
        }
        assert!(time_with_tries(time_to_put(usize::MAX)) > OPERATION_TIMEOUT);
    }

    #[test]
    fn on_a_slow_line_as_many_files_as_are_put_at_once_are_each_there_in_one_try() {
        for (files, bytes, bytes_a_second) in [
            (PUTS_AT_ONCE, 1_000_000, 30_000),
            (PUTS_AT_ONCE, 1_000, BYTES_A_SECOND_MIN),
            (PUTS_AT_ONCE, 256 * 1024 * 1024 / PUTS_AT_ONCE, 30_000),
            (1, 256 * 1024 * 1024, BYTES_A_SECOND_MIN),
        ] {
            let needed = u64::try_from(files * bytes / bytes_a_second).unwrap();
            let (limit, needed) = (time_to_put(bytes), Duration::from_secs(needed));
            assert!(
                limit > needed,
                "{files} of {bytes}: {limit:?} of {needed:?}"
            );
        }
    }
}
