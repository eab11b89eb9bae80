//! A chat's protection on AWS: what it is now, and switching the part that no template holds.

use crate::cloud::{StackView, Stacks, Wanted};
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

/// Whether a stack that has to be deleted to start over would leave a table behind: a deletion was begun and has
/// failed.
pub(crate) fn forbids_starting_over(stack: &StackView) -> bool {
    let came_up = !NEVER_CAME_UP.contains(&stack.status.as_str());
    keeps_table(stack) && came_up && stack.status.is_beyond_repair()
}

/// Whether nothing but its own protection keeps a stack from being deleted to start over.
pub(crate) fn hinders_starting_over(stack: &StackView) -> bool {
    stack.is_protected && stack.status.is_beyond_repair() && !forbids_starting_over(stack)
}

/// Whether a stack of which nothing can be made any more is kept by its own protection alone, which somebody
/// has switched on by hand: nothing of it outlives a deletion.
pub(crate) fn is_kept_by_hand(stack: &StackView) -> bool {
    stack.is_protected && !keeps_table(stack) && stack.status.is_beyond_repair()
}

/// Whether a deploy lifts the stack's own protection. Where nothing is said it is wanted as it is.
pub(crate) fn is_lifted_by(wanted: &Wanted) -> bool {
    let parameters = wanted.parameters.iter();
    parameters
        .filter(|(name, _)| name == PARAMETER)
        .any(|(_, value)| *value == Protection::Off.to_string())
}

/// The command that lifts a stack's own protection, for whoever wants nothing else.
pub(crate) fn lifting(stack: &str, region: &str) -> String {
    format!(
        "aws cloudformation update-termination-protection --region {region} --stack-name {stack} \
         --no-enable-termination-protection"
    )
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
            changed: None,
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

    #[test]
    fn what_is_beyond_repair_is_deleted_to_start_over_unless_a_table_would_be_left_behind() {
        for (status, parameter, is_protected, forbids, hinders, by_hand) in [
            ("CREATE_COMPLETE", "on", true, false, false, false),
            ("UPDATE_ROLLBACK_FAILED", "off", true, false, false, false),
            ("ROLLBACK_COMPLETE", "off", false, false, false, false),
            ("ROLLBACK_COMPLETE", "off", true, false, true, true),
            // `--keep-table` deletes it, and there is no table.
            ("ROLLBACK_COMPLETE", "on", true, false, true, false),
            ("ROLLBACK_COMPLETE", "on", false, false, false, false),
            ("DELETE_FAILED", "off", true, false, true, true),
            ("DELETE_FAILED", "on", false, true, false, false),
            ("DELETE_FAILED", "on", true, true, false, false),
        ] {
            let stack = stack(status, parameter, is_protected);
            assert_eq!(forbids_starting_over(&stack), forbids, "{stack:?}");
            assert_eq!(hinders_starting_over(&stack), hinders, "{stack:?}");
            assert_eq!(is_kept_by_hand(&stack), by_hand, "{stack:?}");
        }
    }
}
