//! What whoever deploys has to be allowed, as an IAM policy. Pure.
//!
//! Two parts: what `chatctl` asks for itself, and what CloudFormation asks for in the same person's
//! name for each type of resource in the templates, unless it is handed a role of its own. The second
//! follows the handlers of AWS's resource schemas, as far as the templates' properties need them.
//! <https://docs.aws.amazon.com/cloudcontrolapi/latest/userguide/supported-resources.html>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::packages::ARTIFACTS_STACK;
use crate::template::{Document, StageName};

/// Whom a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Whoever runs `chatctl`, in whose name CloudFormation acts as well.
    Deployer,
    /// Whoever runs `chatctl` with `--role-arn` and this role.
    DeployerWithRole(String),
    /// That role.
    ServiceRole,
    /// Whoever looks at a chat, its logs and its measurements, and changes nothing.
    Operator,
}

/// Actions on resources. `{stack}` stands for the chat's stack, `{artifacts}` for that of the packages.
/// What AWS gives a name out of thin air is meant by any name.
struct Grant {
    id: &'static str,
    actions: &'static [&'static str],
    resources: &'static [&'static str],
    /// A key and the value that it has to have.
    condition: Option<(&'static str, &'static str)>,
}

impl Grant {
    const fn new(
        id: &'static str,
        actions: &'static [&'static str],
        resources: &'static [&'static str],
    ) -> Self {
        Self {
            id,
            actions,
            resources,
            condition: None,
        }
    }

    const fn only_if(self, key: &'static str, value: &'static str) -> Self {
        Self {
            condition: Some((key, value)),
            ..self
        }
    }
}

const STACKS: &[&str] = &[
    "arn:aws:cloudformation:*:*:stack/{stack}/*",
    "arn:aws:cloudformation:*:*:stack/{artifacts}/*",
];
const BUCKETS: &[&str] = &["arn:aws:s3:::{stack}-*", "arn:aws:s3:::{artifacts}-*"];
const OBJECTS: &[&str] = &["arn:aws:s3:::{stack}-*/*", "arn:aws:s3:::{artifacts}-*/*"];
const PACKAGES: &[&str] = &["arn:aws:s3:::{artifacts}-*/*"];
const FUNCTIONS: &[&str] = &["arn:aws:lambda:*:*:function:{stack}-*"];
const ROLES: &[&str] = &["arn:aws:iam::*:role/{stack}-*"];
const ACCESS_CONTROLS: &[&str] = &["arn:aws:cloudfront::*:origin-access-control/*"];
const HEADERS_POLICIES: &[&str] = &["arn:aws:cloudfront::*:response-headers-policy/*"];
const TABLES: &[&str] = &["arn:aws:dynamodb:*:*:table/{stack}-*"];
/// Of one list, so that one statement is enough: a policy's size is limited.
const ALARMS_AND_DASHBOARDS: &[&str] = &[
    "arn:aws:cloudwatch:*:*:alarm:{stack}-*",
    "arn:aws:cloudwatch::*:dashboard/{stack}-*",
];
const TOPICS: &[&str] = &["arn:aws:sns:*:*:{stack}-*"];
const DISTRIBUTIONS: &[&str] = &["arn:aws:cloudfront::*:distribution/*"];

/// Lambda reads a package in the name of whoever names it, and S3 when it is copied onto itself to count
/// as new.
const PACKAGE_READS: Grant = Grant::new("PackageReads", &["s3:GetObject"], PACKAGES);

/// What `chatctl` itself asks for.
static CALLER: [Grant; 10] = [
    Grant::new(
        "Stacks",
        &[
            "cloudformation:ContinueUpdateRollback",
            "cloudformation:CreateChangeSet",
            "cloudformation:DeleteChangeSet",
            "cloudformation:DeleteStack",
            "cloudformation:DescribeChangeSet",
            "cloudformation:DescribeEvents",
            "cloudformation:DescribeStackEvents",
            "cloudformation:ExecuteChangeSet",
            "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
            "cloudformation:RollbackStack",
            "cloudformation:UpdateTerminationProtection",
        ],
        STACKS,
    ),
    // Of all stacks: whether a chat is left that needs the packages, and which one went last.
    Grant::new(
        "AllStacks",
        &["cloudformation:DescribeStacks", "cloudformation:ListStacks"],
        &["*"],
    ),
    Grant::new(
        "Buckets",
        &["s3:ListBucket", "s3:ListBucketVersions"],
        BUCKETS,
    ),
    Grant::new(
        "Objects",
        &["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject"],
        OBJECTS,
    ),
    PACKAGE_READS,
    Grant::new(
        "Invalidations",
        &[
            "cloudfront:CreateInvalidation",
            "cloudfront:GetDistribution",
            "cloudfront:GetInvalidation",
        ],
        DISTRIBUTIONS,
    ),
    // Whether they are gone is looked for.
    Grant::new(
        "WhetherAccessControls",
        &["cloudfront:GetOriginAccessControl"],
        ACCESS_CONTROLS,
    ),
    Grant::new(
        "WhetherHeadersPolicies",
        &["cloudfront:GetResponseHeadersPolicy"],
        HEADERS_POLICIES,
    ),
    Grant::new("WhetherTables", &["dynamodb:DescribeTable"], TABLES),
    Grant::new(
        "Code",
        &[
            "lambda:GetFunctionConfiguration",
            // The trial where people sign in.
            "lambda:InvokeFunction",
            "lambda:UpdateFunctionCode",
        ],
        FUNCTIONS,
    ),
];

/// What `chatctl` asks for to look: `status`, `logs`, `doctor`, `urls`, `open` and `verify`. A policy of its
/// own, for whoever looks need not deploy, and whoever deploys may leave the looking to others.
static OPERATOR: [Grant; 7] = [
    Grant::new(
        "Stack",
        &[
            "cloudformation:DescribeStackResourceDrifts",
            "cloudformation:DetectStackDrift",
            "cloudformation:DetectStackResourceDrift",
            "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
        ],
        &["arn:aws:cloudformation:*:*:stack/{stack}/*"],
    ),
    // What AWS knows no resource of.
    Grant::new(
        "Account",
        &[
            "cloudformation:DescribeStackDriftDetectionStatus",
            "cloudformation:DescribeStacks",
            "cloudfront:ListDistributions",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:GetMetricData",
            "lambda:GetAccountSettings",
            "sts:GetCallerIdentity",
        ],
        &["*"],
    ),
    Grant::new(
        "Logs",
        &["logs:FilterLogEvents"],
        &["arn:aws:logs:*:*:log-group:{stack}-*"],
    ),
    Grant::new("Page", &["s3:ListBucket"], &["arn:aws:s3:::{stack}-*"]),
    Grant::new("Code", &["lambda:GetFunctionConfiguration"], FUNCTIONS),
    Grant::new(
        "Distribution",
        &["cloudfront:GetDistribution"],
        DISTRIBUTIONS,
    ),
    // CloudFormation asks for it in the caller's name, for drift.
    Grant::new(
        "Drift",
        &["cloudformation:BatchDescribeTypeConfigurations"],
        &["*"],
    ),
];

/// How the actions begin that change nothing.
const READS: [&str; 4] = ["Get", "List", "Describe", "GET"];

/// One type of resource, and what CloudFormation needs to make, read, change, tag and delete it.
struct Kind {
    name: &'static str,
    grants: &'static [Grant],
}

/// An API's id is AWS's choice, and its parts are below it.
const API: Grant = Grant::new(
    "Apis",
    &[
        "apigateway:DELETE",
        "apigateway:GET",
        "apigateway:PATCH",
        "apigateway:POST",
        "apigateway:PUT",
        "apigateway:TagResource",
        "apigateway:UntagResource",
    ],
    &[
        "arn:aws:apigateway:*::/apis",
        "arn:aws:apigateway:*::/apis/*",
        "arn:aws:apigateway:*::/tags/*",
    ],
);

static KINDS: [Kind; 22] = [
    Kind {
        name: "AWS::ApiGatewayV2::Api",
        grants: &[
            API,
            // An account's first API brings API Gateway's own role with it.
            Grant::new(
                "ApiGatewaysOwnRole",
                &["iam:CreateServiceLinkedRole"],
                &["arn:aws:iam::*:role/aws-service-role/ops.apigateway.amazonaws.com/*"],
            ),
        ],
    },
    Kind {
        name: "AWS::ApiGatewayV2::Authorizer",
        grants: &[API],
    },
    Kind {
        name: "AWS::ApiGatewayV2::Integration",
        grants: &[API],
    },
    Kind {
        name: "AWS::ApiGatewayV2::Route",
        grants: &[API],
    },
    Kind {
        name: "AWS::ApiGatewayV2::RouteResponse",
        grants: &[API],
    },
    Kind {
        name: "AWS::ApiGatewayV2::Stage",
        grants: &[API],
    },
    Kind {
        name: "AWS::CloudFront::Distribution",
        grants: &[Grant::new(
            "Distributions",
            &[
                "cloudfront:CreateDistribution",
                "cloudfront:CreateDistributionWithTags",
                "cloudfront:DeleteDistribution",
                "cloudfront:GetDistribution",
                "cloudfront:GetDistributionConfig",
                "cloudfront:ListTagsForResource",
                "cloudfront:TagResource",
                "cloudfront:UntagResource",
                "cloudfront:UpdateDistribution",
            ],
            DISTRIBUTIONS,
        )],
    },
    Kind {
        name: "AWS::CloudFront::OriginAccessControl",
        grants: &[Grant::new(
            "AccessControls",
            &[
                "cloudfront:CreateOriginAccessControl",
                "cloudfront:DeleteOriginAccessControl",
                "cloudfront:GetOriginAccessControl",
                "cloudfront:UpdateOriginAccessControl",
            ],
            ACCESS_CONTROLS,
        )],
    },
    Kind {
        name: "AWS::CloudFront::ResponseHeadersPolicy",
        grants: &[Grant::new(
            "HeadersPolicies",
            &[
                "cloudfront:CreateResponseHeadersPolicy",
                "cloudfront:DeleteResponseHeadersPolicy",
                "cloudfront:GetResponseHeadersPolicy",
                "cloudfront:UpdateResponseHeadersPolicy",
            ],
            HEADERS_POLICIES,
        )],
    },
    Kind {
        name: "AWS::CloudWatch::Alarm",
        grants: &[Grant::new(
            "Alarms",
            &[
                "cloudwatch:DeleteAlarms",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:ListTagsForResource",
                "cloudwatch:PutMetricAlarm",
                "cloudwatch:TagResource",
                "cloudwatch:UntagResource",
            ],
            ALARMS_AND_DASHBOARDS,
        )],
    },
    Kind {
        name: "AWS::CloudWatch::Dashboard",
        grants: &[Grant::new(
            "Dashboards",
            &[
                "cloudwatch:DeleteDashboards",
                "cloudwatch:GetDashboard",
                "cloudwatch:PutDashboard",
            ],
            ALARMS_AND_DASHBOARDS,
        )],
    },
    Kind {
        name: "AWS::DynamoDB::Table",
        grants: &[Grant::new(
            "Table",
            &[
                "dynamodb:CreateTable",
                "dynamodb:DeleteTable",
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:DescribeContributorInsights",
                "dynamodb:DescribeKinesisStreamingDestination",
                "dynamodb:DescribeTable",
                "dynamodb:DescribeTimeToLive",
                "dynamodb:GetResourcePolicy",
                "dynamodb:ListTagsOfResource",
                "dynamodb:TagResource",
                "dynamodb:UntagResource",
                "dynamodb:UpdateContinuousBackups",
                "dynamodb:UpdateTable",
                "dynamodb:UpdateTimeToLive",
            ],
            TABLES,
        )],
    },
    Kind {
        name: "AWS::IAM::Policy",
        grants: &[Grant::new(
            "RolesPolicies",
            &[
                "iam:DeleteRolePolicy",
                "iam:GetRolePolicy",
                "iam:PutRolePolicy",
            ],
            ROLES,
        )],
    },
    Kind {
        name: "AWS::IAM::Role",
        grants: &[Grant::new(
            "Roles",
            &[
                "iam:CreateRole",
                "iam:DeleteRole",
                "iam:DeleteRolePolicy",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
                "iam:PutRolePolicy",
                "iam:TagRole",
                "iam:UntagRole",
                "iam:UpdateAssumeRolePolicy",
                "iam:UpdateRole",
                "iam:UpdateRoleDescription",
            ],
            ROLES,
        )],
    },
    Kind {
        name: "AWS::Lambda::EventInvokeConfig",
        grants: &[Grant::new(
            "EventInvokeConfigs",
            &[
                "lambda:DeleteFunctionEventInvokeConfig",
                "lambda:GetFunctionEventInvokeConfig",
                "lambda:PutFunctionEventInvokeConfig",
                "lambda:UpdateFunctionEventInvokeConfig",
            ],
            FUNCTIONS,
        )],
    },
    Kind {
        name: "AWS::Lambda::Function",
        grants: &[
            Grant::new(
                "Functions",
                &[
                    "lambda:CreateFunction",
                    "lambda:DeleteFunction",
                    // Its code signing, recursion and scaling, each by a read of its own.
                    "lambda:GetFunction*",
                    "lambda:GetRuntimeManagementConfig",
                    "lambda:ListTags",
                    "lambda:TagResource",
                    "lambda:UntagResource",
                    "lambda:UpdateFunctionCode",
                    "lambda:UpdateFunctionConfiguration",
                ],
                FUNCTIONS,
            ),
            PACKAGE_READS,
            Grant::new("FunctionsRoles", &["iam:PassRole"], ROLES)
                .only_if("iam:PassedToService", "lambda.amazonaws.com"),
        ],
    },
    Kind {
        name: "AWS::Lambda::Permission",
        grants: &[Grant::new(
            "Permissions",
            &[
                "lambda:AddPermission",
                "lambda:GetPolicy",
                "lambda:RemovePermission",
            ],
            FUNCTIONS,
        )],
    },
    Kind {
        name: "AWS::Logs::LogGroup",
        grants: &[
            Grant::new(
                "LogGroups",
                &[
                    "logs:CreateLogGroup",
                    "logs:DeleteLogGroup",
                    "logs:DeleteRetentionPolicy",
                    "logs:DescribeIndexPolicies",
                    "logs:GetDataProtectionPolicy",
                    "logs:ListTagsForResource",
                    "logs:PutRetentionPolicy",
                    "logs:TagResource",
                    "logs:UntagResource",
                ],
                &["arn:aws:logs:*:*:log-group:{stack}-*"],
            ),
            Grant::new(
                "AllLogGroups",
                &["logs:DescribeLogGroups", "logs:DescribeResourcePolicies"],
                &["*"],
            ),
        ],
    },
    Kind {
        name: "AWS::S3::Bucket",
        // The reads of what no template sets are needed as well: CloudFormation asks for all of it.
        grants: &[Grant::new(
            "WholeBuckets",
            &[
                "s3:CreateBucket",
                "s3:DeleteBucket",
                "s3:GetBucket*",
                "s3:Get*Configuration",
                "s3:ListBucket",
                "s3:ListTagsForResource",
                "s3:PutBucketOwnershipControls",
                "s3:PutBucketPublicAccessBlock",
                "s3:PutBucketWebsite",
                "s3:DeleteBucketWebsite",
                "s3:PutBucketTagging",
                "s3:PutEncryptionConfiguration",
                "s3:PutLifecycleConfiguration",
                "s3:TagResource",
                "s3:UntagResource",
            ],
            BUCKETS,
        )],
    },
    Kind {
        name: "AWS::S3::BucketPolicy",
        grants: &[Grant::new(
            "BucketPolicies",
            &[
                "s3:DeleteBucketPolicy",
                "s3:GetBucketPolicy",
                "s3:PutBucketPolicy",
            ],
            BUCKETS,
        )],
    },
    Kind {
        name: "AWS::SNS::Subscription",
        grants: &[Grant::new(
            "Subscriptions",
            &[
                "sns:GetSubscriptionAttributes",
                "sns:ListSubscriptionsByTopic",
                "sns:Subscribe",
                "sns:Unsubscribe",
            ],
            TOPICS,
        )],
    },
    Kind {
        name: "AWS::SNS::Topic",
        grants: &[Grant::new(
            "Topics",
            &[
                "sns:CreateTopic",
                "sns:DeleteTopic",
                "sns:GetDataProtectionPolicy",
                "sns:GetTopicAttributes",
                "sns:ListTagsForResource",
                "sns:SetTopicAttributes",
                "sns:TagResource",
                "sns:UntagResource",
            ],
            TOPICS,
        )],
    },
];

/// The types of the stack of packages; those of the chat are in its template.
const ARTIFACTS_KINDS: [&str; 2] = ["AWS::S3::Bucket", "AWS::S3::BucketPolicy"];

/// The policy of one stage, whose template this is. It names the partition `aws`, any Region and any account: an identity's
/// policy opens nothing in another account.
pub(crate) fn policy(stage: &StageName, template: &Document, principal: &Principal) -> Value {
    let stack = stage.stack_name();
    let caller = CALLER.iter();
    let types = types(template);
    let needed = || KINDS.iter().filter(|it| types.contains(it.name));
    let kinds = || needed().flat_map(|it| it.grants);
    let is_read = |action: &&&str| {
        let action = action.split_once(':').map_or("", |(_, action)| action);
        READS.iter().any(|it| action.starts_with(it))
    };
    let looks_only = *principal == Principal::Operator;
    let (grants, role): (Vec<&Grant>, _) = match principal {
        // To look for drift is to read all that there is.
        Principal::Operator => (OPERATOR.iter().chain(kinds()).collect(), None),
        Principal::Deployer => (caller.chain(kinds()).collect(), None),
        Principal::DeployerWithRole(role) => (caller.collect(), Some(role)),
        Principal::ServiceRole => (kinds().collect(), None),
    };
    // A policy's size is limited: what is allowed of the same things is said once, under the first name.
    let mut merged: Vec<(&Grant, BTreeSet<&str>)> = Vec::new();
    for grant in grants {
        let actions: BTreeSet<&str> = grant
            .actions
            .iter()
            .filter(|it| !looks_only || is_read(it) || is_of_operator(it))
            .copied()
            .collect();
        // A package's content is nothing that is looked at.
        if actions.is_empty() || (looks_only && grant.resources == PACKAGES) {
            continue;
        }
        let is_alike =
            |it: &Grant| (it.resources, it.condition) == (grant.resources, grant.condition);
        match merged.iter_mut().find(|(first, _)| is_alike(first)) {
            Some((_, known)) => known.extend(actions),
            None => merged.push((grant, actions)),
        }
    }
    for (_, actions) in &mut merged {
        let all = actions.clone();
        actions.retain(|action| !all.iter().any(|it| it != action && covers(it, action)));
    }
    let statements = merged
        .iter()
        .map(|(grant, actions)| statement(grant, actions, &stack));
    let mut statements: Vec<Value> = statements.collect();
    statements.extend(role.map(|role| pass(role)));
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Whether what allows `pattern` allows `action`.
fn covers(pattern: &str, action: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => action
            .strip_prefix(before)
            .is_some_and(|rest| rest.ends_with(after)),
        None => pattern == action,
    }
}

/// Whether an action is one of those that looking takes, however it is called.
fn is_of_operator(action: &str) -> bool {
    OPERATOR.iter().any(|it| it.actions.contains(&action))
}

/// The types of all resources that a deploy makes.
fn types(template: &Document) -> BTreeSet<&str> {
    let resources = template.as_value()["Resources"].as_object();
    let resources = resources.into_iter().flat_map(|it| it.values());
    let types = resources.filter_map(|it| it["Type"].as_str());
    types.chain(ARTIFACTS_KINDS).collect()
}

/// Types of resources that a template has and no policy here says anything of: somebody's own.
pub(crate) fn unknown(template: &Document) -> Vec<&str> {
    let is_known = |name: &str| KINDS.iter().any(|it| it.name == name);
    let types = types(template).into_iter();
    types.filter(|it| !is_known(it)).collect()
}

fn statement(grant: &Grant, actions: &BTreeSet<&str>, stack: &str) -> Value {
    let resources = grant.resources.iter().map(|it| {
        it.replace("{stack}", stack)
            .replace("{artifacts}", ARTIFACTS_STACK)
    });
    let mut statement = json!({
        "Sid": grant.id,
        "Effect": "Allow",
        "Action": actions,
        "Resource": resources.collect::<Vec<_>>(),
    });
    if let Some((key, value)) = grant.condition {
        statement["Condition"] = json!({"StringEquals": {key: value}});
    }
    statement
}

/// To hand CloudFormation its role.
fn pass(role: &str) -> Value {
    json!({
        "Sid": "CloudFormationsRole",
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": [role],
        "Condition": {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::template::{Fragments, TemplateSettings, artifacts, embedded, synthesize};

    /// AWS's limit for a managed policy, white space not counted.
    const SIZE_MAX: usize = 6_144;

    fn stage() -> StageName {
        // As long as a stage's name can be.
        "a2345678901234567890".parse().unwrap()
    }

    fn template(stage: &StageName) -> Document {
        let stage = stage.clone();
        synthesize(&TemplateSettings::embedded(stage)).unwrap()
    }

    fn all() -> [Value; 4] {
        let role = "arn:aws:iam::123456789012:role/deploys".to_owned();
        [
            Principal::Deployer,
            Principal::DeployerWithRole(role),
            Principal::ServiceRole,
            Principal::Operator,
        ]
        .map(|principal| policy(&stage(), &template(&stage()), &principal))
    }

    fn actions(policy: &Value) -> BTreeSet<String> {
        let statements = policy["Statement"].as_array().unwrap();
        let actions = statements
            .iter()
            .flat_map(|it| it["Action"].as_array().unwrap());
        actions.map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    /// The names of permissions in the sources of the calls, `"service:Action"`.
    fn calls(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                calls(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let is_call = |it: &&str| {
                let parts = it.split_once(':');
                parts.is_some_and(|(service, action)| {
                    service
                        .chars()
                        .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
                        && action.starts_with(|it: char| it.is_ascii_uppercase())
                        && action.chars().all(char::is_alphanumeric)
                })
            };
            found.extend(text.split('"').filter(is_call).map(str::to_owned));
        }
    }

    #[test]
    fn every_call_of_this_program_is_allowed() {
        let mut calls_made = BTreeSet::new();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cloud/aws");
        calls(&sources, &mut calls_made);
        assert!(calls_made.len() > 15, "{calls_made:?}");
        let [deployer, with_role, _, operator] = all().map(|policy| actions(&policy));
        let allows = |policy: &BTreeSet<String>, it: &str| policy.iter().any(|by| covers(by, it));
        let is_allowed = |it: &&String| allows(&with_role, it) || allows(&operator, it);
        let missing: Vec<_> = calls_made.iter().filter(|it| !is_allowed(it)).collect();
        assert!(
            missing.is_empty(),
            "add to `CALLER` or `OPERATOR`: {missing:?}"
        );
        assert!(
            with_role.iter().all(|it| allows(&deployer, it)),
            "with or without a role"
        );
    }

    /// What is asked for by another name, or by CloudFormation on the way.
    const OTHERWISE: [&str; 3] = [
        // Of a stack's drift, that of each resource.
        "cloudformation:BatchDescribeTypeConfigurations",
        "cloudformation:DetectStackResourceDrift",
        // A delete that names a version.
        "s3:DeleteObjectVersion",
    ];

    #[test]
    fn nothing_is_allowed_that_this_program_does_not_call() {
        let mut made = BTreeSet::new();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cloud/aws");
        calls(&sources, &mut made);
        let allowed = CALLER.iter().chain(&OPERATOR).flat_map(|it| it.actions);
        let unneeded = allowed.filter(|it| !made.contains(**it));
        let unneeded: BTreeSet<&str> = unneeded.copied().collect();
        assert_eq!(unneeded, BTreeSet::from(OTHERWISE));
    }

    #[test]
    fn what_a_wildcard_allows_is_not_said_again() {
        assert!(covers("s3:GetBucket*", "s3:GetBucketPolicy"));
        assert!(covers(
            "s3:Get*Configuration",
            "s3:GetLifecycleConfiguration"
        ));
        assert!(!covers("s3:GetBucket*", "s3:GetObject"));
        assert!(!covers("s3:GetBucket", "s3:GetBucketPolicy"));
        for policy in all() {
            let actions = actions(&policy);
            let stands = |it: &str| actions.contains(it);
            assert!(!stands("lambda:GetFunction*") || !stands("lambda:GetFunctionConfiguration"));
        }
    }

    #[test]
    fn every_type_of_the_templates_is_known_and_no_other() {
        let template = template(&stage());
        let known: BTreeSet<_> = KINDS.iter().map(|it| it.name).collect();
        assert_eq!(known, types(&template));
        let lines = artifacts().unwrap().lines();
        let artifacts = lines.filter_map(|it| it.strip_prefix("    Type: "));
        let artifacts: Vec<_> = artifacts.filter(|it| it.contains("::")).collect();
        assert_eq!(artifacts, ARTIFACTS_KINDS);
    }

    #[test]
    fn types_that_no_policy_knows_are_named() {
        assert_eq!(unknown(&template(&stage())), [""; 0]);
        let files = embedded().unwrap().into_iter();
        let own = [(
            "jobs.yaml",
            "Resources:\n  JobQueue:\n    Type: AWS::SQS::Queue\n",
        )];
        let files = files.chain(own);
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let settings = TemplateSettings {
            stage: stage(),
            fragments: Fragments::read(files.collect()),
        };
        let own = synthesize(&settings).unwrap();
        assert_eq!(unknown(&own), ["AWS::SQS::Queue"]);
    }

    #[test]
    fn a_policy_fits_into_iams_limit_and_its_ids_are_unique() {
        for policy in all() {
            let text = policy.to_string();
            let size = text.chars().filter(|it| !it.is_whitespace()).count();
            assert!(size <= SIZE_MAX, "{size}");
            let statements = policy["Statement"].as_array().unwrap();
            let ids: BTreeSet<_> = statements.iter().map(|it| it["Sid"].as_str()).collect();
            assert_eq!(ids.len(), statements.len());
        }
    }

    #[test]
    fn what_bears_the_stacks_name_is_named_and_no_other_stages() {
        let stage = "prod".parse().unwrap();
        let policy = policy(&stage, &template(&stage), &Principal::Deployer);
        let text = policy.to_string();
        for resource in [
            "arn:aws:cloudformation:*:*:stack/chat-prod/*",
            "arn:aws:dynamodb:*:*:table/chat-prod-*",
            "arn:aws:iam::*:role/chat-prod-*",
            "arn:aws:lambda:*:*:function:chat-prod-*",
            "arn:aws:logs:*:*:log-group:chat-prod-*",
            "arn:aws:s3:::chat-prod-*/*",
            "arn:aws:s3:::chatctl-artifacts-*/*",
        ] {
            assert!(text.contains(&format!("\"{resource}\"")), "{resource}");
        }
        let anything: BTreeSet<_> = policy["Statement"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["Resource"] == json!(["*"]))
            .flat_map(|it| it["Action"].as_array().unwrap())
            .map(|it| it.as_str().unwrap())
            .collect();
        let listing = [
            "cloudformation:DescribeStacks",
            "cloudformation:ListStacks",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
        ];
        assert_eq!(anything, BTreeSet::from(listing));
        assert!(!text.contains("{stack}") && !text.contains("{artifacts}"));
    }

    #[test]
    fn with_a_role_for_cloudformation_whoever_deploys_may_only_hand_it_over() {
        let [_, with_role, role, _] = all();
        let may = actions(&with_role);
        assert!(!may.contains("iam:CreateRole") && !may.contains("dynamodb:CreateTable"));
        let pass = with_role["Statement"].as_array().unwrap().last().unwrap();
        assert_eq!(
            pass["Resource"],
            json!(["arn:aws:iam::123456789012:role/deploys"])
        );
        assert_eq!(
            pass["Condition"]["StringEquals"]["iam:PassedToService"],
            "cloudformation.amazonaws.com"
        );
        assert!(actions(&role).contains("iam:CreateRole"));
    }

    #[test]
    fn whoever_looks_may_change_nothing() {
        let [.., operator] = all();
        let may = actions(&operator);
        for action in [
            "logs:FilterLogEvents",
            "cloudwatch:GetMetricData",
            "cloudformation:DetectStackDrift",
            // What drift is found by.
            "dynamodb:DescribeTable",
            "iam:GetRolePolicy",
            "apigateway:GET",
        ] {
            assert!(may.contains(action), "{action}");
        }
        let harmless = [
            "Get", "List", "Describe", "GET", "Detect", "Filter", "Batch",
        ];
        for action in &may {
            let (_, verb) = action.split_once(':').unwrap();
            assert!(harmless.iter().any(|it| verb.starts_with(it)), "{action}");
        }
        // Not what people say, nor what runs.
        for action in ["dynamodb:GetItem", "s3:GetObject", "lambda:InvokeFunction"] {
            assert!(!may.contains(action), "{action}");
        }
    }
}
