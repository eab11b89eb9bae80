//! Has the database refuse some requests on purpose, as DynamoDB does those beyond a table's throughput.

use std::sync::Arc;

use serde_json::json;

use crate::faults::Dice;
use crate::template::Table;

/// Throttles requests now and then.
#[derive(Clone)]
pub(super) struct Throttle {
    dice: Arc<Dice>,
    refusal: &'static Refusal,
}

/// How DynamoDB refuses a request.
struct Refusal {
    kind: &'static str,
    message: &'static str,
}

/// AWS's Developer Guide, “Throttling issues for DynamoDB tables using on-demand mode”.
const ON_DEMAND: Refusal = Refusal {
    kind: "com.amazon.coral.availability#ThrottlingException",
    message: "Throughput exceeds the current capacity of your table or index. DynamoDB is \
              automatically scaling your table or index so please try again shortly. If exceptions \
              persist, check if you have a hot key: https://docs.aws.amazon.com/amazondynamodb/\
              latest/developerguide/bp-partition-key-design.html",
};

/// AWS's Developer Guide, “Error handling with DynamoDB”.
const PROVISIONED: Refusal = Refusal {
    kind: "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    message: "The level of configured provisioned throughput for the table was exceeded. Consider \
              increasing your provisioning level with the UpdateTable API.",
};

impl Throttle {
    /// In the words for tables that are paid by request, where all are.
    pub(super) fn new(tables: &[Table], dice: &Arc<Dice>) -> Self {
        let on_demand = tables
            .iter()
            .all(|table| table.request["BillingMode"] == "PAY_PER_REQUEST");
        Self {
            dice: Arc::clone(dice),
            refusal: if on_demand { &ON_DEMAND } else { &PROVISIONED },
        }
    }

    /// How the next request is refused, if it is.
    pub(super) fn strike(&self) -> Option<String> {
        let refused = || json!({"__type": self.refusal.kind, "message": self.refusal.message});
        self.dice.db_throttle().then(|| refused().to_string())
    }
}
