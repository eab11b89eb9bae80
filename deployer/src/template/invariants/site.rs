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
    let expected = [
        ("SiteDistributionDomain", "HasCdn"),
        ("SiteDistributionId", "HasCdn"),
        ("SitePolicy", "HasNoCdn"),
    ];
    assert_eq!(conditions, expected);
}

#[test]
fn page_and_socket_are_of_one_origin_with_cloudfront_at_whichever_name() {
    let document = document();
    let urls = ["SiteUrl", "WebSocketUrl"].map(|it| &section(&document, "Outputs")[it]["Value"]);
    let [[site, website], [socket, api]] = urls.map(sides);
    for (url, at_domain, at_own_name) in [
        (
            site,
            "https://${DomainName}/",
            "https://${SiteDistribution.DomainName}/",
        ),
        (
            socket,
            "wss://${DomainName}/${StageName}",
            "wss://${SiteDistribution.DomainName}/${StageName}",
        ),
    ] {
        let expected = json!([
            "HasDomain", {"Fn::Sub": at_domain}, {"Fn::Sub": at_own_name},
        ]);
        assert_eq!(url["Fn::If"], expected);
    }
    assert_eq!(website["Fn::Sub"], "${SiteBucket.WebsiteURL}/");
    assert_eq!(
        *api,
        section(&document, "Outputs")["DirectWebSocketUrl"]["Value"]
    );
}

fn distribution(document: &Document) -> &Value {
    &resources(document, "AWS::CloudFront::Distribution")["SiteDistribution"]["DistributionConfig"]
}

#[test]
fn cloudfront_leads_the_stages_path_and_no_other_to_the_api_as_a_socket_needs_it() {
    let document = document();
    let config = distribution(&document);
    let host = "${WebSocketApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}";
    let expected = json!({
        "Id": "WebSocketApi",
        "DomainName": {"Fn::Sub": host},
        "CustomOriginConfig": {
            "OriginProtocolPolicy": "https-only",
            "OriginSSLProtocols": ["TLSv1.2"],
        },
    });
    assert!(list(&config["Origins"]).contains(&&expected));
    let expected = json!([{
        // As in the socket's URL, and without a star: @connections is below.
        "PathPattern": {"Fn::Sub": "/${StageName}"},
        "TargetOriginId": "WebSocketApi",
        "ViewerProtocolPolicy": "https-only",
        "AllowedMethods": ["GET", "HEAD"],
        "Compress": false,
        // CachingDisabled, AllViewerExceptHostHeader.
        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
        "OriginRequestPolicyId": "b689b0a8-53d0-40ab-baf2-68738e2966ac",
    }]);
    assert_eq!(config["CacheBehaviors"], expected);
    assert_eq!(
        config["DefaultCacheBehavior"]["TargetOriginId"],
        "SiteBucket"
    );
}

#[test]
fn a_domain_comes_with_its_certificate_or_not_at_all() {
    let document = document();
    let config = distribution(&document);
    let none = json!({"Ref": "AWS::NoValue"});
    let aliases = json!({"Fn::If": ["HasDomain", [{"Ref": "DomainName"}], none]});
    assert_eq!(config["Aliases"], aliases);
    let certificate = json!({
        "AcmCertificateArn": {"Ref": "CertificateArn"},
        "MinimumProtocolVersion": "TLSv1.2_2021",
        "SslSupportMethod": "sni-only",
    });
    let expected = json!({"Fn::If": ["HasDomain", certificate, none]});
    assert_eq!(config["ViewerCertificate"], expected);
    for parameter in ["DomainName", "CertificateArn"] {
        let declared = &section(&document, "Parameters")[parameter];
        assert_eq!(declared["Default"], "", "{parameter}");
    }
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
fn the_page_may_open_the_socket_of_its_own_origin_and_the_direct_one() {
    let document = document();
    let header = header(&document);
    let socket = section(&document, "Outputs")["DirectWebSocketUrl"]["Value"]["Fn::Sub"]
        .as_str()
        .unwrap();
    let origin = socket.strip_suffix("/${StageName}").unwrap();
    assert!(
        header.contains(&format!("connect-src ${{ConnectSources}} {origin};")),
        "{header}"
    );
    assert!(!header.contains("unsafe"), "{header}");
}

#[test]
fn the_page_brings_the_policy_that_cloudfront_would_send_but_for_what_a_page_cannot_say() {
    let document = document();
    let own = &section(&document, "Outputs")["SitePolicy"]["Value"]["Fn::Sub"];
    // Without CloudFront nobody signs in, so nothing comes beside the page itself.
    let sources = &section(&document, "Parameters")["ConnectSources"]["Default"];
    let header = header(&document).replace("${ConnectSources}", sources.as_str().unwrap());
    assert_eq!(
        header.strip_suffix("; frame-ancestors 'none'"),
        own.as_str()
    );
}

#[test]
fn the_page_is_in_nobodys_frame_and_comes_over_tls_once_it_did() {
    let document = document();
    let policy =
        resources(&document, "AWS::CloudFront::ResponseHeadersPolicy")["SiteHeadersPolicy"];
    let headers = &policy["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"];
    assert_eq!(headers["FrameOptions"]["FrameOption"], "DENY");
    assert!(header(&document).contains("frame-ancestors 'none'"));
    assert_eq!(headers["ReferrerPolicy"]["ReferrerPolicy"], "no-referrer");
    let tls = &headers["StrictTransportSecurity"]["AccessControlMaxAgeSec"];
    assert!(
        tls.as_u64().is_some_and(|it| it >= 365 * 24 * 3600),
        "{tls}"
    );
    let headers = headers.as_object().unwrap();
    for (name, header) in headers {
        assert_eq!(header["Override"], true, "{name}");
    }
    let distribution = distribution(&document);
    let socket = &distribution["CacheBehaviors"][0]["ViewerProtocolPolicy"];
    assert_eq!(*socket, "https-only");
    let page = &distribution["DefaultCacheBehavior"]["ViewerProtocolPolicy"];
    assert_eq!(*page, "redirect-to-https");
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
