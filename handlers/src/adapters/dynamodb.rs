//! The store on one DynamoDB table.
//!
//! # Items
//!
//! | `pk` | `sk` | what | attributes |
//! | --- | --- | --- | --- |
//! | `CONNECTION#<id>` | `CONNECTION` | an open connection | `room`, `name`, `name_key` |
//! | `ROOM#<room>` | `ROOM` | a created room | |
//! | `ROOM#<room>` | `MEMBER#<id>` | a connection in the room | `name` |
//! | `ROOM#<room>` | `NAME#<name key>` | a name held in the room | `holder` |
//!
//! All have `expires`, the table's TTL attribute, in seconds since 1970-01-01 UTC. DynamoDB removes
//! such items within days (its Developer Guide, “Using time to live”), so every read and condition
//! here compares it with now.
//!
//! A connection moves in one transaction over its own items alone: joins of different connections
//! never touch the same item, so they never conflict. Deleting the connection's item first, and
//! requiring it in every transaction, makes a closed connection stay closed.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Put, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::{AwsConfig, OPERATION_TIMEOUT, timeouts};
use crate::chat::{Name, Room, RoomCode};
use crate::config::Settings;
use crate::ports::{Connection, ConnectionId, Entry, Member, PortError, Seen, Store, Timestamp};

const CONNECTION: &str = "CONNECTION";
const ROOM: &str = "ROOM";
const MEMBER_PREFIX: &str = "MEMBER#";
const NAME_PREFIX: &str = "NAME#";

/// No item, or one past its time.
const ABSENT: &str = "attribute_not_exists(pk) OR expires <= :now";
/// An item within its time.
const PRESENT: &str = "attribute_exists(pk) AND expires > :now";

/// Tries of a write that a transaction got in the way of.
const CONFLICT_TRIES: u32 = 5;
/// Half of the longest wait after the first such conflict; it doubles.
const CONFLICT_WAIT: Duration = Duration::from_millis(10);

/// Connections, rooms and names in a DynamoDB table.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
    page_items_max: Option<i32>,
}

impl DynamoStore {
    /// The store on the settings' table.
    #[must_use]
    pub fn new(config: &AwsConfig, settings: &Settings) -> Self {
        let mut builder = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(config.region.clone())
            .credentials_provider(config.credentials.clone())
            .http_client(config.http_client.clone())
            .timeout_config(timeouts(OPERATION_TIMEOUT));
        builder.set_endpoint_url(settings.dynamodb_endpoint.clone());
        Self {
            client: Client::from_conf(builder.build()),
            table: settings.table_name.clone(),
            page_items_max: None,
        }
    }

    /// Makes pages of at most `items`, for tests of paging; by default a page is 1 MB, DynamoDB's
    /// own limit.
    #[must_use]
    pub fn with_pages_of(mut self, items: i32) -> Self {
        self.page_items_max = Some(items);
        self
    }

    async fn put(&self, item: Item) -> Result<(), PortError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.0));
        put.send()
            .await
            .map_err(|error| PortError::new("record a connection", error))?;
        Ok(())
    }

    /// Deletes an item, if `holder` is given only one that it holds; `None` when there is none such.
    async fn delete(
        &self,
        key: Key,
        holder: Option<&ConnectionId>,
    ) -> Result<Option<Item>, PortError> {
        let mut delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.into_map()))
            .return_values(ReturnValue::AllOld);
        if let Some(holder) = holder {
            delete = delete
                .condition_expression("holder = :holder")
                .expression_attribute_values(":holder", text(holder.as_str()));
        }
        let mut conflicts = Conflicts::default();
        loop {
            let error = match delete.clone().send().await {
                Ok(output) => return Ok(output.attributes.map(Item)),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => return Ok(None),
                // A transaction of the same connection is under way; the SDK does not try again.
                Some(DeleteItemError::TransactionConflictException(_))
                    if conflicts.wait().await => {}
                _ => return Err(PortError::new("remove a connection", error)),
            }
        }
    }

    /// Removes a membership and, if it is still the member's, the name.
    async fn delete_member(&self, id: &ConnectionId, seen: Seen<'_>) -> Result<(), PortError> {
        self.delete(Key::member(seen.room, id), None).await?;
        if let Some(name) = seen.name {
            self.delete(Key::name(seen.room, name.key()), Some(id))
                .await?;
        }
        Ok(())
    }

    /// All items of a room whose sort key starts with `prefix`, past their time or not.
    async fn query(&self, room: &Room, prefix: &str) -> Result<Vec<Item>, PortError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(room_pk(room)))
            .expression_attribute_values(":prefix", text(prefix))
            .set_limit(self.page_items_max)
            .into_paginator()
            .send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| PortError::new("list a room", error))?;
            items.extend(page.items.unwrap_or_default().into_iter().map(Item));
        }
        Ok(items)
    }

    async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<Transaction, PortError> {
        let transaction = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items));
        let mut conflicts = Conflicts::default();
        loop {
            let Err(error) = transaction.clone().send().await else {
                return Ok(Transaction::Done);
            };
            let reasons = cancellation_reasons(&error);
            if reasons.iter().any(is_conflict) {
                if !conflicts.wait().await {
                    return Ok(Transaction::Conflicted);
                }
            } else if reasons.iter().any(is_condition) {
                return Ok(Transaction::Refused(reasons.to_vec()));
            } else {
                return Err(PortError::new("move a connection", error));
            }
        }
    }
}

/// Waits between the tries of a write that others get in the way of.
#[derive(Default)]
struct Conflicts(u32);

impl Conflicts {
    /// Waits a little longer each time; `false` when it has been enough.
    async fn wait(&mut self) -> bool {
        self.0 += 1;
        if self.0 == CONFLICT_TRIES {
            return false;
        }
        // Somewhere between nothing and all of it, so that two that collided do not do so again.
        let fraction =
            getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
        tokio::time::sleep((CONFLICT_WAIT * 2_u32.pow(self.0)).mul_f64(fraction)).await;
        true
    }
}

fn cancellation_reasons(error: &SdkError<TransactWriteItemsError>) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => &[],
    }
}

enum Transaction {
    Done,
    /// Others wrote the same items all the time.
    Conflicted,
    /// One reason an item, in the items' order.
    Refused(Vec<CancellationReason>),
}

impl Store for DynamoStore {
    async fn open(&self, id: &ConnectionId, expires: Timestamp) -> Result<(), PortError> {
        let connection =
            Item::new(Key::connection(id), expires).with(ROOM_ATTRIBUTE, &Room::Lobby.to_string());
        let member = Item::new(Key::member(&Room::Lobby, id), expires);
        // Should only one of the two be written, the handshake is refused: the next message to the
        // lobby finds such a member gone, and nothing ever asks for such a connection.
        futures_util::future::try_join(self.put(connection), self.put(member)).await?;
        Ok(())
    }

    async fn connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> Result<Option<Connection>, PortError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(Key::connection(id).into_map()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| PortError::new("read a connection", error))?;
        let item = output.item.map(Item).filter(|item| item.expires() > now);
        Ok(item.and_then(|item| item.connection(id)))
    }

    async fn close(&self, id: &ConnectionId, seen: Option<Seen<'_>>) -> Result<(), PortError> {
        let item = self.delete(Key::connection(id), None).await?;
        let recorded = item.and_then(|item| item.connection(id));
        let recorded = recorded.as_ref().map(|it| Seen {
            room: &it.room,
            name: it.name.as_ref(),
        });
        if let Some(recorded) = recorded {
            self.delete_member(id, recorded).await?;
        }
        match seen {
            Some(seen) if recorded != Some(seen) => self.delete_member(id, seen).await,
            _ => Ok(()),
        }
    }

    async fn create_room(
        &self,
        code: &RoomCode,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let item = Item::new(Key::room(code), expires);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.0))
            .condition_expression(ABSENT)
            .expression_attribute_values(":now", seconds(now));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if refused(&error, PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(PortError::new("create a room", error)),
        }
    }

    async fn extend_room(
        &self,
        code: &RoomCode,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::room(code).into_map()))
            .update_expression("SET expires = :expires")
            .condition_expression(PRESENT)
            .expression_attribute_values(":expires", seconds(expires))
            .expression_attribute_values(":now", seconds(now));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if refused(
                    &error,
                    UpdateItemError::is_conditional_check_failed_exception,
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(PortError::new("find a room", error)),
        }
    }

    async fn enter(
        &self,
        connection: &Connection,
        room: &Room,
        name: Option<&Name>,
        now: Timestamp,
    ) -> Result<Entry, PortError> {
        let mut items = vec![self.move_connection(connection, room, name, now)?];
        items.push(self.put_member(connection, room, name)?);
        if connection.room != *room {
            items.push(
                self.delete_in_transaction(Key::member(&connection.room, &connection.id), None)?,
            );
        }
        if let Some(former) = &connection.name
            && (connection.room != *room || name.is_none_or(|name| name.key() != former.key()))
        {
            let key = Key::name(&connection.room, former.key());
            items.push(self.delete_in_transaction(key, Some(&connection.id))?);
        }
        // Last, so that its cancellation reason is the last one.
        if let Some(name) = name {
            items.push(self.put_name(connection, room, name, now)?);
        }
        let reasons = match self.transact(items).await? {
            Transaction::Done => return Ok(Entry::Done),
            Transaction::Conflicted => return Ok(Entry::Contended),
            Transaction::Refused(reasons) => reasons,
        };
        if reasons.first().is_some_and(is_condition) {
            return Ok(Entry::Stale);
        }
        let holder = reasons.last().and_then(|reason| reason.item.clone());
        let holder = holder.and_then(|item| Item(item).text(HOLDER_ATTRIBUTE));
        Ok(holder.map_or(Entry::Stale, |holder| Entry::NameTaken {
            holder: ConnectionId::new(holder),
        }))
    }

    async fn members(&self, room: &Room, now: Timestamp) -> Result<Vec<Member>, PortError> {
        let items = self.query(room, MEMBER_PREFIX).await?;
        Ok(items
            .iter()
            .filter(|item| item.expires() > now)
            .filter_map(Item::member)
            .collect())
    }

    async fn name_keys(
        &self,
        room: &Room,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, PortError> {
        let items = self.query(room, &format!("{NAME_PREFIX}{prefix}")).await?;
        let present = items.iter().filter(|item| item.expires() > now);
        let keys = present.filter_map(|item| item.text("sk"));
        Ok(keys
            .filter_map(|key| Some(key.strip_prefix(NAME_PREFIX)?.to_owned()))
            .collect())
    }
}

/// The parts of the transaction that moves a connection.
impl DynamoStore {
    fn move_connection(
        &self,
        connection: &Connection,
        room: &Room,
        name: Option<&Name>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, PortError> {
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::connection(&connection.id).into_map()))
            .expression_attribute_names("#room", ROOM_ATTRIBUTE)
            .expression_attribute_names("#name", NAME_ATTRIBUTE)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":room", text(room.to_string()))
            .expression_attribute_values(":from", text(connection.room.to_string()));
        update = match name {
            Some(name) => update
                .update_expression("SET #room = :room, #name = :name")
                .expression_attribute_values(":name", text(name.shown())),
            None => update.update_expression("SET #room = :room REMOVE #name"),
        };
        let unchanged = match &connection.name {
            Some(former) => {
                update = update.expression_attribute_values(":former", text(former.shown()));
                "#name = :former"
            }
            None => "attribute_not_exists(#name)",
        };
        let condition = format!("{PRESENT} AND #room = :from AND {unchanged}");
        let update = update
            .condition_expression(condition)
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn put_member(
        &self,
        connection: &Connection,
        room: &Room,
        name: Option<&Name>,
    ) -> Result<TransactWriteItem, PortError> {
        let mut item = Item::new(Key::member(room, &connection.id), connection.expires);
        if let Some(name) = name {
            item = item.with(NAME_ATTRIBUTE, name.shown());
        }
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item.0))
            .build();
        Ok(TransactWriteItem::builder()
            .put(put.map_err(unbuilt)?)
            .build())
    }

    fn put_name(
        &self,
        connection: &Connection,
        room: &Room,
        name: &Name,
        now: Timestamp,
    ) -> Result<TransactWriteItem, PortError> {
        let item = Item::new(Key::name(room, name.key()), connection.expires)
            .with(HOLDER_ATTRIBUTE, connection.id.as_str());
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item.0))
            .condition_expression(format!("{ABSENT} OR holder = :me"))
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":me", text(connection.id.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        Ok(TransactWriteItem::builder()
            .put(put.map_err(unbuilt)?)
            .build())
    }

    fn delete_in_transaction(
        &self,
        key: Key,
        holder: Option<&ConnectionId>,
    ) -> Result<TransactWriteItem, PortError> {
        let mut delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key.into_map()));
        if let Some(holder) = holder {
            delete = delete
                .condition_expression("attribute_not_exists(pk) OR holder = :holder")
                .expression_attribute_values(":holder", text(holder.as_str()));
        }
        Ok(TransactWriteItem::builder()
            .delete(delete.build().map_err(unbuilt)?)
            .build())
    }
}

fn unbuilt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::new("build a request to DynamoDB", error)
}

const ROOM_ATTRIBUTE: &str = "room";
const NAME_ATTRIBUTE: &str = "name";
const HOLDER_ATTRIBUTE: &str = "holder";
const EXPIRES_ATTRIBUTE: &str = "expires";

/// An item's primary key.
struct Key {
    pk: String,
    sk: String,
}

impl Key {
    fn connection(id: &ConnectionId) -> Self {
        Self {
            pk: format!("{CONNECTION}#{id}"),
            sk: CONNECTION.to_owned(),
        }
    }

    fn room(code: &RoomCode) -> Self {
        Self {
            pk: room_pk(&Room::Coded(code.clone())),
            sk: ROOM.to_owned(),
        }
    }

    fn member(room: &Room, id: &ConnectionId) -> Self {
        Self {
            pk: room_pk(room),
            sk: format!("{MEMBER_PREFIX}{id}"),
        }
    }

    fn name(room: &Room, key: &str) -> Self {
        Self {
            pk: room_pk(room),
            sk: format!("{NAME_PREFIX}{key}"),
        }
    }

    fn into_map(self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), text(self.pk)),
            ("sk".to_owned(), text(self.sk)),
        ])
    }
}

fn room_pk(room: &Room) -> String {
    match room {
        Room::Lobby => format!("{ROOM}#{room}"),
        Room::Coded(code) => format!("{ROOM}#{}", code.symbols()),
    }
}

/// An item with its attributes. What cannot be read counts as not there.
struct Item(HashMap<String, AttributeValue>);

impl Item {
    fn new(key: Key, expires: Timestamp) -> Self {
        let mut attributes = key.into_map();
        attributes.insert(EXPIRES_ATTRIBUTE.to_owned(), seconds(expires));
        Self(attributes)
    }

    fn with(mut self, attribute: &str, value: &str) -> Self {
        self.0.insert(attribute.to_owned(), text(value));
        self
    }

    fn text(&self, attribute: &str) -> Option<String> {
        self.0.get(attribute)?.as_s().ok().cloned()
    }

    fn expires(&self) -> Timestamp {
        let number = self
            .0
            .get(EXPIRES_ATTRIBUTE)
            .and_then(|value| value.as_n().ok());
        Timestamp::from_seconds(number.and_then(|number| number.parse().ok()).unwrap_or(0))
    }

    fn name(&self) -> Option<Name> {
        self.text(NAME_ATTRIBUTE).map(Name::recorded)
    }

    fn connection(&self, id: &ConnectionId) -> Option<Connection> {
        Some(Connection {
            id: id.clone(),
            room: Room::parse(&self.text(ROOM_ATTRIBUTE)?)?,
            name: self.name(),
            expires: self.expires(),
        })
    }

    fn member(&self) -> Option<Member> {
        let id = self.text("sk")?.strip_prefix(MEMBER_PREFIX)?.to_owned();
        Some(Member {
            id: ConnectionId::new(id),
            name: self.name(),
            expires: self.expires(),
        })
    }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn seconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.seconds().to_string())
}

/// Whether a condition was not fulfilled, as opposed to a call that failed.
fn refused<E: Debug>(error: &SdkError<E>, is_condition: impl Fn(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(is_condition)
}

fn is_condition(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// Reasons that pass by themselves (DynamoDB's API reference, `TransactWriteItems`).
fn is_conflict(reason: &CancellationReason) -> bool {
    matches!(
        reason.code(),
        Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    )
}
