//! `chatctl diff`: what a deploy would do, without doing it.

use serde_json::json;

use super::deploy::{
    AUTHORIZER, FUNCTIONS, code, function_names, host, keeping, look, page, wanted, while_building,
};
use super::until_interrupted;
use super::urls::Urls;
use crate::cloud::aws::Aws;
use crate::cloud::{Action, Change, Cloud, Code, Functions, StackView, Templates, Wanted};
use crate::error::Error;
use crate::functions;
use crate::output::Output;
use crate::packages;
use crate::settings::{DeploySettings, DiffSettings};
use crate::site::{self, Edits};
use crate::stack::{self, Comparison, Status};
use crate::template::{self, Protection, StageName};

/// Stands for a bucket that a deploy would make first: the name is AWS's to choose.
const BUCKET_TO_BE: &str = "to-be-made";

/// What a deploy would do.
#[derive(Debug)]
struct Difference {
    /// The state in which nothing can be compared, until a deploy has waited for its end or put it right.
    later: Option<Status>,
    /// The state of a stack that a deploy would delete and make anew.
    anew: Option<Status>,
    changes: Vec<Change>,
    /// What the stack's own protection against deletion becomes, if it changes.
    protection: Option<Protection>,
    page: Edits,
}

/// Shows what a deploy would do. Nothing is changed, on AWS or here, apart from what is built.
///
/// # Errors
/// [`Error`], if AWS would not take it, or does not say. A difference is none.
pub(crate) fn run(settings: &DiffSettings, output: &mut Output) -> Result<(), Error> {
    let settings = &settings.deploy;
    output.for_programs(settings.json);
    until_interrupted(async {
        let aws = Aws::connect(&settings.account).await?;
        let difference = Box::pin(diff(&aws, &aws.region, settings, output)).await?;
        tell(settings, &difference, output)
    })
}

async fn diff(
    cloud: &(impl Cloud + Functions + Templates),
    region: &str,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<Difference, Error> {
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    output.step(&format!(
        "comparing `{name}` in {region} with what a deploy would make of it"
    ))?;
    let settings = &settings.discovered().await?;
    let page = page(settings)?;
    // What is wrong with the template is told before the build, which may take minutes.
    template::synthesize(&settings.template)?;
    // The package is named by its content, so that it has to be built to be compared. It is not uploaded.
    let look = async || look(cloud, &name).await;
    let (found, package) = while_building(look, settings, output).await?;
    let settings = &keeping(settings, found.stack.as_ref(), output)?;
    let bucket = packages::existing_bucket(found.artifacts.as_ref())?;
    let has_bucket = bucket.is_some();
    let bucket = bucket.unwrap_or_else(|| BUCKET_TO_BE.to_owned());
    let code = code(settings, stage, bucket, &package);
    let mut wanted = wanted(settings, &code)?;
    wanted.aside = wanted.aside.filter(|_| has_bucket);
    let comparison = if found.stack_as(&wanted).is_some() {
        Comparison::Changes(Vec::new())
    } else {
        stack::compare(cloud, &wanted, found.stack.as_ref()).await?
    };
    let mut difference = Difference {
        later: None,
        anew: None,
        changes: Vec::new(),
        protection: None,
        page: Edits::default(),
    };
    match comparison {
        Comparison::New(status) => {
            difference.anew = status;
            difference.changes = everything(settings, &wanted)?;
            difference.page = Edits::of_all(page.with_config(String::new()));
        }
        Comparison::Later(status) => difference.later = Some(status),
        Comparison::Changes(changes) => {
            difference.changes = changes;
            if let Some(stack) = &found.stack {
                let wanted = settings.protect.unwrap_or_default();
                difference.protection = Some(wanted).filter(|it| it.is_on() != stack.is_protected);
                let put_right = swapped(cloud, stage, stack, &code).await?;
                let known = std::mem::take(&mut difference.changes);
                let is_new = |it: &Change| known.iter().all(|known| known.resource != it.resource);
                difference.changes = put_right.into_iter().filter(is_new).collect();
                difference.changes.extend(known);
            }
            difference.page = edits(cloud, settings, found.stack.as_ref(), page).await?;
        }
    }
    Ok(difference)
}

/// All that is in the template, as something to be made.
fn everything(settings: &DeploySettings, wanted: &Wanted) -> Result<Vec<Change>, Error> {
    let template = template::synthesize(&settings.template)?;
    let resources = template.resources(&wanted.parameters).into_iter();
    let changes = resources.map(|(resource, kind)| Change {
        action: Action::Add,
        resource,
        kind,
    });
    Ok(changes.collect())
}

/// The functions that a deploy would put right although the stack does not differ.
async fn swapped(
    cloud: &impl Functions,
    stage: &StageName,
    stack: &StackView,
    code: &Code,
) -> Result<Vec<Change>, Error> {
    // A stack that does not name its functions was never finished: there is nothing to compare.
    let Ok(names) = function_names(stage, stack) else {
        return Ok(Vec::new());
    };
    let outdated = functions::outdated(cloud, &names, code).await?;
    let outputs = stack.outputs.iter();
    let outputs = outputs.filter(|(output, value)| {
        (FUNCTIONS.contains(&output.as_str()) || output == AUTHORIZER) && outdated.contains(value)
    });
    let changes = outputs.map(|(output, _)| Change {
        action: Action::Modify,
        resource: output.trim_end_matches("Name").to_owned(),
        kind: "AWS::Lambda::Function".to_owned(),
    });
    Ok(changes.collect())
}

/// What would be sent to the bucket of the page, and removed from it.
pub(super) async fn edits(
    cloud: &impl Cloud,
    settings: &DeploySettings,
    stack: Option<&StackView>,
    page: site::Page,
) -> Result<Edits, Error> {
    let stage = &settings.template.stage;
    // A stack that lacks them was never finished: where the page will be is not known yet.
    let urls = stack.and_then(|it| Urls::of(stage, it).ok());
    let bucket = stack.and_then(|it| it.output("SiteBucketName"));
    let host = stack.and_then(|it| host(stage, it).ok());
    match (urls, bucket, host) {
        (Some(urls), Some(bucket), Some(host)) if host.cdn() == settings.cdn => {
            let page = page.with_config(urls.config());
            Ok(site::edits(cloud, bucket, &host, page).await?)
        }
        // Another host wants other headers of each object, so all are sent again.
        _ => Ok(Edits::of_all(page.with_config(String::new()))),
    }
}

impl Difference {
    fn is_none(&self) -> bool {
        self.later.is_none()
            && self.changes.is_empty()
            && self.protection.is_none()
            && self.page.is_none()
    }

    /// For people.
    fn text(&self, stack: &str) -> String {
        let mut lines = Vec::new();
        if let Some(status) = &self.later {
            lines.push(format!(
                "`{stack}` is in {status}: a deploy would first see to that, and nothing can be \
                 compared before"
            ));
        }
        if let Some(status) = &self.anew {
            lines.push(format!(
                "`{stack}` is in {status}: a deploy would make all of it anew"
            ));
        }
        lines.extend(stack::sorted(&self.changes).into_iter().map(stack::line));
        lines.extend(
            self.protection
                .map(|it| format!("~ change       the stack's protection against deletion: {it}")),
        );
        lines.extend(
            self.page
                .send
                .iter()
                .map(|it| format!("> send         {it}")),
        );
        lines.extend(
            self.page
                .remove
                .iter()
                .map(|it| format!("- remove       {it}")),
        );
        if self.is_none() {
            lines.push("no difference".to_owned());
        }
        lines.join("\n") + "\n"
    }

    /// For programs.
    fn json(&self, stack: &str) -> serde_json::Value {
        let changes: Vec<_> = stack::sorted(&self.changes)
            .iter()
            .map(|it| {
                json!({
                    "action": stack::word(it.action),
                    "resource": it.resource,
                    "type": it.kind,
                })
            })
            .collect();
        json!({
            "event": "result",
            "stack": stack,
            "differs": !self.is_none(),
            "later": self.later.as_ref().map(Status::as_str),
            "anew": self.anew.as_ref().map(Status::as_str),
            "changes": changes,
            "protection": self.protection.map(|it| it.to_string()),
            "page": {"send": self.page.send, "remove": self.page.remove},
        })
    }
}

fn tell(
    settings: &DeploySettings,
    difference: &Difference,
    output: &mut Output,
) -> Result<(), Error> {
    let stack = settings.template.stage.stack_name();
    let text = if settings.json {
        format!("{}\n", difference.json(&stack))
    } else {
        difference.text(&stack)
    };
    output.data(&text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference() -> Difference {
        Difference {
            later: None,
            anew: None,
            changes: Vec::new(),
            protection: None,
            page: Edits::default(),
        }
    }

    #[test]
    fn no_difference_is_said_and_so_is_every_kind_of_one() {
        assert_eq!(difference().text("chat-dev"), "no difference\n");
        assert_eq!(difference().json("chat-dev")["differs"], false);
        let change = |action, resource: &str, kind: &str| Change {
            action,
            resource: resource.to_owned(),
            kind: kind.to_owned(),
        };
        let difference = Difference {
            anew: Some(Status::new("ROLLBACK_COMPLETE")),
            changes: vec![
                change(Action::Replace, "ChatTable", "AWS::DynamoDB::Table"),
                change(Action::Add, "Api", "AWS::ApiGatewayV2::Api"),
            ],
            protection: Some(Protection::On),
            page: Edits {
                send: vec!["index.html".to_owned()],
                remove: vec!["old.html".to_owned()],
            },
            ..difference()
        };
        assert_eq!(
            difference.text("chat-dev"),
            "`chat-dev` is in ROLLBACK_COMPLETE: a deploy would make all of it anew\n\
             + add          Api (AWS::ApiGatewayV2::Api)\n\
             ! replace      ChatTable (AWS::DynamoDB::Table)\n\
             ~ change       the stack's protection against deletion: on\n\
             > send         index.html\n\
             - remove       old.html\n"
        );
        let json = difference.json("chat-dev");
        assert_eq!(json["differs"], true);
        assert_eq!(json["changes"][1]["action"], "replace");
        assert_eq!(json["protection"], "on");
        assert_eq!(json["page"]["remove"][0], "old.html");
    }

    #[test]
    fn a_stack_that_is_busy_is_a_difference_that_is_not_known_yet() {
        let difference = Difference {
            later: Some(Status::new("UPDATE_IN_PROGRESS")),
            ..difference()
        };
        assert!(
            difference.text("chat-dev").starts_with(
                "`chat-dev` is in UPDATE_IN_PROGRESS: a deploy would first see to that"
            )
        );
        assert_eq!(difference.json("chat-dev")["differs"], true);
    }
}
