//! A domain of one's own in front of the chat, whose DNS record nobody has made yet.

use e2e::chatctl;
use e2e::ministack::Ministack;
use serde_json::{Value, json};

const CERTIFICATE: &str = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-abcd";

#[tokio::test]
async fn a_domain_is_deployed_before_dns_knows_it_and_taken_away_again() {
    let ministack = Ministack::start().await;
    let bootstrap = chatctl::packaged_bootstrap();
    let bootstrap = bootstrap.to_str().expect("a path of characters");
    let deploy = ["deploy", "--json", "--bootstrap", bootstrap];
    let domain = [
        "--domain",
        "chat.example.org",
        "--certificate-arn",
        CERTIFICATE,
    ];
    let with_domain = [&deploy[..], &domain].concat();

    let output = chatctl::run_on(&ministack, &with_domain).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("`chat.example.org` does not lead to the chat yet"),
        "{said}"
    );
    let result: Value = serde_json::from_str(said.lines().last().expect("a result")).expect("JSON");
    assert_eq!(result["site"], "https://chat.example.org/");
    assert_eq!(result["websocket"], "wss://chat.example.org/dev");
    let own = result["dns"]["value"].as_str().expect("a name");
    assert!(own.ends_with(".cloudfront.net"), "{result}");
    let dns = json!({"name": "chat.example.org", "type": "CNAME", "value": own});
    assert_eq!(result["dns"], dns);
    let record = format!("chat.example.org CNAME {own}");
    assert!(said.contains(&format!("once DNS has `{record}`")), "{said}");

    let config = distribution(&ministack).await;
    assert_eq!(config["Aliases"]["Items"], json!(["chat.example.org"]));
    let certificate = &config["ViewerCertificate"];
    assert_eq!(certificate["ACMCertificateArn"], CERTIFICATE);
    assert_eq!(certificate["SSLSupportMethod"], "sni-only");
    assert_eq!(certificate["MinimumProtocolVersion"], "TLSv1.2_2021");

    // Until DNS knows the domain, page and socket are to be had at CloudFront's own name.
    let page = ministack.get(&format!("https://{own}/config.json")).await;
    let page: Value = serde_json::from_slice(page.body()).expect("JSON");
    assert_eq!(page, json!({"server": "/dev"}));
    let mut ann = ministack.socket(&format!("wss://{own}/dev")).await;
    assert_eq!(ann.ask(json!({"type": "ping"})).await["type"], "pong");

    let urls = chatctl::run_on(&ministack, &["urls"]).await;
    let urls = String::from_utf8_lossy(&urls.stdout).into_owned();
    assert!(
        urls.starts_with("Site:      https://chat.example.org/\n"),
        "{urls}"
    );
    assert!(
        urls.ends_with(&format!("\nDNS:       {record}\n")),
        "{urls}"
    );

    let verified = chatctl::run_on(&ministack, &["verify", "--json", "--timeout", "3m"]).await;
    assert_eq!(verified.status.code(), Some(1));
    let said = String::from_utf8_lossy(&verified.stdout);
    let result: Value = serde_json::from_str(said.lines().last().expect("a result")).expect("JSON");
    assert_eq!(result["failed"], json!(["domain"]), "{said}");
    assert!(
        said.contains(&format!("the DNS record that it needs: {record}")),
        "{said}"
    );

    let again = chatctl::result_on(&ministack, &with_domain).await;
    assert_eq!(again["changed"], false, "{again}");

    let without = chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(without["changed"], true);
    assert_eq!(without["site"], format!("https://{own}/"));
    assert_eq!(without["dns"], Value::Null);
    let config = distribution(&ministack).await;
    assert_eq!(config["Aliases"]["Items"].as_array().map_or(0, Vec::len), 0);
    // Nobody was thrown out by any of it.
    assert_eq!(ann.ask(json!({"type": "ping"})).await["type"], "pong");
    ann.close().await;
}

/// The configuration of the only distribution.
async fn distribution(ministack: &Ministack) -> Value {
    let listed = ministack.aws("cloudfront", "list_distributions", json!({}));
    let id = listed.await["DistributionList"]["Items"][0]["Id"].clone();
    let config = ministack.aws("cloudfront", "get_distribution_config", json!({"Id": id}));
    config.await["DistributionConfig"].clone()
}

#[tokio::test]
async fn what_cannot_be_a_domain_is_refused_before_anything_is_done() {
    let name = ["--domain", "chat.example.org"];
    let certificate = ["--certificate-arn", CERTIFICATE];
    let elsewhere = CERTIFICATE.replace("us-east-1", "eu-central-1");
    for (arguments, error, hint) in [
        (
            &name[..],
            "error: `--domain` needs `--certificate-arn` as well",
            "aws acm request-certificate --region us-east-1",
        ),
        (
            &certificate,
            "error: `--certificate-arn` needs `--domain` as well",
            "the name that the certificate is for",
        ),
        (
            &[&name[..], &["--certificate-arn", &elsewhere]].concat(),
            "error: the certificate is in `eu-central-1`, and CloudFront takes those of `us-east-1` \
             alone",
            "the chat itself can be in any Region",
        ),
        (
            &[&["--domain", "https://chat.example.org/"], &certificate[..]].concat(),
            "error: `--domain https://chat.example.org/` is not the name of a domain",
            "the name alone",
        ),
        (
            &[&name[..], &certificate, &["--cdn", "off"]].concat(),
            "error: `--domain` does not go with `--cdn off`",
            "`--cdn on`",
        ),
    ] {
        for verb in ["deploy", "diff"] {
            let output = chatctl::run(&[&[verb], arguments].concat()).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains(error), "{said}");
            assert!(said.contains("hint: ") && said.contains(hint), "{said}");
        }
    }
}
