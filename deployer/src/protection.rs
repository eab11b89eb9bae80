//! A chat's protection on AWS: what it is now, and switching the part that no template holds.

use crate::cloud::{StackView, Stacks};
use crate::error::Error;
use crate::output::Output;
use crate::template::Protection;

/// The parameter that tells what a stack's template was made with.
const PARAMETER: &str = "Protect";

/// What a stack in such a state has never held.
const NEVER_CAME_UP: [&str; 4] = [
    "REVIEW_IN_PROGRESS",
    "CREATE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
];

/// What a deploy keeps that does not say otherwise: nobody loses a protection by leaving out a flag.
/// Whoever has protected the stack by hand has meant it.
pub(crate) fn asked_for(stack: &StackView) -> Protection {
    if stack.is_protected || keeps_table(stack) {
        Protection::On
    } else {
        Protection::Off
    }
}

/// Whether the table outlives the stack.
pub(crate) fn keeps_table(stack: &StackView) -> bool {
    stack.parameter(PARAMETER) == Some("on")
}

/// Whether there is something that must not be lost by accident.
pub(crate) fn forbids_deletion(stack: &StackView) -> bool {
    let came_up = !NEVER_CAME_UP.contains(&stack.status.as_str());
    stack.is_protected || (keeps_table(stack) && came_up)
}

/// Switches the stack's own protection, and tells whether there was anything to switch. After the stack
/// itself is as it is wanted: what is cut off in between protects rather too much.
///
/// # Errors
/// [`Error`], if AWS does not do it.
pub(crate) async fn switch(
    cloud: &impl Stacks,
    stack: &StackView,
    wanted: Protection,
    output: &mut Output,
) -> Result<bool, Error> {
    if stack.is_protected == wanted.is_on() {
        return Ok(false);
    }
    cloud.protect(&stack.id, wanted.is_on()).await?;
    output.step(match wanted {
        Protection::On => "protected: the stack cannot be deleted until that is lifted",
        Protection::Off => "the stack's protection against deletion is lifted",
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Status;

    fn stack(status: &str, parameter: &str, is_protected: bool) -> StackView {
        StackView {
            id: "arn:aws:cloudformation:us-east-1:1:stack/chat-dev/1".to_owned(),
            status: Status::new(status),
            outputs: Vec::new(),
            parameters: vec![(PARAMETER.to_owned(), parameter.to_owned())],
            tags: Vec::new(),
            owner: None,
            is_protected,
        }
    }

    #[test]
    fn a_protection_is_kept_until_it_is_lifted_and_guards_what_there_is_to_lose() {
        for (status, parameter, is_protected, asked, forbids) in [
            ("CREATE_COMPLETE", "off", false, Protection::Off, false),
            ("CREATE_COMPLETE", "on", true, Protection::On, true),
            // By hand, in the console; and a deletion that was cut off.
            ("CREATE_COMPLETE", "off", true, Protection::On, true),
            ("CREATE_COMPLETE", "on", false, Protection::On, true),
            ("DELETE_FAILED", "on", false, Protection::On, true),
            // Nobody has ever said anything there, and yet the next try is to be protected.
            ("ROLLBACK_COMPLETE", "on", false, Protection::On, false),
            ("CREATE_FAILED", "on", false, Protection::On, false),
            ("ROLLBACK_COMPLETE", "on", true, Protection::On, true),
        ] {
            let stack = stack(status, parameter, is_protected);
            assert_eq!(asked_for(&stack), asked, "{stack:?}");
            assert_eq!(forbids_deletion(&stack), forbids, "{stack:?}");
            assert_eq!(keeps_table(&stack), parameter == "on");
        }
    }
}
