//! The page on AWS, as far as the tests have one: through CloudFront and from its bucket alone, in a
//! browser and out of it.

use std::path::{Path, PathBuf};

use e2e::browser;
use e2e::chatctl;
use e2e::ministack::{Ministack, is_by_a_function};
use serde_json::{Value, json};

/// A browser that starts on a busy machine, and people in it.
const BROWSER_DEADLINE: std::time::Duration = std::time::Duration::from_mins(5);

#[tokio::test]
async fn the_page_is_served_without_cloudfront_and_with_it_by_turns() {
    let ministack = Ministack::start().await;
    let bootstrap = chatctl::packaged_bootstrap();
    let bootstrap = bootstrap.to_str().expect("a path of characters");
    let deploy = |cdn| ["deploy", "--json", "--bootstrap", bootstrap, "--cdn", cdn];

    let website = chatctl::result_on(&ministack, &deploy("off")).await;
    is_a_website(&ministack, &website).await;
    let none = json!({"DistributionList": []});
    assert_eq!(distributions(&ministack).await, none);
    people_talk(&ministack, &website, "website").await;

    let before = ministack.requests().len();
    let again = chatctl::result_on(&ministack, &deploy("off")).await;
    assert_eq!(again["changed"], false, "{again}");
    let requests = &ministack.requests()[before..];
    let fetched = websites(requests);
    assert_eq!(fetched, ["/config.json"], "nothing else is looked at");
    assert_eq!(sockets(requests), 0);

    let verified = [&deploy("off")[..], &["--verify"]].concat();
    let before = ministack.requests().len();
    let again = chatctl::result_on(&ministack, &verified).await;
    assert_eq!(again["changed"], false, "{again}");
    let requests = &ministack.requests()[before..];
    assert_eq!(websites(requests), ["/", "/config.json"]);
    assert!(sockets(requests) >= 2);

    let cdn = chatctl::result_on(&ministack, &deploy("on")).await;
    assert_eq!(cdn["changed"], true);
    assert_eq!(cdn["direct"], website["direct"], "who is there stays");
    is_behind_cloudfront(&ministack, &cdn).await;
    let gone = ministack.get(text(&website["site"])).await;
    assert_ne!(gone.status(), 200, "the bucket is private again");
    people_talk(&ministack, &cdn, "cloudfront").await;

    let website = chatctl::result_on(&ministack, &deploy("off")).await;
    is_a_website(&ministack, &website).await;
    assert_eq!(distributions(&ministack).await, none);

    chatctl::result_on(&ministack, &["destroy", "--yes", "--json"]).await;
    for (service, operation, list) in [
        ("cloudformation", "describe_stacks", "Stacks"),
        ("s3", "list_buckets", "Buckets"),
        ("apigatewayv2", "get_apis", "Items"),
        ("lambda", "list_functions", "Functions"),
        ("dynamodb", "list_tables", "TableNames"),
        ("iam", "list_roles", "Roles"),
        ("logs", "describe_log_groups", "logGroups"),
    ] {
        let left = ministack.aws(service, operation, json!({})).await;
        assert_eq!(left[list], json!([]), "{service} {operation}: {left}");
    }
    assert_eq!(distributions(&ministack).await, none);
}

#[tokio::test]
async fn an_account_that_blocks_public_buckets_is_named_and_the_next_deploy_goes_on() {
    let ministack = Ministack::start().await;
    let block = json!({"Bucket": "account-blocks-public-policies"});
    ministack.aws("s3", "create_bucket", block.clone()).await;
    let bootstrap = chatctl::packaged_bootstrap();
    let bootstrap = bootstrap.to_str().expect("a path of characters");
    let deploy = ["deploy", "--bootstrap", bootstrap, "--cdn", "off"];
    let refused = chatctl::run_on(&ministack, &deploy).await;
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    let error = said.find("error: `SiteBucketPolicy`").expect(&said);
    assert!(said[error..].contains("BlockPublicPolicy"), "{said}");
    let hint = "hint: the account, or its organization, blocks public buckets";
    assert!(said[error..].contains(hint), "{said}");

    ministack.aws("s3", "delete_bucket", block).await;
    let deployed = chatctl::run_on(&ministack, &deploy).await;
    let said = String::from_utf8_lossy(&deployed.stderr);
    assert_eq!(deployed.status.code(), Some(0), "{said}");
    let verified = said.find("verified in ").expect(&said);
    assert!(
        said[verified..].contains(" ms from one socket to the other"),
        "{said}"
    );
}

/// The page comes over HTTP, with its policy in it, to everyone, and nothing else does.
async fn is_a_website(ministack: &Ministack, result: &Value) {
    let (site, websocket) = (text(&result["site"]), text(&result["websocket"]));
    assert!(site.starts_with("http://"), "{site}");
    assert!(
        site.ends_with(".s3-website-us-east-1.amazonaws.com/"),
        "{site}"
    );
    assert_eq!(websocket, text(&result["direct"]));
    urls_are(ministack, result).await;

    let page = ministack.get(site).await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let cached = &page.headers()["cache-control"];
    assert_eq!(cached, "max-age=0, must-revalidate");
    let page = String::from_utf8(page.body().to_vec()).expect("text");
    let host = websocket.trim_end_matches("/dev");
    let meta = format!(
        "<head>\n  <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         manifest-src 'self'; connect-src 'self' {host}; base-uri 'none'; form-action 'self'\">\n"
    );
    assert!(page.contains(&meta), "{page}");
    for (file, kind) in [("main.js", "text/javascript"), ("style.css", "text/css")] {
        let served = ministack.get(&format!("{site}{file}")).await;
        assert_eq!(served.status(), 200, "{file}");
        assert_eq!(served.body().as_ref(), of_the_checkout(file), "{file}");
        let content_type = served.headers()["content-type"].to_str();
        assert!(content_type.is_ok_and(|it| it.starts_with(kind)), "{file}");
        // Also where nothing but this has changed since CloudFront served it.
        let cached = &served.headers()["cache-control"];
        assert_eq!(cached, "max-age=0, must-revalidate", "{file}");
    }
    let config = ministack.get(&format!("{site}config.json")).await;
    let config: Value = serde_json::from_slice(config.body()).expect("JSON");
    assert_eq!(config, json!({"server": websocket}));

    let bucket = bucket(ministack).await;
    let list = format!("https://{bucket}.s3.us-east-1.amazonaws.com/");
    assert_eq!(ministack.get(&list).await.status(), 403, "no list of files");
}

async fn is_behind_cloudfront(ministack: &Ministack, result: &Value) {
    let (site, websocket) = (text(&result["site"]), text(&result["websocket"]));
    assert!(site.starts_with("https://"), "{site}");
    assert!(site.ends_with(".cloudfront.net/"), "{site}");
    assert_eq!(websocket, format!("{}dev", site.replace("https:", "wss:")));
    urls_are(ministack, result).await;
    let config = ministack.get(&format!("{site}config.json")).await;
    let config: Value = serde_json::from_slice(config.body()).expect("JSON");
    assert_eq!(
        config,
        json!({"server": "/dev"}),
        "of the page's own origin"
    );
    for file in ["index.html", "main.js", "style.css"] {
        let served = ministack.get(&format!("{site}{file}")).await;
        assert_eq!(served.status(), 200, "{file}");
        assert_eq!(served.body().as_ref(), of_the_checkout(file), "{file}");
        let cached = &served.headers()["cache-control"];
        let expected = "max-age=0, s-maxage=31536000, must-revalidate";
        assert_eq!(cached, expected, "{file}");
    }
    let page = ministack.get(site).await;
    assert_eq!(page.body().as_ref(), of_the_checkout("index.html"));
    let policy = page.headers()["content-security-policy"].to_str();
    assert!(policy.is_ok_and(|it| it.ends_with("frame-ancestors 'none'")));
    let object = format!(
        "https://{}.s3.us-east-1.amazonaws.com/index.html",
        bucket(ministack).await
    );
    assert_eq!(ministack.get(&object).await.status(), 403);
}

async fn urls_are(ministack: &Ministack, result: &Value) {
    let urls = chatctl::run_on(ministack, &["urls", "--json"]).await;
    let urls: Value = serde_json::from_slice(&urls.stdout).expect("JSON");
    for url in ["site", "websocket", "direct", "dns"] {
        assert_eq!(urls[url], result[url], "{url}");
    }
}

/// Two people with a browser each, at a phone and at a desk.
async fn people_talk(ministack: &Ministack, result: &Value, name: &str) {
    let browser = browser::tests("deployed.test.mjs")
        .env("SITE", text(&result["site"]))
        .env("PROXY", ministack.proxy())
        .env("CERTIFICATE", ministack.certificate())
        .env("SCREENSHOTS", screenshots())
        .env("NAME", name)
        .output();
    let output = tokio::time::timeout(BROWSER_DEADLINE, browser).await;
    let output = output.expect("people are done in time");
    let output = output.expect("node runs");
    let (said, errors) = (&output.stdout, &output.stderr);
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        String::from_utf8_lossy(said),
        String::from_utf8_lossy(errors),
        ministack.log()
    );
}

fn screenshots() -> PathBuf {
    chatctl::target().join("screenshots")
}

fn of_the_checkout(file: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(chatctl::checkout().join("wwwroot").join(file)).expect("a file of the page")
}

async fn bucket(ministack: &Ministack) -> String {
    let stack = json!({"StackName": "chat-dev", "LogicalResourceId": "SiteBucket"});
    let resource = ministack
        .aws("cloudformation", "describe_stack_resource", stack)
        .await;
    text(&resource["StackResourceDetail"]["PhysicalResourceId"]).to_owned()
}

/// The distributions that there are, with what is theirs.
async fn distributions(ministack: &Ministack) -> Value {
    let mut found = json!({"DistributionList": []});
    let custom = json!({"Type": "custom"});
    for (operation, list, parameters) in [
        ("list_distributions", "DistributionList", json!({})),
        (
            "list_origin_access_controls",
            "OriginAccessControlList",
            json!({}),
        ),
        (
            "list_response_headers_policies",
            "ResponseHeadersPolicyList",
            custom,
        ),
    ] {
        let listed = ministack.aws("cloudfront", operation, parameters).await;
        if let Some(items) = listed[list]["Items"].as_array().filter(|it| !it.is_empty()) {
            found[list] = json!(items);
        }
    }
    found
}

/// The paths that were asked of websites.
fn websites(requests: &[Value]) -> Vec<&str> {
    let asked = requests
        .iter()
        .filter(|it| text(&it["host"]).contains(".s3-website"));
    asked.map(|it| text(&it["path"])).collect()
}

/// How many sockets were opened: each is recorded. Those of people who have gone may still be removed.
fn sockets(requests: &[Value]) -> usize {
    let by_functions = requests.iter().filter(|it| is_by_a_function(it));
    by_functions
        .filter(|it| it["operation"] == "PutItem")
        .count()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
