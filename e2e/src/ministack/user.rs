//! Somebody who may do less than everything.

use std::process::Output;

use serde_json::json;

use super::Ministack;
use crate::{chatctl, within_deadline};

/// A person who may do what a policy says.
pub struct User<'a> {
    ministack: &'a Ministack,
    key: String,
    secret: String,
}

impl<'a> User<'a> {
    /// Makes one, with a policy and nothing else.
    ///
    /// # Panics
    /// When the AWS of the tests makes none.
    pub async fn new(ministack: &'a Ministack, name: &str, policy: &str) -> Self {
        let user = json!({"UserName": name});
        ministack.aws("iam", "create_user", user.clone()).await;
        let made = json!({"PolicyName": name, "PolicyDocument": policy});
        let made = ministack.aws("iam", "create_policy", made).await;
        let attach = json!({"UserName": name, "PolicyArn": made["Policy"]["Arn"]});
        ministack.aws("iam", "attach_user_policy", attach).await;
        let key = ministack.aws("iam", "create_access_key", user).await;
        let field = |name: &str| key["AccessKey"][name].as_str().expect(name).to_owned();
        Self {
            ministack,
            key: field("AccessKeyId"),
            secret: field("SecretAccessKey"),
        }
    }

    /// Runs `chatctl` as that person.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = chatctl::command(arguments);
        command
            .envs(self.ministack.environment())
            .env("AWS_ACCESS_KEY_ID", &self.key)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret);
        let output = within_deadline("end of chatctl", command.output()).await;
        output.expect("chatctl runs")
    }
}
