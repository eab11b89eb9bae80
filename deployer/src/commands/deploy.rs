//! `chatctl deploy`: put the chat on AWS, or bring it up to date.

mod standing;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::try_join;

use standing::{Standing, proof};

use super::urls::{Urls, required};
use super::{ARTIFACTS_STACK, CHAT_OWNER, hotswap, until_interrupted};
use crate::build::{self, BuildError, Made, Package, Program, Sources};
use crate::cloud::aws::Aws;
use crate::cloud::{
    Buckets, Cloud, Code, Functions, Packages, StackView, Stacks, Templates, Wanted,
};
use crate::error::{BadDeploy, Error};
use crate::functions;
use crate::output::{Output, OutputError};
use crate::packages;
use crate::protection;
use crate::releases::{self, Release};
use crate::settings::DeploySettings;
use crate::site::{self, Action, Extent, Host, Listing, Page, Published, SiteError};
use crate::stack::{self, Applied};
use crate::template::{self, Protection, StageName};

/// The stack's outputs that name its functions.
pub(super) const FUNCTIONS: [&str; 3] = ["ConnectFunctionName", "DisconnectFunctionName", ACTION];

/// The one that answers frames.
pub(super) const ACTION: &str = "ActionFunctionName";

/// And of the one that is there where people sign in.
pub(super) const AUTHORIZER: &str = "AuthorizeFunctionName";

/// Deploys a chat. Whatever state an earlier try has left, this goes on from there.
///
/// # Errors
/// [`Error`], if any step fails. Running it again is always right.
pub(crate) fn run(settings: &DeploySettings, output: &mut Output) -> Result<(), Error> {
    output.for_programs(settings.json);
    until_interrupted(async {
        // Before the build, which takes minutes and would be in vain without credentials.
        let aws = Aws::connect(&settings.account).await?;
        if settings.hotswap {
            Box::pin(hotswap::hotswap(&aws, &aws.region, settings, output)).await
        } else {
            Box::pin(deploy(&aws, &aws.region, settings, output)).await
        }
    })
}

async fn deploy(
    cloud: &(impl Cloud + Functions + Packages + Templates),
    region: &str,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<(), Error> {
    let since = Instant::now();
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    output.step(&format!("deploying `{name}` to {region}"))?;
    let settings = &settings.discovered().await?;
    let page = page(settings)?;
    // What is wrong with the template is told before the build, which may take minutes.
    template::synthesize(&settings.template)?;
    let look = async || find_chat(cloud, &name).await;
    let (found, program) = while_compiling(look, settings, output).await?;
    let settings = &keeping(settings, found.as_ref(), output)?;
    let standing = match standing::look(cloud, settings, found.as_ref(), &program, output).await? {
        Some(standing) => standing,
        None => bring_up(cloud, settings, found, program, output).await?,
    };
    let Standing {
        stack,
        wanted,
        proof,
        code,
        package_sha256,
        package,
        is_changed,
        listing,
        is_configured,
    } = standing;
    if !is_changed {
        output.step(&format!("stack `{}`: nothing to change", wanted.name))?;
    }
    let protect = settings.protect.unwrap_or_default();
    let is_switched = protection::switch(cloud, &stack, protect, output).await?;
    let release = Release::new(&package_sha256, &page, code.architecture);
    let put_right = match package {
        Some(package) => put_functions_right(cloud, stage, &stack, &code, package, output).await?,
        None => false,
    };
    if settings.terms.is_express
        && let Some(distribution) = stack.output("SiteDistributionId")
    {
        site::until_deployed(cloud, distribution, output).await?;
    }
    let urls = Urls::of(stage, &stack)?;
    let published = publish(cloud, stage, &stack, page.clone(), &urls, listing, output).await?;
    let is_changed = is_changed || is_switched || put_right || published.is_changed;
    let is_proven = proof.as_deref().is_some_and(|it| published.is_verified(it));
    let extent = if is_changed || settings.verify || !is_proven {
        Extent::Whole
    } else {
        Extent::Configuration
    };
    let deployed = Deployed {
        stage,
        stack: &stack,
        proof,
        urls: &urls,
        packages: &code.bucket,
        release: &release,
        page: &page,
        is_rollback: false,
    };
    if extent == Extent::Configuration && is_configured {
        output.step("verified: the page's configuration")?;
    } else {
        verify(cloud, &deployed, extent, settings.verify_timeout, output).await?;
    }
    urls.tell_of_domain(output).await?;
    if let Some(address) = settings
        .operations
        .alarm_email
        .as_ref()
        .filter(|_| is_changed)
    {
        output.step(&format!(
            "alarms reach `{address}` once AWS's mail to it has been confirmed"
        ))?;
    }
    output.step(&format!("all done in {} s", since.elapsed().as_secs()))?;
    let result = json!({"changed": is_changed});
    announce(settings.json, stage, &urls, result, output)
}

/// Brings stack and functions up to date.
async fn bring_up(
    cloud: &(impl Cloud + Functions + Packages + Templates),
    settings: &DeploySettings,
    stack: Option<StackView>,
    program: Program,
    output: &mut Output,
) -> Result<Standing, Error> {
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    let program_sha256 = program.sha256.clone();
    let artifacts = async { Ok(cloud.find(ARTIFACTS_STACK).await?) };
    let template = async { Ok(cloud.template(&name).await?) };
    let (artifacts, template, (made, took)) =
        try_join!(artifacts, template, timed(program.pack()))?;
    let package = tell_of(made, took, output)?;
    let found = Found {
        stack,
        template,
        artifacts,
    };
    let bucket = packages::bucket(cloud, found.artifacts.clone(), &settings.terms, output).await?;
    let code = code(settings, stage, bucket, &package);
    let wanted = wanted(settings, &code)?;
    let as_wanted = found.stack_as(&wanted).cloned();
    let Applied { stack, is_changed } = if let Some(stack) = as_wanted {
        Applied {
            stack,
            is_changed: false,
        }
    } else {
        packages::upload(cloud, &code.bucket, &code.key, package.clone(), output).await?;
        // It has to be deleted to start over, and never had anything to lose.
        if let Some(stack) = found
            .stack
            .as_ref()
            .filter(|it| protection::hinders_starting_over(it))
            && protection::is_lifted_by(&wanted)
        {
            protection::switch(cloud, stack, Protection::Off, output).await?;
        }
        stack::apply(cloud, &wanted, &settings.terms, &settings.losses, output).await?
    };
    // What was not changed AWS or this program has compared already.
    let is_same = !is_changed || {
        let template = cloud.template(&stack.id).await?;
        template.is_some_and(|it| is_template_of(&wanted, &it))
    };
    let now = cloud.find(&stack.id).await?;
    let is_sure = is_same && standing::is_still(&stack, &wanted, now.as_ref());
    let proof = proof(&wanted, &program_sha256, &stack).filter(|_| is_sure);
    Ok(Standing {
        stack,
        wanted,
        proof,
        code,
        package_sha256: package.sha256.clone(),
        package: Some(package),
        is_changed,
        listing: None,
        is_configured: false,
    })
}

/// The settings with what the stack keeps of its own, which is told: whoever wants it otherwise has to say so.
pub(super) fn keeping(
    settings: &DeploySettings,
    stack: Option<&StackView>,
    output: &mut Output,
) -> Result<DeploySettings, Error> {
    let settings = settings.keeping(stack)?;
    let kept = settings.access.kept();
    if !kept.is_empty() {
        output.step(&format!("kept: {}", kept.join(", ")))?;
    }
    Ok(settings)
}

/// What is there before a deploy.
pub(super) struct Found {
    pub(super) stack: Option<StackView>,
    pub(super) template: Option<String>,
    pub(super) artifacts: Option<StackView>,
}

impl Found {
    /// The stack, if it is as it is wanted already: AWS itself tells the template and the parameters
    /// that it was last made from, which saves the change set that would find nothing.
    pub(super) fn stack_as(&self, wanted: &Wanted) -> Option<&StackView> {
        let template = self.template.as_ref()?;
        let is_same = is_template_of(wanted, template);
        let stack = self.stack.as_ref()?;
        (is_same && is_given_as(stack, wanted)).then_some(stack)
    }
}

fn is_template_of(wanted: &Wanted, template: &str) -> bool {
    template.trim_end() == wanted.template.trim_end()
}

/// Whether all but its template is as it is wanted.
fn is_given_as(stack: &StackView, wanted: &Wanted) -> bool {
    stack.status.is_good() && has_all_of(stack, wanted)
}

/// Whether it has the parameters and tags that are wanted, and no others.
fn has_all_of(stack: &StackView, wanted: &Wanted) -> bool {
    let has_tag = |tag| stack.tags.contains(tag);
    let has_parameter = |parameter| stack.parameters.contains(parameter);
    stack.parameters.len() == wanted.parameters.len()
        && wanted.parameters.iter().all(has_parameter)
        && stack.given_tags().count() == wanted.tags.len()
        && wanted.tags.iter().all(has_tag)
}

/// Looks at everything at once. It shows as well whether the credentials are good, and the name free.
pub(super) async fn look(cloud: &(impl Stacks + Templates), name: &str) -> Result<Found, Error> {
    let artifacts = async { Ok(cloud.find(ARTIFACTS_STACK).await?) };
    let template = async { Ok(cloud.template(name).await?) };
    let (stack, template, artifacts) = try_join!(find_chat(cloud, name), template, artifacts)?;
    Ok(Found {
        stack,
        template,
        artifacts,
    })
}

/// Likewise, but for what only a change needs.
async fn find_chat(cloud: &impl Stacks, name: &str) -> Result<Option<StackView>, Error> {
    let stack = cloud.find(name).await?;
    if let Some(stack) = &stack {
        stack::check_owner(stack, name, CHAT_OWNER)?;
    }
    Ok(stack)
}

/// Looks something up while the package is made. Where that fails, the build ends at once.
pub(super) async fn while_building<T>(
    look: impl AsyncFn() -> Result<T, Error>,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<(T, Package), Error> {
    let is_built = tell_of_build(settings, output)?;
    let made = timed(make(settings));
    let (found, (made, took)) = seen_after(made, is_built, look).await?;
    Ok((found, tell_of(made, took, output)?))
}

/// Looks something up while the program is made. Where that fails, the build ends at once.
async fn while_compiling<T>(
    look: impl AsyncFn() -> Result<T, Error>,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<(T, Program), Error> {
    let is_built = tell_of_build(settings, output)?;
    let program = async { Ok(build::program(&settings.origin, settings.architecture).await?) };
    seen_after(program, is_built, look).await
}

/// Whether the program is built now, which takes its time.
fn tell_of_build(settings: &DeploySettings, output: &mut Output) -> Result<bool, OutputError> {
    output.step(&settings.origin.told())?;
    let is_built = settings.origin.is_built();
    if is_built {
        output.step("building the functions (the first time takes minutes)")?;
    }
    Ok(is_built)
}

fn tell_of(made: Made, took: Duration, output: &mut Output) -> Result<Package, OutputError> {
    output.step(&format!(
        "package {} of {} KB, from `{}` of {} KB, in {} s",
        short(&made.package.sha256),
        made.package.zip.len() / 1000,
        made.bootstrap.display(),
        made.bytes / 1000,
        took.as_secs()
    ))?;
    Ok(made.package)
}

/// What is seen while something is made and, where that takes its time, in which somebody else may have
/// deployed, after it.
async fn seen_after<T, M>(
    building: impl Future<Output = Result<M, Error>>,
    takes_long: bool,
    look: impl AsyncFn() -> Result<T, Error>,
) -> Result<(T, M), Error> {
    let (mut found, made) = try_join!(look(), building)?;
    if takes_long {
        found = look().await?;
    }
    Ok((found, made))
}

async fn timed(
    made: impl Future<Output = Result<Made, BuildError>>,
) -> Result<(Made, Duration), Error> {
    let since = Instant::now();
    Ok((made.await?, since.elapsed()))
}

async fn make(settings: &DeploySettings) -> Result<Made, BuildError> {
    let program = build::program(&settings.origin, settings.architecture).await?;
    program.pack().await
}

/// A package in its place, as functions are given it.
pub(super) fn code(
    settings: &DeploySettings,
    stage: &StageName,
    bucket: String,
    package: &Package,
) -> Code {
    Code {
        bucket,
        key: packages::key(stage, package),
        sha256: package.code_sha256.clone(),
        architecture: settings.architecture.as_str(),
    }
}

/// CloudFormation looks at templates alone: functions that were swapped or changed by hand are as
/// they should be in its eyes. Gives whether there were any.
async fn put_functions_right(
    cloud: &(impl Cloud + Functions + Packages),
    stage: &StageName,
    stack: &StackView,
    code: &Code,
    package: Package,
    output: &mut Output,
) -> Result<bool, Error> {
    let names = function_names(stage, stack)?;
    let outdated = functions::outdated(cloud, &names, code).await?;
    if outdated.is_empty() {
        return Ok(false);
    }
    output.step(&format!(
        "changed outside of the stack, and put right: {}",
        listed(&outdated)
    ))?;
    packages::upload(cloud, &code.bucket, &code.key, package, output).await?;
    functions::replace(cloud, &outdated, code).await?;
    Ok(true)
}

pub(super) fn function_names(stage: &StageName, stack: &StackView) -> Result<Vec<String>, Error> {
    let names = FUNCTIONS.into_iter();
    let names = names.map(|it| required(stage, stack, it));
    let authorizer = stack.output(AUTHORIZER).map(|it| Ok(it.to_owned()));
    names.chain(authorizer).collect()
}

pub(super) fn listed(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}

/// The page of `--wwwroot`, of the sources, or else the one that this program was built with.
pub(super) fn page(settings: &DeploySettings) -> Result<Page, Error> {
    if let Some(folder) = &settings.wwwroot {
        return Ok(Page::read(folder)?);
    }
    match settings.origin.sources().map(Sources::wwwroot) {
        Some(folder) => Ok(Page::read(&folder)?),
        None => Ok(Page::embedded()),
    }
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

pub(super) fn wanted(settings: &DeploySettings, code: &Code) -> Result<Wanted, Error> {
    let stage = &settings.template.stage;
    let protection = settings.protect.unwrap_or_default();
    let ours = ("chatctl:stage".to_owned(), stage.to_string());
    let document = template::synthesize_protected(&settings.template, protection)?;
    let mut parameters = parameters(settings, code);
    // AWS tells these of a stack as well, given or not.
    parameters.extend(document.defaults(&parameters));
    Ok(Wanted {
        name: stage.stack_name(),
        template: document.to_yaml(),
        parameters,
        owner: CHAT_OWNER,
        tags: std::iter::once(ours).chain(settings.tags.clone()).collect(),
        aside: Some(releases::aside(&code.bucket, stage)),
    })
}

/// The parameters of our own template.
fn parameters(settings: &DeploySettings, code: &Code) -> Vec<(String, String)> {
    let domain = settings.domain.as_ref();
    let protection = settings.protect.unwrap_or_default();
    let own = [
        ("StageName", settings.template.stage.to_string()),
        ("CodeBucket", code.bucket.clone()),
        ("CodeKey", code.key.clone()),
        ("Architecture", settings.architecture.to_string()),
        ("Cdn", settings.cdn.to_string()),
        (
            "DomainName",
            domain.map_or_else(String::new, |it| it.name.to_string()),
        ),
        (
            "CertificateArn",
            domain.map_or_else(String::new, |it| it.certificate.to_string()),
        ),
        ("HistoryDays", settings.history_days.to_string()),
        (
            "MessagesPerSecond",
            settings.messages_per_second.to_string(),
        ),
        ("Protect", protection.to_string()),
    ];
    own.into_iter()
        .chain(settings.operations.parameters())
        .chain(settings.access.parameters())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
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

pub(super) async fn publish(
    cloud: &impl Cloud,
    stage: &StageName,
    stack: &StackView,
    page: Page,
    urls: &Urls,
    listing: Option<Listing>,
    output: &mut Output,
) -> Result<Published, Error> {
    let bucket = required(stage, stack, "SiteBucketName")?;
    let host = host(stage, stack)?;
    let page = page.with_config(urls.config());
    Ok(site::publish(cloud, &bucket, &host, page, listing, output).await?)
}

/// What was deployed.
pub(super) struct Deployed<'a> {
    pub(super) stage: &'a StageName,
    pub(super) stack: &'a StackView,
    /// What the chat is made from, if that is known beyond doubt.
    pub(super) proof: Option<String>,
    pub(super) urls: &'a Urls,
    /// The bucket of packages.
    pub(super) packages: &'a str,
    pub(super) release: &'a Release,
    pub(super) page: &'a Page,
    /// Whether it was gone back to.
    pub(super) is_rollback: bool,
}

/// Looks at the chat from outside, and remembers whether it works: a deploy that is run again after one
/// that failed here has nothing to change, and must not take that for a chat that works. What works is
/// kept, to go back to, and what is older goes only then; before that is noted, so that whatever is cut off
/// here is done by the next.
pub(super) async fn verify(
    cloud: &(impl Buckets + Functions + Packages),
    deployed: &Deployed<'_>,
    extent: Extent,
    limit: Duration,
    output: &mut Output,
) -> Result<(), Error> {
    let Deployed { stage, stack, .. } = deployed;
    let bucket = required(stage, stack, "SiteBucketName")?;
    let function = &required(stage, stack, ACTION)?;
    let (chat, action) = (deployed.urls.chat(), Action { cloud, function });
    let verified = site::verify(chat, action, extent, limit, output).await;
    if extent != Extent::Whole {
        return Ok(verified?);
    }
    if let Err(error) = verified {
        // What is wrong with the chat is worth more than what is wrong with this.
        drop(site::forget_verified(cloud, &bucket).await);
        return Err(with_way_back(cloud, deployed, error).await);
    }
    let (packages, release) = (deployed.packages, deployed.release);
    let kept = releases::record(cloud, packages, stage, release, deployed.page).await?;
    packages::prune(cloud, packages, stage, &kept.releases).await?;
    if !deployed.is_rollback {
        releases::arrive(cloud, packages, stage, release, &kept).await?;
    }
    match deployed.proof.clone() {
        Some(proof) => Ok(site::note_verified(cloud, &bucket, proof).await?),
        None => Ok(()),
    }
}

/// What is wrong with a deploy, and how to go back from it if something is kept that worked.
async fn with_way_back(
    cloud: &(impl Buckets + Packages),
    deployed: &Deployed<'_>,
    error: SiteError,
) -> Error {
    let Deployed { stage, release, .. } = deployed;
    let kept = releases::look(cloud, deployed.packages, stage).await;
    let Ok(kept) = kept else { return error.into() };
    let used: Vec<_> = kept.releases.iter().chain([*release]).cloned().collect();
    // A chat that never works has its packages go as well.
    drop(packages::prune(cloud, deployed.packages, stage, &used).await);
    if !matches!(error, SiteError::NotWorking { .. }) {
        return error.into();
    }
    let back = releases::before(&stage.stack_name(), kept, release);
    let again = deployed.is_rollback.then(|| release.to_string());
    if back.is_none() && again.is_none() {
        return error.into();
    }
    Error::from(Box::new(BadDeploy {
        error,
        stage: stage.to_string(),
        again,
        back: back.map(|it| (it.to_string(), it.time())),
    }))
}

/// Tells where the chat is, and for programs what a command has come to.
pub(super) fn announce(
    is_json: bool,
    stage: &StageName,
    urls: &Urls,
    result: Value,
    output: &mut Output,
) -> Result<(), Error> {
    let text = if is_json {
        let mut all = urls.json();
        all["event"] = "result".into();
        all["stage"] = stage.as_str().into();
        if let (Some(all), Value::Object(result)) = (all.as_object_mut(), result) {
            all.extend(result);
        }
        format!("{all}\n")
    } else {
        urls.lines()
    };
    output.data(&text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::stack::Status;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        pairs.iter().map(owned).collect()
    }

    fn wanted_stack() -> Wanted {
        Wanted {
            name: "chat-dev".to_owned(),
            template: "Resources: {}\n".to_owned(),
            parameters: pairs(&[("CodeKey", "new"), ("StageName", "dev")]),
            owner: CHAT_OWNER,
            tags: pairs(&[("chatctl:stage", "dev")]),
            aside: None,
        }
    }

    /// Everything as it is wanted, in AWS's order.
    fn found() -> (StackView, String) {
        let stack = StackView {
            id: "id".to_owned(),
            status: Status::new("UPDATE_COMPLETE"),
            outputs: Vec::new(),
            parameters: pairs(&[("StageName", "dev"), ("CodeKey", "new")]),
            tags: pairs(&[
                ("aws:x", "y"),
                ("chatctl", "chat"),
                ("chatctl:stage", "dev"),
            ]),
            owner: Some(CHAT_OWNER.to_owned()),
            is_protected: false,
            changed: None,
        };
        (stack, "Resources: {}".to_owned())
    }

    fn is_as_wanted((stack, template): (StackView, String)) -> bool {
        let found = Found {
            stack: Some(stack),
            template: Some(template),
            artifacts: None,
        };
        found.stack_as(&wanted_stack()).is_some()
    }

    #[test]
    fn every_parameter_of_the_template_is_given() {
        let cli = crate::cli::Cli::try_parse_from(["chatctl", "deploy", "--history-days", "30"]);
        let Ok(crate::cli::Command::Deploy(args)) = cli.map(|it| it.command) else {
            panic!("a good command line");
        };
        let settings = DeploySettings::new(&args).unwrap();
        let code = Code {
            bucket: "bucket".to_owned(),
            key: "key".to_owned(),
            sha256: "sha".to_owned(),
            architecture: "x86_64",
        };
        let given = parameters(&settings, &code);
        let thirty = ("HistoryDays".to_owned(), "30".to_owned());
        assert!(given.contains(&thirty), "{given:?}");
        let document = template::synthesize(&settings.template).unwrap();
        let mut declared: Vec<_> = document.as_value()["Parameters"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let mut given: Vec<_> = given.into_iter().map(|(name, _)| name).collect();
        declared.sort();
        given.sort();
        // One that is not given has its default whatever the settings say.
        assert_eq!(given, declared);
    }

    /// What each setting of a file comes to in the stack.
    const OF_A_FILE: [(&str, &str, &str); 16] = [
        ("allowed-origins", "\"site\"", "AllowedOrigins"),
        ("memory", "512", "Memory"),
        ("throttle-rate", "2000", "ThrottleRate"),
        ("throttle-burst", "900", "ThrottleBurst"),
        ("log-retention", "90", "LogRetention"),
        ("access-logs", "\"on\"", "AccessLogs"),
        ("metrics", "\"off\"", "Metrics"),
        ("dashboard", "\"off\"", "Dashboard"),
        ("alarm-email", "\"ann@example.org\"", "AlarmEmail"),
        ("domain", "\"chat.example.org\"", "DomainName"),
        (
            "certificate-arn",
            "\"arn:aws:acm:us-east-1:123456789012:certificate/1\"",
            "CertificateArn",
        ),
        ("history-days", "30", "HistoryDays"),
        ("messages-per-second", "50", "MessagesPerSecond"),
        ("arch", "\"arm64\"", "Architecture"),
        ("protect", "\"on\"", "Protect"),
        ("stage", "\"prod\"", "StageName"),
    ];

    #[test]
    fn what_a_file_says_is_what_the_stack_gets() {
        let folder = std::env::temp_dir().join(format!("chatctl-wanted-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lines = OF_A_FILE.map(|(key, value, _)| format!("{key} = {value}\n"));
        let text = lines.concat() + "[tags]\nteam = \"chat\"\n";
        std::fs::write(folder.join("chatctl.toml"), text).unwrap();
        let arguments = ["chatctl", "deploy", "--throttle-burst", "700"];
        let parsed = crate::config::parse(arguments.map(Into::into), &folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let crate::cli::Command::Deploy(args) = parsed.unwrap().cli.command else {
            panic!("a deploy");
        };
        let code = Code {
            bucket: "bucket".to_owned(),
            key: "key".to_owned(),
            sha256: "sha".to_owned(),
            architecture: "arm64",
        };
        let wanted = wanted(&DeploySettings::new(&args).unwrap(), &code).unwrap();
        for (key, value, parameter) in OF_A_FILE {
            let value = if key == "throttle-burst" {
                "700"
            } else {
                value
            };
            let expected = (parameter.to_owned(), value.trim_matches('"').to_owned());
            assert!(wanted.parameters.contains(&expected), "{key}: {wanted:?}");
        }
        assert_eq!(wanted.name, "chat-prod");
        assert!(
            wanted
                .tags
                .contains(&("team".to_owned(), "chat".to_owned()))
        );
        assert!(wanted.template.contains("DeletionPolicy: Retain"));
    }

    #[tokio::test]
    async fn after_a_build_it_is_looked_again_and_what_cannot_be_seen_ends_the_build() {
        let looks = std::cell::Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            Ok(looks.get())
        };
        let make = async || Ok("package");
        let seen = seen_after(make(), true, &look).await.unwrap();
        assert_eq!(seen, (2, "package"), "what was seen last");
        let seen = seen_after(make(), false, &look).await.unwrap();
        assert_eq!(seen, (3, "package"), "nothing was built");

        let refused = async || Err::<(), _>(Error::Unconfirmed);
        let endless = std::future::pending::<Result<(), Error>>();
        let seen = seen_after(endless, true, refused).await;
        assert!(matches!(seen, Err(Error::Unconfirmed)), "{seen:?}");
        let failed = async || Err::<(), _>(Error::Unconfirmed);
        assert!(seen_after(failed(), true, &look).await.is_err());
        assert_eq!(looks.get(), 4, "not again for nothing");
    }

    #[test]
    fn only_a_stack_in_which_nothing_differs_is_left_as_it_is() {
        type Change = fn(&mut StackView, &mut String);
        assert!(is_as_wanted(found()));
        let changes: [(&str, Change); 7] = [
            ("template", |_, template| template.push_str(" # new")),
            ("value", |stack, _| stack.parameters[1].1 = "old".to_owned()),
            ("one more", |stack, _| {
                stack.parameters.extend(pairs(&[("Site", "")]));
            }),
            ("one less", |stack, _| drop(stack.parameters.pop())),
            ("tag", |stack, _| drop(stack.tags.pop())),
            ("one more tag", |stack, _| {
                stack.tags.extend(pairs(&[("team", "old")]));
            }),
            ("status", |stack, _| {
                stack.status = Status::new("UPDATE_ROLLBACK_COMPLETE");
            }),
        ];
        for (name, change) in changes {
            let (mut stack, mut template) = found();
            change(&mut stack, &mut template);
            assert!(!is_as_wanted((stack, template)), "{name}");
        }
    }
}
