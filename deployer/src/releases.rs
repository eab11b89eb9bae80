//! Releases: what a stage ran that was found to work, code and page together, to go back to.
//!
//! A release is an object in the bucket of packages. It is the page, as a zip file, and its key names
//! the page, the package and its processor: `releases/<stage>/<package>.<page>.<processor>.zip`, both
//! by their SHA-256. So a list of keys is all that has to be known of a stage's releases, and the
//! package itself is where every package is.
//!
//! # Layout
//! * `mark`: what a rollback notes of itself.
//! * `error`: why a release cannot be gone back to.

mod error;
mod mark;
#[cfg(test)]
mod tests;

pub(crate) use error::ReleaseError;
pub(crate) use mark::{Mark, arrive, note};

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::build::Architecture;
use crate::cloud::{
    Aside, Buckets, CloudError, Code, NewObject, PACKAGE_TYPE, Packages, StoredPackage,
};
use crate::error::Error;
use crate::packages::{self, KEPT};
use crate::site::Page;
use crate::template::StageName;

/// Characters of a SHA-256 that people are shown, and may type.
const SHOWN: usize = 12;

/// When a template that was put aside for moments is one that a killed run has left, in milliseconds: no change
/// set takes that long to make.
const FORGOTTEN_AFTER_MS: i64 = 60 * 60 * 1000;

/// As many as tell packages apart that one person has made.
const TYPED_MIN: usize = 4;

/// Code and page that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    /// The package's SHA-256 in hexadecimal.
    pub(crate) package: String,
    /// The page's.
    pub(crate) page: String,
    /// The processor, in Lambda's words.
    pub(crate) architecture: &'static str,
    /// When it was last found to work, in milliseconds since 1970.
    pub(crate) written_ms: i64,
}

/// Which release is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that is being gone back to already, or else the last one that neither runs nor was gone
    /// back from.
    Previous,
    /// By its number in the list.
    Number(usize),
    /// By the beginning of its name.
    Name(String),
}

/// What is kept of a stage.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Its releases, the newest first.
    pub(crate) releases: Vec<Release>,
    /// What the last rollback noted; nothing, if that cannot be read.
    pub(crate) mark: Option<Mark>,
}

/// What people call it: its package and its page, each as far as they look at it.
impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.get(..SHOWN).unwrap_or(text).to_owned();
        write!(formatter, "{}-{}", short(&self.package), short(&self.page))
    }
}

impl Release {
    /// A page, with the package that it goes with.
    pub(crate) fn new(package: &str, page: &Page, architecture: &'static str) -> Self {
        Self {
            package: package.to_owned(),
            page: page.digest(),
            architecture,
            written_ms: 0,
        }
    }

    /// Whether it is the same code and page.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.package, &self.page, self.architecture)
            == (&other.package, &other.page, other.architecture)
    }

    /// When it was last found to work.
    pub(crate) fn time(&self) -> String {
        let since = u64::try_from(self.written_ms).unwrap_or_default();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(since);
        humantime::format_rfc3339_seconds(time).to_string()
    }

    /// Its code, as functions are given it.
    pub(crate) fn code(&self, stage: &StageName, bucket: String) -> Code {
        Code {
            bucket,
            key: packages::key_of(stage, &self.package),
            sha256: packages::code_sha256(&self.package),
            architecture: self.architecture,
        }
    }

    /// What it is called in the bucket.
    fn name(&self) -> String {
        let Self {
            package,
            page,
            architecture,
            ..
        } = self;
        format!("{package}.{page}.{architecture}")
    }

    fn key(&self, stage: &StageName) -> String {
        format!("{}{}.zip", prefix(stage), self.name())
    }

    /// What an object is that is called so; nothing, if it is none of ours.
    fn of_object(stage: &StageName, object: &StoredPackage) -> Option<Self> {
        let name = object.key.strip_prefix(&prefix(stage))?;
        let parts: Vec<_> = name.strip_suffix(".zip")?.split('.').collect();
        let [package, page, architecture] = parts.as_slice() else {
            return None;
        };
        let known = [Architecture::X86_64, Architecture::Arm64].map(Architecture::as_str);
        let is_digest = |it: &str| it.len() == 64 && bytes_of(it).len() == 32;
        if !is_digest(package) || !is_digest(page) {
            return None;
        }
        Some(Self {
            package: (*package).to_owned(),
            page: (*page).to_owned(),
            architecture: known.into_iter().find(|it| it == architecture)?,
            written_ms: object.written_ms,
        })
    }
}

/// The bytes that a text in hexadecimal stands for, as far as it is one.
pub(crate) fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let pairs = hexadecimal.as_bytes().chunks(2);
    let bytes = pairs.map_while(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    bytes.collect()
}

/// Where a stage's releases are.
pub(crate) fn prefix(stage: &StageName) -> String {
    format!("releases/{stage}/")
}

/// Where a stage's template is for moments, if it is too large for a request: beside its releases, none of
/// which it is called like, so that it goes with them when the stage does.
pub(crate) fn aside(bucket: &str, stage: &StageName) -> Aside {
    Aside {
        bucket: bucket.to_owned(),
        prefix: format!("{}.template-", prefix(stage)),
    }
}

/// The keys of what is there for moments, and stayed. A bucket's own clock tells: what was written last.
fn forgotten(stage: &StageName, objects: &[StoredPackage]) -> Vec<String> {
    let Aside { prefix, .. } = aside("", stage);
    let now_ms = objects.iter().map(|it| it.written_ms).max();
    let before_ms = now_ms.unwrap_or_default() - FORGOTTEN_AFTER_MS;
    let is_forgotten =
        |it: &&StoredPackage| it.key.starts_with(&prefix) && it.written_ms < before_ms;
    let forgotten = objects.iter().filter(is_forgotten);
    forgotten.map(|it| it.key.clone()).collect()
}

/// What is kept of a stage.
///
/// # Errors
/// [`CloudError`], if AWS does not say.
pub(crate) async fn look(
    cloud: &impl Packages,
    bucket: &str,
    stage: &StageName,
) -> Result<Kept, CloudError> {
    let objects = cloud.packages(bucket, &prefix(stage)).await?;
    kept_of(cloud, bucket, stage, &objects).await
}

/// What is kept of a stage that has these objects.
async fn kept_of(
    cloud: &impl Packages,
    bucket: &str,
    stage: &StageName,
    objects: &[StoredPackage],
) -> Result<Kept, CloudError> {
    let is_marked = objects.iter().any(|it| it.key == mark::key(stage));
    let releases = objects
        .iter()
        .filter_map(|it| Release::of_object(stage, it));
    let mut releases: Vec<_> = releases.collect();
    releases.sort_by_key(|it| std::cmp::Reverse(it.written_ms));
    let mark = if is_marked {
        mark::read(cloud, bucket, stage).await?
    } else {
        Some(Mark::default())
    };
    Ok(Kept { releases, mark })
}

/// Keeps what was just found to work, as the newest one, and removes the oldest, and what runs that were killed
/// have left. Gives what is kept then.
///
/// # Errors
/// [`Error`], if AWS does not do it.
pub(crate) async fn record(
    cloud: &(impl Buckets + Packages),
    bucket: &str,
    stage: &StageName,
    release: &Release,
    page: &Page,
) -> Result<Kept, Error> {
    let object = NewObject {
        key: release.key(stage),
        body: page.to_zip().map_err(Error::Machine)?,
        content_type: PACKAGE_TYPE.to_owned(),
        cache_control: None,
    };
    cloud.put(bucket, object).await?;
    let objects = cloud.packages(bucket, &prefix(stage)).await?;
    let mut kept = kept_of(cloud, bucket, stage, &objects).await?;
    let releases = &mut kept.releases;
    // S3 tells seconds: in the same one another could come first.
    releases.sort_by_key(|it| !it.is_same(release));
    let old = releases.split_off(releases.len().min(KEPT));
    let mut keys: Vec<_> = old.iter().map(|it| it.key(stage)).collect();
    keys.extend(forgotten(stage, &objects));
    if !keys.is_empty() {
        cloud.remove(bucket, &keys).await?;
    }
    Ok(kept)
}

/// The page of a release.
///
/// # Errors
/// [`Error`], if it is not there, or not what it was.
pub(crate) async fn page(
    cloud: &impl Packages,
    bucket: &str,
    stage: &StageName,
    release: &Release,
) -> Result<Page, Error> {
    let zip = cloud.read(bucket, &release.key(stage)).await?;
    let damaged = |source| ReleaseError::Damaged {
        release: release.to_string(),
        source,
    };
    let page = Page::from_zip(&zip).map_err(|error| damaged(Some(error)))?;
    if page.digest() == release.page {
        Ok(page)
    } else {
        Err(damaged(None).into())
    }
}

/// Reads what `--to` says.
///
/// # Errors
/// When it can be neither a number nor the beginning of a name.
pub(crate) fn which(text: &str) -> Result<Which, String> {
    let is_of_name = |it: u8| it.is_ascii_hexdigit() || it == b'-';
    match text.parse() {
        Ok(number) if text.len() < TYPED_MIN && number > 0 => Ok(Which::Number(number)),
        _ if text.len() >= TYPED_MIN && text.bytes().all(is_of_name) => {
            Ok(Which::Name(text.to_lowercase()))
        }
        _ => Err(format!(
            "neither a number of the list nor at least {TYPED_MIN} characters of a name"
        )),
    }
}

/// The release that is meant. `runs` tells of each, in order, whether it is what runs now.
///
/// # Errors
/// [`ReleaseError`], if there is none, or more than one.
pub(crate) fn choose<'a>(
    stack: &str,
    kept: &'a Kept,
    runs: &[bool],
    which: &Which,
) -> Result<&'a Release, ReleaseError> {
    let stack = stack.to_owned();
    let Kept { releases, mark } = kept;
    if releases.is_empty() {
        return Err(ReleaseError::None { stack });
    }
    let unknown = |which: String| ReleaseError::Unknown {
        stack: stack.clone(),
        which,
        known: releases.iter().map(ToString::to_string).collect(),
    };
    match which {
        Which::Previous => {
            let Some(mark) = mark else {
                return Err(ReleaseError::Unreadable { stack });
            };
            if let Some(release) = mark.going_to(releases) {
                return Ok(release);
            }
            let others = releases.iter().zip(runs).filter(|(_, runs)| !**runs);
            let others = others.map(|(release, _)| release);
            let (left, others): (Vec<_>, Vec<_>) = others.partition(|it| mark.has_left(it));
            let other = others.first().copied();
            other.ok_or_else(|| ReleaseError::NoOther {
                stack,
                left: left.iter().map(ToString::to_string).collect(),
            })
        }
        Which::Number(number) => {
            let release = number.checked_sub(1).and_then(|it| releases.get(it));
            release.ok_or_else(|| unknown(number.to_string()))
        }
        Which::Name(name) => {
            let is_meant = |it: &&Release| it.to_string().starts_with(name);
            let meant: Vec<_> = releases.iter().filter(is_meant).collect();
            match meant.as_slice() {
                [] => Err(unknown(name.clone())),
                [release] => Ok(release),
                several => Err(ReleaseError::Ambiguous {
                    which: name.clone(),
                    known: several.iter().map(ToString::to_string).collect(),
                }),
            }
        }
    }
}

/// What there would be to go back to from `release`, if that is what runs.
pub(crate) fn before(stack: &str, mut kept: Kept, release: &Release) -> Option<Release> {
    if let Some(mark) = &mut kept.mark
        && mark.leads_to(release)
    {
        *mark = mark.given_up();
    }
    let runs: Vec<_> = kept.releases.iter().map(|it| it.is_same(release)).collect();
    choose(stack, &kept, &runs, &Which::Previous).ok().cloned()
}
