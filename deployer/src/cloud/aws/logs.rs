//! CloudWatch Logs.

use super::{Aws, failed};
use crate::cloud::{CloudError, LogEvent, LogPage, Logs};

impl Logs for Aws {
    async fn log_page(
        &self,
        group: &str,
        start_ms: i64,
        token: Option<String>,
    ) -> Result<LogPage, CloudError> {
        let call = self
            .logs
            .filter_log_events()
            .log_group_name(group)
            .start_time(start_ms)
            .set_next_token(token);
        let answer = call.send().await.map_err(failed("logs:FilterLogEvents"))?;
        let events = answer.events.unwrap_or_default().into_iter();
        let events = events.map(|it| LogEvent {
            id: it.event_id.unwrap_or_default(),
            at_ms: it.timestamp.unwrap_or_default(),
            message: it.message.unwrap_or_default(),
        });
        Ok(LogPage {
            events: events.collect(),
            next: answer.next_token,
        })
    }
}
