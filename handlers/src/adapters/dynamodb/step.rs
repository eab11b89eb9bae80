//! The transaction that moves a connection: what it writes, and what its refusal means.

use aws_sdk_dynamodb::types::{
    CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::item::{
    CONNECTION_ATTRIBUTE, HOLDER_ATTRIBUTE, Item, Key, MEMBER_ATTRIBUTE, NAME_ATTRIBUTE,
    ROOM_ATTRIBUTE, SUBJECT_ATTRIBUTE, seconds, text,
};
use super::transaction::is_condition;
use super::{ABSENT, DynamoStore, PRESENT};
use crate::chat::{Name, Room};
use crate::ports::{ConnectionId, Entry, MemberId, Move, PortError, Timestamp};

impl DynamoStore {
    /// The step's parts: the connection first and, if there is one, its new name last, so that it is
    /// known whose reason is whose. No item is in it twice.
    pub(super) fn parts(
        &self,
        step: Move<'_>,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, PortError> {
        let Move {
            connection, room, ..
        } = step;
        let mut parts = vec![
            self.move_connection(step, now)?,
            self.put_member(step, now)?,
        ];
        if connection.room != *room || connection.member != *step.member {
            let former = Key::member(&connection.room, &connection.member);
            parts.push(self.delete_in_transaction(former, None)?);
        }
        let kept = |place: &Room, name: &Name| {
            place == room && step.name.is_some_and(|it| it.key() == name.key())
        };
        if let Some(name) = &connection.name
            && !kept(&connection.room, name)
        {
            let former = Key::name(&connection.room, name.key());
            parts.push(self.delete_in_transaction(former, Some(&connection.id))?);
        }
        if let Some(resumed) = step.resumed {
            let record = Key::connection(&resumed.connection);
            parts.push(self.delete_in_transaction(record, None)?);
            if let Some(name) = &resumed.name
                && !kept(room, name)
            {
                let former = Key::name(room, name.key());
                parts.push(self.delete_in_transaction(former, Some(&resumed.connection))?);
            }
        }
        if let Some(name) = step.name {
            parts.push(self.put_name(step, name, now)?);
        }
        Ok(parts)
    }

    fn move_connection(
        &self,
        step: Move<'_>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, PortError> {
        let connection = step.connection;
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Key::connection(&connection.id).into_map()))
            .expression_attribute_names("#room", ROOM_ATTRIBUTE)
            .expression_attribute_names("#member", MEMBER_ATTRIBUTE)
            .expression_attribute_names("#name", NAME_ATTRIBUTE)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":room", text(step.room.to_string()))
            .expression_attribute_values(":member", text(step.member.as_str()))
            .expression_attribute_values(":from", text(connection.room.to_string()))
            .expression_attribute_values(":was", text(connection.member.as_str()));
        update = match step.name {
            Some(name) => update
                .update_expression("SET #room = :room, #member = :member, #name = :name")
                .expression_attribute_values(":name", text(name.shown())),
            None => update.update_expression("SET #room = :room, #member = :member REMOVE #name"),
        };
        let unchanged = match &connection.name {
            Some(former) => {
                update = update.expression_attribute_values(":former", text(former.shown()));
                "#name = :former"
            }
            None => "attribute_not_exists(#name)",
        };
        let update = update
            .condition_expression(format!(
                "{PRESENT} AND #room = :from AND #member = :was AND {unchanged}"
            ))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// A member that is there already is replaced only where it is as it was read.
    fn put_member(&self, step: Move<'_>, now: Timestamp) -> Result<TransactWriteItem, PortError> {
        let connection = step.connection;
        let mut item = Item::new(Key::member(step.room, step.member), connection.expires)
            .with(CONNECTION_ATTRIBUTE, connection.id.as_str());
        if let Some(name) = step.name {
            item = item.with(NAME_ATTRIBUTE, name.shown());
        }
        if let Some(subject) = connection.subject() {
            item = item.with(SUBJECT_ATTRIBUTE, subject);
        }
        let resumed = step.resumed.map_or(&connection.id, |it| &it.connection);
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item.0))
            .condition_expression(format!("{ABSENT} OR #connection IN (:me, :resumed)"))
            .expression_attribute_names("#connection", CONNECTION_ATTRIBUTE)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":me", text(connection.id.as_str()))
            .expression_attribute_values(":resumed", text(resumed.as_str()))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn put_name(
        &self,
        step: Move<'_>,
        name: &Name,
        now: Timestamp,
    ) -> Result<TransactWriteItem, PortError> {
        let connection = step.connection;
        let item = Item::new(Key::name(step.room, name.key()), connection.expires)
            .with(HOLDER_ATTRIBUTE, connection.id.as_str())
            .with(MEMBER_ATTRIBUTE, step.member.as_str());
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item.0))
            .condition_expression(format!("{ABSENT} OR holder = :me OR #member = :member"))
            .expression_attribute_names("#member", MEMBER_ATTRIBUTE)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":me", text(connection.id.as_str()))
            .expression_attribute_values(":member", text(step.member.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
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
        let delete = delete.build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// What a step that was refused came to: one reason an item, in the items' order.
pub(super) fn refusal(step: Move<'_>, reasons: &[CancellationReason]) -> Entry {
    let item = match reasons {
        [connection, .., name] if step.name.is_some() && !is_condition(connection) => {
            name.item.clone().map(Item)
        }
        _ => None,
    };
    let taken = item.and_then(|item| {
        let holder = ConnectionId::new(item.text(HOLDER_ATTRIBUTE)?);
        // Without a member it is nobody's who could come back.
        let member = item.text(MEMBER_ATTRIBUTE).map(MemberId::new);
        let member = member.unwrap_or_else(|| MemberId::of_connection(&holder));
        Some(Entry::NameTaken { holder, member })
    });
    taken.unwrap_or(Entry::Stale)
}

fn unbuilt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::new("build a request to DynamoDB", error)
}
