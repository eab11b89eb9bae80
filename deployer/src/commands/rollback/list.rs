//! What there is to go back to, shown.

use serde_json::json;

use super::here::Here;
use crate::cloud::{Cloud, Functions, Packages};
use crate::error::Error;
use crate::output::Output;
use crate::releases::{Mark, Release};
use crate::settings::RollbackSettings;

/// What there is to go back to, the newest first.
///
/// # Errors
/// [`Error`], if AWS does not say.
pub(super) async fn show(
    cloud: &(impl Cloud + Functions + Packages),
    here: &Here,
    settings: &RollbackSettings,
    output: &mut Output,
) -> Result<(), Error> {
    let runs = here.runs(cloud, &settings.stage).await?;
    // Of one that cannot be read nothing is known.
    let mark = here.kept.mark.clone().unwrap_or_default();
    let pairs = || here.kept.releases.iter().zip(&runs).enumerate();
    let text = if settings.json {
        let releases = pairs().map(|(index, (release, runs))| {
            json!({
                "number": index + 1,
                "release": release.to_string(),
                "worked": release.time(),
                "package": release.package,
                "page": release.page,
                "architecture": release.architecture,
                "runs": runs,
                "left": mark.has_left(release),
                "unfinished": mark.leads_to(release),
            })
        });
        let result = json!({"event": "result", "releases": releases.collect::<Vec<_>>()});
        format!("{result}\n")
    } else if here.kept.releases.is_empty() {
        "nothing is kept yet: a deploy that is found to work is, from then on\n".to_owned()
    } else {
        pairs()
            .map(|(index, (release, runs))| line(index + 1, release, word(release, *runs, &mark)))
            .collect()
    };
    output.data(&text)?;
    Ok(())
}

/// What there is to say of it.
fn word(release: &Release, runs: bool, mark: &Mark) -> &'static str {
    match (mark.leads_to(release), runs, mark.has_left(release)) {
        (true, _, _) => "  rollback unfinished",
        (_, true, _) => "  runs now",
        (_, _, true) => "  gone back from",
        _ => "",
    }
}

fn line(number: usize, release: &Release, word: &str) -> String {
    let Release { architecture, .. } = release;
    let time = release.time();
    format!("{number:>2}  {release}  {time}  {architecture}{word}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str) -> Release {
        Release {
            package: name.repeat(64),
            page: "f".repeat(64),
            architecture: "x86_64",
            written_ms: 1_800_000_000_000,
        }
    }

    #[test]
    fn a_release_is_told_in_a_line_with_what_became_of_it() {
        let [one, other] = ["a", "b"].map(release);
        let none = Mark::default();
        let begun = Mark::default().toward(&other, Some(&one));
        let told = |release, runs, mark| line(2, release, word(release, runs, mark));
        let start = " 2  aaaaaaaaaaaa-ffffffffffff  2027-01-15T08:00:00Z  x86_64";
        for (runs, mark, end) in [
            (true, &none, "  runs now\n"),
            (false, &none, "\n"),
            (false, &begun, "  gone back from\n"),
            (true, &begun, "  runs now\n"),
        ] {
            assert_eq!(told(&one, runs, mark), format!("{start}{end}"));
        }
        for runs in [true, false] {
            let line = told(&other, runs, &begun);
            assert!(line.ends_with("x86_64  rollback unfinished\n"), "{line}");
            assert!(line.len() <= 81, "{line}");
        }
    }
}
