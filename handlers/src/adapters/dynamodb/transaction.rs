//! A transaction: carrying it out, what came of it, and trying again where others get in its way, or it in theirs.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};

use super::DynamoStore;
use crate::ports::PortError;

/// Tries of a write that a transaction got in the way of.
const CONFLICT_TRIES: u32 = 5;
/// Half of the longest wait after the first such conflict; it doubles.
const CONFLICT_WAIT: Duration = Duration::from_millis(10);

pub(super) enum Transaction {
    Done,
    /// Others wrote the same items all the time.
    Conflicted,
    /// One reason an item, in the items' order.
    Refused(Vec<CancellationReason>),
}

impl DynamoStore {
    pub(super) async fn transact(
        &self,
        items: Vec<TransactWriteItem>,
    ) -> Result<Transaction, PortError> {
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
pub(super) struct Conflicts(u32);

impl Conflicts {
    /// Waits a little longer each time; `false` when it has been enough.
    pub(super) async fn wait(&mut self) -> bool {
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

/// Reasons that pass by themselves (DynamoDB's API reference, `TransactWriteItems`).
fn is_conflict(reason: &CancellationReason) -> bool {
    matches!(
        reason.code(),
        Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    )
}

pub(super) fn is_condition(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}
