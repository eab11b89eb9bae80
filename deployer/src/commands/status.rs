//! `chatctl status`: how a deployed chat is.
//!
//! # Layout
//! * `report`: what was found, for people and for programs. Pure.

mod report;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use tokio::join;

use super::deploy::{FUNCTIONS, Found, function_names, page, wanted, while_building};
use super::diff::edits;
use super::urls::Urls;
use super::{CHAT_OWNER, no_stack, until_interrupted};
use crate::build::Package;
use crate::cloud::aws::Aws;
use crate::cloud::{
    Cloud, Code, Detection, Functions, History, Metrics, StackHistory, StackResource, StackView,
    Templates,
};
use crate::error::Error;
use crate::output::Output;
use crate::packages;
use crate::settings::StatusSettings;
use crate::stack;
use crate::telemetry::{Crowd, Measured, Place, TelemetryError, Traffic};
use crate::template::StageName;
use crate::wait::Patience;
use report::{CodeReport, Drift, Finished, Report};

/// A look for drift takes a minute or so, with a resource a second.
const DRIFT_LIMIT: Duration = Duration::from_mins(10);

/// What alarms are called in templates.
const ALARM: &str = "AWS::CloudWatch::Alarm";

/// What is found out, or why not. One thing that is not told is no reason to keep the others back.
type Known<T> = Result<T, TelemetryError>;

/// Tells how a chat is. Nothing is changed.
///
/// # Errors
/// [`Error`], if there is no such chat, or something of it could not be looked up.
pub(crate) fn run(settings: &StatusSettings, output: &mut Output) -> Result<(), Error> {
    let json = settings.deploy.json;
    output.for_programs(json);
    until_interrupted(async {
        let aws = Aws::connect(&settings.deploy.account).await?;
        let report = Box::pin(look_at(&aws, &aws.region, settings, output)).await?;
        let text = if json {
            format!("{}\n", report.json())
        } else {
            report.text()
        };
        output.data(&text)?;
        report.missing().map_or(Ok(()), |error| Err(error.into()))
    })
}

async fn look_at(
    cloud: &(impl Cloud + Functions + Templates + Metrics + StackHistory),
    region: &str,
    settings: &StatusSettings,
    output: &mut Output,
) -> Result<Report, Error> {
    let deploy = &settings.deploy;
    let stage = &deploy.template.stage;
    let name = stage.stack_name();
    let found = cloud.find(&name).await?.filter(|it| !it.status.is_gone());
    let stack = found.ok_or_else(|| no_stack(stage, region))?;
    stack::check_owner(&stack, &name, CHAT_OWNER)?;
    let package = if settings.build {
        let nothing = async || Ok(());
        Some(while_building(nothing, deploy, output).await?.1)
    } else {
        None
    };
    let now_s = now_s();
    let history = cloud.history(&stack.id).await;
    let drift = if settings.drift {
        output.step("AWS looks for drift (a minute or so)")?;
        output.during(detect(cloud, &stack.id)).await
    } else {
        recall(cloud, &stack.id, history.as_ref().ok()).await
    };
    let finished = match Urls::of(stage, &stack) {
        Ok(urls) => Some(finished(cloud, settings, &stack, urls, package.as_ref(), now_s).await?),
        // It is not: there is nothing more to be looked at.
        Err(_) => None,
    };
    Ok(Report {
        account: stack.account().to_owned(),
        region: region.to_owned(),
        status: stack.status.clone(),
        changed_s: history.map(|it| it.changed_s).map_err(Into::into),
        name,
        drift,
        finished,
        now_s,
    })
}

/// What there is to tell of a chat that is or was whole, all of it looked up at the same time.
async fn finished(
    cloud: &(impl Cloud + Functions + Templates + Metrics),
    settings: &StatusSettings,
    stack: &StackView,
    urls: Urls,
    package: Option<&Package>,
    now_s: i64,
) -> Result<Finished, Error> {
    // A deploy that says nothing of it keeps a chat as protected as it is.
    let deploy = &settings.deploy.keeping(Some(stack))?;
    let stage = &deploy.template.stage;
    let deployed = deployed_code(stage, stack, deploy.architecture.as_str());
    // The chat goes on when its provider is not to be had, so there is the rest to tell.
    let wanted = match deploy.discovered().await {
        Ok(deploy) => Ok(wanted(&deploy, &deployed)?),
        Err(error) => Err(TelemetryError::Provider(error)),
    };
    let own_page = page(deploy)?;
    let template = async { Ok::<_, TelemetryError>(cloud.template(&stack.id).await?) };
    let (template, code, page, resources) = join!(
        template,
        code(cloud, settings, stack, &deployed, package),
        edits(cloud, deploy, Some(stack), own_page),
        cloud.resources(&stack.id),
    );
    let is_as_wanted = wanted.and_then(|wanted| {
        let found = Found {
            stack: Some(stack.clone()),
            template: template?,
            artifacts: None,
        };
        Ok(found.stack_as(&wanted).is_some())
    });
    let page = match page {
        Ok(edits) => Ok(edits),
        Err(Error::Cloud(error)) => Err(error.into()),
        Err(other) => return Err(other),
    };
    let place = resources
        .as_ref()
        .ok()
        .and_then(|it| place(settings, stack, it));
    let alarms = async {
        let resources = resources.as_ref().map_err(Clone::clone)?;
        let alarms = resources.iter().filter(|it| it.kind == ALARM);
        let names: Vec<_> = alarms.filter_map(|it| it.physical_id.clone()).collect();
        Ok::<_, TelemetryError>(cloud.alarms(&names).await?)
    };
    let metrics_off = stack.parameter("Metrics") == Some("off");
    let (alarms, crowd, traffic) = join!(
        alarms,
        crowd(cloud, place.as_ref(), now_s),
        traffic(cloud, place.as_ref(), metrics_off, now_s),
    );
    // Without its resources, nobody knows where a chat is measured.
    let or_why = |error: &crate::cloud::CloudError| TelemetryError::from(error.clone());
    let unknown = resources.as_ref().err().map(or_why);
    let (crowd, traffic) = match unknown {
        Some(error) => (Err(error), Ok(None)),
        None => (crowd, traffic),
    };
    Ok(Finished {
        site: urls.site,
        websocket: urls.websocket,
        stage: stage.to_string(),
        code,
        page,
        is_as_wanted,
        alarms,
        crowd,
        traffic,
    })
}

/// The package that the stack names, as functions are given it.
fn deployed_code(stage: &StageName, stack: &StackView, architecture: &'static str) -> Code {
    let key = stack.parameter("CodeKey").unwrap_or_default();
    Code {
        bucket: stack.parameter("CodeBucket").unwrap_or_default().to_owned(),
        key: key.to_owned(),
        sha256: packages::sha256_of(stage, key)
            .map(packages::code_sha256)
            .unwrap_or_default(),
        architecture,
    }
}

async fn code(
    cloud: &impl Functions,
    settings: &StatusSettings,
    stack: &StackView,
    deployed: &Code,
    package: Option<&Package>,
) -> Known<CodeReport> {
    let stage = &settings.deploy.template.stage;
    // Without their names the stack is not finished.
    let names = function_names(stage, stack).unwrap_or_default();
    let running = names.into_iter().map(|name| async move {
        let view = cloud.function(&name).await?;
        Ok::<_, TelemetryError>((name, view.sha256))
    });
    let running = try_join_all(running).await?;
    Ok(CodeReport {
        key: deployed.key.clone(),
        named: deployed.sha256.clone(),
        running,
        here: package.map(|it| it.code_sha256.clone()),
    })
}

/// Where the chat is measured, if it has all that is measured.
fn place(
    settings: &StatusSettings,
    stack: &StackView,
    resources: &[StackResource],
) -> Option<Place> {
    let stage = &settings.deploy.template.stage;
    let api = resources.iter().find(|it| it.resource == "WebSocketApi")?;
    Some(Place {
        stack: stage.stack_name(),
        api: api.physical_id.clone()?,
        stage: stage.to_string(),
        functions: FUNCTIONS.map(|it| stack.output(it).unwrap_or_default().to_owned()),
        table: stack.output("ChatTableName")?.to_owned(),
    })
}

async fn crowd(cloud: &impl Metrics, place: Option<&Place>, now_s: i64) -> Known<Option<Crowd>> {
    let Some(place) = place else { return Ok(None) };
    let measured = Measured::movements(place, now_s);
    let series = cloud
        .series(&measured.queries, measured.start_s, measured.end_s)
        .await?;
    Ok(Some(Crowd::of(&measured.moved(series))))
}

async fn traffic(
    cloud: &impl Metrics,
    place: Option<&Place>,
    metrics_off: bool,
    now_s: i64,
) -> Known<Option<Traffic>> {
    let Some(place) = place else { return Ok(None) };
    let measured = Measured::traffic(place, now_s);
    let series = cloud
        .series(&measured.queries, measured.start_s, measured.end_s)
        .await?;
    Ok(Some(Traffic::new(series, now_s, metrics_off)))
}

/// What the last look for drift found.
async fn recall(
    cloud: &impl StackHistory,
    stack: &str,
    history: Option<&History>,
) -> Known<Option<Drift>> {
    // Why there is no history is told where it is missing first.
    let Some(history) = history else {
        return Ok(None);
    };
    let drifted = if history.drift == "DRIFTED" {
        cloud.drifted(stack).await?
    } else {
        Vec::new()
    };
    Ok(Some(Drift {
        status: history.drift.clone(),
        checked_s: history.checked_s,
        drifted,
    }))
}

/// Has AWS look for drift.
async fn detect(cloud: &impl StackHistory, stack: &str) -> Known<Option<Drift>> {
    let id = cloud.detect_drift(stack).await?;
    let (first, most) = (Duration::from_millis(500), Duration::from_secs(5));
    let mut patience = Patience::new(DRIFT_LIMIT, first, most);
    let mut last = None;
    let status = loop {
        match cloud.detection(&id).await {
            Ok(Detection::Done(status)) => break status,
            Ok(Detection::Failed(reason)) => return Err(TelemetryError::DriftFailed { reason }),
            Ok(Detection::InProgress) => {}
            Err(error) if error.is_passing() => last = Some(Box::new(error)),
            Err(error) => return Err(error.into()),
        }
        if !patience.pause().await {
            return Err(TelemetryError::DriftDeadline {
                limit: DRIFT_LIMIT,
                last,
            });
        }
    };
    Ok(Some(Drift {
        status,
        checked_s: Some(now_s()),
        drifted: cloud.drifted(stack).await?,
    }))
}

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |it| i64::try_from(it.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;
    use crate::cloud::{CloudError, Drifted};

    /// A look for drift that goes on like this.
    #[derive(Default)]
    struct Fake {
        detections: RefCell<VecDeque<Result<Detection, CloudError>>>,
    }

    impl StackHistory for Fake {
        async fn history(&self, _: &str) -> Result<History, CloudError> {
            Ok(History::default())
        }

        async fn detect_drift(&self, _: &str) -> Result<String, CloudError> {
            Ok("id".to_owned())
        }

        async fn detection(&self, id: &str) -> Result<Detection, CloudError> {
            assert_eq!(id, "id");
            let mut detections = self.detections.borrow_mut();
            detections.pop_front().unwrap_or(Ok(Detection::InProgress))
        }

        async fn drifted(&self, _: &str) -> Result<Vec<Drifted>, CloudError> {
            Ok(Vec::new())
        }
    }

    fn refused(code: &str) -> CloudError {
        CloudError::of_answer(
            "cloudformation:DescribeStackDriftDetectionStatus",
            code,
            "no",
        )
    }

    #[tokio::test]
    async fn a_look_for_drift_is_waited_for_over_what_passes() {
        let cloud = Fake {
            detections: RefCell::new(VecDeque::from([
                Ok(Detection::InProgress),
                Err(refused("Throttling")),
                Ok(Detection::Done("DRIFTED".to_owned())),
            ])),
        };
        let drift = detect(&cloud, "stack").await.unwrap().unwrap();
        assert_eq!(drift.status, "DRIFTED");
        assert!(cloud.detections.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_look_for_drift_that_fails_says_why() {
        let failed = Detection::Failed("Failed to detect drift on resource [ChatTable]".to_owned());
        for (detection, words) in [
            (Ok(failed), "resource [ChatTable]"),
            (
                Err(refused("AccessDenied")),
                "the permission `cloudformation:DescribeStackDriftDetectionStatus` is missing",
            ),
        ] {
            let cloud = Fake {
                detections: RefCell::new(VecDeque::from([detection])),
            };
            let error = detect(&cloud, "stack").await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.hint().unwrap().contains("-policy"), "{error}");
        }
    }
}
