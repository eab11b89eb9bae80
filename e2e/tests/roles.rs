//! The functions' roles, checked by the AWS of the tests: all that they may do they need, and all
//! that they need they may.

use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Duration;

use e2e::ministack::{Ministack, is_by_a_function};
use e2e::{DEADLINE, chatctl};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const BUCKET: &str = "packages";
const KEY: &str = "bootstrap.zip";
/// A name.
const GHOST: &str = "casper";
/// How long the conversation may go on after something in it was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(3);
/// How long the last `$disconnect` takes, at most.
const DISCONNECT_TIMEOUT: Duration = DEADLINE;

#[tokio::test]
async fn each_role_may_do_what_its_function_needs_and_nothing_else() {
    let ministack = Ministack::start().await;
    upload(&ministack, &chatctl::packaged_bootstrap()).await;
    let mut template = chatctl::synthesized().await;
    // So that of the few who are there some are handed over.
    template["Resources"]["ActionFunction"]["Properties"]["Environment"]["Variables"]["SHARE_MEMBERS"] =
        json!("1");

    let outputs = create(&ministack, "chat-whole", &template).await;
    let said = timeout(DEADLINE * 2, converse(&ministack, &outputs)).await;
    assert_eq!(said, Ok(Ok(())), "{}", ministack.log());
    assert_eq!(refusals(&ministack), Vec::<Value>::new());
    delete(&ministack, "chat-whole").await;

    let (grants, unchecked) = grants(&template);
    // A role without a proof would be one of these.
    assert_eq!(unchecked, logs_of_each_function(&template));
    for (number, grant) in grants.iter().enumerate() {
        let name = format!("chat-without-{number}");
        let outputs = create(&ministack, &name, &without(&template, grant)).await;
        let before = refusals(&ministack).len();
        tokio::select! {
            said = converse(&ministack, &outputs) => {
                let refused = refusals(&ministack).len() > before;
                assert!(refused, "nobody misses {grant}: {said:?}");
                let noticed = said.is_err() || grant.is_made_up_for();
                assert!(noticed, "nobody notices that {grant} is missing");
            }
            () = refused(&ministack, before) => {}
        }
        let what = &grant.action;
        let missed = &refusals(&ministack)[before..];
        assert!(
            missed.iter().any(|it| is_about(it, what)),
            "instead of {grant}, this is what was refused: {missed:?}"
        );
        delete(&ministack, &name).await;
    }
}

/// What the functions asked for and may not.
fn refusals(ministack: &Ministack) -> Vec<Value> {
    let is_refusal = |request: &Value| {
        let error = text(&request["error"]);
        is_by_a_function(request)
            && (error.contains("AccessDenied") || error.contains("not authorized"))
    };
    let requests = ministack.requests();
    requests.into_iter().filter(is_refusal).collect()
}

/// Waits for one more than there were, and then for what the conversation makes of it: some of them
/// keep it waiting for what never comes.
async fn refused(ministack: &Ministack, before: usize) {
    while refusals(ministack).len() <= before {
        sleep(Duration::from_millis(20)).await;
    }
    sleep(AFTER_REFUSAL).await;
}

/// Whether a refusal names the action.
fn is_about(refusal: &Value, action: &str) -> bool {
    let (_, name) = action.split_once(':').expect("a service and a name");
    text(&refusal["error"]).contains(action) || text(&refusal["operation"]).contains(name)
}

/// What MiniStack lets everybody do, so that nobody would miss it.
const UNCHECKED: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];

/// One thing that a role may do: one action on one resource.
#[derive(Debug, Clone, PartialEq)]
struct Grant {
    /// The role, or a policy beside it.
    owner: String,
    /// Where in its resource the statements are.
    statements: String,
    statement: usize,
    action: String,
    resource: Value,
}

impl Grant {
    /// Whether its function does by itself what it may not have others do.
    fn is_made_up_for(&self) -> bool {
        self.action == "lambda:InvokeFunction"
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            owner,
            action,
            resource,
            ..
        } = self;
        write!(formatter, "{action} of {owner} on {resource}")
    }
}

/// All that the roles may do, each action on each resource by itself; and the roles, actions and resources
/// that cannot be checked.
fn grants(template: &Value) -> (Vec<Grant>, Vec<(String, String, Value)>) {
    let (mut grants, mut unchecked) = (Vec::new(), Vec::new());
    for (owner, place) in policies(template) {
        let statements = template["Resources"][&owner].pointer(&place);
        let statements = statements.and_then(Value::as_array).expect("statements");
        for (statement, content) in statements.iter().enumerate() {
            let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
            let fields = content.as_object().expect("a statement").keys();
            let unknown: Vec<_> = fields.filter(|it| !known.contains(&&***it)).collect();
            assert!(
                unknown.is_empty(),
                "{owner}: {unknown:?}: what does it allow?"
            );
            assert_eq!(content["Effect"], "Allow", "{owner}: {content}");
            for action in listed(&content["Action"]) {
                for resource in listed(&content["Resource"]) {
                    let grant = Grant {
                        owner: owner.clone(),
                        statements: place.clone(),
                        statement,
                        action: text(&action).to_owned(),
                        resource,
                    };
                    if UNCHECKED.contains(&&*grant.action) {
                        unchecked.push((grant.owner, grant.action, grant.resource));
                    } else {
                        grants.push(grant);
                    }
                }
            }
        }
    }
    assert!(grants.len() >= 12, "{grants:?}: where is the rest?");
    (grants, unchecked)
}

/// The resources that allow something, and where in them.
fn policies(template: &Value) -> Vec<(String, String)> {
    let resources = template["Resources"].as_object().expect("resources");
    let mut policies = Vec::new();
    for (name, resource) in resources {
        let properties = &resource["Properties"];
        match text(&resource["Type"]) {
            "AWS::IAM::Role" => {
                let inline = listed(&properties["Policies"]).len();
                let places = (0..inline)
                    .map(|it| format!("/Properties/Policies/{it}/PolicyDocument/Statement"));
                policies.extend(places.map(|it| (name.clone(), it)));
                let managed = &properties["ManagedPolicyArns"];
                assert!(
                    managed.is_null(),
                    "{name}: nobody knows what {managed} allows"
                );
            }
            "AWS::IAM::Policy" => {
                policies.push((
                    name.clone(),
                    "/Properties/PolicyDocument/Statement".to_owned(),
                ));
            }
            kind => assert!(!kind.starts_with("AWS::IAM::"), "{name}: {kind}"),
        }
    }
    policies
}

/// What is a list or one of its items.
fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// What each function has to be allowed of logs: its own group's streams, and no more.
fn logs_of_each_function(template: &Value) -> Vec<(String, String, Value)> {
    let resources = template["Resources"].as_object().expect("resources");
    let mut logs = Vec::new();
    for (name, role) in resources {
        if role["Type"] != "AWS::IAM::Role" {
            continue;
        }
        let own = |it: &&Value| it["Properties"]["Role"] == json!({"Fn::GetAtt": [name, "Arn"]});
        let function = resources.values().find(own);
        let function = function.unwrap_or_else(|| panic!("{name}: whose role is it?"));
        let group = &function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"];
        let group = json!({"Fn::GetAtt": [group, "Arn"]});
        logs.extend(UNCHECKED.map(|it| (name.clone(), it.to_owned(), group.clone())));
    }
    logs
}

/// The template, with the statement that a grant is of as one for each of the others in it.
fn without(template: &Value, grant: &Grant) -> Value {
    let mut template = template.clone();
    let owner = &mut template["Resources"][&grant.owner];
    let statements = owner.pointer_mut(&grant.statements);
    let statements = statements
        .and_then(Value::as_array_mut)
        .expect("it was there");
    let whole = statements.remove(grant.statement);
    for action in listed(&whole["Action"]) {
        for resource in listed(&whole["Resource"]) {
            if action != *grant.action || resource != grant.resource {
                let mut one = whole.clone();
                one["Sid"] = json!(format!("Rest{}", statements.len()));
                one["Action"] = action.clone();
                one["Resource"] = resource;
                statements.push(one);
            }
        }
    }
    if statements.is_empty() {
        // A policy has to allow something: here, what no function does.
        statements
            .push(json!({"Effect": "Allow", "Action": "dynamodb:DescribeTable", "Resource": "*"}));
    }
    template
}

#[tokio::test]
async fn a_role_that_may_more_than_is_known_is_noticed() {
    let template = chatctl::synthesized().await;
    let (known, logs) = grants(&template);
    assert_eq!(logs, logs_of_each_function(&template));
    let place = "/Resources/ConnectRole/Properties/Policies/0/PolicyDocument/Statement";

    // Another resource or action is one grant more, whichever statement it is in.
    let mut more = template.clone();
    let statements = more.pointer_mut(place).expect("statements");
    statements[0]["Resource"] = json!([statements[0]["Resource"], "*"]);
    let (grants_of_more, _) = grants(&more);
    assert_eq!(grants_of_more.len(), known.len() + 1);
    let star = grants_of_more.iter().find(|it| it.resource == "*");
    let star = star.expect("the new one");
    // Without it the rest is what it was.
    let mut rest = grants(&without(&more, star)).0;
    assert_eq!(rest.len(), known.len());
    rest.retain(|it| {
        known
            .iter()
            .any(|known| known.resource == it.resource && known.action == it.action)
    });
    assert_eq!(rest.len(), known.len());

    // Logs of more than one's own group are none of those that cannot be checked.
    let mut more = template.clone();
    let statements = more.pointer_mut(place).expect("statements");
    statements[1]["Resource"] = json!("*");
    assert_ne!(grants(&more).1, logs_of_each_function(&more));
}

/// Everything that needs a permission. Tells what did not come out as it should.
async fn converse(ministack: &Ministack, outputs: &Value) -> Result<(), String> {
    let url = text(&outputs["WebSocketUrl"]);
    let connect = || async {
        let socket = ministack.try_socket(url).await;
        socket.map_err(|error| format!("handshake: {error}"))
    };
    let (mut ann, mut bob, mut eve) = (connect().await?, connect().await?, connect().await?);

    ann.send(json!({"type": "message", "from": "ann", "text": "hi"}))
        .await;
    for client in [&mut ann, &mut bob, &mut eve] {
        expect(
            &client.next().await,
            &json!({"from": "ann", "text": "hi", "room": "lobby"}),
        )?;
    }
    let joined = ann.ask(json!({"type": "create", "name": "ann"})).await;
    expect(&joined, &json!({"type": "joined", "members": ["ann"]}))?;
    let room = &joined["room"];
    // Before a name is refused its holder is looked at.
    let taken = json!({"type": "join", "room": room, "name": "Ann"});
    expect(
        &bob.ask(taken).await,
        &json!({"type": "error", "code": "name-taken"}),
    )?;
    let joined = bob
        .ask(json!({"type": "join", "room": room, "name": "bob"}))
        .await;
    expect(
        &joined,
        &json!({"type": "joined", "members": ["ann", "bob"]}),
    )?;
    let heard = ann.next_of("presence").await;
    expect(&heard, &json!({"event": "join", "name": "bob"}))?;
    a_ghost_takes_the_name(ministack, text(&outputs["ChatTableName"])).await?;
    let joined = eve
        .ask(json!({"type": "join", "room": room, "name": GHOST}))
        .await;
    expect(
        &joined,
        &json!({"type": "joined", "members": ["ann", "bob", GHOST]}),
    )?;
    for text in ["one", "two"] {
        let message = json!({"type": "message", "text": text});
        expect(
            &bob.ask_for("message", message).await,
            &json!({"from": "bob", "text": text, "room": room}),
        )?;
        for client in [&mut ann, &mut eve] {
            let heard = json!({"from": "bob", "text": text, "room": room});
            expect(&client.next_of("message").await, &heard)?;
        }
    }
    expect(
        &bob.ask_for("left", json!({"type": "leave"})).await,
        &json!({"type": "left"}),
    )?;
    expect(
        &eve.ask_for("pong", json!({"type": "ping"})).await,
        &json!({"type": "pong", "seq": 2}),
    )?;

    eve.close().await;
    loop {
        let heard = ann.next_of("presence").await;
        if heard["name"] == GHOST && heard["event"] == "leave" {
            expect(&heard, &json!({"members": ["ann"]}))?;
            break;
        }
    }
    for client in [ann, bob] {
        client.close().await;
    }
    only_rooms_and_messages_are_left(ministack, text(&outputs["ChatTableName"])).await
}

/// Leaves in the one room what a connection leaves whose `$disconnect` was lost: a name that nobody
/// holds. Whether its holder is there has to be asked.
async fn a_ghost_takes_the_name(ministack: &Ministack, table: &str) -> Result<(), String> {
    let scan = json!({"TableName": table, "ConsistentRead": true});
    let found = ministack.aws("dynamodb", "scan", scan).await;
    let items = found["Items"].as_array().cloned().unwrap_or_default();
    let room = items.iter().find(|it| it["sk"]["S"] == "ROOM");
    let room = room.ok_or("there is no room")?;
    let item = json!({
        "pk": room["pk"],
        "sk": {"S": format!("NAME#{GHOST}")},
        "holder": {"S": "ghost="},
        "member": {"S": "ghost"},
        "expires": room["expires"],
    });
    let put = json!({"TableName": table, "Item": item});
    ministack.aws("dynamodb", "put_item", put).await;
    Ok(())
}

fn expect(frame: &Value, fields: &Value) -> Result<(), String> {
    let mut fields = fields.as_object().expect("fields").iter();
    if fields.all(|(name, value)| frame[name] == *value) {
        Ok(())
    } else {
        Err(format!("{frame} is not as it should be"))
    }
}

/// Waits until no trace of a connection is left.
async fn only_rooms_and_messages_are_left(
    ministack: &Ministack,
    table: &str,
) -> Result<(), String> {
    let since = Instant::now();
    loop {
        let scan = json!({"TableName": table, "ConsistentRead": true});
        let found = ministack.aws("dynamodb", "scan", scan).await;
        let items = found["Items"].as_array().cloned().unwrap_or_default();
        // What is counted goes with its time.
        let stays = |key: &str| ["ROOM", "COUNT"].contains(&key) || key.starts_with("MSG#");
        let left = items.iter().filter(|it| !stays(text(&it["sk"]["S"])));
        let left: Vec<_> = left.collect();
        if left.is_empty() {
            return Ok(());
        }
        if since.elapsed() > DISCONNECT_TIMEOUT {
            return Err(format!("left behind: {left:?}"));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn upload(ministack: &Ministack, bootstrap: &Path) {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("bootstrap", options).expect("a zip file");
    let program = std::fs::read(bootstrap).expect("it was built");
    zip.write_all(&program).expect("a zip file");
    let zip = zip.finish().expect("a zip file").into_inner();
    let path = std::env::temp_dir().join(format!("roles-{}.zip", std::process::id()));
    std::fs::write(&path, zip).expect("room for it");
    let bucket = json!({"Bucket": BUCKET});
    ministack.aws("s3", "create_bucket", bucket).await;
    let object = json!({"Bucket": BUCKET, "Key": KEY, "Body": path});
    ministack.aws("s3", "put_object", object).await;
    std::fs::remove_file(&path).expect("it is there");
}

/// Creates a stack and gives its outputs.
async fn create(ministack: &Ministack, name: &str, template: &Value) -> Value {
    let parameters = [("CodeBucket", BUCKET), ("CodeKey", KEY)];
    let parameters =
        parameters.map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value}));
    let request = json!({
        "StackName": name,
        "TemplateBody": template.to_string(),
        "Parameters": parameters,
        "Capabilities": ["CAPABILITY_IAM"],
    });
    ministack
        .aws("cloudformation", "create_stack", request)
        .await;
    let since = Instant::now();
    loop {
        let request = json!({"StackName": name});
        let stacks = ministack.aws("cloudformation", "describe_stacks", request);
        let stack = &stacks.await["Stacks"][0];
        match text(&stack["StackStatus"]) {
            "CREATE_COMPLETE" => {
                let outputs = stack["Outputs"].as_array().expect("outputs").iter();
                return outputs
                    .map(|it| (text(&it["OutputKey"]).to_owned(), it["OutputValue"].clone()))
                    .collect();
            }
            "CREATE_IN_PROGRESS" if since.elapsed() < DEADLINE => {}
            _ => panic!("{stack}\n{}", ministack.log()),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn delete(ministack: &Ministack, name: &str) {
    let request = json!({"StackName": name});
    ministack
        .aws("cloudformation", "delete_stack", request.clone())
        .await;
    let since = Instant::now();
    while ministack
        .try_aws("cloudformation", "describe_stacks", request.clone())
        .await
        .is_ok()
    {
        assert!(since.elapsed() < DEADLINE, "`{name}` is not deleted");
        sleep(Duration::from_millis(50)).await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
