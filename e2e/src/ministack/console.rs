//! AWS in boto3's words, by a process that is started once: the start takes longer than the calls.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Ministack, certificate, scripts};
use crate::within_deadline;

/// Asks AWS what there is. It ends with this value.
#[derive(Debug)]
pub struct Console {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Console {
    /// Starts it, with the variables of a machine.
    pub(super) fn start(ministack: &Ministack, environment: Vec<(&'static str, String)>) -> Self {
        let mut process = Command::new(&ministack.python)
            .arg(scripts().join("aws.py"))
            .envs(environment)
            .env("AWS_CA_BUNDLE", certificate::authority(&ministack.folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Python runs");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self {
            _process: process,
            input,
            output,
        }
    }

    /// Calls AWS: an operation in boto3's words (`create_stack`), all of its pages.
    ///
    /// # Panics
    /// When it fails.
    pub async fn aws(&mut self, service: &str, operation: &str, parameters: Value) -> Value {
        let line = format!("{}\n", json!([service, operation, parameters]));
        let call = async {
            self.input.write_all(line.as_bytes()).await?;
            self.output.next_line().await
        };
        let answer = within_deadline("answer of boto3", call).await;
        let answer = answer.expect("a pipe").expect("a line for a line");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["error"], Value::Null, "{service} {operation}");
        answer["result"].clone()
    }

    /// Everything that the account has, service by service, but for names that AWS makes up: of those,
    /// how many. Two that are alike hold the same chats.
    ///
    /// # Panics
    /// When a call fails.
    pub async fn inventory(&mut self) -> Value {
        let stacks = self.stacks().await;
        let functions = self.all("lambda", "list_functions", "Functions").await;
        let code: BTreeSet<_> = functions.iter().map(|it| text(&it["CodeSha256"])).collect();
        let mut inventory = json!({
            "stacks": stacks,
            "functions": functions.len(),
            "code": code,
            "objects": self.objects().await,
        });
        for (service, operation, list) in [
            ("dynamodb", "list_tables", "TableNames"),
            ("apigatewayv2", "get_apis", "Items"),
            ("iam", "list_roles", "Roles"),
            ("logs", "describe_log_groups", "logGroups"),
            ("cloudfront", "list_distributions", "DistributionList"),
            (
                "cloudfront",
                "list_origin_access_controls",
                "OriginAccessControlList",
            ),
            ("cloudfront", "list_functions", "FunctionList"),
        ] {
            inventory[list] = self.all(service, operation, list).await.len().into();
        }
        let custom = json!({"Type": "custom"});
        let policies = self.aws("cloudfront", "list_response_headers_policies", custom);
        let policies = policies.await["ResponseHeadersPolicyList"]["Items"].take();
        inventory["policies"] = policies.as_array().map_or(0, Vec::len).into();
        inventory
    }

    /// Each stack with its state, and the change sets that nobody executed. Which stage a chat is of is no
    /// difference, nor whether it was made or changed last.
    async fn stacks(&mut self) -> Value {
        let mut stacks = Vec::new();
        for stack in self
            .all("cloudformation", "describe_stacks", "Stacks")
            .await
        {
            let name = text(&stack["StackName"]);
            let sets = json!({"StackName": name});
            let sets = self.aws("cloudformation", "list_change_sets", sets).await;
            let sets = sets["Summaries"].as_array().cloned().unwrap_or_default();
            let is_left = |it: &&Value| !text(&it["ExecutionStatus"]).starts_with("EXECUTE_");
            let left = sets.iter().filter(is_left).count();
            let status = match text(&stack["StackStatus"]) {
                "UPDATE_COMPLETE" => "CREATE_COMPLETE",
                other => other,
            };
            let name = name.strip_prefix("chat-").map_or(name, |_| "chat");
            stacks.push(format!("{name} is in {status}, change sets left: {left}"));
        }
        stacks.sort();
        json!(stacks)
    }

    /// What is in each bucket, with every version; of the configurations and of what tells that a chat was
    /// tried, which differ from chat to chat, and of packages only that they are there.
    async fn objects(&mut self) -> Value {
        let mut buckets = Vec::new();
        for bucket in self.all("s3", "list_buckets", "Buckets").await {
            let bucket = json!({"Bucket": bucket["Name"]});
            let listed = self.aws("s3", "list_object_versions", bucket).await;
            let versions = listed["Versions"].as_array().cloned().unwrap_or_default();
            let mut objects = BTreeSet::new();
            for version in versions {
                let (key, content) = (text(&version["Key"]), text(&version["ETag"]));
                objects.insert(match key.split_once('/') {
                    Some((folder, _)) => format!("{folder}/"),
                    None if [".chatctl-verified", "config.json"].contains(&key) => key.to_owned(),
                    None => format!("{key} {content}"),
                });
            }
            buckets.push(objects);
        }
        buckets.sort();
        json!(buckets)
    }

    async fn all(&mut self, service: &str, operation: &str, list: &str) -> Vec<Value> {
        let found = self.aws(service, operation, json!({})).await;
        let found = &found[list];
        let items = found.as_array().or_else(|| found["Items"].as_array());
        items.cloned().unwrap_or_default()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
