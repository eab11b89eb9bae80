//! The plan for people, in 80 columns, and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::figures::figures;
use super::prices::LIST;
use super::quotas::{Demand, NEW_CONNECTIONS_NAME, Remedy, SHARE_MAX, STAGE_RATE_NAME};
use super::{Load, Plan};
use crate::telemetry::grouped;

impl Plan {
    /// For people.
    pub(crate) fn lines(&self) -> String {
        let mut text = format!("{}\n\n", self.headline());
        let _ = writeln!(
            text,
            "{:<28}{:>14}{:>14}{:>8}",
            "", "needed", "quota", "used"
        );
        for demand in &self.demands {
            let _ = writeln!(
                text,
                "{:<28}{:>14}{:>14}{:>8}{}",
                demand.quota.what,
                number(demand.amount),
                number(demand.quota.amount),
                percent(demand.share()),
                if demand.share() > 1.0 {
                    "  too much"
                } else if demand.is_tight() {
                    "  tight"
                } else {
                    ""
                }
            );
        }
        let _ = writeln!(
            text,
            "\n{:<28}{:>14}  without the way through the internet",
            "To the first receiver",
            format!("{} ms", number(self.latency_floor_ms))
        );
        let _ = writeln!(
            text,
            "{:<28}{:>14}  in a room of {}",
            "To the last one",
            format!("{} ms", number(self.last_receiver_ms)),
            number(f64::from(self.load.room_size))
        );
        let _ = writeln!(
            text,
            "{:<28}{:>14}  when all are lost at once",
            "Until everyone is back",
            format!("{} s", number(self.reconnect_s))
        );
        text += "\nA month of it\n";
        for cost in &self.costs {
            let _ = writeln!(text, "  {:<26}{:>14}", cost.what, dollars(cost.dollars));
        }
        let _ = writeln!(text, "  {:<26}{:>14}", "All", dollars(self.total()));
        let _ = writeln!(text, "  {LIST}, without free tiers");
        text += &self.advice();
        text += "\nNothing of this has been measured on AWS; --json has the figures and sources.\n";
        text
    }

    fn headline(&self) -> String {
        let Load {
            connections,
            room_size,
            rate,
        } = self.load;
        format!(
            "{} connections in rooms of {}, {} messages a second\nin {}",
            number(f64::from(connections)),
            number(f64::from(room_size)),
            number(rate),
            self.region.name
        )
    }

    /// What to ask AWS for, to change and to do instead.
    fn advice(&self) -> String {
        let tight: Vec<&Demand> = self.demands.iter().filter(|it| it.is_tight()).collect();
        if tight.is_empty() {
            return format!("\nNothing has to be raised.\n{}", self.sooner_back());
        }
        let lines = |title: &str, pick: &dyn Fn(&Demand) -> Option<String>| {
            let lines: Vec<String> = tight.iter().filter_map(|it| pick(it)).collect();
            if lines.is_empty() {
                String::new()
            } else {
                format!("\n{title}\n{}", lines.concat())
            }
        };
        let ask = lines(
            "Ask AWS for, in Service Quotas",
            &|it| match it.quota.remedy {
                Remedy::Ask(quota) => Some(format!("  {quota}: {}\n", number(it.wanted()))),
                _ => None,
            },
        );
        let change = lines("Change before deploying", &|it| match it.quota.remedy {
            Remedy::Change(what) => Some(format!("  {what}: {}\n", number(it.wanted()))),
            _ => None,
        });
        let instead = lines("Cannot be raised", &|it| match it.quota.remedy {
            Remedy::Instead(what) => Some(format!("  {}:\n    {what}\n", it.quota.what)),
            _ => None,
        });
        let cells = match self.cells {
            Some(cells) if cells > 1.0 => format!(
                "\nOr spread it over {} accounts with the default quotas: docs/scale.md.\n",
                number(cells)
            ),
            _ => String::new(),
        };
        [ask, change, instead, self.sooner_back(), cells].concat()
    }

    /// What a return of everyone takes that nobody waits long for.
    fn sooner_back(&self) -> String {
        if self.reconnect_s <= RETURN_S_MAX {
            return String::new();
        }
        let needed = f64::from(self.load.connections) / RETURN_S_MAX;
        format!(
            "\nFor everyone to be back within {RETURN_S_MAX} s\n  {NEW_CONNECTIONS_NAME}: {}\n  \
             {STAGE_RATE_NAME}: {}\n",
            number(needed.ceil()),
            number((2.0 * needed).ceil())
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let flows = &self.flows;
        let quotas = self.demands.iter().map(|it| {
            let (how, what) = match it.quota.remedy {
                Remedy::Ask(what) => ("ask", what),
                Remedy::Change(what) => ("change", what),
                Remedy::Instead(what) => ("instead", what),
            };
            json!({
                "what": it.quota.what,
                "needed": it.amount,
                "quota": it.quota.amount,
                "share": it.share(),
                "remedy": {"how": how, "what": what},
                "wanted": (it.is_tight() && how != "instead").then(|| it.wanted()),
            })
        });
        let costs = self
            .costs
            .iter()
            .map(|it| json!({"what": it.what, "dollars": it.dollars}));
        let figures = figures().into_iter().map(
            |it| json!({"what": it.what, "value": it.value, "unit": it.unit, "source": it.source}),
        );
        json!({
            "connections": self.load.connections,
            "room_size": self.load.room_size,
            "rate": self.load.rate,
            "region": self.region.name,
            "a_second": {
                "posts": flows.posts,
                "pings": flows.pings,
                "renewals": flows.renewals,
                "invocations": flows.invocations,
                "read_units": flows.reads,
                "write_units": flows.writes,
            },
            "quotas": quotas.collect::<Vec<_>>(),
            "quota_share_at_most": SHARE_MAX,
            "latency_floor_ms": self.latency_floor_ms,
            "last_receiver_ms": self.last_receiver_ms,
            "reconnect_s": self.reconnect_s,
            "accounts_with_default_quotas": self.cells,
            "month": {
                "costs": costs.collect::<Vec<_>>(),
                "dollars": self.total(),
                "prices": LIST,
            },
            "figures": figures.collect::<Vec<_>>(),
        })
    }
}

/// Nobody likes to wait longer for everyone to be back.
const RETURN_S_MAX: f64 = 60.0;

/// From here on nobody reads all digits, and no column holds them.
const FULL_MAX: f64 = 1e10;

/// A quantity as people read it: whole when it is large, two digits that mean something when not.
pub(super) fn number(value: f64) -> String {
    if value >= FULL_MAX {
        return format!("{value:.1e}");
    }
    if value >= 10.0 {
        return grouped(value);
    }
    let text = match value {
        it if it >= 1.0 => format!("{it:.1}"),
        it if it >= 0.01 => format!("{it:.2}"),
        it if it > 0.0 => return "< 0.01".to_owned(),
        _ => return "0".to_owned(),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn dollars(value: f64) -> String {
    if value >= 100.0 {
        return format!("${}", number(value));
    }
    format!("${value:.2}")
}

fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 {
        return "< 1%".to_owned();
    }
    format!("{}%", number((share * 100.0).round()))
}
