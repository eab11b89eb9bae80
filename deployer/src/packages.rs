//! The bucket of packages: the stack that it is in, what is kept in it and what goes.
//!
//! A package's key is `functions/<stage>/<SHA-256>.zip`. A stage has packages of its own, so whatever
//! is done to one stage's, however many deploy at the same time, no other stage misses anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::build::Package;
use crate::cloud::{
    Buckets, Cloud, CloudError, NewObject, PACKAGE_TYPE, Packages, StackView, Stacks,
    StoredPackage, Terms, Wanted,
};
use crate::error::Error;
use crate::output::Output;
use crate::releases::{self, Release};
use crate::stack::{self, Losses};
use crate::template::{self, StageName};

/// The stack that holds the packages of all stages. It is no chat: no stage is called so, for its name
/// begins otherwise.
pub(crate) const ARTIFACTS_STACK: &str = "chatctl-artifacts";

/// What is written on that stack.
pub(crate) const ARTIFACTS_OWNER: &str = "artifacts";

/// Its output that names the bucket.
const BUCKET_OUTPUT: &str = "ArtifactsBucketName";

/// Its parameter and output that tell which template it was made from, so that an older one is known
/// without asking for a change set.
const DIGEST: &str = "TemplateDigest";

/// A stage's packages that are kept: what it runs now, and what it ran before, to go back to.
pub(crate) const KEPT: usize = 5;

/// A package's key in the bucket.
pub(crate) fn key(stage: &StageName, package: &Package) -> String {
    key_of(stage, &package.sha256)
}

/// The key of the package with this SHA-256.
pub(crate) fn key_of(stage: &StageName, sha256: &str) -> String {
    format!("{}{sha256}.zip", prefix(stage))
}

/// The SHA-256 of the package with this key, if it is one of the stage.
pub(crate) fn sha256_of<'a>(stage: &StageName, key: &'a str) -> Option<&'a str> {
    let name = key.strip_prefix(&prefix(stage))?.strip_suffix(".zip")?;
    let is_digest = name.len() == 64 && name.bytes().all(|it| it.is_ascii_hexdigit());
    is_digest.then_some(name)
}

/// What Lambda calls a package with this SHA-256.
pub(crate) fn code_sha256(sha256: &str) -> String {
    STANDARD.encode(releases::bytes_of(sha256))
}

fn prefix(stage: &StageName) -> String {
    format!("functions/{stage}/")
}

/// The bucket that the stages share. Its stack, as it was `found`, is made if it is not there, and
/// brought up to date if it was made by another version of this program.
///
/// # Errors
/// [`Error`], if AWS does not do it.
pub(crate) async fn bucket(
    cloud: &impl Cloud,
    found: Option<StackView>,
    terms: &Terms,
    output: &mut Output,
) -> Result<String, Error> {
    let template = template::artifacts()?;
    let stack = match found {
        Some(stack) if is_up_to_date(&stack)? => {
            stack::check_owner(&stack, ARTIFACTS_STACK, ARTIFACTS_OWNER)?;
            stack
        }
        other => {
            let doing = if other.is_some() {
                "updating"
            } else {
                "making"
            };
            output.step(&format!(
                "{doing} the bucket of packages (stack `{ARTIFACTS_STACK}`)"
            ))?;
            let wanted = Wanted {
                name: ARTIFACTS_STACK.to_owned(),
                template: template.to_owned(),
                parameters: vec![(DIGEST.to_owned(), digest_of(template))],
                owner: ARTIFACTS_OWNER,
                tags: Vec::new(),
                aside: None,
            };
            stack::apply(cloud, &wanted, terms, &Losses::Refused, output)
                .await?
                .stack
        }
    };
    bucket_of(&stack)
}

/// Whether the bucket's stack is as this program makes it.
///
/// # Errors
/// [`Error`], if this program has no template for it.
pub(crate) fn is_up_to_date(stack: &StackView) -> Result<bool, Error> {
    let digest = digest_of(template::artifacts()?);
    Ok(stack.status.is_good() && stack.output(DIGEST) == Some(&digest))
}

fn digest_of(template: &str) -> String {
    STANDARD.encode(Sha256::digest(template))
}

/// The bucket that the stages share, if there is one.
///
/// # Errors
/// [`Error`], if the stack is somebody else's.
pub(crate) fn existing_bucket(found: Option<&StackView>) -> Result<Option<String>, Error> {
    let Some(stack) = found else { return Ok(None) };
    stack::check_owner(stack, ARTIFACTS_STACK, ARTIFACTS_OWNER)?;
    Ok(stack.output(BUCKET_OUTPUT).map(str::to_owned))
}

fn bucket_of(stack: &StackView) -> Result<String, Error> {
    let bucket = stack.output(BUCKET_OUTPUT).map(str::to_owned);
    bucket.ok_or_else(|| Error::NoOutput {
        stack: ARTIFACTS_STACK.to_owned(),
        output: BUCKET_OUTPUT,
    })
}

/// Uploads a package, if it is not there. One that is there counts as new again, so that it is among
/// the last ones.
///
/// # Errors
/// [`Error`], if AWS does not do it.
pub(crate) async fn upload(
    cloud: &(impl Buckets + Packages),
    bucket: &str,
    key: &str,
    package: Package,
    output: &mut Output,
) -> Result<(), Error> {
    let is_there = !cloud.packages(bucket, key).await?.is_empty();
    if is_there {
        match cloud.refresh(bucket, key).await {
            // Another deploy has just removed it.
            Err(CloudError::Refused { code, .. }) if code == "NoSuchKey" => {}
            other => return Ok(other?),
        }
    }
    output.step(&format!("uploading the package to `{bucket}`"))?;
    let object = NewObject {
        key: key.to_owned(),
        body: package.zip.into(),
        content_type: PACKAGE_TYPE.to_owned(),
        cache_control: None,
    };
    Ok(cloud.put(bucket, object).await?)
}

/// Removes a stage's packages but the last ones, and never those of these releases: the one that its
/// stack names, which CloudFormation reads again when it rolls back, and those that are kept. However many
/// deploys were bad, there is a way back to the last good one.
///
/// # Errors
/// [`Error`], if AWS does not do it.
pub(crate) async fn prune(
    cloud: &(impl Buckets + Packages),
    bucket: &str,
    stage: &StageName,
    releases: &[Release],
) -> Result<(), Error> {
    let used = releases.iter().map(|it| key_of(stage, &it.package));
    let used: Vec<_> = used.collect();
    let old = old(cloud.packages(bucket, &prefix(stage)).await?, &used);
    if old.is_empty() {
        return Ok(());
    }
    Ok(cloud.remove(bucket, &old).await?)
}

/// The packages that can go.
fn old(mut packages: Vec<StoredPackage>, used: &[String]) -> Vec<String> {
    packages.sort_by_key(|it| std::cmp::Reverse((used.contains(&it.key), it.written_ms)));
    let old = packages.into_iter().skip(KEPT.max(used.len()));
    old.map(|it| it.key).collect()
}

/// Removes all packages and releases of a stage that is gone.
///
/// # Errors
/// [`Error`], if AWS does not do it.
pub(crate) async fn remove_all(
    cloud: &(impl Stacks + Buckets + Packages),
    stage: &StageName,
) -> Result<(), Error> {
    let Some(stack) = cloud.find(ARTIFACTS_STACK).await? else {
        return Ok(());
    };
    let is_ours = stack::check_owner(&stack, ARTIFACTS_STACK, ARTIFACTS_OWNER).is_ok();
    let Some(bucket) = stack.output(BUCKET_OUTPUT).filter(|_| is_ours) else {
        return Ok(());
    };
    let removed = async {
        let mut objects = cloud.packages(bucket, &prefix(stage)).await?;
        objects.extend(cloud.packages(bucket, &releases::prefix(stage)).await?);
        let keys: Vec<_> = objects.into_iter().map(|it| it.key).collect();
        if keys.is_empty() {
            return Ok(());
        }
        cloud.remove(bucket, &keys).await
    };
    match removed.await {
        // Whoever has destroyed the last chat meanwhile has removed all of it.
        Err(CloudError::Refused { code, .. }) if code == "NoSuchBucket" => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(key: &str, written_ms: i64) -> StoredPackage {
        StoredPackage {
            key: key.to_owned(),
            written_ms,
        }
    }

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_key_tells_its_package_and_another_stages_or_a_strange_one_tells_nothing() {
        let stage: StageName = "dev".parse().unwrap();
        let package = Package::new(b"program").unwrap();
        let key = key(&stage, &package);
        let sha256 = sha256_of(&stage, &key).unwrap();
        assert_eq!(sha256, package.sha256);
        assert_eq!(code_sha256(sha256), package.code_sha256);
        let short = format!("{}{}.zip", prefix(&stage), &package.sha256[1..]);
        let strange = format!("{}{}.zip", prefix(&stage), "z".repeat(64));
        for other in [&short, &strange, &key.replace(".zip", ""), "code.zip"] {
            assert_eq!(sha256_of(&stage, other), None, "{other}");
        }
        assert_eq!(sha256_of(&"dev-2".parse().unwrap(), &key), None);
    }

    #[test]
    fn the_last_five_are_kept_and_the_older_ones_go() {
        let packages = [3, 7, 1, 6, 2, 5, 4].map(|it| package(&it.to_string(), it));
        assert_eq!(old(packages.to_vec(), &keys(&["7"])), ["2", "1"]);
        assert_eq!(old(packages[..5].to_vec(), &keys(&["7"])), [""; 0]);
    }

    #[test]
    fn the_one_that_the_stack_names_is_kept_however_old_it_is() {
        let packages = (1..=7).map(|it| package(&it.to_string(), it)).collect();
        assert_eq!(old(packages, &keys(&["1"])), ["3", "2"]);
    }

    #[test]
    fn those_of_the_releases_are_kept_whatever_bad_deploys_came_after() {
        let packages: Vec<_> = (1..=9).map(|it| package(&it.to_string(), it)).collect();
        let used = keys(&["9", "1", "2"]);
        assert_eq!(old(packages.clone(), &used), ["6", "5", "4", "3"]);
        let used = keys(&["9", "1", "2", "3", "4", "5"]);
        assert_eq!(old(packages, &used), ["8", "7", "6"]);
    }

    #[test]
    fn no_stages_packages_are_among_those_of_a_stage_whose_name_begins_alike() {
        let [short, long] = ["dev", "dev-2"].map(|it| it.parse::<StageName>().unwrap());
        assert!(!prefix(&long).starts_with(&prefix(&short)));
        let package = Package::new(b"program").unwrap();
        let key = key(&long, &package);
        assert_eq!(key, format!("functions/dev-2/{}.zip", package.sha256));
    }
}
