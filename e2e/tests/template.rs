//! What ties the handlers, the template and the local stack together.

use std::collections::BTreeMap;

use e2e::{chatctl, stack};
use handlers::config::Function;
use local::template::{Context, Override, Template, TemplateError};
use serde_json::{Value, json};

fn read(template: &Value) -> Result<Template, TemplateError> {
    let parameters = stack::parameters();
    let context = Context {
        stack_name: "chat-dev",
        parameters: &parameters,
        authority: "127.0.0.1:8765",
    };
    Template::read(template, &context)
}

/// What each function's environment has, against what the handlers say that they read.
fn check_environments(template: &Value) -> Result<(), String> {
    for function in Function::ALL {
        let mut declared = Vec::new();
        for resource in template["Resources"]
            .as_object()
            .expect("resources")
            .values()
        {
            if resource["Type"] == "AWS::Lambda::Function"
                && resource["Properties"]["Handler"] == function.handler()
            {
                let variables = resource["Properties"]["Environment"]["Variables"].as_object();
                declared = variables
                    .map(|it| it.keys().cloned().collect())
                    .unwrap_or_default();
            }
        }
        let mut read = function.template_variables().to_vec();
        declared.sort();
        read.sort_unstable();
        if declared != read {
            return Err(format!(
                "{}: {declared:?} against {read:?}",
                function.handler()
            ));
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_function_gets_exactly_the_variables_that_its_handler_reads() {
    let template = chatctl::synthesized().await;
    check_environments(&template).expect("template and handlers agree");

    let text = template.to_string();
    for variable in [
        "TABLE_NAME",
        "MANAGEMENT_ENDPOINT",
        "HISTORY_DAYS",
        "STACK_NAME",
        "STACK_ID",
        "METRICS",
        "SHARE_MEMBERS",
        "ALLOWED_ORIGINS",
        "SIGN_IN",
        "ISSUER",
        "AUDIENCE",
        "JWKS_URI",
    ] {
        let renamed = text.replace(&format!("\"{variable}\":"), "\"RENAMED\":");
        assert_ne!(renamed, text, "{variable} is there");
        let renamed = serde_json::from_str(&renamed).expect("JSON");
        check_environments(&renamed)
            .expect_err("a variable renamed in the template alone is noticed");
    }
}

#[tokio::test]
async fn the_local_stack_changes_the_chats_addresses_in_six_places_and_nothing_else() {
    let template = read(&chatctl::synthesized().await).expect("it runs here");
    let host = "local.execute-api.us-east-1.amazonaws.com";
    let site = "chat-dev-sitedistribution.cloudfront.net";
    let csp = |socket: &str| {
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             font-src 'self'; manifest-src 'self'; connect-src 'self' {socket}; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'"
        )
    };
    let change = |place: &str, cloud: String, local: &str| Override {
        place: place.to_owned(),
        cloud,
        local: local.to_owned(),
    };
    let expected = [
        change(
            "ActionFunction.Environment.MANAGEMENT_ENDPOINT",
            format!("https://{host}/dev"),
            "http://127.0.0.1:8765/dev",
        ),
        change(
            "DisconnectFunction.Environment.MANAGEMENT_ENDPOINT",
            format!("https://{host}/dev"),
            "http://127.0.0.1:8765/dev",
        ),
        change(
            "headers.content-security-policy",
            csp(&format!("wss://{host}")),
            &csp("ws://127.0.0.1:8765"),
        ),
        change(
            "Outputs.DirectWebSocketUrl",
            format!("wss://{host}/dev"),
            "ws://127.0.0.1:8765/dev",
        ),
        change(
            "Outputs.SiteUrl",
            format!("https://{site}/"),
            "http://127.0.0.1:8765/",
        ),
        change(
            "Outputs.WebSocketUrl",
            format!("wss://{site}/dev"),
            "ws://127.0.0.1:8765/dev",
        ),
    ];
    assert_eq!(template.overrides, expected);
}

#[tokio::test]
async fn what_the_local_stack_would_ignore_it_refuses_by_name() {
    let good = chatctl::synthesized().await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut template = good.clone();
        change(&mut template["Resources"]);
        read(&template).expect_err("refused").to_string()
    };
    let cases = [
        (
            with(&|it| it["Queue"] = json!({"Type": "AWS::SQS::Queue"})),
            "`Queue`",
        ),
        (
            with(&|it| it["Idle"] = it["ConnectFunction"].clone()),
            "no route leads to the function `Idle`",
        ),
        (
            with(&|it| it["ChatTable"]["Properties"]["StreamSpecification"] = json!({})),
            "`StreamSpecification`",
        ),
        (
            with(&|it| it["ActionFunction"]["Properties"]["SnapStart"] = json!({})),
            "`SnapStart`",
        ),
        (
            with(&|it| it["ActionFunction"]["CreationPolicy"] = json!({})),
            "`CreationPolicy`",
        ),
        (
            with(&|it| {
                let id = json!({"Fn::Select": [0, ["a"]]});
                it["ActionFunction"]["Properties"]["Handler"] = id;
            }),
            "`Fn::Select`",
        ),
        (
            with(&|it| it["DefaultRoute"]["Properties"]["AuthorizationType"] = json!("AWS_IAM")),
            "`DefaultRoute.AuthorizationType`",
        ),
        (
            with(&|it| it["WebSocketStage"]["Properties"]["AutoDeploy"] = json!(false)),
            "AutoDeploy",
        ),
    ];
    for (error, part) in cases {
        assert!(error.contains(part), "{error}: {part}");
    }
    let mut transformed = good.clone();
    transformed["Transform"] = json!("AWS::Serverless-2016-10-31");
    assert!(
        read(&transformed)
            .expect_err("refused")
            .to_string()
            .contains("`Transform`")
    );
}

#[tokio::test]
async fn the_page_without_cloudfront_is_for_aws_alone() {
    let mut template = chatctl::synthesized().await;
    let with = read(&template).expect("it runs here");
    assert!(with.site.is_some_and(|site| !site.headers.is_empty()));
    assert!(with.outputs.contains_key("SiteDistributionId"));
    assert!(!with.outputs.contains_key("SitePolicy"));

    template["Parameters"]["Cdn"]["Default"] = json!("off");
    let refused = read(&template).expect_err("refused").to_string();
    assert!(refused.contains("`SiteBucket`"), "{refused}");
    assert!(refused.contains("`WebsiteConfiguration`"), "{refused}");
    template["Resources"]["SiteBucket"]["Properties"]["WebsiteConfiguration"] =
        json!({"Ref": "AWS::NoValue"});
    let refused = read(&template).expect_err("refused").to_string();
    assert!(refused.contains("no distribution serves it"), "{refused}");
}

#[tokio::test]
async fn a_condition_that_the_local_stack_does_not_know_is_refused_by_name() {
    let good = chatctl::synthesized().await;
    for (condition, part) in [
        (json!({"Fn::Contains": [["a"], "a"]}), "`Fn::Contains`"),
        (json!({"Condition": "Nobody"}), "the condition `Nobody`"),
        (json!({"Fn::Equals": [{"Ref": "Nobody"}, "on"]}), "`Nobody`"),
        (json!("on"), "`HasCdn` does not suit the local stack"),
    ] {
        let mut template = good.clone();
        template["Conditions"]["HasCdn"] = condition;
        let refused = read(&template).expect_err("refused").to_string();
        assert!(refused.contains(part), "{refused}: {part}");
    }
}

#[tokio::test]
async fn functions_routes_and_the_table_come_from_the_template() {
    let template = read(&chatctl::synthesized().await).expect("it runs here");
    let routes: BTreeMap<&str, (&str, bool)> = template
        .api
        .routes
        .iter()
        .map(|(key, route)| (key.as_str(), (route.function.as_str(), route.replies)))
        .collect();
    let expected = BTreeMap::from([
        ("$connect", ("ConnectFunction", false)),
        ("$default", ("ActionFunction", true)),
        ("$disconnect", ("DisconnectFunction", false)),
    ]);
    assert_eq!(routes, expected);
    assert_eq!(template.tables[0].ttl_attribute.as_deref(), Some("expires"));
    assert_eq!(template.functions["ActionFunction"].timeout.as_secs(), 29);
    assert_eq!(template.api.throttle.burst, 500);
}

/// A checkout whose template is to be broken, and that cargo would refuse.
struct Checkout(std::path::PathBuf);

impl Checkout {
    fn new() -> Self {
        let folder = chatctl::target().join(format!("tmp/template-{}", std::process::id()));
        for part in ["handlers", "wwwroot", "cloudformation"] {
            std::fs::create_dir_all(folder.join(part)).expect("a folder below cargo's own");
        }
        for part in ["Cargo.toml", "handlers/Cargo.toml", "wwwroot/index.html"] {
            std::fs::write(folder.join(part), "no manifest").expect("a file in a new folder");
        }
        let checkout = Self(folder);
        checkout.mend();
        checkout
    }

    /// Has the template as it is.
    fn mend(&self) {
        let original = chatctl::checkout().join("cloudformation");
        for entry in std::fs::read_dir(original).expect("the template") {
            let path = entry.expect("the template").path();
            if path.is_file() {
                let name = path.file_name().expect("a file's name");
                let copy = self.0.join("cloudformation").join(name);
                std::fs::copy(&path, copy).expect("a file in a new folder");
            }
        }
    }

    /// Has it otherwise in one place.
    fn break_at(&self, file: &str, from: &str, to: &str) {
        self.mend();
        let path = self.0.join("cloudformation").join(file);
        let text = std::fs::read_to_string(&path).expect("a fragment");
        assert!(text.contains(from), "{file}: {from}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("a file of ours");
    }

    /// What a command says that fails.
    async fn refused(&self, verb: &str) -> String {
        let source = self.0.display().to_string();
        let mut command = chatctl::command(&[verb, "--source", &source]);
        let account = [
            ("AWS_ACCESS_KEY_ID", "none"),
            ("AWS_SECRET_ACCESS_KEY", "none"),
            ("AWS_REGION", "us-east-1"),
            ("CHATCTL_PORT", "0"),
        ];
        let output = command.envs(account).output();
        let output = e2e::within_deadline("end of chatctl", output).await;
        let output = output.expect("it runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!said.contains("manifest"), "nothing is built: {said}");
        said
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_fault_of_the_template_is_told_with_its_place_before_anything_is_built() {
    let checkout = Checkout::new();
    for (file, from, to, expected) in [
        (
            "table.yaml",
            "Resources:\n",
            "Resources: [\n",
            "`table.yaml:",
        ),
        (
            "table.yaml",
            "    Type: AWS::DynamoDB::Table\n",
            "    Type: AWS::DynamoDB::Table\n    DependsOn: ConnectFunction\n",
            "`ConnectRole` needs `ChatTable`",
        ),
        (
            "table.yaml",
            "    Type: AWS::DynamoDB::Table\n",
            "    Tpye: AWS::DynamoDB::Table\n",
            "`ChatTable` has no `Type`",
        ),
        (
            "functions.yaml",
            "!Ref ChatTable",
            "!Ref ChatTabel",
            "Environment.Variables.TABLE_NAME` refers to `ChatTabel`",
        ),
    ] {
        checkout.break_at(file, from, to);
        for verb in ["dev", "deploy", "diff"] {
            let said = checkout.refused(verb).await;
            assert!(said.contains(expected), "{verb}: {said}");
            let hint = "hint: the fault is in `cloudformation/` of the sources: correct it";
            assert!(said.contains(hint), "{verb}: {said}");
        }
    }
    // What AWS alone could tell, or takes.
    checkout.break_at("table.yaml", "BillingMode", "BillingModus");
    let said = checkout.refused("dev").await;
    assert!(said.contains("unknown field `BillingModus`"), "{said}");
    assert!(
        said.ends_with("hint: correct it in `cloudformation/`\n"),
        "{said}"
    );
    checkout.break_at("table.yaml", "AWS::DynamoDB::Table", "AWS::SQS::Queue");
    let said = checkout.refused("dev").await;
    assert!(
        said.contains("`ChatTable` is an `AWS::SQS::Queue`"),
        "{said}"
    );
    assert!(said.contains("hint: take it out of"), "{said}");
}
