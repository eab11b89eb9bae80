use std::time::Duration;

use super::*;
use crate::chat::Tempo;
use crate::origin::AllowedOrigins;

/// What a function does without, for a while.
const LOGS: [&str; 3] = [STACK_NAME, STACK_ID, METRICS];

/// What an older template does not set.
const NEWER: [&str; 2] = [SHARE_MEMBERS, MESSAGES_PER_SECOND];

const LAMBDA: [&str; 4] = [REGION, ACCESS_KEY_ID, SECRET_ACCESS_KEY, FUNCTION_NAME];

fn value_of(name: &str) -> Option<String> {
    Some(match name {
        HANDLER => "action".to_owned(),
        HISTORY_DAYS => "7".to_owned(),
        SHARE_MEMBERS => "500".to_owned(),
        MESSAGES_PER_SECOND => "5".to_owned(),
        SESSION_TOKEN | CA_BUNDLE | ENDPOINT_URL | ENDPOINT_URL_DYNAMODB | ENDPOINT_URL_LAMBDA => {
            return None;
        }
        name if PLATFORM.contains(&name) => return None,
        other => format!("value of {other}"),
    })
}

#[test]
fn each_variable_that_a_function_needs_is_missed_by_name() {
    let variables = Function::Action
        .template_variables()
        .iter()
        .filter(|variable| !LOGS.contains(variable) && !NEWER.contains(variable))
        .chain(&LAMBDA)
        .chain(&[HANDLER]);
    for missing in variables {
        let environment = |name: &str| value_of(name).filter(|_| name != *missing);
        let read = Function::read(&environment)
            .and_then(|_| Settings::read(&environment))
            .and_then(|_| ChatSettings::read(&environment))
            .and_then(|_| Helper::read(&environment));
        assert_eq!(
            read.expect_err(missing),
            ConfigError::Missing { name: missing }
        );
    }
}

#[test]
fn no_variable_is_read_that_neither_lambda_nor_the_template_sets() {
    let known = |name: &str| {
        Function::Action.template_variables().contains(&name)
            || LAMBDA.contains(&name)
            || [HANDLER, SESSION_TOKEN, ENDPOINT_URL].contains(&name)
            || [ENDPOINT_URL_DYNAMODB, ENDPOINT_URL_LAMBDA].contains(&name)
            || name == CA_BUNDLE
            || PLATFORM.contains(&name)
    };
    let environment = |name: &str| {
        assert!(known(name), "{name}");
        value_of(name)
    };
    Function::read(&environment).expect("complete");
    Settings::read(&environment).expect("complete");
    ChatSettings::read(&environment).expect("complete");
    Helper::read(&environment).expect("complete");
    let _ = LogSettings::read(&environment);
}

#[test]
fn with_the_variables_of_an_older_template_there_are_no_metrics_and_rooms_have_no_digests() {
    let with = |missing: &'static [&'static str], metrics: &'static str| {
        LogSettings::read(&move |name: &str| {
            match name {
                METRICS => Some(metrics.to_owned()),
                other => value_of(other),
            }
            .filter(|_| !missing.contains(&name))
        })
    };
    let all = with(&[], "on");
    assert_eq!(all.metrics_of.as_deref(), Some("value of STACK_NAME"));
    assert_eq!(all.room_key.as_deref(), Some("value of STACK_ID"));
    assert_eq!(with(&[], "off").metrics_of, None);
    assert_eq!(with(&[], "").metrics_of, None);
    let none = with(&LOGS, "on");
    assert_eq!(none.metrics_of, None);
    assert_eq!(none.room_key, None);
    assert!(!format!("{all:?}").contains("STACK_ID"), "{all:?}");
}

#[test]
fn an_unknown_handler_and_a_wrong_number_of_days_are_refused() {
    let with = |variable: &'static str, value: &'static str| {
        move |name: &str| {
            if name == variable {
                Some(value.to_owned())
            } else {
                value_of(name)
            }
        }
    };
    assert!(matches!(
        Function::read(&with(HANDLER, "main")),
        Err(ConfigError::Invalid { name: HANDLER, .. })
    ));
    for days in ["-1", "week", "99999", "0.5"] {
        assert!(matches!(
            ChatSettings::read(&with(HISTORY_DAYS, days)),
            Err(ConfigError::Invalid {
                name: HISTORY_DAYS,
                ..
            })
        ));
    }
}

#[test]
fn errands_go_to_lambda_beside_the_api_or_where_the_environment_says_or_nowhere() {
    const API: &str = "https://a1b2.execute-api.cn-north-1.amazonaws.com.cn/dev";
    const LOCAL: &str = "http://127.0.0.1:4000/dev";
    let read = |variables: &[(&'static str, &'static str)]| {
        let variables = variables.to_vec();
        let environment = move |name: &str| {
            let set = variables.iter().find(|(variable, _)| *variable == name);
            set.map_or_else(|| value_of(name), |(_, value)| Some((*value).to_owned()))
        };
        let helper = Helper::read(&environment).expect("complete");
        helper.map(|helper| (helper.function, helper.endpoint))
    };
    let own = "value of AWS_LAMBDA_FUNCTION_NAME";
    let cases: [(&[_], _); 4] = [
        (&[(MANAGEMENT_ENDPOINT, LOCAL)], None),
        (
            &[(MANAGEMENT_ENDPOINT, API)],
            Some((own, "https://lambda.cn-north-1.amazonaws.com.cn")),
        ),
        (
            &[(MANAGEMENT_ENDPOINT, API), (ENDPOINT_URL, "http://all")],
            Some((own, "http://all")),
        ),
        (
            &[
                (ENDPOINT_URL, "http://all"),
                (ENDPOINT_URL_LAMBDA, "http://lambda"),
            ],
            Some((own, "http://lambda")),
        ),
    ];
    for (variables, expected) in cases {
        let expected = expected.map(|(name, url)| (name.to_owned(), url.to_owned()));
        assert_eq!(read(variables), expected, "{variables:?}");
    }
}

#[test]
fn what_is_no_list_of_origins_is_refused_rather_than_letting_anybody_in() {
    let read = |value: Option<&'static str>| {
        ConnectSettings::read(&move |name: &str| {
            value.filter(|_| name == ALLOWED_ORIGINS).map(str::to_owned)
        })
    };
    let origins = |value| read(value).map(|it| it.origins);
    assert_eq!(origins(None), Ok(AllowedOrigins::Any), "an older template");
    assert_eq!(origins(Some("any")), Ok(AllowedOrigins::Any));
    for wrong in ["", "chat.example", "https://a.example,,"] {
        let refused = read(Some(wrong)).expect_err(wrong);
        assert!(refused.to_string().contains(ALLOWED_ORIGINS), "{refused}");
    }
}

#[test]
fn with_a_template_of_before_there_were_shares_nothing_is_handed_over() {
    let environment = |name: &str| value_of(name).filter(|_| name != SHARE_MEMBERS);
    assert_eq!(Helper::read(&environment), Ok(None));
}

#[test]
fn a_share_of_nobody_or_of_too_many_for_one_request_is_refused() {
    for members in ["0", "1001", "-1", "all"] {
        let environment = |name: &str| match name {
            SHARE_MEMBERS => Some(members.to_owned()),
            other => value_of(other),
        };
        let error = Helper::read(&environment).expect_err(members);
        assert!(error.to_string().contains(SHARE_MEMBERS), "{error}");
    }
}

#[test]
fn a_connection_speaks_as_fast_as_the_template_says_or_as_it_likes() {
    let read = |value: Option<&'static str>| {
        let settings = ChatSettings::read(&move |name: &str| match name {
            MESSAGES_PER_SECOND => value.map(str::to_owned),
            other => value_of(other),
        });
        settings.map(|it| it.tempo)
    };
    for (value, expected) in [
        (None, None),
        (Some("0"), None),
        (Some("5"), Tempo::per_second(5)),
        (Some("1000"), Tempo::per_second(1_000)),
    ] {
        assert_eq!(read(value), Ok(expected), "{value:?}");
    }
    for wrong in ["-1", "1001", "0.5", "fast"] {
        let error = read(Some(wrong)).expect_err(wrong);
        assert!(error.to_string().contains(MESSAGES_PER_SECOND), "{error}");
    }
}

#[test]
fn no_days_of_history_are_ten_minutes() {
    for (days, minutes) in [("0", 10), ("1", 24 * 60), ("7", 7 * 24 * 60)] {
        let environment = |name: &str| match name {
            HISTORY_DAYS => Some(days.to_owned()),
            other => value_of(other),
        };
        let settings = ChatSettings::read(&environment).expect("complete");
        assert_eq!(settings.history, Duration::from_mins(minutes), "{days}");
    }
}

#[test]
fn an_endpoint_for_dynamodb_goes_before_one_for_everything() {
    let environment = |name: &str| match name {
        ENDPOINT_URL => Some("http://all".to_owned()),
        ENDPOINT_URL_DYNAMODB => Some("http://dynamodb".to_owned()),
        other => value_of(other),
    };
    let settings = Settings::read(&environment).expect("complete");
    assert_eq!(
        settings.dynamodb_endpoint.as_deref(),
        Some("http://dynamodb")
    );
}

#[test]
fn amazons_authorities_are_trusted_unless_the_environment_names_others_or_a_proxy() {
    let with = |variables: &[(&'static str, &'static str)]| {
        let variables = variables.to_vec();
        let environment = move |name: &str| {
            let set = variables.iter().find(|(variable, _)| *variable == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        Authorities::read(&environment)
    };
    let bundle = Authorities::Bundle("/own.pem".to_owned());
    assert_eq!(with(&[]), Authorities::Amazon);
    assert_eq!(with(&[("SSL_CERT_FILE", "")]), Authorities::Amazon);
    for name in PLATFORM {
        assert_eq!(with(&[(name, "x")]), Authorities::Platform, "{name}");
    }
    assert_eq!(with(&[(CA_BUNDLE, "/own.pem")]), bundle);
    let both = [("SSL_CERT_FILE", "/other.pem"), (CA_BUNDLE, "/own.pem")];
    assert_eq!(with(&both), bundle, "AWS's own name goes first");
}

#[test]
fn secrets_are_not_shown() {
    let settings = Settings::read(&value_of).expect("complete");
    assert!(!format!("{settings:?}").contains(SECRET_ACCESS_KEY));
}
