//! Figures of the README: those of the benchmarks' report, and those of `chatctl plan`.

use super::Document;
use e2e::chatctl;

/// The rows of the README's table whose head begins like this, as cells.
fn table(head: &str) -> Vec<Vec<String>> {
    let text = Document::named("README.md").text;
    let lines = text.lines().skip_while(|it| !it.starts_with(head));
    let rows = lines.skip(2).take_while(|it| it.starts_with('|'));
    let cells = |row: &str| {
        let row = row.trim_matches('|').split('|');
        row.map(|it| it.trim().to_owned()).collect::<Vec<_>>()
    };
    let rows: Vec<_> = rows.map(cells).collect();
    assert!(rows.len() > 3, "{rows:?}");
    rows
}

/// The figures of a text, with their units: `0.849 ms`, `45,450 /s`.
fn figures(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split([' ', ';']).collect();
    let pairs = words.windows(2);
    let is_figure = |pair: &&[&str]| {
        let unit = pair[1].trim_end_matches(',');
        pair[0].starts_with(|it: char| it.is_ascii_digit()) && ["ms", "s", "/s"].contains(&unit)
    };
    pairs
        .filter(is_figure)
        .map(|it| format!("{} {}", it[0], it[1].trim_end_matches(',')))
        .collect()
}

#[test]
fn what_the_readme_quotes_of_the_benchmarks_is_in_their_report() {
    let report = Document::named("bench/README.md").text;
    let mut count = 0;
    for row in table("| | chatctl | beside it |") {
        for figure in figures(&row[1..].join(" ; ")) {
            count += 1;
            // As the table's cell begins, so that no other figure's end passes for it.
            assert!(
                report.contains(&format!("| {figure} ")),
                "{}: bench/README.md does not have {figure}: quote it anew",
                row[0]
            );
        }
    }
    assert!(count > 12, "{count}");
}

#[tokio::test]
async fn what_the_readme_says_of_costs_is_what_chatctl_plan_prints() {
    let rows = table("| connections | members of a room |");
    for row in &rows {
        let load: Vec<String> = row[..3].iter().map(|it| it.replace(',', "")).collect();
        // The last one is `docs/scale.md`'s, where everybody says something every five minutes.
        let rate = if load[2] == "33" { "33.3333" } else { &load[2] };
        let output = chatctl::run(&[
            "plan",
            "--region=us-east-1",
            "--connections",
            &load[0],
            "--room-size",
            &load[1],
            "--rate",
            rate,
        ])
        .await;
        let printed = String::from_utf8(output.stdout).expect("text");
        let all = printed.lines().find(|it| it.trim().starts_with("All "));
        let all = all.and_then(|it| it.split_whitespace().last());
        assert_eq!(all, Some(row[3].as_str()), "{row:?}: {printed}");
    }
}
