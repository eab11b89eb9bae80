//! What was found of a chat, for people and for programs. Pure.

use serde_json::{Value, json};

use super::Known;
use crate::cloud::{AlarmView, Drifted};
use crate::site::Edits;
use crate::stack::Status;
use crate::telemetry::{Crowd, TelemetryError, Traffic, ago, grouped, wrapped};

/// Files that are named; of more, how many.
const NAMED_MAX: usize = 3;

/// Of a line, behind the section's name.
const WIDTH: usize = 64;

/// How a chat is.
#[derive(Debug)]
pub(super) struct Report {
    /// The stack's name.
    pub(super) name: String,
    /// The AWS account.
    pub(super) account: String,
    /// The Region.
    pub(super) region: String,
    /// What the stack is in.
    pub(super) status: Status,
    /// When it was last changed, in seconds since 1970.
    pub(super) changed_s: Known<Option<i64>>,
    /// What was changed behind the stack's back.
    pub(super) drift: Known<Option<Drift>>,
    /// What there is of a chat that came up.
    pub(super) finished: Option<Finished>,
    /// When that was looked up, in seconds since 1970.
    pub(super) now_s: i64,
}

/// What a look for drift found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drift {
    /// In AWS's words.
    pub(super) status: String,
    /// When, in seconds since 1970.
    pub(super) checked_s: Option<i64>,
    /// What is not as the stack made it.
    pub(super) drifted: Vec<Drifted>,
}

/// What there is of a chat that came up.
#[derive(Debug)]
pub(super) struct Finished {
    /// The page.
    pub(super) site: String,
    /// The socket.
    pub(super) websocket: String,
    /// Its stage.
    pub(super) stage: String,
    /// What the functions run.
    pub(super) code: Known<CodeReport>,
    /// What a deploy would send and remove.
    pub(super) page: Known<Edits>,
    /// Whether template and settings are those of here, but for the code.
    pub(super) is_as_wanted: Known<bool>,
    /// The stack's alarms.
    pub(super) alarms: Known<Vec<AlarmView>>,
    /// Who is connected; nothing, if that cannot be measured.
    pub(super) crowd: Known<Option<Crowd>>,
    /// The last hour; nothing, if that cannot be measured.
    pub(super) traffic: Known<Option<Traffic>>,
}

/// What the functions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CodeReport {
    /// The key of the package that the stack names.
    pub(super) key: String,
    /// Its SHA-256 in base64.
    pub(super) named: String,
    /// Each function, and the SHA-256 of what it runs.
    pub(super) running: Vec<(String, String)>,
    /// The SHA-256 of what is here, if it was built.
    pub(super) here: Option<String>,
}

impl CodeReport {
    /// The functions that run something else than the stack names.
    fn swapped(&self) -> Vec<&str> {
        let differing = self.running.iter().filter(|(_, it)| *it != self.named);
        differing.map(|(name, _)| name.as_str()).collect()
    }

    /// Whether all run what is here, if that is known.
    fn is_here(&self) -> Option<bool> {
        let here = self.here.as_ref()?;
        Some(self.running.iter().all(|(_, it)| it == here))
    }

    /// The first digits of the package's name.
    fn package(&self) -> &str {
        let name = self.key.rsplit('/').next().unwrap_or_default();
        name.get(..12).unwrap_or(name)
    }

    fn lines(&self) -> Vec<String> {
        let swapped = self.swapped();
        let mut lines = vec![format!("package {}", self.package())];
        if !swapped.is_empty() {
            lines.push(format!(
                "{} of {} functions run another one: swapped, or changed by hand",
                swapped.len(),
                self.running.len()
            ));
        }
        lines.push(
            match self.is_here() {
                None => "not compared with what is here (`--build` builds that)",
                Some(true) => "the same as here",
                Some(false) => "another than here",
            }
            .to_owned(),
        );
        lines
    }
}

impl Report {
    /// The sections that are not known, as an error, if there are any.
    pub(super) fn missing(self) -> Option<TelemetryError> {
        let mut missing = Vec::new();
        let mut note = |section, error: Option<TelemetryError>| {
            missing.extend(error.map(|error| (section, error)));
        };
        note("the stack's history", self.changed_s.err());
        note("drift", self.drift.err());
        if let Some(finished) = self.finished {
            note("the code", finished.code.err());
            note("the page", finished.page.err());
            note("the template", finished.is_as_wanted.err());
            note("the alarms", finished.alarms.err());
            note("the connections", finished.crowd.err());
            note("the traffic", finished.traffic.err());
        }
        let sections = missing.iter().map(|(section, _)| *section).collect();
        let (_, first) = missing.into_iter().next()?;
        Some(TelemetryError::NotKnown {
            sections,
            first: Box::new(first),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} in {}, account {}\n",
            self.name, self.region, self.account
        )];
        let changed = match &self.changed_s {
            Ok(Some(then)) => format!("{}, changed {}", self.status, ago(*then, self.now_s)),
            _ => self.status.to_string(),
        };
        lines.extend(section("stack", &[changed]));
        lines.extend(known("drift", &self.drift, |it| {
            self.drift_lines(it.as_ref())
        }));
        let Some(finished) = &self.finished else {
            let rest = "never came up: `chatctl deploy` sees to it".to_owned();
            lines.extend(section("chat", &[rest]));
            return lines.join("\n") + "\n";
        };
        lines.extend(known("code", &finished.code, CodeReport::lines));
        lines.extend(known("page", &finished.page, page_lines));
        lines.extend(known("settings", &finished.is_as_wanted, |is_as_wanted| {
            let told = if *is_as_wanted {
                "the same as here, and so is the template"
            } else {
                "they differ from here (`chatctl diff` tells which)"
            };
            vec![told.to_owned()]
        }));
        lines.extend(known("alarms", &finished.alarms, |it| alarm_lines(it)));
        lines.extend(known("connections", &finished.crowd, |it| {
            crowd_lines(it.as_ref(), self.now_s)
        }));
        lines.extend(known("site", &Ok(()), |()| vec![finished.site.clone()]));
        lines.extend(known("socket", &Ok(()), |()| {
            vec![finished.websocket.clone()]
        }));
        match &finished.traffic {
            Ok(Some(traffic)) => {
                let head = format!("\n  {:<14}{:>12}  each 2 minutes", "last hour", "sum");
                lines.push(head);
                lines.extend(traffic.lines());
            }
            Ok(None) => {}
            Err(error) => lines.extend(section("traffic", &[format!("not known: {error}")])),
        }
        lines.join("\n") + "\n"
    }

    fn drift_lines(&self, drift: Option<&Drift>) -> Vec<String> {
        let Some(drift) = drift else {
            return vec!["not known".to_owned()];
        };
        let when = drift.checked_s.map(|it| ago(it, self.now_s));
        let when = when.unwrap_or_else(|| "at no time that AWS tells".to_owned());
        let mut lines = vec![match drift.status.as_str() {
            "NOT_CHECKED" => "never looked for (`--drift` does)".to_owned(),
            "IN_SYNC" => format!("none, {when}"),
            "DRIFTED" => format!("{} changed by hand, {when}", things(drift.drifted.len())),
            other => format!("{other}, {when}"),
        }];
        lines.extend(drift.drifted.iter().map(|it| {
            let properties = match it.properties.as_slice() {
                [] => String::new(),
                some => format!(" {}", some.join(" ")),
            };
            format!("{} {} ({}){properties}", it.status, it.resource, it.kind)
        }));
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let mut report = json!({
            "event": "result",
            "stack": self.name,
            "account": self.account,
            "region": self.region,
            "status": self.status.as_str(),
            "changed": self.changed_s.as_ref().ok().copied().flatten(),
            "drift": self.drift.as_ref().ok().and_then(|it| it.as_ref()).map(|it| json!({
                "status": it.status,
                "checked": it.checked_s,
                "resources": it.drifted.iter().map(|it| json!({
                    "resource": it.resource,
                    "type": it.kind,
                    "status": it.status,
                    "properties": it.properties,
                })).collect::<Vec<_>>(),
            })),
            "not_known": {},
        });
        let mut unknown = serde_json::Map::new();
        let mut note = |section: &str, error: Option<&TelemetryError>| {
            let reason = error.map(|it| Value::from(it.to_string()));
            unknown.extend(reason.map(|it| (section.to_owned(), it)));
        };
        note("changed", self.changed_s.as_ref().err());
        note("drift", self.drift.as_ref().err());
        if let Some(finished) = &self.finished {
            note("code", finished.code.as_ref().err());
            note("page", finished.page.as_ref().err());
            note("settings", finished.is_as_wanted.as_ref().err());
            note("alarms", finished.alarms.as_ref().err());
            note("connections", finished.crowd.as_ref().err());
            note("traffic", finished.traffic.as_ref().err());
            if let (Value::Object(report), Value::Object(rest)) = (&mut report, finished.json()) {
                report.extend(rest);
            }
        }
        report["not_known"] = unknown.into();
        report
    }
}

impl Finished {
    fn json(&self) -> Value {
        json!({
            "stage": self.stage,
            "site": self.site,
            "websocket": self.websocket,
            "code": self.code.as_ref().ok().map(|it| json!({
                "key": it.key,
                "swapped": it.swapped(),
                "as_here": it.is_here(),
            })),
            "page": self.page.as_ref().ok().map(|it| json!({
                "as_here": it.is_none(),
                "send": it.send,
                "remove": it.remove,
            })),
            "settings_as_here": self.is_as_wanted.as_ref().ok(),
            "alarms": self.alarms.as_ref().ok().map(|it| it.iter().map(|it| json!({
                "name": it.name,
                "state": it.state,
                "reason": it.reason,
            })).collect::<Vec<_>>()),
            "connections": self.crowd.as_ref().ok().and_then(|it| it.as_ref()).map(|it| json!({
                "about": it.about,
                "at_most": it.most,
                "counted_since": it.since_s,
                "from_nobody": it.begins_empty,
            })),
            "traffic": self.traffic.as_ref().ok().and_then(|it| it.as_ref()).map(Traffic::json),
        })
    }
}

fn page_lines(edits: &Edits) -> Vec<String> {
    if edits.is_none() {
        return vec!["the same as here".to_owned()];
    }
    let mut lines = vec![format!(
        "differs from here: {} to send, {} to remove",
        edits.send.len(),
        edits.remove.len()
    )];
    let files = edits.send.iter().chain(&edits.remove);
    lines.extend(files.clone().take(NAMED_MAX).cloned());
    let more = files.count().saturating_sub(NAMED_MAX);
    if more > 0 {
        lines.push(format!("and {more} more (`chatctl diff` lists them)"));
    }
    lines
}

fn alarm_lines(alarms: &[AlarmView]) -> Vec<String> {
    if alarms.is_empty() {
        return vec!["the stack has none".to_owned()];
    }
    let ringing: Vec<_> = alarms.iter().filter(|it| it.state == "ALARM").collect();
    let waiting = alarms.iter().filter(|it| it.state == "INSUFFICIENT_DATA");
    let waiting = match waiting.count() {
        0 => String::new(),
        some => format!(", {some} without data"),
    };
    let mut lines = vec![if ringing.is_empty() {
        format!("none of {}{waiting}", alarms.len())
    } else {
        format!("{} OF {}{waiting}", ringing.len(), alarms.len())
    }];
    lines.extend(
        ringing
            .iter()
            .map(|it| format!("{}: {}", it.name, it.reason)),
    );
    lines
}

fn crowd_lines(crowd: Option<&Crowd>, now_s: i64) -> Vec<String> {
    let Some(crowd) = crowd else {
        return vec!["not known: the stack lacks what is measured".to_owned()];
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "far less than that are connected"
    )]
    let count = |value: u64| grouped(value as f64);
    if crowd.most == 0 {
        return vec!["0: nobody came within two hours, the longest life of one".to_owned()];
    }
    let since = ago(crowd.since_s, now_s);
    let from = if crowd.begins_empty {
        format!("by who came and went since nobody was here, {since}")
    } else {
        format!("by who came and went in {}", since.trim_end_matches(" ago"))
    };
    vec![
        format!(
            "about {}, at most {}",
            count(crowd.about),
            count(crowd.most)
        ),
        from,
    ]
}

fn things(count: usize) -> String {
    match count {
        1 => "1 resource".to_owned(),
        many => format!("{many} resources"),
    }
}

/// A section's lines, or why there are none.
fn known<T>(name: &str, known: &Known<T>, lines: impl FnOnce(&T) -> Vec<String>) -> Vec<String> {
    match known {
        Ok(value) => section(name, &lines(value)),
        Err(error) => section(name, &[format!("not known: {error}")]),
    }
}

/// The section's name before its first line.
fn section(name: &str, lines: &[String]) -> Vec<String> {
    let lines = lines.iter().flat_map(|it| wrapped(it, WIDTH));
    let lines = lines.enumerate().map(|(index, line)| {
        let name = if index == 0 { name } else { "" };
        format!("  {name:<12}  {line}")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::CloudError;

    const NOW_S: i64 = 1_795_316_490;

    fn report() -> Report {
        Report {
            name: "chat-dev".to_owned(),
            account: "123456789012".to_owned(),
            region: "eu-central-1".to_owned(),
            status: Status::new("UPDATE_COMPLETE"),
            changed_s: Ok(Some(NOW_S - 7300)),
            drift: Ok(Some(Drift {
                status: "NOT_CHECKED".to_owned(),
                checked_s: None,
                drifted: Vec::new(),
            })),
            finished: Some(finished()),
            now_s: NOW_S,
        }
    }

    fn finished() -> Finished {
        Finished {
            site: "https://d111111abcdef8.cloudfront.net/".to_owned(),
            websocket: "wss://api.execute-api.eu-central-1.amazonaws.com/dev".to_owned(),
            stage: "dev".to_owned(),
            code: Ok(code("a", &["a", "a", "a"], Some("a"))),
            page: Ok(Edits::default()),
            is_as_wanted: Ok(true),
            alarms: Ok(vec![alarm("one", "OK"), alarm("two", "INSUFFICIENT_DATA")]),
            crowd: Ok(Some(Crowd {
                about: 12,
                most: 31,
                begins_empty: true,
                since_s: NOW_S - 7300,
            })),
            traffic: Ok(None),
        }
    }

    fn code(named: &str, running: &[&str], here: Option<&str>) -> CodeReport {
        let running = running.iter().enumerate();
        CodeReport {
            key: format!("functions/dev/{}.zip", "0123456789abcdef".repeat(4)),
            named: named.to_owned(),
            running: running
                .map(|(index, sha256)| (format!("f{index}"), (*sha256).to_owned()))
                .collect(),
            here: here.map(str::to_owned),
        }
    }

    fn alarm(name: &str, state: &str) -> AlarmView {
        AlarmView {
            name: name.to_owned(),
            state: state.to_owned(),
            reason: "Threshold Crossed".to_owned(),
        }
    }

    #[test]
    fn a_chat_that_is_well_fits_a_terminal() {
        let text = report().text();
        assert_eq!(
            text,
            "chat-dev in eu-central-1, account 123456789012\n\
             \n\
             \x20 stack         UPDATE_COMPLETE, changed 2 h ago\n\
             \x20 drift         never looked for (`--drift` does)\n\
             \x20 code          package 0123456789ab\n\
             \x20               the same as here\n\
             \x20 page          the same as here\n\
             \x20 settings      the same as here, and so is the template\n\
             \x20 alarms        none of 2, 1 without data\n\
             \x20 connections   about 12, at most 31\n\
             \x20               by who came and went since nobody was here, 2 h ago\n\
             \x20 site          https://d111111abcdef8.cloudfront.net/\n\
             \x20 socket        wss://api.execute-api.eu-central-1.amazonaws.com/dev\n"
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert_eq!(report().json()["connections"]["at_most"], 31);
        assert!(report().missing().is_none());
    }

    #[test]
    fn what_is_not_as_it_should_be_is_named() {
        let mut report = report();
        report.drift = Ok(Some(Drift {
            status: "DRIFTED".to_owned(),
            checked_s: Some(NOW_S - 60),
            drifted: vec![Drifted {
                resource: "ActionFunction".to_owned(),
                kind: "AWS::Lambda::Function".to_owned(),
                status: "MODIFIED".to_owned(),
                properties: vec!["/MemorySize".to_owned()],
            }],
        }));
        let finished = report.finished.as_mut().unwrap();
        finished.code = Ok(code("a", &["a", "b", "b"], Some("b")));
        finished.page = Ok(Edits {
            send: ["a", "b", "c"].map(str::to_owned).into(),
            remove: vec!["d".to_owned()],
        });
        finished.is_as_wanted = Ok(false);
        finished.alarms = Ok(vec![alarm("one", "ALARM"), alarm("two", "OK")]);
        let text = report.text();
        for line in [
            "drift         1 resource changed by hand, 60 s ago",
            "MODIFIED ActionFunction (AWS::Lambda::Function) /MemorySize",
            "2 of 3 functions run another one: swapped, or changed by hand",
            "another than here",
            "differs from here: 3 to send, 1 to remove",
            "and 1 more (`chatctl diff` lists them)",
            "they differ from here (`chatctl diff` tells which)",
            "alarms        1 OF 2",
            "one: Threshold Crossed",
        ] {
            assert!(text.contains(&format!("  {line}\n")), "{line}\n{text}");
        }
        let json = report.json();
        assert_eq!(json["code"]["swapped"], json!(["f1", "f2"]));
        assert_eq!(json["code"]["as_here"], false);
        assert_eq!(
            json["drift"]["resources"][0]["properties"][0],
            "/MemorySize"
        );
    }

    #[test]
    fn what_is_not_known_is_said_and_the_rest_is_told() {
        let denied = || {
            let call = "cloudwatch:DescribeAlarms";
            TelemetryError::from(CloudError::of_answer(call, "AccessDenied", "no"))
        };
        let mut report = report();
        let finished = report.finished.as_mut().unwrap();
        finished.alarms = Err(denied());
        finished.traffic = Err(denied());
        let text = report.text();
        assert!(
            text.contains(
                "  alarms        not known: the permission `cloudwatch:DescribeAlarms` is\n"
            ),
            "{text}"
        );
        assert!(text.contains("about 12"));
        let json = report.json();
        assert_eq!(json["alarms"], Value::Null);
        assert!(json["not_known"]["traffic"].is_string());
        let error = report.missing().unwrap();
        assert_eq!(
            error.to_string(),
            "could not be looked up: the alarms, the traffic"
        );
        assert!(
            error
                .hint()
                .unwrap()
                .contains("allow `cloudwatch:DescribeAlarms`")
        );
    }

    #[test]
    fn a_chat_that_never_came_up_is_told_as_such() {
        let report = Report {
            status: Status::new("ROLLBACK_COMPLETE"),
            finished: None,
            ..report()
        };
        let text = report.text();
        assert!(text.contains("ROLLBACK_COMPLETE"), "{text}");
        assert!(text.ends_with("never came up: `chatctl deploy` sees to it\n"));
        assert_eq!(report.json()["status"], "ROLLBACK_COMPLETE");
    }

    #[test]
    fn how_many_are_connected_says_how_that_is_known() {
        let crowd = |about, most, begins_empty| Crowd {
            about,
            most,
            begins_empty,
            since_s: NOW_S - 86_400,
        };
        for (crowd, words) in [
            (Some(crowd(0, 0, true)), "0: nobody came within two hours"),
            (Some(crowd(1200, 3000, true)), "about 1,200, at most 3,000"),
            (Some(crowd(5, 9, false)), "by who came and went in 24 h"),
            (None, "not known"),
        ] {
            let lines = crowd_lines(crowd.as_ref(), NOW_S).join("\n");
            assert!(lines.contains(words), "{lines}");
        }
    }
}
