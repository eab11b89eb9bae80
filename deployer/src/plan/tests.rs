use std::fmt::Write as _;

use super::report::{dollars, number};
use super::*;

fn plan(connections: u32, room_size: u32, rate: f64, region: &str) -> Plan {
    let load = Load::new(connections, room_size, rate).expect("a load");
    Plan::new(load, region.parse().expect("a Region"))
}

fn demand<'a>(plan: &'a Plan, what: &str) -> &'a Demand {
    let found = plan.demands.iter().find(|it| it.quota.what == what);
    found.unwrap_or_else(|| panic!("no `{what}`"))
}

fn assert_near(value: f64, expected: f64, what: &str) {
    let difference = (value - expected).abs();
    assert!(
        difference <= expected.abs() * 0.001,
        "{what}: {value} and not {expected}"
    );
}

/// Worked out by hand: 200 rooms of 50, of which two items of the table are one page of 4 KB each.
#[test]
fn ten_thousand_people_need_what_the_arithmetic_says() {
    let plan = plan(10_000, 50, 100.0, "us-east-1");
    let flows = &plan.flows;
    assert_near(
        flows.posts,
        100.0 * 49.0,
        "everyone else in the room is posted to",
    );
    assert_near(flows.pings, 9.977, "100 / (e^2.4 - 1)");
    assert_near(flows.renewals, 1.462, "10,000 / 114 min");
    assert_near(flows.reads, 300.0 + 4.0 * 9.977 + 6.0 * 1.462, "reads");
    assert_near(flows.writes, 200.0 + 9.0 * 1.462, "writes");
    let requests = demand(&plan, "API Gateway requests /s");
    assert_near(
        requests.amount,
        4900.0 + 100.0 + 9.977 + 2.0 * 1.462,
        "requests",
    );
    assert!(!requests.is_tight());
    assert_near(
        demand(&plan, "DynamoDB writes /s, a room").amount,
        1.0,
        "0.5 messages",
    );
    assert_near(plan.reconnect_s, 20.0, "500 a second");
    assert_near(plan.latency_floor_ms, 35.0, "10 + 3 x 5 + 10");
    let cost = |what: &str| {
        let found = plan.costs.iter().find(|it| it.what == what);
        found.unwrap_or_else(|| panic!("no `{what}`")).dollars
    };
    assert_near(
        cost("API Gateway, frames"),
        10_970.0,
        "13.5 milliards, 1 at the first price",
    );
    assert_near(
        cost("API Gateway, connections"),
        109.5,
        "10,000 x 43,800 min",
    );
    assert_near(cost("DynamoDB, requests"), 114.5 + 350.2, "by units");
    assert_near(
        plan.total(),
        plan.costs.iter().map(|it| it.dollars).sum(),
        "all",
    );
}

#[test]
fn a_silent_chat_costs_its_connections_and_pings() {
    let silent = plan(1_000, 10, 0.0, "us-east-1");
    assert_near(silent.flows.pings, 1_000.0 / 240.0, "one in four minutes");
    let hardly = plan(1_000, 10, 1e-12, "us-east-1");
    assert_near(hardly.flows.pings, silent.flows.pings, "it does not jump");
    assert!(silent.flows.posts.abs() < f64::EPSILON);
}

#[test]
fn thirteen_regions_have_a_quarter_of_the_requests() {
    for (region, quota) in [
        ("us-east-1", 10_000.0),
        ("eu-central-1", 10_000.0),
        ("eu-south-1", 2_500.0),
        ("eu-central-2", 2_500.0),
        ("mx-central-1", 2_500.0),
    ] {
        let plan = plan(1_000, 50, 80.0, region);
        let requests = demand(&plan, "API Gateway requests /s");
        assert_near(requests.quota.amount, quota, region);
        assert_eq!(requests.is_tight(), quota < 5_000.0, "{region}");
        assert_eq!(
            plan.lines().contains("L-8A5B8E43"),
            quota < 5_000.0,
            "{region}"
        );
    }
    for wrong in [
        "",
        "us",
        "us-east",
        "us-east-",
        "US-EAST-1",
        "us-east-1a",
        "1-2-3",
        "us--1",
    ] {
        let error = wrong.parse::<Region>().expect_err(wrong);
        assert_eq!(error, RegionError(wrong.to_owned()));
    }
    for right in ["us-gov-west-1", "ap-southeast-7", "cn-north-1"] {
        right.parse::<Region>().expect(right);
    }
}

#[test]
fn nonsense_is_refused_with_what_to_give_instead() {
    for (connections, room_size, rate, part) in [
        (0, 1, 1.0, "`--connections 0` is nobody"),
        (1, 0, 1.0, "`--room-size 0` is nobody"),
        (
            10,
            11,
            1.0,
            "`--room-size 11` is more than all of `--connections 10`",
        ),
        (
            10,
            2,
            -1.0,
            "`--rate -1` is not a number of messages a second",
        ),
        (10, 2, f64::NAN, "`--rate NaN`"),
        (10, 2, f64::INFINITY, "`--rate inf`"),
        (
            10,
            2,
            101.0,
            "`--rate 101` is more than 10 messages a second from each of 10",
        ),
    ] {
        let error = Load::new(connections, room_size, rate).expect_err(part);
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.hint().contains("give "), "{}", error.hint());
    }
    Load::new(10, 10, 100.0).expect("as much as anybody says");
}

#[test]
fn a_broadcast_takes_as_long_as_the_slowest_of_its_limits() {
    let last = |room_size: u32, region: &str| {
        let plan = plan(200_000, room_size, 1.0, region);
        plan.last_receiver_ms - (figures::LATENCY_FLOOR_MS - figures::POST_MS)
    };
    assert_near(last(2, "us-east-1"), figures::POST_MS, "one post");
    assert_near(last(1_001, "us-east-1"), 160.0, "16 times 64 at once");
    assert_near(last(1_001, "eu-south-1"), 400.0, "2,500 a second");
    assert_near(
        last(1_101, "us-east-1"),
        110.0,
        "in two shares it is the quota",
    );
    assert_near(last(1_002, "us-east-1"), 100.1, "and no longer 160");
    assert_near(last(10_001, "us-east-1"), 1_000.0, "10,000 a second");
}

#[test]
fn rooms_that_are_too_large_are_no_matter_of_quotas() {
    let plan = plan(200_000, 200_000, 1.0, "us-east-1");
    assert_eq!(plan.cells, None);
    let text = plan.lines();
    assert!(text.contains("Cannot be raised\n"), "{text}");
    assert!(text.contains("smaller rooms"), "{text}");
    assert!(!text.contains("Or spread it over"), "{text}");
}

#[test]
fn what_is_asked_for_leaves_room_and_is_a_round_number() {
    let plan = plan(100_000, 50, 1_000.0, "us-east-1");
    let requests = demand(&plan, "API Gateway requests /s");
    assert!(requests.share() > 1.0);
    assert!(requests.wanted() >= requests.amount / 0.7);
    assert!(requests.wanted() <= requests.amount / 0.7 * 1.1);
    assert_eq!(number(requests.wanted()), "72,000");
    assert!(
        plan.lines()
            .contains("Throttle rate (L-8A5B8E43): 72,000\n")
    );
    assert_eq!(plan.cells, Some(8.0), "50,000 requests of 7,000 each");
}

#[test]
fn a_return_that_takes_long_is_told_what_shortens_it() {
    let shortened = "within 60 s\n  API Gateway: New connections per second (L-9ED1E49A): 1,667\n  \
                     `--throttle-rate` of `chatctl deploy`: 3,334\n";
    let long = plan(100_000, 50, 10.0, "us-east-1").lines();
    assert!(long.contains(shortened), "{long}");
    let short = plan(30_000, 50, 10.0, "us-east-1").lines();
    assert!(!short.contains("to be back within"), "{short}");
}

#[test]
fn what_is_to_be_changed_before_a_deploy_is_a_flag_of_it() {
    let busy = plan(30_000, 2, 3_000.0, "us-east-1").lines();
    let advice = "Change before deploying\n  `--throttle-rate` of `chatctl deploy`: 4,";
    assert!(busy.contains(advice), "{busy}");
    let cli = <crate::cli::Cli as clap::CommandFactory>::command();
    let deploy = cli.find_subcommand("deploy").expect("a command");
    let flags = deploy.get_arguments();
    assert!(
        flags
            .into_iter()
            .any(|it| it.get_long() == Some("throttle-rate"))
    );
}

#[test]
fn more_of_anything_never_takes_less() {
    let sizes = [1, 2, 10, 64, 65, 1_000, 30_000];
    let shares = |plan: &Plan| -> Vec<f64> {
        let costs = plan.costs.iter().map(|it| it.dollars);
        plan.demands
            .iter()
            .map(Demand::share)
            .chain(costs)
            .collect()
    };
    // The first six quotas are the account's and the stage's; a larger chat has the same rooms.
    for pair in sizes.windows(2) {
        let of = |connections: u32| {
            let rate = f64::from(connections) / 100.0;
            shares(&plan(connections * 50, 50, rate, "us-east-1"))
        };
        for (less, more) in of(pair[0]).into_iter().zip(of(pair[1])) {
            assert!(less <= more * 1.000_001, "{pair:?}: {less} and then {more}");
        }
    }
}

#[test]
fn the_report_fits_80_columns_however_large_it_is() {
    for (connections, room_size, rate) in [
        (1, 1, 0.0),
        (10_000, 50, 100.0),
        (1_000_000, 1_000, 12_345.678),
        (u32::MAX, u32::MAX, 10.0 * f64::from(u32::MAX)),
        (u32::MAX, 1, 0.000_1),
    ] {
        let text = plan(connections, room_size, rate, "ap-southeast-7").lines();
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn programs_get_the_same_numbers_and_their_sources() {
    let plan = plan(100_000, 50, 1_000.0, "us-east-1");
    let json = plan.json();
    assert_eq!(json["connections"], 100_000);
    let quotas = json["quotas"].as_array().expect("a list");
    assert_eq!(quotas.len(), plan.demands.len());
    assert_eq!(quotas[0]["wanted"], 72_000.0);
    assert_eq!(quotas[0]["remedy"]["how"], "ask");
    assert_near(
        json["month"]["dollars"].as_f64().expect("a sum"),
        plan.total(),
        "a month",
    );
    for figure in json["figures"].as_array().expect("a list") {
        assert!(
            figure["source"].as_str().is_some_and(|it| !it.is_empty()),
            "{figure}"
        );
    }
}

/// The number after `what` in a file of ours.
fn number_after(text: &str, what: &str) -> f64 {
    let rest = text
        .split(what)
        .nth(1)
        .unwrap_or_else(|| panic!("no `{what}`"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn the_figures_are_those_of_the_code_and_the_template() {
    let fan_out = include_str!("../../../handlers/src/chat/fan_out.rs");
    let posts = number_after(fan_out, "const POSTS_AT_ONCE: usize = ");
    assert_near(figures::POSTS_AT_ONCE, posts, "posts at once");
    let functions = include_str!("../../../cloudformation/functions.yaml");
    let share = number_after(functions, "SHARE_MEMBERS: \"");
    assert_near(figures::SHARE_MEMBERS, share, "members of a share");
    let template = crate::template::synthesize(&crate::template::TemplateSettings::embedded(
        "dev".parse().expect("a stage's name"),
    ));
    let template = template.expect("a template");
    let template = template.as_value();
    let default = |parameter: &str| {
        let default = &template["Parameters"][parameter]["Default"];
        default
            .as_f64()
            .unwrap_or_else(|| panic!("`{parameter}` has no default that is a number"))
    };
    assert_near(figures::MEMORY_MB, default("Memory"), "memory");
    assert_near(
        quotas::STAGE_RATE,
        default("ThrottleRate"),
        "the stage's throttle",
    );
}

/// The table of `docs/scale.md`: everybody says something every five minutes, in rooms of 50.
fn scale_table() -> String {
    let mut text = "| connections | messages /s | requests /s | cells | back in | a month |\n\
                    | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for connections in [10_000, 100_000, 1_000_000, 10_000_000] {
        let plan = plan(connections, 50, f64::from(connections) / 300.0, "us-east-1");
        let cells = plan.cells.expect("rooms of 50 are small");
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} s | {} |",
            number(f64::from(connections)),
            number(plan.load.rate),
            number(demand(&plan, "API Gateway requests /s").amount),
            number(cells),
            number(plan.reconnect_s / cells),
            dollars(plan.total()),
        );
    }
    text
}

#[test]
fn the_page_on_scale_quotes_the_plan() {
    let page = include_str!("../../../docs/scale.md");
    let table = scale_table();
    assert!(page.contains(&table), "docs/scale.md should have\n{table}");
    let largest = |region: &str| {
        // The largest room that a message a second still reaches with a share of the requests.
        let fits = |size: &u32| {
            let plan = plan(*size, *size, 1.0, region);
            plan.demands.iter().all(|it| !it.is_tight())
        };
        (2..50_000).take_while(fits).last().expect("two people")
    };
    for region in ["us-east-1", "eu-south-1"] {
        let size = number(f64::from(largest(region)));
        let sentence = format!("{size} members in `{region}`");
        assert!(
            page.contains(&sentence),
            "docs/scale.md should say: {sentence}"
        );
    }
}
