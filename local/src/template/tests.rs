use serde_json::json;

use super::*;

/// A template that runs: one route, one function.
fn minimal() -> Value {
    json!({
        "Resources": {
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": {
                    "ProtocolType": "WEBSOCKET",
                    "RouteSelectionExpression": "$request.body.action",
                },
            },
            "Stage": {
                "Type": "AWS::ApiGatewayV2::Stage",
                "Properties": {"ApiId": {"Ref": "Api"}, "StageName": "dev", "AutoDeploy": true},
            },
            "ActionFunction": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"Handler": "action", "Runtime": "provided.al2023"},
            },
            "ActionIntegration": {
                "Type": "AWS::ApiGatewayV2::Integration",
                "Properties": {
                    "ApiId": {"Ref": "Api"},
                    "IntegrationType": "AWS_PROXY",
                    "IntegrationUri": {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${ActionFunction.Arn}/invocations"},
                },
            },
            "ActionRoute": {
                "Type": "AWS::ApiGatewayV2::Route",
                "Properties": {
                    "ApiId": {"Ref": "Api"},
                    "RouteKey": "$default",
                    "Target": {"Fn::Sub": "integrations/${ActionIntegration}"},
                },
            },
        },
    })
}

/// With a site: a bucket, its distribution, and a headers policy that names the socket's host.
fn with_site() -> Value {
    let mut template = minimal();
    for (id, resource) in [
        ("SiteBucket", json!({"Type": "AWS::S3::Bucket"})),
        (
            "SiteDistribution",
            json!({
                "Type": "AWS::CloudFront::Distribution",
                "Properties": {"DistributionConfig": {
                    "Enabled": true,
                    "DefaultRootObject": "index.html",
                    "Origins": [{"Id": "site", "DomainName": {"Fn::GetAtt": ["SiteBucket", "RegionalDomainName"]}}],
                    "DefaultCacheBehavior": {
                        "TargetOriginId": "site",
                        "ViewerProtocolPolicy": "redirect-to-https",
                        "ResponseHeadersPolicyId": {"Ref": "SiteHeaders"},
                    },
                }},
            }),
        ),
        (
            "SiteHeaders",
            json!({
                "Type": "AWS::CloudFront::ResponseHeadersPolicy",
                "Properties": {"ResponseHeadersPolicyConfig": {
                    "Name": "headers",
                    "SecurityHeadersConfig": {
                        "ContentSecurityPolicy": {
                            "ContentSecurityPolicy": {"Fn::Sub": "connect-src wss://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
                            "Override": true,
                        },
                        "ContentTypeOptions": {"Override": true},
                        "FrameOptions": {"FrameOption": "DENY", "Override": true},
                        "ReferrerPolicy": {"ReferrerPolicy": "no-referrer", "Override": true},
                        "StrictTransportSecurity": {"AccessControlMaxAgeSec": 60, "IncludeSubdomains": true, "Override": true},
                    },
                    "CustomHeadersConfig": {"Items": [{"Header": "X-Own", "Value": "yes", "Override": true}]},
                }},
            }),
        ),
    ] {
        template["Resources"][id] = resource;
    }
    template
}

fn read(template: &Value) -> Result<Template, TemplateError> {
    let context = Context {
        stack_name: "stack",
        parameters: &BTreeMap::from([("Given".to_owned(), "given".to_owned())]),
        authority: "127.0.0.1:8787",
    };
    Template::read(template, &context)
}

/// The template with a value at a place.
fn changed(mut template: Value, place: &str, value: Value) -> Value {
    let (parent, key) = place.rsplit_once('/').expect("a place");
    let parent = template.pointer_mut(parent).expect("its parent is there");
    parent
        .as_object_mut()
        .expect("a map")
        .insert(key.to_owned(), value);
    template
}

fn refusal(template: &Value) -> String {
    read(template).expect_err("it does not run").to_string()
}

#[test]
fn a_minimal_template_runs_with_awss_defaults() {
    let template = read(&minimal()).expect("it runs");
    let route = Route {
        authorizer: None,
        function: "ActionFunction".to_owned(),
        replies: false,
        timeout: Duration::from_secs(29),
    };
    assert_eq!(
        template.api.routes,
        BTreeMap::from([("$default".to_owned(), route)])
    );
    assert_eq!(template.api.stage, "dev");
    assert_eq!(template.api.throttle, Throttle::default());
    let function = &template.functions["ActionFunction"];
    assert_eq!(function.name, "stack-ActionFunction");
    assert_eq!(
        (function.timeout, function.memory_mb),
        (Duration::from_secs(3), 128)
    );
    assert!(template.tables.is_empty() && template.site.is_none());
    assert_eq!(template.overrides, []);
}

fn assert_refused<const N: usize>(cases: [(&str, Value, &str); N]) {
    for (place, value, part) in cases {
        let place = match place.split_once('.') {
            Some((id, property)) => format!("/Resources/{id}/Properties/{property}"),
            None => place.to_owned(),
        };
        let message = refusal(&changed(minimal(), &place, value));
        assert!(message.contains(part), "{place}: {message}");
    }
}

#[test]
fn an_unknown_section_type_property_or_attribute_is_refused_by_name() {
    assert_refused([
        (
            "/Transform",
            json!("AWS::Serverless-2016-10-31"),
            "`Transform`",
        ),
        (
            "/Resources/Queue",
            json!({"Type": "AWS::SQS::Queue"}),
            "`Queue` is an `AWS::SQS::Queue`",
        ),
        (
            "/Resources/Api/CreationPolicy",
            json!({}),
            "`CreationPolicy`",
        ),
        (
            "/Resources/Files",
            json!({"Type": "AWS::S3::Bucket"}),
            "`Files`",
        ),
        (
            "ActionFunction.Layers",
            json!([]),
            "`ActionFunction` does not suit the local stack: unknown field `Layers`",
        ),
        ("ActionFunction.Timeout", json!("long"), "`long` is no u64"),
        (
            "ActionFunction.Environment",
            json!({"Variables": {"A": []}}),
            "`ActionFunction.Environment.A`",
        ),
        (
            "ActionRoute.ApiKeyRequired",
            json!(true),
            "unknown field `ApiKeyRequired`",
        ),
    ]);
}

#[test]
fn an_unknown_intrinsic_or_a_reference_to_nothing_is_refused_with_its_place() {
    let elsewhere = "arn:aws:lambda:us-east-1:000000000000:function:elsewhere";
    assert_refused([
        (
            "ActionFunction.FunctionName",
            json!({"Fn::Select": [0, ["a"]]}),
            "`ActionFunction.FunctionName` uses `Fn::Select`",
        ),
        (
            "ActionFunction.FunctionName",
            json!({"Ref": "Nobody"}),
            "`ActionFunction.FunctionName` refers to `Nobody`",
        ),
        (
            "ActionRoute.Target",
            json!("integrations/Nobody"),
            "`ActionRoute.Target` refers to `integrations/Nobody`",
        ),
        (
            "ActionIntegration.IntegrationUri",
            json!(elsewhere),
            "function:elsewhere`",
        ),
    ]);
}

#[test]
fn an_api_that_would_behave_differently_here_is_refused() {
    let resources = minimal()["Resources"].clone();
    assert_refused([
        ("Api.ProtocolType", json!("HTTP"), "`Api.ProtocolType`"),
        ("Stage.AutoDeploy", json!(false), "`Stage.AutoDeploy`"),
        (
            "ActionRoute.AuthorizationType",
            json!("AWS_IAM"),
            "`ActionRoute.AuthorizationType`",
        ),
        (
            "ActionIntegration.IntegrationType",
            json!("MOCK"),
            "`ActionIntegration.IntegrationType`",
        ),
        (
            "ActionIntegration.ContentHandlingStrategy",
            json!("CONVERT_TO_BINARY"),
            "`ActionIntegration.ContentHandlingStrategy`",
        ),
        (
            "/Resources/OtherApi",
            resources["Api"].clone(),
            "2 resources of type `AWS::ApiGatewayV2::Api`",
        ),
        (
            "/Resources/OtherStage",
            resources["Stage"].clone(),
            "2 resources of type `AWS::ApiGatewayV2::Stage`",
        ),
        (
            "/Resources/IdleFunction",
            resources["ActionFunction"].clone(),
            "no route leads to the function `IdleFunction`",
        ),
    ]);
    let mut without_api = minimal();
    without_api["Resources"] = json!({});
    assert!(refusal(&without_api).contains("0 resources of type `AWS::ApiGatewayV2::Api`"));
}

#[test]
fn a_second_route_with_the_same_key_is_refused() {
    let again = minimal()["Resources"]["ActionRoute"].clone();
    let message = refusal(&changed(minimal(), "/Resources/AgainRoute", again));
    assert!(message.contains("`$default`"), "{message}");
}

#[test]
fn a_route_replies_only_with_both_its_response_and_its_expression() {
    let response = json!({
        "Type": "AWS::ApiGatewayV2::RouteResponse",
        "Properties": {"ApiId": {"Ref": "Api"}, "RouteId": {"Ref": "ActionRoute"}, "RouteResponseKey": "$default"},
    });
    let expression = "/Resources/ActionRoute/Properties/RouteResponseSelectionExpression";
    let with_response = changed(minimal(), "/Resources/ActionResponse", response);
    let with_expression = changed(minimal(), expression, json!("$default"));
    let with_both = changed(with_response.clone(), expression, json!("$default"));
    let replies =
        |template: &Value| read(template).expect("it runs").api.routes["$default"].replies;
    assert!(!replies(&with_response));
    assert!(!replies(&with_expression));
    assert!(replies(&with_both));
}

#[test]
fn what_a_false_condition_leaves_out_is_not_there_and_not_checked() {
    let mut template = minimal();
    template["Parameters"] = json!({"Given": {"Type": "String"}});
    template["Conditions"] = json!({
        "Yes": {"Fn::Equals": [{"Ref": "Given"}, "given"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
    });
    template["Resources"]["Queue"] = json!({"Type": "AWS::SQS::Queue", "Condition": "No"});
    template["Resources"]["ActionFunction"]["Condition"] = json!("Yes");
    template["Resources"]["ActionFunction"]["Properties"]["MemorySize"] =
        json!({"Fn::If": ["Yes", 256, 512]});
    template["Outputs"] = json!({
        "There": {"Value": "yes", "Condition": "Yes"},
        "NotThere": {"Value": {"Ref": "Nobody"}, "Condition": "No"},
    });
    let read = read(&template).expect("it runs");
    assert_eq!(read.functions["ActionFunction"].memory_mb, 256);
    assert_eq!(
        read.outputs,
        BTreeMap::from([("There".to_owned(), "yes".to_owned())])
    );
}

#[test]
fn what_speaks_of_the_apis_or_the_sites_host_and_nothing_else_is_overridden() {
    let mut template = with_site();
    template["Resources"]["ActionFunction"]["Properties"]["Environment"] = json!({"Variables": {
        "MANAGEMENT": {"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/dev"},
        "OTHER_API": "https://other.execute-api.us-east-1.amazonaws.com/dev",
        "TABLE": "https://example.com",
    }});
    template["Outputs"] = json!({
        "SocketUrl": {"Value": {"Fn::Sub": "${Api.ApiEndpoint}/dev"}},
        "SiteUrl": {"Value": {"Fn::Sub": "https://${SiteDistribution.DomainName}/"}},
    });
    let template = read(&template).expect("it runs");
    let overrides: Vec<_> = template
        .overrides
        .iter()
        .map(|it| (it.place.as_str(), it.cloud.as_str(), it.local.as_str()))
        .collect();
    assert_eq!(
        overrides,
        [
            (
                "ActionFunction.Environment.MANAGEMENT",
                "https://local.execute-api.us-east-1.amazonaws.com/dev",
                "http://127.0.0.1:8787/dev",
            ),
            (
                "headers.content-security-policy",
                "connect-src wss://local.execute-api.us-east-1.amazonaws.com",
                "connect-src ws://127.0.0.1:8787",
            ),
            (
                "Outputs.SiteUrl",
                "https://stack-sitedistribution.cloudfront.net/",
                "http://127.0.0.1:8787/",
            ),
            (
                "Outputs.SocketUrl",
                "wss://local.execute-api.us-east-1.amazonaws.com/dev",
                "ws://127.0.0.1:8787/dev",
            ),
        ]
    );
    let environment = &template.functions["ActionFunction"].environment;
    assert_eq!(environment["MANAGEMENT"], "http://127.0.0.1:8787/dev");
    assert_eq!(environment["TABLE"], "https://example.com");
    assert_eq!(template.outputs["SocketUrl"], "ws://127.0.0.1:8787/dev");
}

#[test]
fn a_site_has_the_headers_of_its_policy_and_the_root_object() {
    let site = read(&with_site()).expect("it runs").site.expect("a site");
    assert_eq!(site.default_root_object.as_deref(), Some("index.html"));
    let headers: Vec<_> = site
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        headers,
        [
            ("content-security-policy", "connect-src ws://127.0.0.1:8787"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=60; includeSubDomains"),
            ("x-own", "yes"),
        ]
    );
}

#[test]
fn a_site_that_does_not_hang_together_is_refused() {
    let distribution = "/Resources/SiteDistribution/Properties/DistributionConfig";
    for (place, value, part) in [
        (
            "DefaultCacheBehavior/TargetOriginId",
            json!("other"),
            "no origin has the target's id",
        ),
        (
            "DefaultCacheBehavior/ResponseHeadersPolicyId",
            json!("other"),
            "refers to `other`",
        ),
        (
            "DefaultCacheBehavior/FunctionAssociations",
            json!([]),
            "unknown field `FunctionAssociations`",
        ),
        (
            "Origins",
            json!([{"Id": "site", "DomainName": "example.com"}]),
            "it does not serve `SiteBucket`",
        ),
    ] {
        let message = refusal(&changed(
            with_site(),
            &format!("{distribution}/{place}"),
            value,
        ));
        assert!(message.contains(part), "{place}: {message}");
    }
}

/// With a site that is in front of the API.
fn with_edge() -> Value {
    let mut template = with_site();
    let config = &mut template["Resources"]["SiteDistribution"]["Properties"]["DistributionConfig"];
    let origins = config["Origins"].as_array_mut().expect("a list");
    origins.push(json!({
        "Id": "api",
        "DomainName": {"Fn::Sub": "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
        "CustomOriginConfig": {"OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"]},
    }));
    config["CacheBehaviors"] = json!([{
        "PathPattern": {"Fn::Sub": "/${Stage}"},
        "TargetOriginId": "api",
        "ViewerProtocolPolicy": "https-only",
        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
        "OriginRequestPolicyId": "b689b0a8-53d0-40ab-baf2-68738e2966ac",
    }]);
    template["Outputs"] = json!({
        "SocketUrl": {"Value": {"Fn::Sub": "wss://${SiteDistribution.DomainName}/${Stage}"}},
    });
    template
}

#[test]
fn the_socket_is_at_the_sites_hosts_where_the_distribution_leads_to_the_api() {
    let template = read(&with_edge()).expect("it runs");
    assert!(template.site.is_some_and(|site| site.leads_to_api));
    assert_eq!(template.outputs["SocketUrl"], "ws://127.0.0.1:8787/dev");

    let behaviors = "/Resources/SiteDistribution/Properties/DistributionConfig/CacheBehaviors";
    let without = read(&changed(with_edge(), behaviors, json!([]))).expect("it runs");
    let socket = "wss://stack-sitedistribution.cloudfront.net/dev";
    assert_eq!(without.outputs["SocketUrl"], socket, "nobody answers there");
}

#[test]
fn a_sites_aliases_are_its_hosts_as_well() {
    let aliases = "/Resources/SiteDistribution/Properties/DistributionConfig/Aliases";
    let mut template = changed(with_edge(), aliases, json!(["chat.example.org"]));
    template["Outputs"]["SiteUrl"] = json!({"Value": "https://chat.example.org/"});
    let read = read(&template).expect("it runs");
    assert_eq!(read.outputs["SiteUrl"], "http://127.0.0.1:8787/");
    assert_eq!(read.outputs["SocketUrl"], "ws://127.0.0.1:8787/dev");
}

#[test]
fn a_behavior_that_would_get_no_socket_through_cloudfront_is_refused() {
    let config = "/Resources/SiteDistribution/Properties/DistributionConfig";
    for (place, value, part) in [
        (
            "CacheBehaviors/0/PathPattern",
            json!("/ws"),
            "the API's stage is at `/dev`",
        ),
        (
            "CacheBehaviors/0/PathPattern",
            json!("/dev/*"),
            "the API's stage is at `/dev`",
        ),
        (
            "CacheBehaviors/0/TargetOriginId",
            json!("site"),
            "only the API",
        ),
        (
            "CacheBehaviors/0/TargetOriginId",
            json!("none"),
            "no origin has the target's id",
        ),
        (
            "CacheBehaviors/0/CachePolicyId",
            json!("658327ea-f89d-4fab-a63d-7e88639e58f6"),
            "cannot come from a cache",
        ),
        (
            "CacheBehaviors/0/OriginRequestPolicyId",
            json!("216adef6-5c7f-47e4-b989-5492eafa07d3"),
            "no other `Host`",
        ),
        (
            "CacheBehaviors/0/OriginRequestPolicyId",
            json!("other"),
            "a handshake's headers",
        ),
        (
            "CacheBehaviors/0/ResponseHeadersPolicyId",
            json!({"Ref": "SiteHeaders"}),
            "no more headers",
        ),
        (
            "Origins/1/CustomOriginConfig/OriginProtocolPolicy",
            json!("match-viewer"),
            "`https-only`",
        ),
        (
            "DefaultCacheBehavior/OriginRequestPolicyId",
            json!("b689b0a8-53d0-40ab-baf2-68738e2966ac"),
            "DefaultCacheBehavior.OriginRequestPolicyId",
        ),
    ] {
        let message = refusal(&changed(with_edge(), &format!("{config}/{place}"), value));
        assert!(message.contains(part), "{place}: {message}");
    }
}

#[test]
fn tables_keep_their_keys_and_expiry() {
    let table = json!({
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": "true"},
        },
    });
    let template = changed(minimal(), "/Resources/ChatTable", table.clone());
    let read = read(&template).expect("it runs");
    assert_eq!(read.tables.len(), 1);
    let (declared, given) = (&read.tables[0], &table["Properties"]);
    assert_eq!(declared.name, "stack-ChatTable");
    assert_eq!(declared.ttl_attribute.as_deref(), Some("expires"));
    assert_eq!(declared.request["KeySchema"], given["KeySchema"]);
    assert_eq!(declared.request["TableName"], "stack-ChatTable");
    let streams = "/Resources/ChatTable/Properties/StreamSpecification";
    let message = refusal(&changed(template, streams, json!({})));
    assert!(message.contains("`StreamSpecification`"), "{message}");
}

#[test]
fn an_event_invoke_config_is_kept_and_what_lambda_would_not_take_is_refused() {
    let config = |property: &str, value: Value| {
        let mut properties = json!({
            "FunctionName": {"Ref": "ActionFunction"},
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": 0,
            "MaximumEventAgeInSeconds": 60,
        });
        properties[property] = value;
        let resource = json!({"Type": "AWS::Lambda::EventInvokeConfig", "Properties": properties});
        changed(minimal(), "/Resources/Config", resource)
    };
    let template = read(&config("Qualifier", json!("$LATEST"))).expect("it runs here");
    let expected = Events {
        retries: 0,
        age_max: Duration::from_mins(1),
    };
    assert_eq!(template.functions["ActionFunction"].events, expected);
    let template = read(&minimal()).expect("it runs here");
    assert_eq!(
        template.functions["ActionFunction"].events,
        Events::default()
    );
    for (property, value) in [
        ("Qualifier", json!("live")),
        ("MaximumRetryAttempts", json!(3)),
        ("MaximumEventAgeInSeconds", json!(59)),
        ("MaximumEventAgeInSeconds", json!(21_601)),
        ("FunctionName", json!("another")),
        ("DestinationConfig", json!({})),
    ] {
        let refused = refusal(&config(property, value));
        assert!(
            refused.contains("Config") && refused.contains(property),
            "{refused}"
        );
    }
}
