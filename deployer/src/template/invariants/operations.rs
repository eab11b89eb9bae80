//! The alarms, the dashboard and the logs. What their metrics are called is compared with what the
//! functions tell in `e2e/tests/monitoring.rs`.

use serde_json::{Value, json};

use super::{document, list, resources, section};
use crate::stack::TEMPLATE_BYTES_MAX;
use crate::template::access_logs_role;

/// What an account has for nothing.
const FREE_ALARM_METRICS: usize = 10;

#[test]
fn the_template_fits_into_a_request() {
    let bytes = document().to_yaml().len();
    assert!(bytes <= TEMPLATE_BYTES_MAX, "{bytes}");
}

#[test]
fn alarms_cost_nothing_in_an_account_without_others() {
    let document = document();
    let alarms = resources(&document, "AWS::CloudWatch::Alarm");
    let where_people_sign_in =
        |id: &&&str| section(&document, "Resources")[**id]["Condition"] == "HasSignInAlarms";
    let beyond = alarms.keys().filter(where_people_sign_in).count();
    assert_eq!((alarms.len() - beyond, beyond), (FREE_ALARM_METRICS, 2));
    for (id, alarm) in alarms {
        // Of several metrics in an expression each would count.
        assert!(alarm["MetricName"].is_string(), "{id}");
    }
}

#[test]
fn an_alarm_is_there_only_with_the_metrics_it_looks_at() {
    let document = document();
    for id in resources(&document, "AWS::CloudWatch::Alarm").keys() {
        let alarm = &section(&document, "Resources")[*id];
        let is_own = alarm["Properties"]["Namespace"] == "chatctl";
        let of = &alarm["Properties"]["Dimensions"][0]["Value"]["Ref"];
        let expected = match of.as_str() {
            _ if is_own => "HasOwnAlarms",
            Some("AuthorizeFunction") => "HasSignInAlarms",
            _ => "HasAlarms",
        };
        assert_eq!(alarm["Condition"], expected, "{id}");
    }
}

#[test]
fn each_function_has_an_alarm_for_its_errors_and_is_on_the_dashboard() {
    let document = document();
    let alarms = resources(&document, "AWS::CloudWatch::Alarm");
    let dashboard = resources(&document, "AWS::CloudWatch::Dashboard")["ChatDashboard"].to_string();
    for function in resources(&document, "AWS::Lambda::Function").keys() {
        let of_function = json!([{"Name": "FunctionName", "Value": {"Ref": function}}]);
        let has = |metric: &str| {
            let mut alarms = alarms.values();
            alarms.any(|it| it["MetricName"] == metric && it["Dimensions"] == of_function)
        };
        assert!(has("Errors"), "{function}");
        // Whoever is posted to next finds what a throttled `$disconnect` would have removed.
        assert_eq!(
            has("Throttles"),
            *function != "DisconnectFunction",
            "{function}"
        );
        let group = function.replace("Function", "LogGroup");
        for shown in [format!("${{{function}}}"), format!("SOURCE '${{{group}}}'")] {
            assert!(dashboard.contains(&shown), "{shown}");
        }
    }
}

#[test]
fn every_alarm_tells_of_its_end_as_well_and_of_silence_never() {
    let document = document();
    let alarms = resources(&document, "AWS::CloudWatch::Alarm");
    let given =
        json!({"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]});
    let actions = json!({"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], given]});
    for (id, alarm) in alarms {
        assert_eq!(alarm["AlarmActions"], actions, "{id}");
        assert_eq!(alarm["OKActions"], actions, "{id}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{id}");
        let [of, periods] = ["DatapointsToAlarm", "EvaluationPeriods"].map(|it| alarm[it].as_u64());
        assert!(of <= periods && of > Some(0), "{id}");
    }
}

#[test]
fn what_is_watched_can_be_switched_off() {
    let document = document();
    for (kind, conditions) in [
        ("AWS::CloudWatch::Dashboard", &["HasDashboard"][..]),
        (
            "AWS::CloudWatch::Alarm",
            &["HasAlarms", "HasOwnAlarms", "HasSignInAlarms"],
        ),
        ("AWS::SNS::Topic", &["HasAlarmEmail"]),
        ("AWS::SNS::Subscription", &["HasAlarmEmail"]),
    ] {
        let mut of_kind = section(&document, "Resources")
            .values()
            .filter(|it| it["Type"] == kind)
            .peekable();
        assert!(of_kind.peek().is_some(), "{kind}");
        for resource in of_kind {
            let condition = resource["Condition"].as_str().unwrap_or_default();
            assert!(conditions.contains(&condition), "{kind}: {condition}");
        }
    }
    let conditions = section(&document, "Conditions");
    // Of what is built on others, each is off where one of those is.
    for (condition, on) in [
        ("HasOwnAlarms", &["HasAlarms", "HasMetrics"][..]),
        ("HasSignInAlarms", &["HasAlarms", "HasSignIn"]),
        ("HasAlarmEmail", &["HasAlarms"]),
    ] {
        let all = list(&conditions[condition]["Fn::And"]);
        for needed in on {
            assert!(all.contains(&&json!({"Condition": needed})), "{condition}");
        }
    }
}

#[test]
fn access_logs_say_nothing_of_who_it_is_or_what_was_said() {
    let document = document();
    let stage = resources(&document, "AWS::ApiGatewayV2::Stage")["WebSocketStage"];
    let choice = &stage["AccessLogSettings"]["Fn::If"];
    assert_eq!(choice[0], "HasAccessLogs");
    assert_eq!(choice[2]["Ref"], "AWS::NoValue");
    let format: Value = serde_json::from_str(choice[1]["Format"].as_str().unwrap()).unwrap();
    let mut told: Vec<_> = format
        .as_object()
        .unwrap()
        .values()
        .map(|it| it.as_str().unwrap())
        .collect();
    told.sort_unstable();
    let expected = [
        "$context.connectionId",
        "$context.error.responseType",
        "$context.eventType",
        "$context.integration.latency",
        "$context.integration.requestId",
        "$context.integration.status",
        "$context.requestId",
        "$context.routeKey",
        "$context.status",
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_role_for_access_logs_outlives_its_stack_and_is_no_part_of_a_chat() {
    let text = access_logs_role().unwrap();
    assert_eq!(text.matches("    DeletionPolicy: Retain\n").count(), 2);
    assert_eq!(text.matches("\n    Type: AWS::").count(), 2);
    let document = document();
    assert!(resources(&document, "AWS::ApiGateway::Account").is_empty());
}
