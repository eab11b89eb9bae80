//! What an operator looks at, against what there is to look at: the dashboard and the alarms of the
//! template, and the metrics that the functions tell when they run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use e2e::chatctl::{self, eventually};
use e2e::client::Client;
use e2e::ministack::Ministack;
use e2e::stack;
use handlers::log::{Metric, NAMESPACE};
use local::template::{Context, Template};
use local::{Event, Faults, Observer, Options};
use serde_json::{Map, Value, json};

/// What AWS itself tells: namespace, metrics, dimensions. Each is documented on the page before it.
const OF_AWS: [(&str, &[&str], &[&str]); 5] = [
    // docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-logging.html
    (
        "AWS/ApiGateway",
        &[
            "ConnectCount",
            "MessageCount",
            "IntegrationError",
            "ClientError",
            "ExecutionError",
            "IntegrationLatency",
        ],
        &["ApiId", "Stage"],
    ),
    // docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    (
        "AWS/Lambda",
        &[
            "Invocations",
            "Errors",
            "Throttles",
            "Duration",
            "ConcurrentExecutions",
            "AsyncEventsDropped",
        ],
        &["FunctionName"],
    ),
    // docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    (
        "AWS/DynamoDB",
        &[
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
            "ConditionalCheckFailedRequests",
            "TransactionConflict",
            "TimeToLiveDeletedItemCount",
        ],
        &["TableName"],
    ),
    (
        "AWS/DynamoDB",
        &["SuccessfulRequestLatency", "SystemErrors"],
        &["TableName", "Operation"],
    ),
    (NAMESPACE, &[], &["Stack"]),
];

/// Metrics on a dashboard, for it to be one of the three that cost nothing.
const FREE_DASHBOARD_METRICS: usize = 50;

/// A metric that somebody looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Looked {
    namespace: String,
    metric: String,
    dimensions: Vec<(String, String)>,
}

impl Looked {
    /// Whether it is one that is told.
    fn is_told(&self) -> bool {
        let dimensions: Vec<_> = self.dimensions.iter().map(|(name, _)| name).collect();
        let own = Metric::ALL.map(Metric::name);
        OF_AWS.iter().any(|(namespace, metrics, of)| {
            let metrics = if *namespace == NAMESPACE {
                &own
            } else {
                *metrics
            };
            self.namespace == *namespace
                && metrics.contains(&self.metric.as_str())
                && dimensions == *of
        })
    }
}

/// Works a value out as CloudFormation does, as far as the dashboard needs it. What is known only when
/// the stack is there becomes `<Name>`.
fn resolved(value: &Value, on: &BTreeSet<&str>) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    if let Some([condition, yes, no]) = value["Fn::If"].as_array().map(Vec::as_slice) {
        let is_on = on.contains(condition.as_str().expect("a name"));
        return resolved(if is_on { yes } else { no }, on);
    }
    if let Some(name) = value["Ref"].as_str() {
        return format!("<{name}>");
    }
    let sub = &value["Fn::Sub"];
    let none = Map::new();
    let text = sub.as_str().or_else(|| sub[0].as_str());
    let text = text.unwrap_or_else(|| panic!("not known here: {value}"));
    let variables = sub[1].as_object().unwrap_or(&none);
    let mut parts = text.split("${");
    let mut done = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').expect("closed");
        let own = variables.get(name).map(|value| resolved(value, on));
        let value = own.unwrap_or_else(|| match name {
            "Memory" => "256".to_owned(),
            name => format!("<{name}>"),
        });
        done.extend([&value, rest]);
    }
    done
}

/// Each dashboard that there can be, by what is on.
fn dashboards(template: &Value) -> Vec<(BTreeSet<&str>, Value)> {
    let body = &template["Resources"]["ChatDashboard"]["Properties"]["DashboardBody"];
    let combinations: [&[&str]; 6] = [
        &[],
        &["HasAlarms"],
        &["HasMetrics"],
        &["HasAlarms", "HasMetrics", "HasOwnAlarms"],
        &["HasSignIn"],
        &[
            "HasAlarms",
            "HasMetrics",
            "HasOwnAlarms",
            "HasSignIn",
            "HasSignInAlarms",
        ],
    ];
    let parsed = combinations.map(|on| {
        let on = on.iter().copied().collect::<BTreeSet<_>>();
        let text = resolved(body, &on);
        let body = serde_json::from_str(&text);
        let body = body.unwrap_or_else(|error| panic!("{on:?}: {error}\n{text}"));
        (on, body)
    });
    parsed.into()
}

/// The metrics of a widget, its shorthands written out: `.` is what stands there in the row before,
/// `...` all that does, but for what follows.
fn metrics_of(widget: &Value) -> Vec<Looked> {
    let mut before: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let rows = widget["properties"]["metrics"].as_array();
    for row in rows.into_iter().flatten() {
        let row = row.as_array().expect("a row");
        let texts: Vec<_> = row.iter().filter_map(Value::as_str).collect();
        if texts.is_empty() {
            assert!(row[0]["expression"].is_string(), "{row:?}");
            continue;
        }
        let written: Vec<String> = match texts.as_slice() {
            ["...", last @ ..] => {
                let kept = before.len().checked_sub(last.len()).expect("a longer row");
                let last = last.iter().map(|it| (*it).to_owned());
                before[..kept].iter().cloned().chain(last).collect()
            }
            texts => {
                let same = |(place, text): (usize, &&str)| match *text {
                    "." => before[place].clone(),
                    text => text.to_owned(),
                };
                texts.iter().enumerate().map(same).collect()
            }
        };
        assert!(written.len().is_multiple_of(2), "{written:?}");
        let dimensions = written[2..].chunks(2);
        found.push(Looked {
            namespace: written[0].clone(),
            metric: written[1].clone(),
            dimensions: dimensions
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect(),
        });
        before = written;
    }
    found
}

fn widgets(dashboard: &Value) -> &[Value] {
    dashboard["widgets"].as_array().expect("widgets")
}

/// The metric of an alarm.
fn alarmed(properties: &Value) -> Looked {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let dimensions = properties["Dimensions"].as_array().expect("dimensions");
    let pair = |it: &Value| (text(&it["Name"]), resolved(&it["Value"], &BTreeSet::new()));
    Looked {
        namespace: text(&properties["Namespace"]),
        metric: text(&properties["MetricName"]),
        dimensions: dimensions.iter().map(pair).collect(),
    }
}

fn alarms(template: &Value) -> BTreeMap<&str, Looked> {
    let resources = template["Resources"].as_object().expect("resources");
    let alarms = resources
        .iter()
        .filter(|(_, it)| it["Type"] == "AWS::CloudWatch::Alarm");
    alarms
        .map(|(id, it)| (id.as_str(), alarmed(&it["Properties"])))
        .collect()
}

#[tokio::test]
async fn whatever_is_looked_at_is_told_and_nothing_is_told_that_nobody_looks_at() {
    let template = chatctl::synthesized().await;
    let mut all = BTreeSet::new();
    for (on, dashboard) in dashboards(&template) {
        let looked: Vec<_> = widgets(&dashboard).iter().flat_map(metrics_of).collect();
        let own = looked.iter().any(|it| it.namespace == NAMESPACE);
        assert_eq!(own, on.contains("HasMetrics"), "{on:?}");
        assert!(looked.len() > 20, "{}", looked.len());
        all.extend(looked);
    }
    assert!(all.len() <= FREE_DASHBOARD_METRICS, "{}", all.len());
    let alarms = alarms(&template);
    assert_eq!(alarms.len(), 12, "two of them where people sign in");
    all.extend(alarms.into_values());
    let untold: Vec<_> = all.iter().filter(|it| !it.is_told()).collect();
    assert!(untold.is_empty(), "{untold:#?}");

    for metric in Metric::ALL.map(Metric::name) {
        let mut own = all.iter().filter(|it| it.namespace == NAMESPACE);
        assert!(
            own.any(|it| it.metric == metric),
            "`{metric}` is paid for in vain"
        );
    }
    for looked in &all {
        for (name, value) in &looked.dimensions {
            let expected = match (name.as_str(), value.as_str()) {
                ("ApiId", it) => it == "<WebSocketApi>",
                ("Stage", it) => it == "<WebSocketStage>",
                ("TableName", it) => it == "<ChatTable>",
                ("Stack", it) => it == "<AWS::StackName>",
                ("FunctionName", it) => it.ends_with("Function>"),
                ("Operation", _) => true,
                _ => false,
            };
            assert!(expected, "{looked:?}");
        }
    }
}

#[tokio::test]
async fn a_dashboard_is_laid_out_and_has_each_alarm_that_is_there() {
    let template = chatctl::synthesized().await;
    for (on, dashboard) in dashboards(&template) {
        let text = dashboard.to_string();
        for widget in widgets(&dashboard) {
            let width = widget["width"].as_u64().expect("a width");
            assert!((1..=24).contains(&width), "{widget}");
            let properties = &widget["properties"];
            assert!(properties["title"].is_string(), "{widget}");
            if widget["type"] != "alarm" {
                assert_eq!(properties["region"], "<AWS::Region>", "{widget}");
            }
        }
        // Without a column that is left empty.
        let graphs = widgets(&dashboard)
            .iter()
            .filter(|it| it["type"] == "metric");
        let columns = graphs.map(|it| it["width"].as_u64().expect("a width"));
        assert_eq!(columns.sum::<u64>() % 24, 0, "{on:?}");
        for alarm in alarms(&template).keys() {
            let condition = &template["Resources"][*alarm]["Condition"];
            let is_there = on.contains(condition.as_str().expect("a condition"));
            assert_eq!(
                text.contains(&format!("<{alarm}.Arn>")),
                is_there,
                "{on:?}: {alarm}"
            );
        }
    }
}

#[tokio::test]
async fn what_the_stage_lets_through_and_the_functions_are_given_is_as_it_was_asked_for() {
    let template = chatctl::synthesized().await;
    let mut parameters = stack::parameters();
    for (name, value) in [
        ("ThrottleRate", "200"),
        ("ThrottleBurst", "100"),
        ("Memory", "512"),
    ] {
        parameters.insert(name.to_owned(), value.to_owned());
    }
    let context = Context {
        stack_name: "chat-dev",
        parameters: &parameters,
        authority: "127.0.0.1:8765",
    };
    let read = Template::read(&template, &context).expect("it runs here");
    let throttle = read.api.throttle;
    assert_eq!((throttle.rate, throttle.burst), (200.0, 100));
    assert!(read.functions.values().all(|it| it.memory_mb == 512));
}

/// The lines of the functions, as they come.
type Lines = Arc<Mutex<Vec<String>>>;

fn listening(lines: &Lines) -> Observer {
    let lines = Arc::clone(lines);
    Observer::new(move |event| {
        if let Event::Log { line, .. } = event {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(line);
        }
    })
}

fn parsed(lines: &Lines) -> Vec<Value> {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    lines.iter().map(parse).collect()
}

/// The metrics of a line, by CloudWatch's rules: each is defined and is a number beside the definition.
fn told_by(line: &Value) -> BTreeSet<String> {
    let Some(metadata) = line.get("_aws") else {
        return BTreeSet::new();
    };
    assert!(metadata["Timestamp"].is_u64(), "{line}");
    let [directive] = metadata["CloudWatchMetrics"]
        .as_array()
        .expect("a list")
        .as_slice()
    else {
        panic!("{line}");
    };
    assert_eq!(directive["Namespace"], NAMESPACE);
    assert_eq!(directive["Dimensions"], json!([["Stack"]]));
    assert_eq!(line["Stack"], "chat-dev");
    let defined = directive["Metrics"].as_array().expect("definitions").iter();
    let names = defined.map(|it| it["Name"].as_str().expect("a name"));
    names
        .inspect(|name| assert!(line[*name].is_number(), "{line}"))
        .map(str::to_owned)
        .collect()
}

fn told(lines: &Lines) -> BTreeSet<String> {
    parsed(lines).iter().flat_map(told_by).collect()
}

fn faults(faults: &str) -> Faults {
    faults.parse().expect("faults")
}

async fn started(lines: &Lines, of_faults: &str) -> local::Stack {
    let observer = listening(lines);
    stack::start(|options: &mut Options<'_>| {
        options.observer = observer;
        options.faults = faults(of_faults);
        options.seed = 1;
    })
    .await
}

/// Sends a frame and takes what comes until its answer, if it comes.
async fn try_ask(client: &mut Client, kind: &str, frame: Value) -> Option<Value> {
    client.try_send(&frame).await;
    loop {
        let frame = client.receive().await?;
        if frame["type"] == kind {
            return Some(frame);
        }
    }
}

/// Two who talk until they go or are thrown out.
async fn converse(url: &str) -> Option<()> {
    let mut ann = Client::connect(url).await;
    let mut bob = Client::connect(url).await;
    let created = json!({"type": "create", "name": "ann"});
    let room = try_ask(&mut ann, "joined", created).await?["room"].clone();
    let join = json!({"type": "join", "room": room, "name": "bob"});
    try_ask(&mut bob, "joined", join).await?;
    for _ in 0..3 {
        let message = json!({"type": "message", "text": "hi"});
        try_ask(&mut bob, "message", message).await?;
    }
    bob.close().await;
    ann.close().await;
    Some(())
}

#[tokio::test]
async fn functions_that_run_tell_every_metric() {
    let mut all = BTreeSet::new();
    for (of_faults, expected) in [
        (
            "",
            &[
                Metric::Connections,
                Metric::Disconnections,
                Metric::ConnectionTime,
                Metric::Messages,
                Metric::Deliveries,
                Metric::BroadcastTime,
            ][..],
        ),
        ("gone=100%", &[Metric::Gone]),
        ("throttle=100%", &[Metric::Throttled]),
    ] {
        let lines = Lines::default();
        let stack = started(&lines, of_faults).await;
        let _ = converse(&stack.websocket_url()).await;
        for metric in expected.iter().map(|it| it.name()) {
            eventually(metric, || told(&lines).contains(metric)).await;
        }
        stack.stop().await;
        all.extend(told(&lines));
    }
    let lines = Lines::default();
    let stack = started(&lines, "db-throttle=100%").await;
    drop(Client::try_connect(&stack.websocket_url()).await);
    eventually("an error", || told(&lines).contains("Errors")).await;
    stack.stop().await;
    all.extend(told(&lines));
    assert_eq!(all, Metric::ALL.map(|it| it.name().to_owned()).into());
}

/// Of each kind of text that no log may have.
const MARKED: [&str; 4] = ["marked-text", "marked-name", "MARKE-D0C0D", "marked-id"];

/// Says all of it, in each way, and gives the code of the room that it was said in.
async fn say_all(url: &str) -> Option<String> {
    let [text, name, code, id] = MARKED;
    let mut ann = Client::try_connect(url).await.ok()?;
    let mut bob = Client::try_connect(url).await.ok()?;
    let created = json!({"type": "create", "name": name});
    let mut room = None;
    // On a bad day not each frame has its answer, and nobody waits for it here.
    for _ in 0..5 {
        if !ann.try_send(&created).await {
            break;
        }
        let frame = ann.receive().await?;
        if let Some(code) = frame["room"].as_str().filter(|_| frame["type"] == "joined") {
            room = Some(code.to_owned());
            break;
        }
    }
    let here = room.clone().unwrap_or_default();
    for frame in [
        json!({"type": "join", "room": here, "name": format!("{name}-b")}),
        json!({"type": "message", "text": text, "id": id}),
        json!({"type": "message", "text": text, "room": code}),
        json!({"type": "join", "room": code, "name": name}),
        json!({"type": "rename", "name": format!("{name}\u{7}")}),
        json!({"type": "rename", "name": format!("{name}-c")}),
        json!({"type": "typing"}),
        json!({"type": text}),
        json!({"type": "message", "text": {name: text}}),
        json!({"type": "history", "before": text}),
        json!([text]),
        json!({"type": "leave"}),
        json!({"type": "message", "text": text, "from": name}),
    ] {
        if !bob.try_send(&frame).await {
            break;
        }
    }
    ann.try_send(&json!({"type": "message", "text": text}))
        .await;
    // What is sent is worked through in time; the stack is stopped only then.
    bob.try_send(&json!({"type": "ping"})).await;
    while bob
        .receive()
        .await
        .is_some_and(|frame| frame["type"] != "pong")
    {}
    room
}

#[tokio::test]
async fn no_log_of_a_stack_has_a_text_a_name_or_a_code_on_any_day() {
    for of_faults in [
        "",
        "db-throttle=40%,server-error=30%,gone=20%",
        "crash=20%,throttle=50%",
    ] {
        let lines = Lines::default();
        let stack = started(&lines, of_faults).await;
        let mut rooms = Vec::new();
        for _ in 0..4 {
            let url = stack.websocket_url();
            let said = tokio::time::timeout(std::time::Duration::from_secs(20), say_all(&url));
            rooms.extend(said.await.ok().flatten());
        }
        stack.stop().await;
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(lines.len() > 10, "{of_faults}: {}", lines.len());
        for line in lines.iter() {
            for secret in MARKED.into_iter().chain(rooms.iter().map(String::as_str)) {
                assert!(!line.contains(secret), "{secret}: {line}");
            }
        }
    }
}

#[tokio::test]
async fn each_invocation_is_one_line_of_json_without_what_people_wrote() {
    let lines = Lines::default();
    let stack = started(&lines, "").await;
    let mut ann = Client::connect(&stack.websocket_url()).await;
    let room = ann
        .ask(json!({"type": "create", "name": "marked-name"}))
        .await["room"]
        .clone();
    ann.ask(json!({"type": "message", "text": "marked-text"}))
        .await;
    ann.ask(json!({"type": "nonsense"})).await;
    ann.close().await;
    // What tried the chat before anybody could is told as well.
    let own = |told: &[Value]| -> Vec<Value> {
        let nonsense = told.iter().find(|it| it["outcome"] == "bad-type");
        let connection = nonsense.map(|it| it["connectionId"].clone());
        let mut own = told.to_vec();
        own.retain(|it| Some(&it["connectionId"]) == connection.as_ref());
        own
    };
    eventually("five lines", || own(&parsed(&lines)).len() >= 5).await;
    stack.stop().await;
    let told = parsed(&lines);
    for line in &told {
        let line = line.to_string();
        for secret in ["marked", room.as_str().expect("a code")] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    let own = own(&told);
    let member = |name: &str| -> BTreeSet<_> {
        let text = |it: &Value| format!("{} {}", it["event"], it[name]).replace('"', "");
        own.iter().map(text).collect()
    };
    let expected = |texts: [&str; 5]| texts.map(str::to_owned).into();
    let outcomes = [
        "connect ok",
        "create ok",
        "message ok",
        "invalid bad-type",
        "disconnect ok",
    ];
    assert_eq!(member("outcome"), expected(outcomes));
    let functions = [
        "connect connect",
        "create action",
        "message action",
        "invalid action",
        "disconnect disconnect",
    ];
    assert_eq!(member("function"), expected(functions));
    let in_room = own.iter().filter_map(|it| it["room"].as_str());
    let rooms: BTreeSet<_> = in_room.collect();
    assert_eq!(rooms.len(), 1, "{rooms:?}");
    assert!(rooms.iter().all(|it| it.len() == 4), "{rooms:?}");
    let ids: BTreeSet<_> = told.iter().map(|it| it["requestId"].to_string()).collect();
    assert_eq!(ids.len(), told.len(), "one line an invocation");
}

#[tokio::test]
async fn what_is_asked_for_is_on_aws_and_goes_when_it_is_not() {
    let ministack = Ministack::start().await;
    let bootstrap = chatctl::packaged_bootstrap().display().to_string();
    let deploy = ["deploy", "--json", "--bootstrap", &bootstrap];
    let watched = [
        &deploy[..],
        &["--alarm-email", "me@example.org", "--access-logs", "on"],
        &["--log-retention", "30", "--memory", "512"],
        &["--throttle-rate", "200", "--throttle-burst", "100"],
    ];
    chatctl::result_on(&ministack, &watched.concat()).await;

    let name = json!({"DashboardName": "chat-dev-us-east-1"});
    let dashboard = ministack.aws("cloudwatch", "get_dashboard", name).await;
    let body: Value = serde_json::from_str(dashboard["DashboardBody"].as_str().expect("a body"))
        .expect("JSON with what the stack has put in");
    assert!(widgets(&body).len() > 10);
    assert!(!body.to_string().contains("${"), "{body}");
    let all = ministack
        .aws("cloudwatch", "describe_alarms", json!({}))
        .await;
    let all = all["MetricAlarms"].as_array().expect("alarms").clone();
    assert_eq!(all.len(), 10);
    let topics = ministack.aws("sns", "list_topics", json!({})).await;
    let topic = &topics["Topics"][0]["TopicArn"];
    for alarm in &all {
        assert_eq!(alarm["AlarmActions"], json!([topic]), "{alarm}");
    }
    let subscribed = ministack.aws("sns", "list_subscriptions", json!({})).await;
    assert_eq!(subscribed["Subscriptions"][0]["Endpoint"], "me@example.org");
    let apis = ministack.aws("apigatewayv2", "get_apis", json!({})).await;
    let api = json!({"ApiId": apis["Items"][0]["ApiId"], "StageName": "dev"});
    let stage = ministack
        .aws("apigatewayv2", "get_stage", api.clone())
        .await;
    let destination = stage["AccessLogSettings"]["DestinationArn"].as_str();
    assert!(
        destination.is_some_and(|it| it.contains(":log-group:") && it.ends_with("AccessLogGroup")),
        "{stage}"
    );
    let functions = ministack.aws("lambda", "list_functions", json!({})).await;
    for function in functions["Functions"].as_array().expect("functions") {
        assert_eq!(function["MemorySize"], 512);
        let variables = &function["Environment"]["Variables"];
        assert_eq!(
            (&variables["STACK_NAME"], &variables["METRICS"]),
            (&json!("chat-dev"), &json!("on"))
        );
        let id = variables["STACK_ID"].as_str().expect("the stack's ARN");
        assert!(id.contains(":stack/chat-dev/"), "{id}");
    }
    let groups = ministack
        .aws("logs", "describe_log_groups", json!({}))
        .await;
    let groups = groups["logGroups"].as_array().expect("groups").clone();
    assert_eq!(groups.len(), 4);
    assert!(
        groups.iter().all(|it| it["retentionInDays"] == 30),
        "{groups:#?}"
    );

    let unwatched = ["--alarms", "off", "--dashboard", "off", "--metrics", "off"];
    let result = chatctl::result_on(&ministack, &[&deploy[..], &unwatched].concat()).await;
    assert_eq!(result["changed"], true);
    let left = ministack
        .aws("cloudwatch", "describe_alarms", json!({}))
        .await;
    assert_eq!(left["MetricAlarms"], json!([]));
    let left = ministack
        .aws("cloudwatch", "list_dashboards", json!({}))
        .await;
    assert_eq!(left["DashboardEntries"], json!([]));
    let left = ministack.aws("sns", "list_topics", json!({})).await;
    assert_eq!(left["Topics"], json!([]));

    let again = [&deploy[..], &unwatched].concat();
    assert_eq!(
        chatctl::result_on(&ministack, &again).await["changed"],
        false
    );
    chatctl::result_on(&ministack, &["destroy", "--yes", "--json"]).await;
    let groups = ministack
        .aws("logs", "describe_log_groups", json!({}))
        .await;
    assert_eq!(groups["logGroups"], json!([]));
}
