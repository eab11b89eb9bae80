//! A change set as people read it, and what of it may cost them data. Pure.

use crate::cloud::{Action, Change};

/// The types of resources that hold what people wrote.
const HOLD_DATA: [&str; 1] = ["AWS::DynamoDB::Table"];

/// What AWS says of a change set that would change nothing.
const NO_CHANGES: [&str; 2] = ["didn't contain changes", "No updates are to be performed"];

/// Whether a change set failed only because there is nothing to do.
pub(crate) fn is_no_change(reason: &str) -> bool {
    NO_CHANGES.iter().any(|it| reason.contains(it))
}

/// The changes, what is lost last, where it is seen.
pub(crate) fn sorted(changes: &[Change]) -> Vec<&Change> {
    let mut changes: Vec<_> = changes.iter().collect();
    changes.sort_by_key(|change| (rank(change.action), change.resource.clone()));
    changes
}

/// A change as a line.
pub(crate) fn line(change: &Change) -> String {
    let (sign, word) = words(change.action);
    format!("{sign} {word:<12} {} ({})", change.resource, change.kind)
}

/// What an action is called in one word.
pub(crate) fn word(action: Action) -> &'static str {
    words(action).1
}

/// What an action does, in a sentence.
pub(crate) fn verb(action: Action) -> &'static str {
    match action {
        Action::Modify => "change",
        Action::MayReplace => "perhaps replace",
        other => word(other),
    }
}

/// Whether a resource is sure to be replaced by another.
pub(crate) fn replaces(changes: &[Change]) -> bool {
    changes.iter().any(|it| it.action == Action::Replace)
}

/// The changes that destroy data, or may.
pub(crate) fn losing_data(changes: &[Change]) -> Vec<&Change> {
    let loses = |change: &&Change| {
        HOLD_DATA.contains(&change.kind.as_str())
            && !matches!(change.action, Action::Add | Action::Modify)
    };
    changes.iter().filter(loses).collect()
}

fn words(action: Action) -> (&'static str, &'static str) {
    match action {
        Action::Add => ("+", "add"),
        Action::Modify => ("~", "change"),
        Action::MayReplace => ("?", "may-replace"),
        Action::Replace => ("!", "replace"),
        Action::Remove => ("-", "remove"),
    }
}

fn rank(action: Action) -> u8 {
    match action {
        Action::Add => 0,
        Action::Modify => 1,
        Action::MayReplace => 2,
        Action::Replace => 3,
        Action::Remove => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: Action, resource: &str, kind: &str) -> Change {
        Change {
            action,
            resource: resource.to_owned(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn changes_are_listed_with_what_is_lost_last() {
        let changes = [
            change(Action::Remove, "OldRole", "AWS::IAM::Role"),
            change(Action::Replace, "ChatTable", "AWS::DynamoDB::Table"),
            change(Action::Modify, "ActionFunction", "AWS::Lambda::Function"),
            change(Action::MayReplace, "SiteBucket", "AWS::S3::Bucket"),
            change(Action::Add, "B", "AWS::S3::Bucket"),
            change(Action::Add, "A", "AWS::S3::Bucket"),
        ];
        assert_eq!(
            sorted(&changes).into_iter().map(line).collect::<Vec<_>>(),
            [
                "+ add          A (AWS::S3::Bucket)",
                "+ add          B (AWS::S3::Bucket)",
                "~ change       ActionFunction (AWS::Lambda::Function)",
                "? may-replace  SiteBucket (AWS::S3::Bucket)",
                "! replace      ChatTable (AWS::DynamoDB::Table)",
                "- remove       OldRole (AWS::IAM::Role)",
            ]
        );
    }

    #[test]
    fn only_a_table_that_goes_or_may_go_loses_data() {
        for (action, loses) in [
            (Action::Add, false),
            (Action::Modify, false),
            (Action::MayReplace, true),
            (Action::Replace, true),
            (Action::Remove, true),
        ] {
            let table = [change(action, "ChatTable", "AWS::DynamoDB::Table")];
            assert_eq!(losing_data(&table).len(), usize::from(loses), "{action:?}");
            let role = [change(action, "Role", "AWS::IAM::Role")];
            assert!(losing_data(&role).is_empty(), "{action:?}");
        }
    }

    #[test]
    fn nothing_to_do_is_known_by_both_of_its_phrases() {
        assert!(is_no_change(
            "The submitted information didn't contain changes. Submit different information to create a change set."
        ));
        assert!(is_no_change("No updates are to be performed."));
        assert!(!is_no_change(
            "Template error: Unresolved resource dependencies"
        ));
    }
}
