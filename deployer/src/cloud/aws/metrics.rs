//! CloudWatch's metrics and alarms.

use std::collections::HashMap;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StateValue,
};

use super::{Aws, failed};
use crate::cloud::{AlarmView, CloudError, MetricQuery, Metrics, Point};

/// Alarms that AWS tells of at once.
const NAMES_MAX: usize = 100;

impl Metrics for Aws {
    async fn series(
        &self,
        queries: &[MetricQuery],
        start_s: i64,
        end_s: i64,
    ) -> Result<Vec<Vec<Point>>, CloudError> {
        let data: Vec<_> = queries.iter().enumerate().map(data_query).collect();
        let mut points: HashMap<String, Vec<Point>> = HashMap::new();
        let mut token = None;
        loop {
            let answer = self
                .metrics
                .get_metric_data()
                .set_metric_data_queries(Some(data.clone()))
                .start_time(DateTime::from_secs(start_s))
                .end_time(DateTime::from_secs(end_s))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(token)
                .send()
                .await
                .map_err(failed("cloudwatch:GetMetricData"))?;
            // A metric's points can come in parts.
            for result in answer.metric_data_results() {
                let id = result.id().unwrap_or_default().to_owned();
                points.entry(id).or_default().extend(measured(result));
            }
            token = answer.next_token;
            if token.is_none() {
                break;
            }
        }
        let series = (0..queries.len()).map(|index| points.remove(&id(index)).unwrap_or_default());
        Ok(series.collect())
    }

    async fn alarms(&self, names: &[String]) -> Result<Vec<AlarmView>, CloudError> {
        let mut alarms = Vec::new();
        for names in names.chunks(NAMES_MAX) {
            let mut token = None;
            loop {
                let answer = self
                    .metrics
                    .describe_alarms()
                    .set_alarm_names(Some(names.to_vec()))
                    .set_next_token(token)
                    .send()
                    .await
                    .map_err(failed("cloudwatch:DescribeAlarms"))?;
                alarms.extend(answer.metric_alarms().iter().map(|it| {
                    AlarmView {
                        name: it.alarm_name().unwrap_or_default().to_owned(),
                        state: it
                            .state_value()
                            .map_or("UNKNOWN", StateValue::as_str)
                            .to_owned(),
                        reason: it.state_reason().unwrap_or_default().to_owned(),
                    }
                }));
                token = answer.next_token;
                if token.is_none() {
                    break;
                }
            }
        }
        Ok(alarms)
    }
}

/// AWS wants a name that begins with a lower-case letter.
fn id(index: usize) -> String {
    format!("m{index}")
}

fn data_query((index, query): (usize, &MetricQuery)) -> MetricDataQuery {
    let dimensions = query
        .dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(*name).value(value).build());
    let metric = Metric::builder()
        .namespace(query.namespace)
        .metric_name(query.name)
        .set_dimensions(Some(dimensions.collect()))
        .build();
    let period = i32::try_from(query.period.as_secs()).unwrap_or(i32::MAX);
    let stat = MetricStat::builder()
        .metric(metric)
        .period(period)
        .stat(query.statistic)
        .build();
    MetricDataQuery::builder()
        .id(id(index))
        .metric_stat(stat)
        .build()
}

fn measured(result: &MetricDataResult) -> impl Iterator<Item = Point> {
    let pairs = result.timestamps().iter().zip(result.values());
    pairs.map(|(at, value)| Point {
        at_s: at.secs(),
        value: *value,
    })
}
