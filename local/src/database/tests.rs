//! The database over HTTP, as the functions' SDKs reach it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::faults::Faults;
use crate::observer::Observer;

/// Ample on a slow and busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

fn table(billing_mode: &str) -> Table {
    let mut request = json!({
        "TableName": "Table",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": billing_mode,
    });
    if billing_mode == "PROVISIONED" {
        request["ProvisionedThroughput"] = json!({"ReadCapacityUnits": 1, "WriteCapacityUnits": 1});
    }
    Table {
        name: "Table".to_owned(),
        request,
        ttl_attribute: None,
    }
}

fn database(billing_mode: &str, db_throttle: f64) -> Database {
    let faults = Faults {
        db_throttle,
        ..Faults::default()
    };
    let dice = Arc::new(Dice::new(faults, 7, &Observer::default()));
    Database::open(None, &[table(billing_mode)], &dice).unwrap()
}

/// One connection, kept, as SDKs keep theirs.
struct Client(TcpStream);

impl Client {
    async fn of(database: &Database) -> Self {
        let address = database.endpoint().strip_prefix("http://").unwrap();
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn call(&mut self, operation: &str, body: &Value) -> (u16, String, Value) {
        let exchange = self.exchange(operation, body.to_string());
        timeout(DEADLINE, exchange).await.expect("an answer")
    }

    async fn exchange(&mut self, operation: &str, body: String) -> (u16, String, Value) {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n\
             X-Amz-Target: DynamoDB_20120810.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // In one write: a second one would wait until the first is acknowledged, 40 ms later.
        let request = head + &body;
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        (status, head, serde_json::from_slice(&body).unwrap())
    }

    async fn put(&mut self, key: usize) -> (u16, String, Value) {
        let item = json!({"TableName": "Table", "Item": {"pk": {"S": key.to_string()}}});
        self.call("PutItem", &item).await
    }
}

async fn throttled(share: f64, puts: usize) -> Vec<bool> {
    let database = database("PAY_PER_REQUEST", share);
    let mut client = Client::of(&database).await;
    let mut throttled = Vec::new();
    for key in 0..puts {
        let (status, _, body) = client.put(key).await;
        throttled.push(status == 400);
        assert!(status == 200 || status == 400, "{status} {body}");
    }
    // What was refused has not been done, and what was not has.
    let (_, _, scanned) = loop {
        let answer = client.call("Scan", &json!({"TableName": "Table"})).await;
        if answer.0 == 200 {
            break answer;
        }
    };
    let mut kept: Vec<usize> = scanned["Items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["pk"]["S"].as_str().unwrap().parse().unwrap())
        .collect();
    kept.sort_unstable();
    let accepted = (0..puts).filter(|key| !throttled[*key]);
    assert_eq!(kept, accepted.collect::<Vec<_>>());
    throttled
}

#[tokio::test]
async fn requests_are_throttled_at_about_their_rate_and_the_same_ones_with_the_same_seed() {
    let first = throttled(0.2, 200).await;
    let struck = first.iter().filter(|struck| **struck).count();
    // Five standard deviations around 40.
    assert!((12..=68).contains(&struck), "{struck} of 200");
    assert_eq!(first, throttled(0.2, 200).await);
}

#[tokio::test]
async fn nothing_is_throttled_unless_asked_for() {
    assert!(!throttled(0.0, 20).await.contains(&true));
}

#[tokio::test]
async fn a_throttled_request_is_refused_in_the_words_of_the_tables_billing_mode() {
    for (billing_mode, kind) in [
        (
            "PAY_PER_REQUEST",
            "com.amazon.coral.availability#ThrottlingException",
        ),
        (
            "PROVISIONED",
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        ),
    ] {
        let database = database(billing_mode, 1.0);
        let (status, head, body) = Client::of(&database).await.put(1).await;
        assert_eq!(status, 400);
        assert!(
            head.contains("content-type: application/x-amz-json-1.0"),
            "{head}"
        );
        assert!(head.contains("x-amzn-requestid: "), "{head}");
        assert_eq!(body["__type"], kind);
        assert!(body["message"].is_string());
    }
}

#[tokio::test]
async fn the_database_ends_with_its_connections_open() {
    for share in [0.0, 0.5] {
        let database = database("PAY_PER_REQUEST", share);
        let mut client = Client::of(&database).await;
        client.put(1).await;
        let dropped = tokio::task::spawn_blocking(|| drop(database));
        timeout(DEADLINE, dropped).await.expect("no hang").unwrap();
        let end = timeout(DEADLINE, client.0.read_u8()).await;
        assert!(end.expect("an end").is_err());
    }
}

/// A request that is good, but for what its operation wants.
const LIST: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n\
    X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/\
    aws4_request, SignedHeaders=host;x-amz-date, Signature=0\r\nContent-Length: 2\r\n\r\n{}";

/// A connection of a database, without a network, so that the clock can be turned.
fn connected() -> tokio::io::DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let api = Arc::new(Api {
        tables: Dynoxide::memory().unwrap(),
        throttle: None,
    });
    tokio::spawn(api.converse(server));
    client
}

async fn list(client: &mut tokio::io::DuplexStream, request: &[u8]) {
    client.write_all(request).await.unwrap();
    let mut answer = [0; 4096];
    let read = client.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_cut_off_also_behind_a_good_request() {
    for good in [0, 1, 3] {
        let mut client = connected();
        for _ in 0..good {
            list(&mut client, LIST.as_bytes()).await;
        }
        client
            .write_all(b"POST / HTTP/1.1\r\nX-Slow: ")
            .await
            .unwrap();
        let since = tokio::time::Instant::now();
        loop {
            let read = timeout(Duration::from_secs(1), client.read_u8()).await;
            if let Ok(end) = read {
                end.unwrap_err();
                break;
            }
            client.write_all(b"x").await.unwrap();
            assert!(since.elapsed() < DEADLINE, "never cut off");
        }
        assert_eq!(since.elapsed().as_secs(), heads::HEAD_TIMEOUT.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_between_requests_and_over_heads_that_end_in_time() {
    let mut client = connected();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_mins(9)).await;
        let (first, rest) = LIST.as_bytes().split_at(20);
        client.write_all(first).await.unwrap();
        tokio::time::sleep(Duration::from_secs(9)).await;
        // A body has its own time.
        let (head, body) = rest.split_at(rest.len() - 1);
        client.write_all(head).await.unwrap();
        tokio::time::sleep(Duration::from_secs(9)).await;
        list(&mut client, body).await;
    }
}
