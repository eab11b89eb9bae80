//! A chat's whole life on AWS, as far as the tests have one: `chatctl deploy`, `urls` and `destroy`,
//! run as a person runs them.

use std::path::{Path, PathBuf};

use e2e::chatctl;
use e2e::ministack::{Ministack, is_by_a_function};
use serde_json::{Value, json};

/// Versions and delete markers each: together more than S3 lists or deletes at once.
const VERSIONS: usize = 600;

#[tokio::test]
async fn a_chat_is_deployed_used_changed_and_destroyed_without_a_trace() {
    let ministack = Ministack::start().await;
    let page = Page::copied("whole");
    let bootstrap = page.path().to_owned() + ".bootstrap";
    let bootstrap = bootstrap.as_str();
    std::fs::copy(chatctl::packaged_bootstrap(), bootstrap)
        .expect("a file below cargo's own folder");
    let deploy = ["deploy", "--json", "--bootstrap", bootstrap];
    let deploy = [&deploy[..], &["--wwwroot", page.path()]].concat();

    let first = chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(first["changed"], true, "{first}");
    let (site, websocket) = (text(&first["site"]), text(&first["websocket"]));
    assert!(site.ends_with(".cloudfront.net/"), "{site}");
    assert_eq!(websocket, format!("{}dev", site.replace("https:", "wss:")));
    let direct = text(&first["direct"]);
    assert!(direct.starts_with("wss://"), "{direct}");
    assert!(direct.ends_with(".execute-api.us-east-1.amazonaws.com/dev"));

    let urls = chatctl::run_on(&ministack, &["urls", "--json"]).await;
    let urls: Value = serde_json::from_slice(&urls.stdout).expect("JSON");
    let expected = json!({"site": site, "websocket": websocket, "direct": direct, "dns": null});
    assert_eq!(urls, expected);
    the_site_is(&ministack, site, &page).await;
    let config = ministack.get(&format!("{site}config.json")).await;
    let config: Value = serde_json::from_slice(config.body()).expect("JSON");
    assert_eq!(config, json!({"server": "/dev"}));

    let mut ann = ministack.socket(websocket).await;
    let mut bob = ministack.socket(direct).await;
    ann.send(json!({"type": "message", "from": "ann", "text": "hi"}))
        .await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.next().await["text"], "hi");
    }

    every_promise_is_kept(&ministack, "dev").await;

    let before = ministack.requests().len();
    let second = chatctl::result_on(&ministack, &deploy).await;
    let unchanged = json!({"changed": false, "site": site, "websocket": websocket});
    assert_eq!(subset(&second, &unchanged), unchanged);
    let requests = &ministack.requests()[before..];
    assert_eq!(changes(requests), Vec::<String>::new(), "{requests:#?}");

    // As if the one before had been cut off while it tried the chat, or had found it broken.
    let bucket = site_bucket(&ministack).await;
    let proof = json!({"Bucket": bucket, "Key": ".chatctl-verified"});
    ministack.aws("s3", "delete_object", proof).await;
    let before = ministack.requests().len();
    let tried = chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(tried["changed"], false);
    let done = changes(&ministack.requests()[before..]);
    let [kept, verified] = done.as_slice() else {
        panic!("{done:?}");
    };
    assert!(kept.starts_with("PUT /releases/dev/"), "{done:?}");
    assert_eq!(verified, "PUT /.chatctl-verified");

    page.append("style.css", "/* new */\n");
    let before = ministack.requests().len();
    let third = chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(third["changed"], true);
    let requests = &ministack.requests()[before..];
    let sent = changes(requests);
    let [begun, sent, shown, finished, kept, verified] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!(begun, "POST /?delete", "{requests:#?}");
    assert_eq!(sent, "PUT /style.css");
    assert!(shown.ends_with("/invalidation"), "{shown}");
    assert_eq!(finished, "PUT /.chatctl-published");
    assert!(kept.starts_with("PUT /releases/dev/"), "{kept}");
    assert_eq!(verified, "PUT /.chatctl-verified");
    the_site_is(&ministack, site, &page).await;

    // One byte more, which the program does not look at.
    let mut program = std::fs::read(bootstrap).expect("it was copied");
    program.push(0);
    std::fs::write(bootstrap, program).expect("it was copied");
    let before = ministack.requests().len();
    let fourth = chatctl::result_on(&ministack, &deploy).await;
    std::fs::remove_file(bootstrap).expect("it was copied");
    assert_eq!(fourth["changed"], true);
    let done = changes(&ministack.requests()[before..]);
    assert_eq!(done.len(), 4, "{done:?}");
    assert!(done[0].starts_with("PUT /functions/"), "{done:?}");
    assert_eq!(done[1], "ExecuteChangeSet");
    assert!(done[2].starts_with("PUT /releases/dev/"), "{done:?}");
    assert_eq!(done[3], "PUT /.chatctl-verified");

    assert_eq!(bob.ask(json!({"type": "ping"})).await["type"], "pong");
    ann.send(json!({"type": "message", "text": "still there?"}))
        .await;
    assert_eq!(bob.next().await["text"], "still there?");
    ann.close().await;
    bob.close().await;

    leave_versions(&ministack, &page).await;
    let destroyed = chatctl::result_on(&ministack, &["destroy", "--yes", "--json"]).await;
    assert_eq!(destroyed["stack"], "chat-dev");
    assert!(destroyed["gone"].as_array().is_some_and(|it| it.len() > 20));
    nothing_is_left(&ministack).await;

    let again = chatctl::run_on(&ministack, &["destroy", "--yes"]).await;
    assert_eq!(again.status.code(), Some(0));
    let urls = chatctl::run_on(&ministack, &["urls"]).await;
    assert_ne!(urls.status.code(), Some(0), "there is nothing to tell");
    assert!(urls.stdout.is_empty());
}

/// `chatctl verify` finds nothing wrong, in a stage that it asks AWS for.
async fn every_promise_is_kept(ministack: &Ministack, stage: &str) {
    // Ample for each check, on any machine.
    let verify = ["verify", "--stage", stage, "--json", "--timeout", "3m"];
    let verified = chatctl::result_on(ministack, &verify).await;
    for empty in ["failed", "not_tried"] {
        assert_eq!(verified[empty], json!([]), "{verified}");
    }
    assert_eq!(verified["held"].as_array().map(Vec::len), Some(23));
}

fn subset(of: &Value, like: &Value) -> Value {
    let names = like.as_object().expect("an object").keys();
    names.map(|name| (name.clone(), of[name].clone())).collect()
}

/// The requests, of whoever deploys, that change something. A change set that is put together and
/// thrown away changes nothing.
fn changes(requests: &[Value]) -> Vec<String> {
    let by_chatctl = requests.iter().filter(|it| !is_by_a_function(it));
    let changing = by_chatctl.filter(|request| {
        let operation = text(&request["operation"]);
        let reads = ["Describe", "Get", "List", "Head"];
        let tries = ["CreateChangeSet", "DeleteChangeSet"];
        let is_read = text(&request["method"]) == "GET" || text(&request["method"]) == "HEAD";
        let is_named_read = reads.iter().any(|it| operation.starts_with(it));
        !is_read && !is_named_read && !tries.contains(&operation)
    });
    let named = changing.map(|it| match (text(&it["operation"]), text(&it["query"])) {
        ("", "delete") => format!("{} {}?delete", text(&it["method"]), text(&it["path"])),
        ("", _) => format!("{} {}", text(&it["method"]), text(&it["path"])),
        (operation, _) => operation.to_owned(),
    });
    named.collect()
}

async fn the_site_is(ministack: &Ministack, site: &str, page: &Page) {
    for (path, file, kind) in [
        ("", "index.html", "text/html"),
        ("style.css", "style.css", "text/css"),
        ("main.js", "main.js", "text/javascript"),
    ] {
        let response = ministack.get(&format!("{site}{path}")).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.body().as_ref(), page.read(file), "{path}");
        let content_type = response.headers()["content-type"].to_str();
        assert!(content_type.is_ok_and(|it| it.starts_with(kind)), "{path}");
    }
}

/// The name of the page's bucket.
async fn site_bucket(ministack: &Ministack) -> Value {
    let stack = json!({"StackName": "chat-dev", "LogicalResourceId": "SiteBucket"});
    let resource = ministack.aws("cloudformation", "describe_stack_resource", stack);
    resource.await["StackResourceDetail"]["PhysicalResourceId"].clone()
}

/// What versioning leaves in the site's bucket, were it on for a while.
async fn leave_versions(ministack: &Ministack, page: &Page) {
    let bucket = site_bucket(ministack).await;
    let versioning = json!({"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}});
    ministack
        .aws("s3", "put_bucket_versioning", versioning)
        .await;
    let put = json!({"Bucket": bucket, "Key": "old.html", "Body": page.0.join("index.html")});
    let puts = Value::Array(vec![put; VERSIONS]);
    ministack.aws("s3", "put_object", puts).await;
    let delete = json!({"Bucket": bucket, "Key": "old.html"});
    let deletes = Value::Array(vec![delete; VERSIONS]);
    ministack.aws("s3", "delete_object", deletes).await;
    let listed = ministack
        .aws("s3", "list_object_versions", json!({"Bucket": bucket}))
        .await;
    for kind in ["Versions", "DeleteMarkers"] {
        let count = listed[kind].as_array().map_or(0, Vec::len);
        assert!(count >= VERSIONS, "{count} {kind}");
    }
}

async fn nothing_is_left(ministack: &Ministack) {
    for (service, operation, list) in [
        ("cloudformation", "describe_stacks", "Stacks"),
        ("dynamodb", "list_tables", "TableNames"),
        ("lambda", "list_functions", "Functions"),
        ("apigatewayv2", "get_apis", "Items"),
        ("s3", "list_buckets", "Buckets"),
        ("iam", "list_roles", "Roles"),
        ("logs", "describe_log_groups", "logGroups"),
    ] {
        let left = ministack.aws(service, operation, json!({})).await;
        assert_eq!(left[list], json!([]), "{service} {operation}: {left}");
    }
    for (operation, list) in [
        ("list_distributions", "DistributionList"),
        ("list_origin_access_controls", "OriginAccessControlList"),
    ] {
        let left = ministack.aws("cloudfront", operation, json!({})).await;
        let items = left[list]["Items"].as_array().map_or(0, Vec::len);
        assert_eq!(items, 0, "{operation}: {left}");
    }
    let custom = json!({"Type": "custom"});
    let left = ministack.aws("cloudfront", "list_response_headers_policies", custom);
    let left = left.await;
    let items = &left["ResponseHeadersPolicyList"]["Items"];
    assert_eq!(items.as_array().map_or(0, Vec::len), 0, "{left}");
}

/// A copy of the page that a test may change.
struct Page(PathBuf);

impl Page {
    fn copied(name: &str) -> Self {
        let folder = chatctl::target().join(format!("tmp/page-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder below cargo's own");
        let original = chatctl::checkout().join("wwwroot");
        for entry in std::fs::read_dir(original).expect("the page") {
            let path = entry.expect("the page").path();
            let name = path.file_name().expect("a file");
            std::fs::copy(&path, folder.join(name)).expect("a file");
        }
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path of characters")
    }

    fn read(&self, file: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.0.join(file)).expect("a file of the page")
    }

    fn append(&self, file: &str, more: &str) {
        let mut content = self.read(file);
        content.extend_from_slice(more.as_bytes());
        std::fs::write(self.0.join(file), content).expect("a file of the page");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
