//! One contract, kept by both stores: the one on DynamoDB (embedded, over HTTP, through the SDK, with
//! pages of two items) and the one in memory that the tests of the rules rely on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynoxide::Database;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use super::{AwsConfig, DynamoStore, ManagementOutbox, OsRandomness, SystemClock};
use crate::chat::memory::{MemoryOutbox, MemoryStore};
use crate::chat::{Barred, Chat, Errand, Name, Pace, Room, RoomCode, Tempo};
use crate::config::{Authorities, Credentials, Helper, Settings};
use crate::ports::{
    Clock, Connection, ConnectionId, Delivery, Entry, Frame, Head, Identity, List, Member,
    MemberId, Message, Move, Outbox, Part, Store, Timestamp, Touched,
};
use crate::protocol::ServerFrame;

const TABLE: &str = "chat";

/// An embedded DynamoDB with the template's keys, and a store on it.
async fn dynamo() -> (Database, DynamoStore) {
    let (database, endpoint) = served().await;
    let settings = settings(&endpoint);
    let store = DynamoStore::new(&aws_config(&settings, &[]), &settings).with_pages_of(2);
    (database, store)
}

/// An embedded DynamoDB with the template's keys, and where it is.
async fn served() -> (Database, String) {
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
    (database, endpoint)
}

pub(super) fn settings(endpoint: &str) -> Settings {
    Settings {
        table_name: TABLE.to_owned(),
        region: "us-east-1".to_owned(),
        credentials: Credentials {
            access_key_id: "test".to_owned(),
            secret_access_key: "test".to_owned(),
            session_token: None,
        },
        dynamodb_endpoint: Some(endpoint.to_owned()),
        authorities: Authorities::Amazon,
    }
}

fn aws_config(settings: &Settings, endpoints: &[&str]) -> AwsConfig {
    super::aws_config(settings, endpoints).expect("no file is named")
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

/// A room that is kept, from which nobody was removed.
fn done() -> Touched {
    let barred = Barred::default();
    Touched::Done { barred }
}

async fn opened(store: &impl Store, connection: &str) -> Connection {
    store.open(&id(connection), LATER).await.expect("opened");
    read(store, connection).await.expect("just opened")
}

async fn read(store: &impl Store, connection: &str) -> Option<Connection> {
    store.connection(&id(connection), NOW).await.expect("read")
}

async fn enter(store: &impl Store, it: &Connection, room: &Room, as_name: Option<&str>) -> Entry {
    let member = format!("member {}", it.id);
    enter_as(store, it, room, as_name, &member, None).await
}

async fn enter_as(
    store: &impl Store,
    connection: &Connection,
    room: &Room,
    as_name: Option<&str>,
    member: &str,
    resumed: Option<&Member>,
) -> Entry {
    let (name, member) = (as_name.map(name), MemberId::new(member));
    let step = Move {
        connection,
        room,
        member: &member,
        name: name.as_ref(),
        resumed,
    };
    store.enter(step, NOW).await.expect("entered or not")
}

/// Everything that a connection has goes, as the rules do it.
async fn close(store: &impl Store, connection: &str) {
    let record = store
        .drop_connection(&id(connection))
        .await
        .expect("dropped");
    if let Some(it) = record {
        let dropped = store.drop_member(&it.room, &it.member, &it.id).await;
        assert!(dropped.expect("dropped"), "{connection}");
        if let Some(name) = &it.name {
            store
                .free_name(&it.room, name, &it.id)
                .await
                .expect("freed");
        }
    }
}

fn message(seq: u64, text: &str) -> Message {
    Message {
        seq,
        member: MemberId::new("m"),
        id: None,
        nonce: format!("nonce of {text}"),
        from: "ann".to_owned(),
        text: text.to_owned(),
        at: Timestamp::from_millis(NOW.millis() + seq),
        pace: Pace::recorded("abc:7 def:9"),
        expires: LATER,
    }
}

async fn head(store: &impl Store, room: &Room, now: Timestamp) -> Option<Head> {
    let view = store.view(room, now).await.expect("read");
    let head = store.head(room, now).await.expect("read");
    assert_eq!(view.head, head);
    head
}

async fn page(store: &impl Store, part: Part, limit: usize) -> Vec<u64> {
    let page = store.page(&room(1), part, limit).await.expect("read");
    page.iter().map(|it| it.seq).collect()
}

async fn member_ids(store: &impl Store, room: &Room, now: Timestamp) -> Vec<String> {
    let members = store.view(room, now).await.expect("members").members;
    let mut ids: Vec<_> = members
        .into_iter()
        .map(|member| member.connection.to_string())
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
        close(store, "a=").await;
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

async fn who_has_signed_in_stays_in_the_record_wherever_the_connection_goes(store: &impl Store) {
    let identity = Identity {
        subject: "sub#1".to_owned(),
        name: name("Ann"),
    };
    let signed = store.open_as(&id("a"), Some(&identity), LATER).await;
    signed.expect("opened");
    assert_eq!(opened(store, "b").await.identity, None);
    for (place, called) in [(room(1), Some("Ann-2")), (Room::Lobby, None)] {
        let ann = read(store, "a").await.expect("there");
        assert_eq!(ann.identity.as_ref(), Some(&identity));
        assert_eq!(enter(store, &ann, &place, called).await, Entry::Done);
    }
    let ann = store.drop_connection(&id("a")).await.expect("dropped");
    assert_eq!(ann.and_then(|it| it.identity), Some(identity));
}

async fn a_rooms_member_has_the_account_of_who_has_signed_in(store: &impl Store) {
    let identity = Identity {
        subject: "sub#1".to_owned(),
        name: name("Ann"),
    };
    let signed = store.open_as(&id("a"), Some(&identity), LATER).await;
    signed.expect("opened");
    opened(store, "b").await;
    for (connection, subject) in [("a", Some("sub#1")), ("b", None)] {
        let it = read(store, connection).await.expect("there");
        assert_eq!(
            enter(store, &it, &room(1), Some(connection)).await,
            Entry::Done
        );
        let member = MemberId::new(format!("member {connection}"));
        let member = store.member(&room(1), &member, NOW).await.expect("read");
        assert_eq!(member.expect("there").subject.as_deref(), subject);
        let view = store.view(&room(1), NOW).await.expect("read");
        let listed = view
            .members
            .iter()
            .find(|it| it.connection == id(connection));
        assert_eq!(listed.expect("there").subject.as_deref(), subject);
    }
}

async fn a_taken_name_tells_its_holder_and_changes_nothing(store: &impl Store) {
    let (ann, bob) = (opened(store, "a").await, opened(store, "b").await);
    enter(store, &ann, &room(1), Some("Ann")).await;
    let entry = enter(store, &bob, &room(1), Some("aNN")).await;
    let (holder, member) = (id("a"), MemberId::new("member a"));
    assert_eq!(entry, Entry::NameTaken { holder, member });
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
    close(store, "a").await;
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
    let to_the_second = Move {
        connection: &moved,
        room: &room(2),
        member: &moved.member,
        name: None,
        resumed: None,
    };
    let late = store.enter(to_the_second, LATER).await;
    assert_eq!(late.expect("an answer"), Entry::Stale);

    let much_later = LATER.after(Duration::from_mins(1));
    store.open(&id("b"), much_later).await.expect("opened");
    let bob = store
        .connection(&id("b"), LATER)
        .await
        .expect("read")
        .expect("open");
    let step = Move {
        connection: &bob,
        room: &room(1),
        member: &MemberId::new("member b"),
        name: Some(&name("ann")),
        resumed: None,
    };
    let entry = store.enter(step, LATER).await;
    assert_eq!(
        entry.expect("an answer"),
        Entry::Done,
        "an expired holder holds nothing"
    );
}

async fn what_another_connection_holds_is_not_removed(store: &impl Store) {
    let ann = opened(store, "a").await;
    enter(store, &ann, &room(1), Some("ann")).await;
    let member = MemberId::new("member a");
    let dropped = store.drop_member(&room(1), &member, &id("b")).await;
    assert!(!dropped.expect("an answer"));
    let freed = store.free_name(&room(1), &name("ann"), &id("b")).await;
    freed.expect("not freed and no error");
    assert_eq!(member_ids(store, &room(1), NOW).await, ["a"]);
    let names = store.name_keys(&room(1), "", NOW).await.expect("names");
    assert_eq!(names, ["ann"]);
}

async fn a_resumed_member_is_on_the_new_connection_and_the_old_one_is_closed(store: &impl Store) {
    let ann = opened(store, "old").await;
    enter_as(store, &ann, &room(1), Some("ann"), "m", None).await;
    let member = store.member(&room(1), &MemberId::new("m"), NOW).await;
    let resumed = member.expect("read").expect("there");
    assert_eq!(
        (&resumed.connection, resumed.has_joined()),
        (&id("old"), true)
    );

    let new = opened(store, "new").await;
    let without = enter_as(store, &new, &room(1), Some("ann"), "m", None).await;
    assert_eq!(
        without,
        Entry::Stale,
        "the member is there, and was not read"
    );
    let entry = enter_as(store, &new, &room(1), Some("Anna"), "m", Some(&resumed)).await;
    assert_eq!(entry, Entry::Done);
    assert_eq!(read(store, "old").await, None);
    assert_eq!(member_ids(store, &room(1), NOW).await, ["new"]);
    assert_eq!(member_ids(store, &Room::Lobby, NOW).await, [""; 0]);
    let names = store.name_keys(&room(1), "", NOW).await.expect("names");
    assert_eq!(names, ["anna"], "the former one is free");

    let third = opened(store, "third").await;
    let entry = enter_as(store, &third, &room(1), Some("ann"), "m", Some(&resumed)).await;
    assert_eq!(entry, Entry::Stale, "somebody else was faster");
    assert_eq!(member_ids(store, &room(1), NOW).await, ["new"]);
}

async fn a_member_takes_back_a_name_that_its_old_connection_left_behind(store: &impl Store) {
    let ann = opened(store, "old").await;
    enter_as(store, &ann, &room(1), Some("ann"), "m", None).await;
    store.drop_connection(&id("old")).await.expect("dropped");
    let member = MemberId::new("m");
    let dropped = store.drop_member(&room(1), &member, &id("old")).await;
    assert!(dropped.expect("dropped"), "and its name is still there");
    let (new, other) = (opened(store, "new").await, opened(store, "other").await);
    let taken = enter_as(store, &other, &room(1), Some("ann"), "other", None).await;
    assert!(matches!(taken, Entry::NameTaken { .. }), "{taken:?}");
    let entry = enter_as(store, &new, &room(1), Some("ann"), "m", None).await;
    assert_eq!(entry, Entry::Done);
    store
        .free_name(&room(1), &name("ann"), &id("old"))
        .await
        .expect("late");
    let names = store.name_keys(&room(1), "", NOW).await.expect("names");
    assert_eq!(
        names,
        ["ann"],
        "the removal that comes late does not take it"
    );
}

async fn a_code_is_made_once_kept_while_it_lives_and_made_again_after(store: &impl Store) {
    let (first, second) = (code(1), code(2));
    let place = Room::Coded(first.clone());
    let touch = |tail, expires, now| store.touch(&place, tail, expires, now);
    let creator = MemberId::new("m");
    let create = |code, expires, now| store.create_room(code, &creator, expires, now);
    let made = Head {
        creator: Some(creator.clone()),
        ..Head::default()
    };
    assert_eq!(
        touch(0, LATER, NOW).await.expect("an answer"),
        Touched::Absent
    );
    assert_eq!(head(store, &place, NOW).await, None);
    assert!(create(&first, LATER, NOW).await.expect("an answer"));
    assert!(!create(&first, LATER, NOW).await.expect("an answer"));
    assert!(create(&second, LATER, NOW).await.expect("an answer"));
    assert_eq!(head(store, &place, NOW).await, Some(made));
    let longer = LATER.after(Duration::from_secs(10));
    assert_eq!(touch(0, longer, NOW).await.expect("an answer"), done());
    assert!(!create(&first, longer, LATER).await.expect("an answer"));
    assert_eq!(
        touch(0, longer, longer).await.expect("an answer"),
        Touched::Absent
    );
    assert_eq!(head(store, &place, longer).await, None);
    let made = create(&first, longer.after(Duration::from_secs(1)), longer);
    assert!(made.await.expect("an answer"));
}

async fn a_rooms_tail_only_grows_and_its_rev_counts_one_by_one(store: &impl Store) {
    for place in [room(1), Room::Lobby] {
        if place != Room::Lobby {
            let creator = MemberId::new("m");
            let made = store.create_room(&code(1), &creator, LATER, NOW).await;
            assert!(made.expect("an answer"));
        }
        let touch = async |tail| {
            store
                .touch(&place, tail, LATER, NOW)
                .await
                .expect("an answer")
        };
        assert_eq!(touch(0).await, done(), "{place}");
        assert_eq!(touch(7).await, done());
        assert_eq!(touch(7).await, done());
        assert_eq!(touch(6).await, Touched::Ahead { tail: 7 });

        let announce = async |rev| {
            store
                .announce(&place, rev, "two", 2, NOW)
                .await
                .expect("an answer")
        };
        assert!(!announce(1).await);
        assert!(announce(0).await);
        assert!(!announce(0).await, "somebody was faster");
        assert!(announce(1).await);
        assert_eq!(touch(8).await, done());
        let expected = Head {
            rev: 2,
            tail: 8,
            roster: "two".to_owned(),
            present: 2,
            announced: NOW,
            creator: (place != Room::Lobby).then(|| MemberId::new("m")),
            barred: Barred::default(),
        };
        assert_eq!(head(store, &place, NOW).await, Some(expected), "{place}");
    }
    assert!(
        !store
            .announce(&room(2), 0, "", 0, NOW)
            .await
            .expect("an answer"),
        "no such room"
    );
}

async fn one_alone_takes_a_turn_and_the_last_list_that_is_kept_is_read(store: &impl Store) {
    let place = room(1);
    let creator = MemberId::new("m");
    let made = store.create_room(&code(1), &creator, LATER, NOW).await;
    assert!(made.expect("an answer"));
    assert!(
        store
            .announce(&place, 0, "", 60, NOW)
            .await
            .expect("an answer")
    );
    let soon = NOW.after(Duration::from_secs(1));
    let seen = head(store, &place, NOW).await.expect("the room");
    let take = async || {
        store
            .take_turn(&place, &seen, soon)
            .await
            .expect("an answer")
    };
    assert!(take().await);
    assert!(!take().await, "somebody was faster");
    let taken = Head {
        announced: soon,
        ..seen
    };
    assert_eq!(head(store, &place, NOW).await, Some(taken));

    assert_eq!(store.list(&place, NOW).await.expect("read"), None);
    for (rev, names) in [
        (7, vec!["ann", "Bob B", "łucja"]),
        (8, vec!["ann"]),
        (9, vec![]),
    ] {
        let list = List {
            rev,
            count: 300,
            names: names.into_iter().map(name).collect(),
        };
        let keeping = store.keep_list(&place, &list, LATER, NOW);
        keeping.await.expect("kept");
        assert_eq!(store.list(&place, NOW).await.expect("read"), Some(list));
    }
    for (rev, now, is_kept) in [(8, NOW, false), (9, NOW, false), (2, LATER, true)] {
        let late = List {
            rev,
            count: 60,
            names: Vec::new(),
        };
        let much_later = LATER.after(Duration::from_mins(1));
        let keeping = store.keep_list(&place, &late, much_later, now);
        keeping.await.expect("an answer");
        let kept = store.list(&place, now).await.expect("read");
        assert_eq!(kept == Some(late), is_kept, "{rev} {kept:?}");
    }
    let far = LATER.after(Duration::from_mins(1));
    assert_eq!(store.list(&place, far).await.expect("read"), None);
    assert_eq!(store.list(&room(2), NOW).await.expect("read"), None);
    let read = store.view(&place, NOW).await.expect("read");
    assert_eq!(read.members, [], "a list is no member");
}

async fn a_glance_reads_no_more_than_so_many_members_and_tells_whether_there_are_more(
    store: &impl Store,
) {
    let place = room(1);
    let creator = MemberId::new("m");
    let made = store.create_room(&code(1), &creator, LATER, NOW).await;
    assert!(made.expect("an answer"));
    for number in 0..4 {
        let it = opened(store, &format!("c{number}")).await;
        assert_eq!(
            enter(store, &it, &place, Some(&format!("n{number}"))).await,
            Entry::Done
        );
    }
    let few = store.glance(&place, 1, NOW).await.expect("read");
    assert!(few.head.is_some() && few.next.is_some(), "{few:?}");
    assert!(few.members.len() < 4, "{few:?}");
}

async fn who_was_removed_is_recorded_by_the_first_of_two_and_outlives_other_writes(
    store: &impl Store,
) {
    let place = room(1);
    let nobody = Barred::default();
    let one = nobody.with(&MemberId::new("one"), None);
    let two = one.with(&MemberId::new("two"), Some("a person"));
    let bar = async |was: &Barred, barred: &Barred| {
        let recorded = store.bar(&place, was, barred).await;
        recorded.expect("an answer")
    };
    assert!(!bar(&nobody, &one).await, "no such room");
    let creator = MemberId::new("m");
    let made = store.create_room(&code(1), &creator, LATER, NOW).await;
    assert!(made.expect("an answer"));
    assert!(!bar(&one, &two).await);
    assert!(bar(&nobody, &one).await);
    assert!(!bar(&nobody, &two).await, "somebody was faster");
    let touched = store.touch(&place, 3, LATER, NOW).await;
    let barred = one.clone();
    assert_eq!(touched.expect("an answer"), Touched::Done { barred });
    assert!(
        store
            .announce(&place, 0, "", 0, NOW)
            .await
            .expect("an answer")
    );
    assert!(bar(&one, &two).await);
    let kept = head(store, &place, NOW).await.expect("the room");
    assert_eq!((kept.creator, kept.barred), (Some(creator), two));
}

async fn no_more_are_counted_than_may_be(store: &impl Store) {
    let count = async |what: &str| store.count(what, 3, LATER).await.expect("an answer");
    for expected in [true, true, true, false, false] {
        assert_eq!(count("one thing").await, expected);
    }
    assert!(count("another").await);
}

async fn a_place_is_taken_once_and_messages_read_back_in_order(store: &impl Store) {
    assert_eq!(store.newest(&room(1)).await.expect("read"), 0);
    for seq in [1, 2, 3, 4, 5, 9, 10, 11] {
        let mut it = message(seq, &format!("text {seq}"));
        it.id = (seq == 3).then(|| "an id".to_owned());
        assert!(store.append(&room(1), &it).await.expect("an answer"));
        let read = store.page(&room(1), Part::After(seq - 1), 1).await;
        assert_eq!(read.expect("read"), [it]);
    }
    let taken = store.append(&room(1), &message(9, "another")).await;
    assert!(!taken.expect("an answer"));
    assert_eq!(store.newest(&room(1)).await.expect("read"), 11);
    assert_eq!(store.newest(&room(2)).await.expect("read"), 0);
    assert_eq!(
        page(store, Part::After(0), 100).await,
        [1, 2, 3, 4, 5, 9, 10, 11]
    );
    assert_eq!(
        page(store, Part::After(2), 3).await,
        [3, 4, 5],
        "over pages of two"
    );
    assert_eq!(page(store, Part::After(5), 1).await, [9]);
    assert_eq!(page(store, Part::After(11), 5).await, [0; 0]);
    assert_eq!(page(store, Part::After(u64::MAX), 5).await, [0; 0]);
    assert_eq!(page(store, Part::Before(u64::MAX), 3).await, [11, 10, 9]);
    assert_eq!(page(store, Part::Before(4), 100).await, [3, 2, 1]);
    assert_eq!(page(store, Part::Before(1), 5).await, [0; 0]);
    assert_eq!(page(store, Part::Before(0), 5).await, [0; 0]);
    let texts = store.page(&room(1), Part::After(8), 1).await.expect("read");
    assert_eq!(texts[0].text, "text 9", "the first one stays");
}

async fn a_claim_tells_of_the_first_one_of_the_same_member_and_id(store: &impl Store) {
    let it = |member: &str, sent: &str| Message {
        member: MemberId::new(member),
        id: Some(sent.to_owned()),
        ..message(1, "text")
    };
    let claim = async |place: &Room, it: Message, floor, now| {
        store
            .claim(place, &it, floor, now)
            .await
            .expect("an answer")
    };
    assert_eq!(claim(&room(1), it("m", "1"), 7, NOW).await, None);
    assert_eq!(claim(&room(1), it("m", "1"), 9, NOW).await, Some(7));
    assert_eq!(claim(&room(1), it("m", "1"), 9, NOW).await, Some(7));
    assert_eq!(claim(&room(1), it("m", "2"), 9, NOW).await, None);
    assert_eq!(claim(&room(1), it("n", "1"), 9, NOW).await, None);
    assert_eq!(claim(&room(2), it("m", "1"), 9, NOW).await, None);
    assert_eq!(
        claim(&room(1), it("m", "1"), 9, LATER).await,
        None,
        "past its time"
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
    who_has_signed_in_stays_in_the_record_wherever_the_connection_goes,
    a_taken_name_tells_its_holder_and_changes_nothing,
    entering_as_no_longer_read_is_stale_and_changes_nothing,
    entering_twice_with_the_same_values_is_done_twice,
    what_is_past_its_time_counts_as_absent_in_reads_and_conditions,
    what_another_connection_holds_is_not_removed,
    a_resumed_member_is_on_the_new_connection_and_the_old_one_is_closed,
    a_member_takes_back_a_name_that_its_old_connection_left_behind,
    a_code_is_made_once_kept_while_it_lives_and_made_again_after,
    a_rooms_tail_only_grows_and_its_rev_counts_one_by_one,
    one_alone_takes_a_turn_and_the_last_list_that_is_kept_is_read,
    a_glance_reads_no_more_than_so_many_members_and_tells_whether_there_are_more,
    a_place_is_taken_once_and_messages_read_back_in_order,
    a_claim_tells_of_the_first_one_of_the_same_member_and_id,
    members_and_names_are_listed_over_all_pages,
    who_was_removed_is_recorded_by_the_first_of_two_and_outlives_other_writes,
    no_more_are_counted_than_may_be,
    a_rooms_member_has_the_account_of_who_has_signed_in,
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
        close(&store, connection).await;
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
    // A machine that is busy makes the database slow, and to be told to try again for that is no harm.
    let patient = store.with_timeout(Duration::from_mins(2));
    let store = patient.with_pages_of(1_000);
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
            ServerFrame::Message { said, .. } => names.insert(said.from),
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
        let helper = Helper {
            function: "chat-action".to_owned(),
            endpoint: self.endpoint.clone(),
            share: 1,
        };
        let config = aws_config(&settings, &[&self.endpoint]);
        ManagementOutbox::new(&config, &self.endpoint, Some(&helper))
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
    let dropped = wire.store().drop_connection(&id("a")).await;
    dropped.expect("dropped in the end");
    assert_eq!(wire.calls(), 3);

    let wire = Wire::answering(&[(400, CONFLICT)]).await;
    let given_up = wire.store().drop_connection(&id("a")).await;
    given_up.expect_err("given up");
    assert_eq!(wire.calls(), 5);
}

#[tokio::test]
async fn a_move_that_meets_another_transaction_is_tried_again_and_in_the_end_contended() {
    let connection = Connection {
        id: id("a"),
        room: Room::Lobby,
        member: MemberId::new("a"),
        name: None,
        identity: None,
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
    wire.store().view(&room(1), NOW).await.expect("read");
    assert_eq!(wire.only_request()["ConsistentRead"], true);
    let wire = Wire::answering(&[(200, r#"{"Items":[],"Count":0}"#)]).await;
    wire.store().newest(&room(1)).await.expect("read");
    let request = wire.only_request();
    assert_eq!(
        (&request["ConsistentRead"], &request["Limit"]),
        (&json!(true), &json!(1))
    );
}

#[tokio::test]
async fn a_denied_call_is_an_error_at_once() {
    let wire = Wire::answering(&[(400, DENIED)]).await;
    let denied = wire.store().drop_connection(&id("a")).await;
    let error = denied.expect_err("denied");
    assert!(format!("{error:?}").contains("AccessDenied"), "{error:?}");
    assert_eq!(wire.calls(), 1);
}

fn frame() -> Frame {
    Frame::new("{}".to_owned())
}

#[tokio::test]
async fn a_post_is_made_once_and_says_whether_the_connection_is_gone() {
    let wire = Wire::answering(&[(429, THROTTLED), (500, "{}"), (200, "")]).await;
    for expected in ["throttled", "failed", "delivered"] {
        let delivery = match wire.outbox().post(&id("a="), &frame()).await {
            Delivery::Delivered => "delivered",
            Delivery::Gone => "gone",
            Delivery::Throttled(_) => "throttled",
            Delivery::Failed(_) => "failed",
        };
        assert_eq!(delivery, expected);
    }
    assert_eq!(wire.calls(), 3);

    let wire = Wire::answering(&[(410, r#"{"message":"Gone"}"#)]).await;
    assert!(matches!(
        wire.outbox().post(&id("a="), &frame()).await,
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
async fn an_errand_is_an_asynchronous_invocation_of_its_own() {
    let member = Member {
        id: MemberId::new("m"),
        connection: id("a="),
        name: Some(name("ann")),
        subject: None,
        expires: LATER,
    };
    let errand = Errand::new(&room(1), "{}".to_owned(), [&member]);
    let wire = Wire::answering(&[(202, ""), (500, "{}"), (429, THROTTLED)]).await;
    wire.outbox().hand_over(&errand).await.expect("taken");
    let event = wire.only_request();
    assert_eq!(
        event["errand"],
        serde_json::to_value(&errand).expect("JSON")
    );
    let fields: Vec<_> = event.as_object().expect("an event").keys().collect();
    assert_eq!(fields, ["errand"], "nothing that API Gateway sends");
    for _ in 0..2 {
        let refused = wire.outbox().hand_over(&errand).await;
        assert!(refused.is_err(), "and not tried again");
    }
    assert_eq!(wire.calls(), 3);
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

    let outbox = ManagementOutbox::new(&config, &endpoint, None);
    assert!(matches!(
        outbox.post(&id("a"), &frame()).await,
        Delivery::Failed(_)
    ));
    assert!(outbox.is_connected(&id("a")).await.is_err());
}

/// Stands before a database, asks for what each call consumes, and adds it up.
#[derive(Clone, Default)]
struct Meter(Arc<Mutex<Consumed>>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Consumed {
    calls: Vec<String>,
    reads: f64,
    writes: f64,
}

impl Meter {
    /// Gives the endpoint that measures the calls to `target`.
    async fn before(&self, target: String) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let meter = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepted");
                tokio::spawn(meter.clone().measure(stream, target.clone()));
            }
        });
        endpoint
    }

    /// One call, after which the connection ends.
    async fn measure(self, stream: tokio::net::TcpStream, target: String) {
        let mut stream = tokio::io::BufReader::new(stream);
        let (head, body) = read_http(&mut stream).await;
        let target_header = head
            .lines()
            .find(|line| line.contains("DynamoDB_20120810."));
        let operation = target_header.and_then(|line| line.trim().rsplit('.').next());
        let operation = operation.expect("an operation").to_owned();
        let mut request: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let body = request.to_string();
        let kept = head.lines().filter(|line| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("content-length:") && !line.starts_with("connection:")
        });
        let kept: Vec<&str> = kept.filter(|line| !line.is_empty()).collect();
        let length = body.len();
        let forwarded = format!(
            "{}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}",
            kept.join("\r\n")
        );
        let address = target.trim_start_matches("http://");
        let upstream = tokio::net::TcpStream::connect(address)
            .await
            .expect("there");
        let mut upstream = tokio::io::BufReader::new(upstream);
        let sent = upstream.get_mut().write_all(forwarded.as_bytes()).await;
        sent.expect("sent");
        let (head, body) = read_http(&mut upstream).await;
        self.count(operation, &serde_json::from_slice(&body).expect("JSON"));
        let status = head.lines().next().unwrap_or_default();
        let length = body.len();
        let head = format!("{status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        let answer = [head.as_bytes(), &body].concat();
        stream.get_mut().write_all(&answer).await.expect("answered");
    }

    fn count(&self, operation: String, answer: &serde_json::Value) {
        // A transaction tells it for each table.
        let tables = answer["ConsumedCapacity"].as_array();
        let mut each = tables.map_or_else(
            || vec![&answer["ConsumedCapacity"]],
            |it| it.iter().collect(),
        );
        let each = each.drain(..).map(|it| it["CapacityUnits"].as_f64());
        let units: Option<f64> = each.sum();
        let units = units.expect("the database tells what a call consumes");
        let mut consumed = self.0.lock().expect("no test panicked");
        if operation == "Query" || operation == "GetItem" {
            consumed.reads += units;
        } else {
            consumed.writes += units;
        }
        consumed.calls.push(operation);
        consumed.calls.sort();
    }

    fn take(&self) -> Consumed {
        std::mem::take(&mut self.0.lock().expect("no test panicked"))
    }
}

/// The head, with the empty line, and the body of an HTTP message.
async fn read_http(stream: &mut tokio::io::BufReader<tokio::net::TcpStream>) -> (String, Vec<u8>) {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        let bytes = stream.read_line(&mut head).await.expect("a line");
        let line = head[start..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if bytes <= 2 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a body");
    (head, body)
}

/// What a message costs beside its deliveries when its `room` is given and nobody else writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_costs_two_reads_and_two_writes_at_most() {
    let (_database, target) = served().await;
    let meter = Meter::default();
    let endpoint = meter.before(target).await;
    let settings = settings(&endpoint);
    let store = DynamoStore::new(&aws_config(&settings, &[]), &settings);
    let chat = Chat::new(
        store.clone(),
        MemoryOutbox::default(),
        SystemClock,
        OsRandomness,
        Duration::from_hours(24),
    )
    .with_tempo(Tempo::per_second(5));
    let ask = async |from: &str, frame: serde_json::Value| {
        let reply = chat.answer(&id(from), &frame.to_string()).await.to_json();
        serde_json::from_str::<serde_json::Value>(&reply).expect("JSON")
    };
    for connection in ["a", "b", "c"] {
        let opened = crate::chat::arrive(&store, &SystemClock, &id(connection), None).await;
        opened.expect("opened");
    }
    let room = ask("a", json!({"type": "create", "name": "ann"})).await["room"].clone();
    for (connection, name) in [("b", "bob"), ("c", "cem")] {
        let joined = ask(
            connection,
            json!({"type": "join", "room": room, "name": name}),
        )
        .await;
        assert_eq!(joined["type"], "joined", "{joined}");
    }
    let text = "x".repeat(500);
    let costs = |calls: &[&str], reads: f64, writes: f64| Consumed {
        calls: calls.iter().map(|it| (*it).to_owned()).collect(),
        reads,
        writes,
    };
    for number in 1..4 {
        meter.take();
        let it = json!({"type": "message", "room": room, "id": format!("{number}"), "text": text});
        assert_eq!(ask("a", it).await["seq"], 2 * number - 1);
        let expected = costs(&["PutItem", "PutItem", "Query", "Query"], 2.0, 2.0);
        assert_eq!(meter.take(), expected, "with an id");
        let it = json!({"type": "message", "room": room, "text": text});
        assert_eq!(ask("b", it).await["seq"], 2 * number);
        let expected = costs(&["PutItem", "Query", "Query"], 2.0, 1.0);
        assert_eq!(meter.take(), expected, "without");
    }
    let it = json!({"type": "message", "text": text});
    assert_eq!(ask("c", it).await["seq"], 7);
    let expected = costs(&["GetItem", "PutItem", "Query", "Query"], 3.0, 1.0);
    assert_eq!(meter.take(), expected, "without the room");
}

/// What a room costs from which as many were removed as it remembers, of people, whose digests are longest.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_list_of_removed_people_costs_three_reads_a_message_and_four_writes_a_coming() {
    let (_database, target) = served().await;
    let meter = Meter::default();
    let endpoint = meter.before(target).await;
    let settings = settings(&endpoint);
    let store = DynamoStore::new(&aws_config(&settings, &[]), &settings);
    let history = Duration::from_hours(24);
    let outbox = MemoryOutbox::default();
    let chat = Chat::new(store.clone(), outbox, SystemClock, OsRandomness, history);
    let ask = async |from: &str, frame: serde_json::Value| {
        let reply = chat.answer(&id(from), &frame.to_string()).await.to_json();
        serde_json::from_str::<serde_json::Value>(&reply).expect("JSON")
    };
    let mut code = serde_json::Value::Null;
    for connection in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        let arrived = crate::chat::arrive(&store, &SystemClock, &id(connection), None).await;
        arrived.expect("recorded");
        if code.is_null() {
            code = ask(connection, json!({"type": "create", "name": "a"})).await["room"].clone();
        } else {
            let join = json!({"type": "join", "room": code, "name": connection});
            assert_eq!(ask(connection, join).await["type"], "joined");
        }
    }
    let room = Room::parse(code.as_str().expect("a code")).expect("a room");
    let say = json!({"type": "message", "room": code, "text": "x".repeat(500)});
    let of_a_message = async |seq: u64| {
        meter.take();
        assert_eq!(ask("a", say.clone()).await["seq"], seq);
        let spent = meter.take();
        (spent.reads, spent.writes)
    };
    assert_eq!(of_a_message(1).await, (2.0, 1.0), "before");
    let mut barred = Barred::default();
    for number in 0..200 {
        barred = barred.with(&MemberId::new("m"), Some(&format!("person {number}")));
    }
    let done = store.bar(&room, &Barred::default(), &barred).await;
    assert!(done.expect("recorded"));

    assert_eq!(of_a_message(2).await, (3.0, 1.0), "with it");
    meter.take();
    let now = SystemClock.now();
    let kept = store.touch(&room, 2, now.after(3 * history), now).await;
    assert!(matches!(kept, Ok(Touched::Done { .. })), "{kept:?}");
    let expected = Consumed {
        calls: vec!["UpdateItem".to_owned()],
        reads: 0.0,
        writes: 4.0,
    };
    assert_eq!(meter.take(), expected);
}
