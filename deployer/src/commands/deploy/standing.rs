//! Whether a chat's stack and functions are as a program and the settings want them: found out from what
//! AWS tells, without packing the program, which takes longer than asking.

use tokio::try_join;

use super::building::short;
use super::found::{has_all_of, is_given_as};
use super::{function_names, wanted};
use crate::build::{Package, Program};
use crate::cloud::{Buckets, Code, Functions, StackView, Stacks, Wanted};
use crate::commands::ARTIFACTS_STACK;
use crate::commands::urls::{Urls, required};
use crate::error::Error;
use crate::functions::{self, FunctionError};
use crate::output::Output;
use crate::packages;
use crate::settings::DeploySettings;
use crate::site::{self, Listing};
use crate::template::StageName;

/// A stack as it is wanted.
pub(super) struct Standing {
    pub(super) stack: StackView,
    pub(super) wanted: Wanted,
    /// What the chat counts as proven with, once it is found to work; nothing where somebody else may have
    /// been at the stack.
    pub(super) proof: Option<String>,
    pub(super) code: Code,
    pub(super) package_sha256: String,
    /// The package, unless the functions are known to run it.
    pub(super) package: Option<Package>,
    /// Whether the stack was changed.
    pub(super) is_changed: bool,
    /// What the bucket of the page holds, if it was looked at.
    pub(super) listing: Option<Listing>,
    /// Whether the page's configuration is known to be there, and to lead to the chat.
    pub(super) is_configured: bool,
}

/// The chat, if it is known to be made from this program and these settings, and to run it. Whoever gets
/// nothing has to pack the program to know more.
///
/// The stack's own parameter names the package that it runs. That it was made from this program, and from
/// this template, says the proof that the last deploy left when it had found the chat to work.
///
/// # Errors
/// [`Error`], if AWS does not say.
pub(super) async fn look(
    cloud: &(impl Buckets + Functions + Stacks),
    settings: &DeploySettings,
    found: Option<&StackView>,
    program: &Program,
    output: &mut Output,
) -> Result<Option<Standing>, Error> {
    let stage = &settings.template.stage;
    let package = found.and_then(|stack| Some((stack, named(settings, stack)?)));
    let Some((stack, (package_sha256, code))) = package else {
        return Ok(None);
    };
    let wanted = wanted(settings, &code)?;
    let proof = proof(&wanted, &program.sha256, stack);
    let Some(proof) = proof.filter(|_| is_given_as(stack, &wanted)) else {
        return Ok(None);
    };
    let Some(places) = Places::of(stage, stack) else {
        return Ok(None);
    };
    // Whoever asks for all of it has it looked at later.
    let seen = seen(cloud, &places, &code, !settings.verify);
    let artifacts = async { Ok(cloud.find(ARTIFACTS_STACK).await?) };
    let (seen, artifacts) = try_join!(seen, artifacts)?;
    let Some(seen) = seen else {
        return Ok(None);
    };
    // A `destroy` of another stage at the same time can have taken the packages for nobody's.
    let Some(artifacts) = artifacts.filter(|it| packages::is_up_to_date(it).unwrap_or(false))
    else {
        return Ok(None);
    };
    if packages::existing_bucket(Some(&artifacts))?.as_ref() != Some(&code.bucket) {
        return Ok(None);
    }
    if !seen.listing.proves(&proof) || seen.is_outdated {
        return Ok(None);
    }
    output.step(&format!(
        "package {} from {}: as deployed",
        short(&package_sha256),
        program.told()
    ))?;
    Ok(Some(Standing {
        stack: stack.clone(),
        wanted,
        proof: Some(proof),
        code,
        package_sha256,
        package: None,
        is_changed: false,
        listing: Some(seen.listing),
        is_configured: seen.is_configured,
    }))
}

/// Where there is something to be looked at.
#[derive(Debug)]
struct Places {
    functions: Vec<String>,
    bucket: String,
    urls: Urls,
}

impl Places {
    /// Nothing where the stack does not tell all of it: its template may be another one, which a deploy that
    /// looks no further would never put right.
    fn of(stage: &StageName, stack: &StackView) -> Option<Self> {
        Some(Self {
            functions: function_names(stage, stack).ok()?,
            bucket: required(stage, stack, "SiteBucketName").ok()?,
            urls: Urls::of(stage, stack).ok()?,
        })
    }
}

/// What is there.
#[derive(Debug)]
struct Seen {
    is_outdated: bool,
    listing: Listing,
    is_configured: bool,
}

/// What is there; nothing where a function or the bucket is gone.
async fn seen(
    cloud: &(impl Buckets + Functions),
    places: &Places,
    code: &Code,
    with_configuration: bool,
) -> Result<Option<Seen>, Error> {
    let Places {
        functions,
        bucket,
        urls,
    } = places;
    let outdated = async { Ok(functions::outdated(cloud, functions, code).await?) };
    let listing = async { Ok(Listing::of(cloud, bucket).await?) };
    let is_configured = async { Ok(with_configuration && site::is_configured(urls.chat()).await) };
    match try_join!(outdated, listing, is_configured) {
        Ok((outdated, listing, is_configured)) => Ok(Some(Seen {
            is_outdated: !outdated.is_empty(),
            listing,
            is_configured,
        })),
        Err(Error::Cloud(error) | Error::Functions(FunctionError::Cloud(error)))
            if error.is_absence() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What a chat is proven to work with: all that its stack was made from, the program in the package that
/// the stack names, and which stack that was, as of which change. Whoever changes the stack makes the proof
/// void, so the template need not be asked for to be sure of it. Nothing where AWS does not tell of changes.
pub(super) fn proof(wanted: &Wanted, program_sha256: &str, stack: &StackView) -> Option<String> {
    let changed = stack.changed.as_ref()?;
    let (fingerprint, id) = (wanted.fingerprint(), &stack.id);
    Some(format!("{fingerprint} {program_sha256} {id} {changed}"))
}

/// Whether a stack `now` is the one that was seen before its template was compared: otherwise it may be made
/// from what somebody else gave it a moment later.
pub(super) fn is_still(seen: &StackView, wanted: &Wanted, now: Option<&StackView>) -> bool {
    seen.status.is_usable() && has_all_of(seen, wanted) && now == Some(seen)
}

/// The package that a stack names, if it is called as this program calls them.
fn named(settings: &DeploySettings, stack: &StackView) -> Option<(String, Code)> {
    let key = stack.parameter("CodeKey")?;
    let sha256 = packages::sha256_of(&settings.template.stage, key)?;
    let code = Code {
        bucket: stack.parameter("CodeBucket")?.to_owned(),
        sha256: packages::code_sha256(sha256),
        key: key.to_owned(),
        architecture: settings.architecture.as_str(),
    };
    Some((sha256.to_owned(), code))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cloud::{CloudError, FunctionView, Invoked, NewObject, StoredObject, Update};
    use crate::stack::Status;

    /// Whose functions run what they should, and whose bucket is empty, but for what is refused.
    struct Fake {
        function: Result<FunctionView, CloudError>,
        objects: Result<Vec<StoredObject>, CloudError>,
    }

    impl Functions for Fake {
        async fn function(&self, _: &str) -> Result<FunctionView, CloudError> {
            self.function.clone()
        }

        async fn replace_code(&self, name: &str, _: &Code) -> Result<FunctionView, CloudError> {
            panic!("`{name}` is looked at alone")
        }

        async fn invoke(&self, name: &str, _: String) -> Result<Invoked, CloudError> {
            panic!("`{name}` is looked at alone")
        }
    }

    impl Buckets for Fake {
        async fn objects(&self, _: &str, _: &str) -> Result<Vec<StoredObject>, CloudError> {
            self.objects.clone()
        }

        async fn put(&self, bucket: &str, _: NewObject) -> Result<(), CloudError> {
            panic!("`{bucket}` is looked at alone")
        }

        async fn remove(&self, bucket: &str, _: &[String]) -> Result<(), CloudError> {
            panic!("`{bucket}` is looked at alone")
        }

        async fn empty(&self, bucket: &str) -> Result<usize, CloudError> {
            panic!("`{bucket}` is looked at alone")
        }
    }

    const OUTPUTS: [(&str, &str); 6] = [
        ("ConnectFunctionName", "connect"),
        ("DisconnectFunctionName", "disconnect"),
        ("ActionFunctionName", "action"),
        ("SiteBucketName", "site"),
        ("SiteUrl", "https://d1.cloudfront.net/"),
        ("WebSocketUrl", "wss://d1.cloudfront.net/dev"),
    ];

    fn finished() -> StackView {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        StackView {
            outputs: OUTPUTS.map(owned).to_vec(),
            ..stack(&[])
        }
    }

    #[test]
    fn a_stack_that_lacks_an_output_is_not_known_to_be_as_wanted_and_no_failure() {
        let stage = &settings().template.stage;
        assert!(Places::of(stage, &finished()).is_some());
        for (name, _) in OUTPUTS {
            let mut stack = finished();
            stack.outputs.retain(|it| it.0 != name);
            assert!(Places::of(stage, &stack).is_none(), "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_gone_is_not_known_to_be_as_wanted_and_any_other_refusal_is_told() {
        let code = Code {
            bucket: "packages".to_owned(),
            key: "key".to_owned(),
            sha256: "new".to_owned(),
            architecture: "x86_64",
        };
        let places = Places::of(&settings().template.stage, &finished()).unwrap();
        let runs = |sha256: &str| {
            Ok(FunctionView {
                sha256: sha256.to_owned(),
                architecture: "x86_64".to_owned(),
                update: Update::Done,
            })
        };
        let look = async |function, objects| {
            let fake = Fake { function, objects };
            seen(&fake, &places, &code, false).await
        };
        for sha256 in ["new", "old"] {
            let seen = look(runs(sha256), Ok(Vec::new())).await.unwrap().unwrap();
            assert_eq!(seen.is_outdated, sha256 == "old");
        }
        let refused = |code| CloudError::of_answer("call", code, "no");
        let gone = look(Err(refused("ResourceNotFoundException")), Ok(Vec::new()));
        assert!(gone.await.unwrap().is_none());
        let gone = look(runs("new"), Err(refused("NoSuchBucket")));
        assert!(gone.await.unwrap().is_none());
        let denied = look(Err(refused("AccessDenied")), Ok(Vec::new()));
        assert!(matches!(denied.await, Err(Error::Functions(_))));
        let denied = look(runs("new"), Err(refused("AccessDenied")));
        assert!(matches!(denied.await, Err(Error::Cloud(_))));
    }

    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn settings() -> DeploySettings {
        let cli = crate::cli::Cli::try_parse_from(["chatctl", "deploy"]);
        let Ok(crate::cli::Command::Deploy(args)) = cli.map(|it| it.command) else {
            panic!("a good command line");
        };
        DeploySettings::new(&args).unwrap()
    }

    fn stack(parameters: &[(&str, &str)]) -> StackView {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        StackView {
            id: "id".to_owned(),
            status: Status::new("UPDATE_COMPLETE"),
            outputs: Vec::new(),
            parameters: parameters.iter().map(owned).collect(),
            tags: Vec::new(),
            owner: None,
            is_protected: false,
            changed: None,
        }
    }

    #[test]
    fn a_stack_tells_its_package_and_one_that_names_none_of_ours_tells_nothing() {
        let key = format!("functions/dev/{SHA256}.zip");
        let good = [("CodeBucket", "packages"), ("CodeKey", key.as_str())];
        let (sha256, code) = named(&settings(), &stack(&good)).unwrap();
        assert_eq!(sha256, SHA256);
        assert_eq!((code.bucket.as_str(), &code.key), ("packages", &key));
        // The same digest in base64.
        assert_eq!(code.sha256, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        let of_another = format!("functions/prod/{SHA256}.zip");
        for bad in [
            &good[..1],
            &good[1..],
            &[good[0], ("CodeKey", "code.zip")],
            &[good[0], ("CodeKey", &of_another)],
        ] {
            assert!(named(&settings(), &stack(bad)).is_none(), "{bad:?}");
        }
    }

    fn wanted_of(template: &str) -> Wanted {
        Wanted {
            name: "chat-dev".to_owned(),
            template: template.to_owned(),
            parameters: vec![("CodeKey".to_owned(), "new".to_owned())],
            owner: "chat",
            tags: Vec::new(),
            aside: None,
        }
    }

    /// One that was last changed then.
    fn stack_of(changed: &str) -> StackView {
        StackView {
            changed: Some(changed.to_owned()),
            ..stack(&[("CodeKey", "new")])
        }
    }

    #[test]
    fn the_proof_is_another_one_for_another_program_and_for_another_stack() {
        let (one, noon) = (wanted_of("one"), stack_of("noon"));
        let known = proof(&one, "program", &noon);
        assert!(known.is_some());
        assert_eq!(proof(&one, "program", &noon), known);
        assert_ne!(proof(&wanted_of("two"), "program", &noon), known);
        assert_ne!(proof(&one, "another", &noon), known);
        let anew = StackView {
            id: "another".to_owned(),
            ..noon
        };
        assert_ne!(proof(&one, "program", &anew), known);
    }

    #[test]
    fn whoever_changes_a_stack_makes_its_proof_void_and_one_that_tells_no_changes_has_none() {
        let one = wanted_of("one");
        let known = proof(&one, "program", &stack_of("noon"));
        assert_ne!(proof(&one, "program", &stack_of("later")), known);
        assert_eq!(proof(&one, "program", &stack(&[])), None);
    }

    #[test]
    fn a_stack_counts_as_what_it_was_compared_as_only_if_nobody_was_at_it_since() {
        let noon = stack_of("noon");
        let updating = StackView {
            status: Status::new("UPDATE_IN_PROGRESS"),
            ..noon.clone()
        };
        let others = StackView {
            parameters: Vec::new(),
            ..noon.clone()
        };
        for (seen, now, is_still_so) in [
            (&noon, Some(&noon), true),
            (&noon, Some(&stack_of("later")), false),
            (&noon, Some(&updating), false),
            (&noon, None, false),
            (&updating, Some(&updating), false),
            (&others, Some(&others), false),
        ] {
            let found = is_still(seen, &wanted_of("one"), now);
            assert_eq!(found, is_still_so, "{seen:?} {now:?}");
        }
    }
}
