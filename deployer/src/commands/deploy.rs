//! `chatctl deploy`: put the chat on AWS, or bring it up to date.

use std::time::Instant;

use serde_json::json;

use super::urls::{Urls, required};
use super::{ARTIFACTS_OWNER, ARTIFACTS_STACK, CHAT_OWNER, until_interrupted};
use crate::build::{self, Package, Sources};
use crate::cloud::aws::Aws;
use crate::cloud::{Cloud, NewObject, StackView, Terms, Wanted};
use crate::error::Error;
use crate::output::Output;
use crate::settings::DeploySettings;
use crate::site::{self, Extent, Host, Page};
use crate::stack::{self, Applied, Losses};
use crate::template::{self, StageName};

/// Deploys a chat. Whatever state an earlier try has left, this goes on from there.
///
/// # Errors
/// [`Error`], if any step fails. Running it again is always right.
pub(crate) fn run(settings: &DeploySettings, output: &mut Output) -> Result<(), Error> {
    output.for_programs(settings.json);
    until_interrupted(async {
        // Before the build, which takes minutes and would be in vain without credentials.
        let aws = Aws::connect(&settings.account).await?;
        deploy(&aws, &aws.region, settings, output).await
    })
}

async fn deploy(
    cloud: &impl Cloud,
    region: &str,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<(), Error> {
    let since = Instant::now();
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    output.step(&format!("deploying `{name}` to {region}"))?;
    // A call before the build as well: it shows whether the credentials are good, and the name free.
    if let Some(stack) = cloud.find(&name).await? {
        stack::check_owner(&stack, &name, CHAT_OWNER)?;
    }
    let page = page(settings)?;
    let package = package(settings, output).await?;
    let bucket = artifacts_bucket(cloud, &settings.terms, output).await?;
    let key = upload(cloud, &bucket, package, output).await?;
    let wanted = wanted(settings, bucket, key)?;
    let Applied { stack, is_changed } =
        stack::apply(cloud, &wanted, &settings.terms, &settings.losses, output).await?;
    if !is_changed {
        output.step(&format!("stack `{}`: nothing to change", wanted.name))?;
    }
    if settings.terms.is_express
        && let Some(distribution) = stack.output("SiteDistributionId")
    {
        site::until_deployed(cloud, distribution, output).await?;
    }
    let urls = Urls::of(stage, &stack)?;
    let published = publish(cloud, stage, &stack, page, &urls, output).await?;
    let is_changed = is_changed || published;
    let extent = if is_changed || settings.verify {
        Extent::Whole
    } else {
        Extent::Configuration
    };
    site::verify(urls.chat(), extent, output).await?;
    output.step(&format!("all done in {} s", since.elapsed().as_secs()))?;
    announce(settings, &urls, is_changed, output)
}

/// The page of `--wwwroot`, of the clone, or else the one that this program was built with.
pub(super) fn page(settings: &DeploySettings) -> Result<Page, Error> {
    if let Some(folder) = &settings.wwwroot {
        return Ok(Page::read(folder)?);
    }
    match Sources::find(&settings.folder) {
        Ok(sources) => Ok(Page::read(&sources.wwwroot())?),
        Err(_) => Ok(Page::embedded()),
    }
}

pub(super) async fn package(
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<Package, Error> {
    let since = Instant::now();
    let made = if let Some(bootstrap) = &settings.bootstrap {
        build::pack(bootstrap.clone(), settings.architecture).await?
    } else {
        output.step("building the functions (the first time takes minutes)")?;
        build::make(&Sources::find(&settings.folder)?, settings.architecture).await?
    };
    output.step(&format!(
        "package {} of {} KB, from `{}` of {} KB, in {} s",
        short(&made.package.sha256),
        made.package.zip.len() / 1000,
        made.bootstrap.display(),
        made.bytes / 1000,
        since.elapsed().as_secs()
    ))?;
    Ok(made.package)
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// The bucket that the stages share, made if it is not there.
async fn artifacts_bucket(
    cloud: &impl Cloud,
    terms: &Terms,
    output: &mut Output,
) -> Result<String, Error> {
    if let Some(bucket) = existing_bucket(cloud).await? {
        return Ok(bucket);
    }
    output.step(&format!(
        "making the bucket of packages (stack `{ARTIFACTS_STACK}`)"
    ))?;
    let wanted = Wanted {
        name: ARTIFACTS_STACK.to_owned(),
        template: template::artifacts()?.to_owned(),
        parameters: Vec::new(),
        owner: ARTIFACTS_OWNER,
        tags: Vec::new(),
    };
    let applied = stack::apply(cloud, &wanted, terms, &Losses::Refused, output).await?;
    bucket_of(&applied.stack)
}

/// The bucket that the stages share, if it is there.
pub(super) async fn existing_bucket(cloud: &impl Cloud) -> Result<Option<String>, Error> {
    let stack = cloud.find(ARTIFACTS_STACK).await?;
    let Some(stack) = stack.filter(|it| it.status.is_good()) else {
        return Ok(None);
    };
    stack::check_owner(&stack, ARTIFACTS_STACK, ARTIFACTS_OWNER)?;
    bucket_of(&stack).map(Some)
}

fn bucket_of(stack: &StackView) -> Result<String, Error> {
    const OUTPUT: &str = "ArtifactsBucketName";
    let bucket = stack.output(OUTPUT).map(str::to_owned);
    bucket.ok_or_else(|| Error::NoOutput {
        stack: ARTIFACTS_STACK.to_owned(),
        output: OUTPUT,
    })
}

/// Where a package is kept.
pub(super) fn key_of(package: &Package) -> String {
    format!("functions/{}.zip", package.sha256)
}

/// Uploads the package, if it is not there, and gives its key.
async fn upload(
    cloud: &impl Cloud,
    bucket: &str,
    package: Package,
    output: &mut Output,
) -> Result<String, Error> {
    let key = key_of(&package);
    if cloud.objects(bucket, &key).await?.is_empty() {
        output.step(&format!("uploading the package to `{bucket}`"))?;
        let object = NewObject {
            key: key.clone(),
            body: package.zip.into(),
            content_type: "application/zip".to_owned(),
            cache_control: None,
        };
        cloud.put(bucket, object).await?;
    }
    Ok(key)
}

pub(super) fn wanted(
    settings: &DeploySettings,
    bucket: String,
    key: String,
) -> Result<Wanted, Error> {
    let stage = &settings.template.stage;
    let parameters = [
        ("StageName", stage.to_string()),
        ("CodeBucket", bucket),
        ("CodeKey", key),
        ("Architecture", settings.architecture.to_string()),
        ("Cdn", settings.cdn.to_string()),
    ];
    Ok(Wanted {
        name: stage.stack_name(),
        template: template::synthesize(&settings.template)?.to_yaml(),
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        owner: CHAT_OWNER,
        tags: vec![("chatctl:stage".to_owned(), stage.to_string())],
    })
}

/// Who serves the page.
pub(super) fn host(stage: &StageName, stack: &StackView) -> Result<Host, Error> {
    Ok(match stack.output("SitePolicy") {
        Some(policy) => Host::Website {
            policy: policy.to_owned(),
        },
        None => Host::Distribution(required(stage, stack, "SiteDistributionId")?),
    })
}

async fn publish(
    cloud: &impl Cloud,
    stage: &StageName,
    stack: &StackView,
    page: Page,
    urls: &Urls,
    output: &mut Output,
) -> Result<bool, Error> {
    let bucket = required(stage, stack, "SiteBucketName")?;
    let host = host(stage, stack)?;
    let page = page.with_config(&urls.websocket);
    Ok(site::publish(cloud, &bucket, &host, page, output).await?)
}

fn announce(
    settings: &DeploySettings,
    urls: &Urls,
    is_changed: bool,
    output: &mut Output,
) -> Result<(), Error> {
    let text = if settings.json {
        let result = json!({
            "event": "result",
            "stage": settings.template.stage.as_str(),
            "changed": is_changed,
            "site": urls.site,
            "websocket": urls.websocket,
        });
        format!("{result}\n")
    } else {
        urls.lines()
    };
    output.data(&text)?;
    Ok(())
}
