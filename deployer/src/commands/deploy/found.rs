//! What is there before a deploy, and whether that is as it is wanted.

use tokio::try_join;

use crate::cloud::{StackView, Stacks, Templates, Wanted};
use crate::commands::{ARTIFACTS_STACK, CHAT_OWNER};
use crate::error::Error;
use crate::stack;

/// What is there before a deploy.
pub(crate) struct Found {
    pub(crate) stack: Option<StackView>,
    pub(crate) template: Option<String>,
    pub(crate) artifacts: Option<StackView>,
}

impl Found {
    /// The stack, if it is as it is wanted already: AWS itself tells the template and the parameters
    /// that it was last made from, which saves the change set that would find nothing.
    pub(crate) fn stack_as(&self, wanted: &Wanted) -> Option<&StackView> {
        let template = self.template.as_ref()?;
        let is_same = is_template_of(wanted, template);
        let stack = self.stack.as_ref()?;
        (is_same && is_given_as(stack, wanted)).then_some(stack)
    }
}

pub(super) fn is_template_of(wanted: &Wanted, template: &str) -> bool {
    template.trim_end() == wanted.template.trim_end()
}

/// Whether all but its template is as it is wanted.
pub(super) fn is_given_as(stack: &StackView, wanted: &Wanted) -> bool {
    stack.status.is_good() && has_all_of(stack, wanted)
}

/// Whether it has the parameters and tags that are wanted, and no others.
pub(super) fn has_all_of(stack: &StackView, wanted: &Wanted) -> bool {
    let has_tag = |tag| stack.tags.contains(tag);
    let has_parameter = |parameter| stack.parameters.contains(parameter);
    stack.parameters.len() == wanted.parameters.len()
        && wanted.parameters.iter().all(has_parameter)
        && stack.given_tags().count() == wanted.tags.len()
        && wanted.tags.iter().all(has_tag)
}

/// Looks at everything at once. It shows as well whether the credentials are good, and the name free.
pub(crate) async fn look(cloud: &(impl Stacks + Templates), name: &str) -> Result<Found, Error> {
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
pub(super) async fn find_chat(cloud: &impl Stacks, name: &str) -> Result<Option<StackView>, Error> {
    let stack = cloud.find(name).await?;
    if let Some(stack) = &stack {
        stack::check_owner(stack, name, CHAT_OWNER)?;
    }
    Ok(stack)
}

#[cfg(test)]
mod tests {
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
