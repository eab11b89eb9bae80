//! The store on one DynamoDB table.
//!
//! # Items
//!
//! | `pk` | `sk` | what | attributes |
//! | --- | --- | --- | --- |
//! | `CONNECTION#<id>` | `CONNECTION` | an open connection | `room`, `member`, `name`; who has signed in: `subject`, `called` |
//! | `ROOM#<room>` | `ROOM` | the room's head | `rev`, `tail`, `roster`, `present`, `announced`, `creator`, `barred` |
//! | `ROOM#<room>` | `LIST` | the list of members announced last, of a crowd | `rev`, `present`, `listed` |
//! | `ROOM#<room>` | `ROOM#MEMBER#<member>` | a member | `connection`, `name`, `subject` |
//! | `ROOM#<room>` | `NAME#<name key>` | a name held in the room | `holder`, `member` |
//! | `ROOM#<room>` | `MSG#<seq>` | a message | `member`, `id`, `nonce`, `from`, `text`, `at`, `pace` |
//! | `ROOM#<room>` | `SENT#<member>#<id>` | that a message of this id was sent | `floor` |
//! | `COUNT#<what>` | `COUNT` | how often something was done | `times` |
//!
//! All have `expires`, the table's TTL attribute, in seconds since 1970-01-01 UTC. DynamoDB removes
//! such items within days (its Developer Guide, “Using time to live”), so every read and condition
//! here compares it with now, except for messages, whose visible time is shorter (`chat/message.rs`).
//!
//! A connection moves in one transaction over its own items alone: joins of different connections
//! never touch the same item, so they never conflict. Deleting the connection's item first, and
//! requiring it in every transaction, makes a closed connection stay closed. Everything else is a
//! plain conditional write.
//!
//! # Layout
//!
//! - `dynamodb.rs`: the store, and what it reads and writes item by item.
//! - `dynamodb/item.rs`: items, and what they say in the rules' words.
//! - `dynamodb/query.rs`: reading many of a room's at once.
//! - `dynamodb/step.rs`: what the transaction that moves a connection writes.
//! - `dynamodb/transaction.rs`: carrying it out, and trying again what others got in the way of.

mod item;
mod query;
mod step;
mod transaction;

use std::fmt::Debug;
#[cfg(test)]
use std::time::Duration;

use aws_sdk_dynamodb::Client;
#[cfg(test)]
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::{AwsConfig, OPERATION_TIMEOUT, timeouts};
use crate::chat::{Barred, Name, Room, RoomCode};
use crate::config::Settings;
use crate::ports::{
    Bookmark, Connection, ConnectionId, Entry, Head, Identity, List, Member, MemberId, Message,
    Move, Part, PortError, Roll, Store, Timestamp, Touched,
};
use item::{
    BARRED_ATTRIBUTE, CONNECTION_ATTRIBUTE, CREATOR_ATTRIBUTE, FLOOR_ATTRIBUTE, Item, Key,
    LISTED_ATTRIBUTE, MEMBER_ATTRIBUTE, PRESENT_ATTRIBUTE, ROOM, ROOM_ATTRIBUTE, listed, name_sk,
    number, seconds, text,
};
use query::rolled;
use step::refusal;
use transaction::{Conflicts, Transaction};

/// No item, or one past its time.
const ABSENT: &str = "attribute_not_exists(pk) OR expires <= :now";
/// An item within its time.
const PRESENT: &str = "attribute_exists(pk) AND expires > :now";

/// Connections, rooms, names and messages in a DynamoDB table.
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

    /// Lets a call take so long, for tests of what many do at once on a machine that is busy.
    #[cfg(test)]
    #[must_use]
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(timeout)
            .operation_timeout(timeout);
        let config = self.client.config().to_builder();
        self.client = Client::from_conf(config.timeout_config(timeouts.build()).build());
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

    async fn get(&self, key: Key, attempt: &'static str) -> Result<Option<Item>, PortError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.into_map()))
            .consistent_read(true);
        let output = get.send().await;
        let output = output.map_err(|error| PortError::new(attempt, error))?;
        Ok(output.item.map(Item))
    }

    fn delete(&self, key: Key) -> DeleteItemFluentBuilder {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.into_map()))
            .return_values(ReturnValue::AllOld)
    }

    /// Deletes an item; `None` when there is none, or its condition is not fulfilled.
    async fn deleted(&self, delete: DeleteItemFluentBuilder) -> Result<Option<Item>, PortError> {
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

    /// Updates an item; `false` when its condition is not fulfilled.
    async fn updated(
        &self,
        update: UpdateItemFluentBuilder,
        attempt: &'static str,
    ) -> Result<bool, PortError> {
        let is_condition = UpdateItemError::is_conditional_check_failed_exception;
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) if refused(&error, is_condition) => Ok(false),
            Err(error) => Err(PortError::new(attempt, error)),
        }
    }
}

impl Store for DynamoStore {
    async fn open_as(
        &self,
        id: &ConnectionId,
        identity: Option<&Identity>,
        expires: Timestamp,
    ) -> Result<(), PortError> {
        let member = MemberId::of_connection(id);
        let connection = Item::new(Key::connection(id), expires)
            .with(ROOM_ATTRIBUTE, &Room::Lobby.to_string())
            .with(MEMBER_ATTRIBUTE, member.as_str())
            .with_identity(identity);
        let member = Item::new(Key::member(&Room::Lobby, &member), expires)
            .with(CONNECTION_ATTRIBUTE, id.as_str());
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
        let item = self.get(Key::connection(id), "read a connection").await?;
        let item = item.filter(|item| item.expires() > now);
        Ok(item.and_then(|item| item.connection(id)))
    }

    async fn drop_connection(&self, id: &ConnectionId) -> Result<Option<Connection>, PortError> {
        let item = self.deleted(self.delete(Key::connection(id))).await?;
        Ok(item.and_then(|item| item.connection(id)))
    }

    async fn drop_member(
        &self,
        room: &Room,
        member: &MemberId,
        connection: &ConnectionId,
    ) -> Result<bool, PortError> {
        let delete = self
            .delete(Key::member(room, member))
            .condition_expression("#connection = :connection")
            .expression_attribute_names("#connection", CONNECTION_ATTRIBUTE)
            .expression_attribute_values(":connection", text(connection.as_str()));
        Ok(self.deleted(delete).await?.is_some())
    }

    async fn free_name(
        &self,
        room: &Room,
        name: &Name,
        connection: &ConnectionId,
    ) -> Result<(), PortError> {
        let delete = self
            .delete(Key::name(room, name.key()))
            .condition_expression("holder = :holder")
            .expression_attribute_values(":holder", text(connection.as_str()));
        self.deleted(delete).await?;
        Ok(())
    }

    async fn create_room(
        &self,
        code: &RoomCode,
        creator: &MemberId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let item = Item::new(Key::code(code), expires)
            .with(CREATOR_ATTRIBUTE, creator.as_str())
            .with_number("rev", 0)
            .with_number("tail", 0);
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

    async fn touch(
        &self,
        room: &Room,
        tail: u64,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Touched, PortError> {
        let not_ahead = "(attribute_not_exists(tail) OR tail <= :tail)";
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::room(room).into_map()))
            .update_expression(
                "SET expires = :expires, tail = :tail, rev = if_not_exists(rev, :zero)",
            )
            .expression_attribute_values(":expires", seconds(expires))
            .expression_attribute_values(":tail", number(tail))
            .expression_attribute_values(":zero", number(0))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        update = match room {
            Room::Lobby => update.condition_expression(not_ahead),
            Room::Coded(_) => update
                .condition_expression(format!("{PRESENT} AND {not_ahead}"))
                .expression_attribute_values(":now", seconds(now)),
        };
        let error = match update.return_values(ReturnValue::AllNew).send().await {
            Ok(output) => {
                let head = output.attributes.map(|it| Item(it).head());
                let barred = head.unwrap_or_default().barred;
                return Ok(Touched::Done { barred });
            }
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) =
            error.as_service_error()
        else {
            return Err(PortError::new("find a room", error));
        };
        let known = failed.item.clone().map(Item);
        let known = known.filter(|it| *room == Room::Lobby || it.expires() > now);
        Ok(known.map_or(Touched::Absent, |it| Touched::Ahead {
            tail: it.head().tail,
        }))
    }

    async fn head(&self, room: &Room, now: Timestamp) -> Result<Option<Head>, PortError> {
        let item = self.get(Key::room(room), "read a room").await?;
        let item = item.filter(|item| item.expires() > now);
        Ok(item.map(|item| item.head()))
    }

    async fn roll(
        &self,
        room: &Room,
        from: Option<&Bookmark>,
        now: Timestamp,
    ) -> Result<Roll, PortError> {
        let start = from.map(|bookmark| Key::bookmarked(room, bookmark).into_map());
        let query = self.beginning_with(room, ROOM);
        rolled(query.set_exclusive_start_key(start), now).await
    }

    async fn glance(&self, room: &Room, members: usize, now: Timestamp) -> Result<Roll, PortError> {
        // The head is an item as well, and what ends where a limit does has a next page.
        let items = i32::try_from(members.saturating_add(2)).unwrap_or(i32::MAX);
        let items = self.page_items_max.unwrap_or(items).min(items);
        rolled(self.beginning_with(room, ROOM).limit(items), now).await
    }

    async fn member(
        &self,
        room: &Room,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<Option<Member>, PortError> {
        let item = self.get(Key::member(room, member), "read a member").await?;
        let item = item.filter(|item| item.expires() > now);
        Ok(item.and_then(|item| item.member()))
    }

    async fn enter(&self, step: Move<'_>, now: Timestamp) -> Result<Entry, PortError> {
        Ok(match self.transact(self.parts(step, now)?).await? {
            Transaction::Done => Entry::Done,
            Transaction::Conflicted => Entry::Contended,
            Transaction::Refused(reasons) => refusal(step, &reasons),
        })
    }

    async fn name_keys(
        &self,
        room: &Room,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, PortError> {
        let items = self.all(room, &name_sk(prefix)).await?;
        let present = items.iter().filter(|item| item.expires() > now);
        Ok(present.filter_map(Item::name_key).collect())
    }

    async fn announce(
        &self,
        room: &Room,
        rev: u64,
        roster: &str,
        present: usize,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::room(room).into_map()))
            .update_expression(
                "SET rev = :next, roster = :roster, #present = :present, announced = :now",
            )
            .condition_expression("rev = :rev")
            .expression_attribute_names("#present", PRESENT_ATTRIBUTE)
            .expression_attribute_values(":present", number(present as u64))
            .expression_attribute_values(":rev", number(rev))
            .expression_attribute_values(":next", number(rev + 1))
            .expression_attribute_values(":roster", text(roster))
            .expression_attribute_values(":now", number(now.millis()));
        self.updated(update, "count a change of members").await
    }

    async fn take_turn(&self, room: &Room, head: &Head, now: Timestamp) -> Result<bool, PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::room(room).into_map()))
            .update_expression("SET announced = :now")
            .condition_expression("rev = :rev AND announced = :was")
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":rev", number(head.rev))
            .expression_attribute_values(":was", number(head.announced.millis()));
        self.updated(update, "take a turn in announcing").await
    }

    async fn keep_list(
        &self,
        room: &Room,
        list: &List,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), PortError> {
        // Not a put, which not every function may make.
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::list(room).into_map()))
            .update_expression(
                "SET rev = :rev, #present = :present, #listed = :listed, expires = :expires",
            )
            .expression_attribute_names("#present", PRESENT_ATTRIBUTE)
            .condition_expression("attribute_not_exists(rev) OR rev < :rev OR expires <= :now")
            .expression_attribute_names("#listed", LISTED_ATTRIBUTE)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":rev", number(list.rev))
            .expression_attribute_values(":present", number(list.count as u64))
            .expression_attribute_values(":listed", text(listed(list)))
            .expression_attribute_values(":expires", seconds(expires));
        // A try that comes late is refused, and the newer list stays.
        self.updated(update, "keep a list of members").await?;
        Ok(())
    }

    async fn list(&self, room: &Room, now: Timestamp) -> Result<Option<List>, PortError> {
        let item = self.get(Key::list(room), "read a list of members").await?;
        let item = item.filter(|item| item.expires() > now);
        Ok(item.and_then(|item| item.list()))
    }

    async fn bar(&self, room: &Room, was: &Barred, barred: &Barred) -> Result<bool, PortError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::room(room).into_map()))
            .update_expression("SET #barred = :barred")
            .expression_attribute_names("#barred", BARRED_ATTRIBUTE)
            .expression_attribute_values(":barred", text(barred.to_string()));
        update = if *was == Barred::default() {
            update.condition_expression("attribute_exists(pk) AND attribute_not_exists(#barred)")
        } else {
            update
                .condition_expression("#barred = :was")
                .expression_attribute_values(":was", text(was.to_string()))
        };
        self.updated(update, "record who was removed").await
    }

    async fn count(&self, what: &str, most: u64, expires: Timestamp) -> Result<bool, PortError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Key::count(what).into_map()))
            .update_expression("SET expires = :expires ADD times :one")
            .condition_expression("attribute_not_exists(times) OR times < :most")
            .expression_attribute_values(":expires", seconds(expires))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(most));
        self.updated(update, "count").await
    }

    async fn newest(&self, room: &Room) -> Result<u64, PortError> {
        let newest = self.messages(room, Part::Before(u64::MAX), 1).await?;
        Ok(newest.first().and_then(Item::seq).unwrap_or(0))
    }

    async fn claim(
        &self,
        room: &Room,
        message: &Message,
        floor: u64,
        now: Timestamp,
    ) -> Result<Option<u64>, PortError> {
        let id = message.id.as_deref().unwrap_or_default();
        let item = Item::new(Key::claim(room, &message.member, id), message.expires)
            .with_number(FLOOR_ATTRIBUTE, floor);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.0))
            .condition_expression(ABSENT)
            .expression_attribute_values(":now", seconds(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else {
            return Ok(None);
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let before = failed.item.clone().map(Item);
                let floor = before.and_then(|it| it.number(FLOOR_ATTRIBUTE));
                let unread = || PortError::new("read when a message was first sent", error);
                floor.map(Some).ok_or_else(unread)
            }
            _ => Err(PortError::new("record that a message is sent", error)),
        }
    }

    async fn append(&self, room: &Room, message: &Message) -> Result<bool, PortError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(Item::of_message(room, message).0))
            .condition_expression("attribute_not_exists(pk)");
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if refused(&error, PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(PortError::new("keep a message", error)),
        }
    }

    async fn page(&self, room: &Room, part: Part, limit: usize) -> Result<Vec<Message>, PortError> {
        let items = self.messages(room, part, limit).await?;
        Ok(items.iter().filter_map(Item::message).collect())
    }
}

/// Whether a condition was not fulfilled, as opposed to a call that failed.
fn refused<E: Debug>(error: &SdkError<E>, is_condition: impl Fn(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(is_condition)
}
