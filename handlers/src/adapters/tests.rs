//! One contract, kept by both stores: the one on DynamoDB (embedded, over HTTP, through the SDK, with
//! pages of two items) and the one in memory that the tests of the rules rely on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynoxide::Database;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use super::{DynamoStore, ManagementOutbox, OsRandomness, SystemClock, aws_config};
use crate::chat::memory::{MemoryOutbox, MemoryStore};
use crate::chat::{Chat, Name, Room, RoomCode};
use crate::config::{Credentials, Function, Settings};
use crate::ports::{
    Clock, Connection, ConnectionId, Delivery, Entry, Outbox, Seen, Store, Timestamp,
};
use crate::protocol::ServerFrame;

const TABLE: &str = "chat";

/// An embedded DynamoDB with the template's keys, and a store on it.
async fn dynamo() -> (Database, DynamoStore) {
    let database = Database::memory().expect("a database");
    let create = json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    });
    database
        .create_table(serde_json::from_value(create).expect("a request"))
        .expect("a table");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let served =
        dynoxide::server::serve_with_shutdown(listener, database.clone(), std::future::pending());
    tokio::spawn(served);
    let settings = settings(&endpoint);
    let store = DynamoStore::new(&aws_config(&settings, &[]), &settings).with_pages_of(2);
    (database, store)
}

fn settings(endpoint: &str) -> Settings {
    Settings {
        function: Function::Action,
        table_name: TABLE.to_owned(),
        region: "us-east-1".to_owned(),
        credentials: Credentials {
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
        },
        dynamodb_endpoint: Some(endpoint.to_owned()),
    }
}

fn items(database: &Database) -> usize {
    let scan = json!({"TableName": TABLE, "Select": "COUNT"});
    database
        .scan(serde_json::from_value(scan).expect("a request"))
        .expect("a scan")
        .count
}

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);
const LATER: Timestamp = Timestamp::from_seconds(1_700_000_100);

fn id(id: &str) -> ConnectionId {
    ConnectionId::new(id)
}

fn name(shown: &str) -> Name {
    Name::parse(shown).expect(shown)
}

fn room(seed: u8) -> Room {
    Room::Coded(code(seed))
}

fn code(seed: u8) -> RoomCode {
    RoomCode::from_random([seed; RoomCode::RANDOM_BYTES])
}

async fn opened(store: &impl Store, connection: &str) -> Connection {
    store.open(&id(connection), LATER).await.expect("opened");
    read(store, connection).await.expect("just opened")
}

async fn read(store: &impl Store, connection: &str) -> Option<Connection> {
    store.connection(&id(connection), NOW).await.expect("read")
}

async fn enter(store: &impl Store, it: &Connection, room: &Room, as_name: Option<&str>) -> Entry {
    let as_name = as_name.map(name);
    store
        .enter(it, room, as_name.as_ref(), NOW)
        .await
        .expect("entered or not")
}

async fn member_ids(store: &impl Store, room: &Room, now: Timestamp) -> Vec<String> {
    let members = store.members(room, now).await.expect("members");
    let mut ids: Vec<_> = members
        .into_iter()
        .map(|member| member.id.to_string())
        .collect();
    ids.sort();
    ids
}

async fn opening_puts_a_connection_into_the_lobby_and_closing_takes_it_out(store: &impl Store) {
    let ann = opened(store, "a=").await;
    assert_eq!(
        (ann.room, ann.name, ann.expires),
        (Room::Lobby, None, LATER)
    );
    assert_eq!(member_ids(store, &Room::Lobby, NOW).await, ["a="]);
    for _ in 0..2 {
        store
            .close(&id("a="), None)
            .await
            .expect("closed, also twice");
        assert_eq!(read(store, "a=").await, None);
        assert_eq!(member_ids(store, &Room::Lobby, NOW).await, [""; 0]);
    }
}

async fn entering_moves_member_and_name_and_frees_the_former_ones(store: &impl Store) {
    let ann = opened(store, "a").await;
    assert_eq!(enter(store, &ann, &room(1), Some("Ann")).await, Entry::Done);
    let ann = read(store, "a").await.expect("there");
    assert_eq!(
        (&ann.room, ann.name.as_ref().map(Name::shown)),
        (&room(1), Some("Ann"))
    );
    assert_eq!(member_ids(store, &Room::Lobby, NOW).await, [""; 0]);
    assert_eq!(
        store.name_keys(&room(1), "", NOW).await.expect("names"),
        ["ann"]
    );

    assert_eq!(
        enter(store, &ann, &room(1), Some("ANN")).await,
        Entry::Done,
        "same key"
    );
    let ann = read(store, "a").await.expect("there");
    assert_eq!(
        enter(store, &ann, &room(1), Some("anna")).await,
        Entry::Done,
        "renamed"
    );
    assert_eq!(
        store.name_keys(&room(1), "", NOW).await.expect("names"),
        ["anna"]
    );

    let ann = read(store, "a").await.expect("there");
    assert_eq!(enter(store, &ann, &Room::Lobby, None).await, Entry::Done);
    assert_eq!(member_ids(store, &room(1), NOW).await, [""; 0]);
    assert_eq!(
        store.name_keys(&room(1), "", NOW).await.expect("names"),
        [""; 0]
    );
    assert_eq!(read(store, "a").await.expect("there").name, None);
}

async fn a_taken_name_tells_its_holder_and_changes_nothing(store: &impl Store) {
    let (ann, bob) = (opened(store, "a").await, opened(store, "b").await);
    enter(store, &ann, &room(1), Some("Ann")).await;
    let entry = enter(store, &bob, &room(1), Some("aNN")).await;
    assert_eq!(entry, Entry::NameTaken { holder: id("a") });
    assert_eq!(read(store, "b").await, Some(bob));
    assert_eq!(member_ids(store, &room(1), NOW).await, ["a"]);
}

async fn entering_as_no_longer_read_is_stale_and_changes_nothing(store: &impl Store) {
    let ann = opened(store, "a").await;
    enter(store, &ann, &room(1), Some("ann")).await;
    assert_eq!(
        enter(store, &ann, &room(2), Some("ann")).await,
        Entry::Stale,
        "moved meanwhile"
    );
    let moved = read(store, "a").await.expect("there");
    let unnamed = Connection {
        name: None,
        ..moved.clone()
    };
    assert_eq!(
        enter(store, &unnamed, &room(2), None).await,
        Entry::Stale,
        "named meanwhile"
    );
    enter(store, &moved, &room(2), Some("ann")).await;
    assert_eq!(
        enter(store, &moved, &Room::Lobby, Some("ann")).await,
        Entry::Stale,
        "moved meanwhile under the same name"
    );
    let moved = read(store, "a").await.expect("there");
    store.close(&id("a"), None).await.expect("closed");
    assert_eq!(
        enter(store, &moved, &room(2), Some("ann")).await,
        Entry::Stale,
        "closed meanwhile"
    );
    for place in [Room::Lobby, room(1), room(2)] {
        assert_eq!(member_ids(store, &place, NOW).await, [""; 0], "{place}");
        assert_eq!(
            store.name_keys(&place, "", NOW).await.expect("names"),
            [""; 0],
            "{place}"
        );
    }
}

async fn entering_twice_with_the_same_values_is_done_twice(store: &impl Store) {
    let ann = opened(store, "a").await;
    enter(store, &ann, &room(1), Some("ann")).await;
    let ann = read(store, "a").await.expect("there");
    assert_eq!(enter(store, &ann, &room(1), Some("ann")).await, Entry::Done);
    assert_eq!(member_ids(store, &room(1), NOW).await, ["a"]);
}

async fn what_is_past_its_time_counts_as_absent_in_reads_and_conditions(store: &impl Store) {
    let ann = opened(store, "a").await;
    enter(store, &ann, &room(1), Some("ann")).await;
    let moved = read(store, "a").await.expect("there");
    assert!(
        store
            .connection(&id("a"), LATER)
            .await
            .expect("read")
            .is_none()
    );
    assert_eq!(member_ids(store, &room(1), LATER).await, [""; 0]);
    assert_eq!(
        store.name_keys(&room(1), "", LATER).await.expect("names"),
        [""; 0]
    );
    assert_eq!(
        store
            .enter(&moved, &room(2), None, LATER)
            .await
            .expect("an answer"),
        Entry::Stale
    );

    let much_later = LATER.after(Duration::from_mins(1));
    store.open(&id("b"), much_later).await.expect("opened");
    let bob = store
        .connection(&id("b"), LATER)
        .await
        .expect("read")
        .expect("open");
    let entry = store.enter(&bob, &room(1), Some(&name("ann")), LATER).await;
    assert_eq!(
        entry.expect("an answer"),
        Entry::Done,
        "an expired holder holds nothing"
    );
}

async fn closing_removes_what_was_seen_even_without_the_connections_own_record(store: &impl Store) {
    let ann = opened(store, "a").await;
    enter(store, &ann, &room(1), Some("ann")).await;
    let bob = opened(store, "b").await;
    enter(store, &bob, &room(1), Some("bob")).await;
    let (first, bobs) = (room(1), name("bob"));
    let seen = Seen {
        room: &first,
        name: Some(&bobs),
    };
    store.close(&id("a"), Some(seen)).await.expect("closed");
    assert_eq!(member_ids(store, &room(1), NOW).await, ["b"]);
    let names = store.name_keys(&room(1), "", NOW).await.expect("names");
    assert_eq!(names, ["bob"], "a name that somebody else holds stays");
}

async fn a_code_is_made_once_extended_while_it_lives_and_made_again_after(store: &impl Store) {
    let (first, second) = (code(1), code(2));
    assert!(
        !store
            .extend_room(&first, LATER, NOW)
            .await
            .expect("an answer")
    );
    assert!(
        store
            .create_room(&first, LATER, NOW)
            .await
            .expect("an answer")
    );
    assert!(
        !store
            .create_room(&first, LATER, NOW)
            .await
            .expect("an answer")
    );
    assert!(
        store
            .create_room(&second, LATER, NOW)
            .await
            .expect("an answer")
    );
    let longer = LATER.after(Duration::from_secs(10));
    assert!(
        store
            .extend_room(&first, longer, NOW)
            .await
            .expect("an answer")
    );
    assert!(
        !store
            .create_room(&first, longer, LATER)
            .await
            .expect("an answer")
    );
    assert!(
        !store
            .extend_room(&first, longer, longer)
            .await
            .expect("an answer")
    );
    assert!(
        store
            .create_room(&first, longer.after(Duration::from_secs(1)), longer)
            .await
            .expect("an answer")
    );
}

async fn members_and_names_are_listed_over_all_pages(store: &impl Store) {
    for number in 0..7 {
        let it = opened(store, &format!("c{number}")).await;
        enter(store, &it, &room(1), Some(&format!("ann-{number}"))).await;
    }
    assert_eq!(member_ids(store, &room(1), NOW).await.len(), 7);
    assert_eq!(
        store
            .name_keys(&room(1), "ann-", NOW)
            .await
            .expect("names")
            .len(),
        7
    );
    assert_eq!(
        store
            .name_keys(&room(1), "ann-6", NOW)
            .await
            .expect("names"),
        ["ann-6"]
    );
    assert_eq!(
        store.name_keys(&room(1), "bob-", NOW).await.expect("names"),
        [""; 0]
    );
}

macro_rules! contract {
    ($($behaviour:ident),* $(,)?) => {
        mod on_dynamodb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn $behaviour() {
                super::$behaviour(&super::dynamo().await.1).await;
            })*
        }
        mod in_memory {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(&super::MemoryStore::default()).await;
            })*
        }
    };
}

contract! {
    opening_puts_a_connection_into_the_lobby_and_closing_takes_it_out,
    entering_moves_member_and_name_and_frees_the_former_ones,
    a_taken_name_tells_its_holder_and_changes_nothing,
    entering_as_no_longer_read_is_stale_and_changes_nothing,
    entering_twice_with_the_same_values_is_done_twice,
    what_is_past_its_time_counts_as_absent_in_reads_and_conditions,
    closing_removes_what_was_seen_even_without_the_connections_own_record,
    a_code_is_made_once_extended_while_it_lives_and_made_again_after,
    members_and_names_are_listed_over_all_pages,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn closed_connections_leave_no_item_in_the_table() {
    let (database, store) = dynamo().await;
    for connection in ["a", "b", "c"] {
        let it = opened(&store, connection).await;
        enter(&store, &it, &room(1), Some(connection)).await;
    }
    assert_eq!(items(&database), 9);
    for connection in ["a", "b", "c"] {
        store.close(&id(connection), None).await.expect("closed");
    }
    assert_eq!(items(&database), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn of_many_who_want_one_name_at_once_exactly_one_gets_it() {
    let (_database, store) = dynamo().await;
    let mut connections = Vec::new();
    for number in 0..20 {
        connections.push(opened(&store, &format!("c{number}")).await);
    }
    let store = &store;
    let attempts = connections
        .iter()
        .map(|it| enter(store, it, &Room::Lobby, Some("ann")));
    let entries = futures_util::future::join_all(attempts).await;
    assert_eq!(
        entries
            .iter()
            .filter(|entry| **entry == Entry::Done)
            .count(),
        1
    );
    let taken = |entry: &&Entry| matches!(entry, Entry::NameTaken { .. });
    assert_eq!(entries.iter().filter(taken).count(), 19);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn fifty_of_one_name_who_speak_in_the_lobby_at_once_are_all_heard() {
    let (_database, store) = dynamo().await;
    let ids: Vec<_> = (0..50).map(|number| id(&format!("c{number}"))).collect();
    let now = SystemClock.now();
    for id in &ids {
        store
            .open(id, now.after(Duration::from_mins(10)))
            .await
            .expect("opened");
    }
    let outbox = MemoryOutbox::default();
    let chat = Chat::new(
        store,
        outbox,
        SystemClock,
        OsRandomness,
        Duration::from_hours(1),
    );
    let chat = &chat;
    let hi = r#"{"type":"message","from":"ann","text":"hi"}"#;
    let answers = ids.iter().map(|id| chat.answer(id, hi));
    let mut names = BTreeSet::new();
    for answer in futures_util::future::join_all(answers).await {
        match answer {
            ServerFrame::Message { from, .. } => names.insert(from),
            other => panic!("muted: {other:?}"),
        };
    }
    assert_eq!(names.len(), 50, "nobody speaks as another: {names:?}");
}

/// An endpoint that gives prepared answers in turn, the last one again and again, and keeps what it was
/// asked: what real DynamoDB and API Gateway answer, and no emulator does on demand.
struct Wire {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    async fn answering(answers: &'static [(u16, &'static str)]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::default());
        tokio::spawn(Self::serve(listener, answers, Arc::clone(&requests)));
        Self { endpoint, requests }
    }

    async fn serve(
        listener: tokio::net::TcpListener,
        answers: &'static [(u16, &'static str)],
        requests: Arc<Mutex<Vec<String>>>,
    ) {
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            let mut stream = tokio::io::BufReader::new(stream);
            let (mut length, mut line) = (0, String::new());
            while stream
                .read_line(&mut line)
                .await
                .is_ok_and(|bytes| bytes > 2)
            {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.expect("a body");
            let (status, answer) = {
                let mut requests = requests.lock().expect("no test panicked");
                requests.push(String::from_utf8_lossy(&body).into_owned());
                answers[(requests.len() - 1).min(answers.len() - 1)]
            };
            let length = answer.len();
            let response = format!(
                "HTTP/1.1 {status} -\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
            );
            stream
                .get_mut()
                .write_all(response.as_bytes())
                .await
                .expect("answered");
        }
    }

    fn store(&self) -> DynamoStore {
        let settings = settings(&self.endpoint);
        DynamoStore::new(&aws_config(&settings, &[]), &settings)
    }

    fn outbox(&self) -> ManagementOutbox {
        let settings = settings(&self.endpoint);
        ManagementOutbox::new(&aws_config(&settings, &[&self.endpoint]), &self.endpoint)
    }

    fn calls(&self) -> usize {
        self.requests.lock().expect("no test panicked").len()
    }

    /// What the one request asked for.
    fn only_request(&self) -> serde_json::Value {
        let requests = self.requests.lock().expect("no test panicked");
        assert_eq!(requests.len(), 1);
        serde_json::from_str(&requests[0]).expect("JSON")
    }
}

const CONFLICT: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"Transaction is ongoing for the item"}"#;
const CANCELLED: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled","CancellationReasons":[{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"},{"Code":"None"}]}"#;
const THROTTLED: &str = r#"{"message":"Too Many Requests","__type":"LimitExceededException"}"#;
const DENIED: &str = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User: x is not authorized to perform: dynamodb:DeleteItem"}"#;

#[tokio::test]
async fn a_delete_that_meets_a_transaction_is_tried_again_and_not_for_ever() {
    let wire = Wire::answering(&[(400, CONFLICT), (400, CONFLICT), (200, "{}")]).await;
    wire.store()
        .close(&id("a"), None)
        .await
        .expect("closed in the end");
    assert_eq!(wire.calls(), 3);

    let wire = Wire::answering(&[(400, CONFLICT)]).await;
    wire.store()
        .close(&id("a"), None)
        .await
        .expect_err("given up");
    assert_eq!(wire.calls(), 5);
}

#[tokio::test]
async fn a_move_that_meets_another_transaction_is_tried_again_and_in_the_end_contended() {
    let connection = Connection {
        id: id("a"),
        room: Room::Lobby,
        name: None,
        expires: LATER,
    };
    let wire = Wire::answering(&[(400, CANCELLED), (200, "{}")]).await;
    assert_eq!(
        enter(&wire.store(), &connection, &room(1), Some("ann")).await,
        Entry::Done
    );
    assert_eq!(wire.calls(), 2);

    let wire = Wire::answering(&[(400, CANCELLED)]).await;
    assert_eq!(
        enter(&wire.store(), &connection, &room(1), Some("ann")).await,
        Entry::Contended
    );
}

/// An emulator on one machine has no other kind of read.
#[tokio::test]
async fn reads_ask_for_the_last_write() {
    let wire = Wire::answering(&[(200, "{}")]).await;
    wire.store().connection(&id("a"), NOW).await.expect("read");
    assert_eq!(wire.only_request()["ConsistentRead"], true);
    let wire = Wire::answering(&[(200, r#"{"Items":[],"Count":0}"#)]).await;
    wire.store().members(&room(1), NOW).await.expect("read");
    assert_eq!(wire.only_request()["ConsistentRead"], true);
}

#[tokio::test]
async fn a_denied_call_is_an_error_at_once() {
    let wire = Wire::answering(&[(400, DENIED)]).await;
    let error = wire
        .store()
        .close(&id("a"), None)
        .await
        .expect_err("denied");
    assert!(format!("{error:?}").contains("AccessDenied"), "{error:?}");
    assert_eq!(wire.calls(), 1);
}

#[tokio::test]
async fn a_throttled_post_is_tried_again_and_one_for_a_gone_connection_is_not() {
    let wire = Wire::answering(&[(429, THROTTLED), (200, "")]).await;
    assert!(matches!(
        wire.outbox().post(&id("a="), "{}").await,
        Delivery::Delivered
    ));
    assert_eq!(wire.calls(), 2);

    let wire = Wire::answering(&[(410, r#"{"message":"Gone"}"#)]).await;
    assert!(matches!(
        wire.outbox().post(&id("a="), "{}").await,
        Delivery::Gone
    ));
    assert!(
        !wire
            .outbox()
            .is_connected(&id("a="))
            .await
            .expect("an answer")
    );
    assert_eq!(wire.calls(), 2);
}

#[tokio::test]
async fn an_unreachable_table_is_an_error_and_not_an_absence() {
    // A port that nothing listens on: bound once, then free again.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let settings = settings(&endpoint);
    let config = aws_config(&settings, &[&endpoint]);
    let store = DynamoStore::new(&config, &settings);
    let error = store
        .connection(&id("a"), SystemClock.now())
        .await
        .expect_err("unreachable");
    assert_eq!(error.to_string(), "could not read a connection");
    assert!(std::error::Error::source(&error).is_some());

    let outbox = ManagementOutbox::new(&config, &endpoint);
    assert!(matches!(
        outbox.post(&id("a"), "{}").await,
        Delivery::Failed(_)
    ));
    assert!(outbox.is_connected(&id("a")).await.is_err());
}
