//! What AWS has to say: who the caller is, whether the clock is right, whether the stack can be looked
//! at, and what the account is allowed. What a look may not tell, a deploy finds out.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::join;

use super::{Finding, Need};
use crate::cloud::{Caller, CloudError, Distributions, Identity, StackView, Stacks};
use crate::stack;
use crate::template::StageName;

/// What AWS bears is five minutes.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const SKEW_MAX_S: i64 = 240;

/// Fewer functions at once than this is for trying it out. A new account has 10, another one 1000.
const CONCURRENCY_MIN: i32 = 100;

/// What is known where AWS cannot be asked at all.
pub(crate) fn no_account(error: &CloudError) -> Vec<Finding> {
    let name = match error {
        CloudError::NoRegion => "region",
        _ => "credentials",
    };
    vec![Finding::missing(
        name,
        Need::Deploy,
        error.to_string(),
        error.hint(),
    )]
}

/// Looks at the account, and at the stack of a stage if there is one.
pub(crate) async fn of_account(
    cloud: &(impl Caller + Stacks + Distributions),
    region: &str,
    stage: &StageName,
    owner: &'static str,
) -> Vec<Finding> {
    let name = stage.stack_name();
    let ((identity, clock_s), found, concurrency, has_distribution) = join!(
        cloud.identity(),
        cloud.find(&name),
        cloud.concurrency(),
        cloud.has_distribution(),
    );
    let distribution = match &found {
        Ok(Some(stack)) => stack.output("SiteDistributionId"),
        _ => None,
    };
    let is_deployed = match distribution {
        Some(id) => Some((id, cloud.is_deployed(id).await)),
        None => None,
    };
    vec![
        of_identity(&identity),
        Finding::good("region", Need::Deploy, region),
        of_clock(clock_s, now_s()),
        of_stack(&found, &name, owner),
        of_concurrency(&concurrency),
        match is_deployed {
            Some((id, is_deployed)) => of_own_distribution(id, &is_deployed),
            None => of_distributions(&has_distribution),
        },
    ]
}

fn of_identity(identity: &Result<Identity, CloudError>) -> Finding {
    match identity {
        Ok(identity) => {
            let detail = format!("{} in account {}", identity.arn, identity.account);
            Finding::good("credentials", Need::Deploy, detail)
        }
        Err(error) => refused("credentials", error),
    }
}

fn of_clock(clock_s: Option<i64>, now_s: i64) -> Finding {
    let name = "clock";
    let Some(clock_s) = clock_s else {
        let remedy = "see that it is right: AWS refuses what is signed five minutes off";
        return Finding::warning(name, Need::Deploy, "AWS did not tell the time", remedy);
    };
    let ahead_s = now_s - clock_s;
    let off = match ahead_s {
        ..0 => format!("{} s behind AWS's", -ahead_s),
        0 | 1 => "as AWS's".to_owned(),
        _ => format!("{ahead_s} s ahead of AWS's"),
    };
    if ahead_s.abs() <= SKEW_MAX_S {
        return Finding::good(name, Need::Deploy, off);
    }
    let detail = format!("{off}: AWS refuses what is signed five minutes off");
    Finding::missing(
        name,
        Need::Deploy,
        detail,
        "`sudo timedatectl set-ntp true`",
    )
}

fn of_stack(
    found: &Result<Option<StackView>, CloudError>,
    name: &str,
    owner: &'static str,
) -> Finding {
    match found {
        Ok(Some(view)) if !view.status.is_gone() => match stack::check_owner(view, name, owner) {
            Ok(()) => Finding::good(
                "stack",
                Need::Deploy,
                format!("`{name}` is in {}", view.status),
            ),
            Err(error) => Finding::missing("stack", Need::Deploy, error.to_string(), error.hint()),
        },
        Ok(_) => {
            let detail = format!("`{name}` is not there yet: `chatctl deploy` makes it");
            Finding::good("stack", Need::Deploy, detail)
        }
        Err(error) => refused("stack", error),
    }
}

fn of_concurrency(concurrency: &Result<i32, CloudError>) -> Finding {
    const MORE: &str = "`aws service-quotas request-service-quota-increase --service-code lambda \
         --quota-code L-B99A9384 --desired-value 1000`";
    let name = "lambda quota";
    match concurrency {
        Ok(count) if *count >= CONCURRENCY_MIN => {
            Finding::good(name, Need::Deploy, format!("{count} functions at once"))
        }
        Ok(count) => {
            let detail = format!(
                "{count} functions at once, in the whole account: for some people who talk, and not \
                 for a crowd that comes back at once"
            );
            Finding::warning(name, Need::Deploy, detail, MORE)
        }
        Err(error) => unknown(name, error),
    }
}

fn of_distributions(has_any: &Result<bool, CloudError>) -> Finding {
    let name = "cloudfront";
    match has_any {
        Ok(true) => Finding::good(name, Need::Deploy, "the account has distributions"),
        Ok(false) => Finding::warning(
            name,
            Need::Deploy,
            "the account has no distribution yet, and AWS does not tell beforehand whether it may: a \
             new one may have to be verified first, by AWS's support",
            "if a deploy says so: `chatctl deploy --cdn off` goes without meanwhile",
        ),
        Err(error) => unknown(name, error),
    }
}

fn of_own_distribution(id: &str, is_deployed: &Result<bool, CloudError>) -> Finding {
    let name = "cloudfront";
    match is_deployed {
        Ok(true) => Finding::good(name, Need::Deploy, format!("`{id}` is at all edges")),
        Ok(false) => {
            let detail = format!("`{id}` is on its way to the edges");
            Finding::warning(name, Need::Deploy, detail, "wait some minutes")
        }
        Err(error) => unknown(name, error),
    }
}

/// Nothing goes without it.
fn refused(name: &'static str, error: &CloudError) -> Finding {
    Finding::missing(name, Need::Deploy, error.to_string(), error.hint())
}

/// A deploy goes without it.
fn unknown(name: &'static str, error: &CloudError) -> Finding {
    let detail = format!("not known: {error}");
    Finding::warning(name, Need::Deploy, detail, error.hint())
}

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |it| i64::try_from(it.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use crate::stack::Status;

    fn denied() -> CloudError {
        CloudError::of_answer("lambda:GetAccountSettings", "AccessDeniedException", "no")
    }

    #[test]
    fn a_clock_that_is_off_is_told_either_way() {
        for (ahead_s, verdict, words) in [
            (0, Verdict::Good, "as AWS's"),
            (-30, Verdict::Good, "30 s behind"),
            (SKEW_MAX_S, Verdict::Good, "240 s ahead"),
            (SKEW_MAX_S + 1, Verdict::Missing, "241 s ahead"),
            (-3600, Verdict::Missing, "3600 s behind"),
        ] {
            let finding = of_clock(Some(1_000_000), 1_000_000 + ahead_s);
            assert_eq!(finding.verdict, verdict, "{ahead_s}");
            assert!(finding.detail.contains(words), "{}", finding.detail);
        }
        assert_eq!(of_clock(None, 0).verdict, Verdict::Warning);
    }

    #[test]
    fn a_new_accounts_quota_is_told_with_the_command_for_more() {
        assert_eq!(of_concurrency(&Ok(1000)).verdict, Verdict::Good);
        let finding = of_concurrency(&Ok(10));
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.remedy.unwrap().contains("L-B99A9384"));
    }

    #[test]
    fn what_a_deploy_goes_without_is_a_warning_and_the_rest_is_missing() {
        assert_eq!(of_concurrency(&Err(denied())).verdict, Verdict::Warning);
        assert_eq!(of_distributions(&Err(denied())).verdict, Verdict::Warning);
        assert_eq!(of_distributions(&Ok(false)).verdict, Verdict::Warning);
        assert_eq!(of_distributions(&Ok(true)).verdict, Verdict::Good);
        assert_eq!(
            of_own_distribution("d", &Ok(false)).verdict,
            Verdict::Warning
        );
        assert_eq!(of_identity(&Err(denied())).verdict, Verdict::Missing);
        assert_eq!(
            of_stack(&Err(denied()), "chat-dev", "chat").verdict,
            Verdict::Missing
        );
    }

    #[test]
    fn a_stack_of_somebody_else_is_in_the_way_and_none_is_not() {
        let stack = |owner: Option<&str>, status: &str| StackView {
            id: "arn:aws:cloudformation:us-east-1:1:stack/chat-dev/1".to_owned(),
            status: Status::new(status),
            outputs: Vec::new(),
            parameters: Vec::new(),
            tags: Vec::new(),
            is_protected: false,
            changed: None,
            owner: owner.map(str::to_owned),
        };
        for (found, verdict) in [
            (None, Verdict::Good),
            (Some(stack(Some("chat"), "CREATE_COMPLETE")), Verdict::Good),
            (Some(stack(None, "CREATE_COMPLETE")), Verdict::Missing),
            (Some(stack(None, "DELETE_COMPLETE")), Verdict::Good),
        ] {
            assert_eq!(of_stack(&Ok(found), "chat-dev", "chat").verdict, verdict);
        }
    }

    #[test]
    fn without_an_account_it_is_said_what_works_without() {
        let [finding] = &no_account(&CloudError::of_credentials("none"))[..] else {
            panic!("one finding");
        };
        assert_eq!(
            (finding.name, finding.verdict),
            ("credentials", Verdict::Missing)
        );
        assert!(finding.remedy.as_ref().unwrap().contains("`chatctl dev`"));
        assert_eq!(no_account(&CloudError::NoRegion)[0].name, "region");
    }
}
