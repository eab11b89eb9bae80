//! The page with CloudFront and without: nothing of the one is there with the other.

use serde_json::{Value, json};

use super::{alternatives, document, list, resources, section};
use crate::template::Document;

/// The side of an `Fn::If` that is there with CloudFront, and the one that is there without.
fn sides(value: &Value) -> [&Value; 2] {
    match value["Fn::If"].as_array().map(Vec::as_slice) {
        Some([condition, yes, no]) if condition == "HasCdn" => [yes, no],
        Some([condition, yes, no]) if condition == "HasNoCdn" => [no, yes],
        _ => panic!("no choice of the two: {value}"),
    }
}

fn bucket(document: &Document) -> &Value {
    resources(document, "AWS::S3::Bucket")["SiteBucket"]
}

#[test]
fn cloudfront_is_there_or_not_as_a_whole() {
    let document = document();
    let parameter = &section(&document, "Parameters")["Cdn"];
    assert_eq!(parameter["Default"], "on");
    assert_eq!(parameter["AllowedValues"], json!(["on", "off"]));
    for (id, resource) in section(&document, "Resources") {
        let kind = resource["Type"].as_str().unwrap();
        let with_it = resource["Condition"] == "HasCdn";
        assert_eq!(with_it, kind.starts_with("AWS::CloudFront::"), "{id}");
    }
    let conditions: Vec<_> = section(&document, "Outputs")
        .iter()
        .filter_map(|(name, output)| Some((name.as_str(), output["Condition"].as_str()?)))
        .filter(|(_, condition)| condition.contains("Cdn"))
        .collect();
    let expected = [("SiteDistributionId", "HasCdn"), ("SitePolicy", "HasNoCdn")];
    assert_eq!(conditions, expected);
    let url = &section(&document, "Outputs")["SiteUrl"]["Value"];
    let [with, without] = sides(url).map(|it| it["Fn::Sub"].as_str().unwrap());
    assert_eq!(with, "https://${SiteDistribution.DomainName}/");
    assert_eq!(without, "${SiteBucket.WebsiteURL}/");
}

#[test]
fn the_bucket_is_no_more_public_than_it_has_to_be() {
    let document = document();
    let access = &bucket(&document)["PublicAccessBlockConfiguration"];
    for setting in ["BlockPublicAcls", "IgnorePublicAcls"] {
        assert_eq!(access[setting], true, "{setting}");
    }
    for setting in ["BlockPublicPolicy", "RestrictPublicBuckets"] {
        assert_eq!(sides(&access[setting]), [true, false], "{setting}");
    }
    let website = sides(&bucket(&document)["WebsiteConfiguration"]);
    let none = json!({"Ref": "AWS::NoValue"});
    assert_eq!(website, [&none, &json!({"IndexDocument": "index.html"})]);
}

#[test]
fn the_buckets_policy_is_for_the_distribution_over_tls_or_for_everyone() {
    let document = document();
    let policy = resources(&document, "AWS::S3::BucketPolicy")["SiteBucketPolicy"];
    let [with, without] = sides(&policy["PolicyDocument"]["Statement"]).map(list);
    let [reads, tls] = with.as_slice() else {
        panic!("{with:?}");
    };
    assert_eq!(reads["Principal"]["Service"], "cloudfront.amazonaws.com");
    assert!(reads["Condition"]["StringEquals"]["AWS:SourceArn"].is_object());
    assert_eq!(tls["Effect"], "Deny");
    assert_eq!(tls["Condition"]["Bool"]["aws:SecureTransport"], "false");
    let [everyone] = without.as_slice() else {
        panic!("{without:?}");
    };
    let expected = json!({
        "Sid": "EveryoneReads",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": {"Fn::Sub": "${SiteBucket.Arn}/*"},
    });
    assert_eq!(**everyone, expected);
}

#[test]
fn the_page_may_open_the_socket_that_the_outputs_name() {
    let document = document();
    let header = header(&document);
    let socket = section(&document, "Outputs")["WebSocketUrl"]["Value"]["Fn::Sub"]
        .as_str()
        .unwrap();
    let origin = socket.strip_suffix("/${StageName}").unwrap();
    assert!(
        header.contains(&format!("connect-src 'self' {origin};")),
        "{header}"
    );
    assert!(!header.contains("unsafe"), "{header}");
}

#[test]
fn the_page_brings_the_policy_that_cloudfront_would_send_but_for_what_a_page_cannot_say() {
    let document = document();
    let own = &section(&document, "Outputs")["SitePolicy"]["Value"]["Fn::Sub"];
    let header = header(&document);
    assert_eq!(
        header.strip_suffix("; frame-ancestors 'none'"),
        own.as_str()
    );
}

fn header(document: &Document) -> &str {
    let policy = resources(document, "AWS::CloudFront::ResponseHeadersPolicy")["SiteHeadersPolicy"];
    let config = &policy["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"];
    let policy = &config["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"];
    policy.as_str().unwrap()
}

#[test]
fn a_choice_within_a_choice_has_all_its_alternatives() {
    let value = json!({"Fn::If": ["A", 1, {"Fn::If": ["B", 2, 3]}]});
    let expected = [json!(1), json!(2), json!(3)];
    assert_eq!(alternatives(&value), expected.iter().collect::<Vec<_>>());
}
