//! Queries: many items of a room at once, by their sort keys, and page by page.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::DynamoStore;
use super::item::{Item, message_sk, room_pk, text};
use crate::chat::Room;
use crate::ports::{Bookmark, Part, PortError, Roll, Timestamp};

impl DynamoStore {
    fn query(&self, room: &Room) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_values(":pk", text(room_pk(room)))
    }

    /// All items of a room whose sort key starts with `prefix`, past their time or not.
    pub(super) async fn all(&self, room: &Room, prefix: &str) -> Result<Vec<Item>, PortError> {
        self.pages(self.beginning_with(room, prefix), usize::MAX)
            .await
    }

    pub(super) fn beginning_with(&self, room: &Room, prefix: &str) -> QueryFluentBuilder {
        self.query(room)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":prefix", text(prefix))
            .set_limit(self.page_items_max)
    }

    /// At most `limit` messages of which the keys are within `part`.
    pub(super) async fn messages(
        &self,
        room: &Room,
        part: Part,
        limit: usize,
    ) -> Result<Vec<Item>, PortError> {
        let (first, last) = match part {
            Part::After(u64::MAX) | Part::Before(0) => return Ok(Vec::new()),
            Part::After(after) => (after + 1, u64::MAX),
            Part::Before(before) => (0, before - 1),
        };
        let limit_of_page = i32::try_from(limit).unwrap_or(i32::MAX);
        let query = self
            .query(room)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":first", text(message_sk(first)))
            .expression_attribute_values(":last", text(message_sk(last)))
            .scan_index_forward(matches!(part, Part::After(_)))
            .limit(
                self.page_items_max
                    .unwrap_or(limit_of_page)
                    .min(limit_of_page),
            );
        self.pages(query, limit).await
    }

    async fn pages(&self, query: QueryFluentBuilder, limit: usize) -> Result<Vec<Item>, PortError> {
        let mut pages = query.into_paginator().send();
        let mut items = Vec::new();
        while items.len() < limit
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| PortError::new("read a room", error))?;
            items.extend(page.items.unwrap_or_default().into_iter().map(Item));
        }
        items.truncate(limit);
        Ok(items)
    }
}

/// The part of a room that a query gives.
pub(super) async fn rolled(query: QueryFluentBuilder, now: Timestamp) -> Result<Roll, PortError> {
    let page = query.send().await;
    let page = page.map_err(|error| PortError::new("read a room", error))?;
    let next = page.last_evaluated_key.map(Item);
    let items = page.items.unwrap_or_default().into_iter().map(Item);
    let items: Vec<Item> = items.collect();
    let mut present = items.iter().filter(|item| item.expires() > now);
    let members = present.clone().filter_map(Item::member).collect();
    let head = present.find(|item| item.is_head()).map(Item::head);
    Ok(Roll {
        head,
        members,
        next: next.and_then(|key| key.text("sk")).map(Bookmark),
    })
}
