//! What the designs of two well-known samples consume for a message, on the embedded `DynamoDB`: their
//! access patterns, with items as their READMEs imply them. None of their code.

use dynoxide::Database;
use serde_json::{Value, json};

use crate::error::BenchError;

const TABLE: &str = "Connections";
const INDEX: &str = "roomCode-index";

/// A sample's way of finding out who is to hear a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// The λ# web chat: a `Scan` of all connections. It has one room, so these are all there are.
    Scan,
    /// The room chat: a get of the sender, and a query of an index by the room's code.
    Index,
}

impl Sample {
    pub(super) const ALL: [Self; 2] = [Self::Scan, Self::Index];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scan => "λ# web chat: `Scan`",
            Self::Index => "room chat: get and index",
        }
    }

    /// Read units of a message in a room of so many. Neither writes anything.
    ///
    /// # Errors
    /// What the database refuses.
    pub(super) fn read_units(self, members: u32) -> Result<f64, BenchError> {
        let database = Database::memory().map_err(failed)?;
        self.fill(&database, members)?;
        match self {
            Self::Scan => paged(json!({"TableName": TABLE}), |request| {
                answer(database.scan(parsed(request)?))
            }),
            Self::Index => {
                let get = json!({"TableName": TABLE, "Key": {"connectionId": {"S": id(0)}},
                    "ReturnConsumedCapacity": "TOTAL"});
                let got = answer(database.get_item(parsed(get)?))?;
                let query = json!({"TableName": TABLE, "IndexName": INDEX,
                    "KeyConditionExpression": "roomCode = :room",
                    "ExpressionAttributeValues": {":room": {"S": ROOM}}});
                let queried = paged(query, |request| answer(database.query(parsed(request)?)))?;
                Ok(units(&got)? + queried)
            }
        }
    }

    fn fill(self, database: &Database, members: u32) -> Result<(), BenchError> {
        let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        let key = |name: &str| json!([{"AttributeName": name, "KeyType": "HASH"}]);
        let mut table = json!({"TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [attribute("connectionId")], "KeySchema": key("connectionId")});
        if self == Self::Index {
            table["AttributeDefinitions"] =
                json!([attribute("connectionId"), attribute("roomCode")]);
            table["GlobalSecondaryIndexes"] = json!([{"IndexName": INDEX,
                "KeySchema": key("roomCode"), "Projection": {"ProjectionType": "ALL"}}]);
        }
        answer(database.create_table(parsed(table)?))?;
        for member in 0..members {
            let mut item = json!({"connectionId": {"S": id(member)}});
            if self == Self::Index {
                item["name"] = json!({"S": format!("name{member:04}")});
                item["roomCode"] = json!({"S": ROOM});
            }
            let put = json!({"TableName": TABLE, "Item": item});
            answer(database.put_item(parsed(put)?))?;
        }
        Ok(())
    }
}

const ROOM: &str = "12345";

/// As long as API Gateway's.
fn id(member: u32) -> String {
    format!("{member:015}=")
}

/// All pages of a request, and what they consume together.
fn paged(
    mut request: Value,
    ask: impl Fn(Value) -> Result<Value, BenchError>,
) -> Result<f64, BenchError> {
    request["ReturnConsumedCapacity"] = json!("TOTAL");
    let mut sum = 0.0;
    loop {
        let page = ask(request.clone())?;
        sum += units(&page)?;
        match &page["LastEvaluatedKey"] {
            Value::Null => return Ok(sum),
            key => request["ExclusiveStartKey"] = key.clone(),
        }
    }
}

fn units(answer: &Value) -> Result<f64, BenchError> {
    answer["ConsumedCapacity"]["CapacityUnits"]
        .as_f64()
        .ok_or_else(|| failed(format!("no consumed capacity in {answer}")))
}

fn parsed<T: serde::de::DeserializeOwned>(request: Value) -> Result<T, BenchError> {
    serde_json::from_value(request).map_err(failed)
}

fn answer<T: serde::Serialize, E: std::fmt::Display>(
    answer: Result<T, E>,
) -> Result<Value, BenchError> {
    serde_json::to_value(answer.map_err(failed)?).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> BenchError {
    BenchError::Measurement(format!("the embedded database: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_reads_half_a_unit_for_each_4_kb_of_all_connections() {
        // `connectionId` and 16 characters are 28 bytes; what is found is read eventually consistently.
        for (members, expected) in [(2, 0.5), (100, 0.5), (1_000, 3.5)] {
            let units = Sample::Scan.read_units(members).unwrap();
            assert!((units - expected).abs() < 1e-9, "{members}: {units}");
        }
    }

    #[test]
    fn an_index_is_read_after_the_sender() {
        // 28 bytes, a `name` of 8, a `roomCode` of 5: 53 bytes each.
        for (members, expected) in [(2, 1.0), (1_000, 0.5 + 6.5)] {
            let units = Sample::Index.read_units(members).unwrap();
            assert!((units - expected).abs() < 1e-9, "{members}: {units}");
        }
    }
}
