//! What is deployed: the functions' package, made while AWS is asked what is there, and the page.

use std::time::{Duration, Instant};

use tokio::try_join;

use crate::build::{self, BuildError, Made, Package, Program, Sources};
use crate::error::Error;
use crate::output::{Output, OutputError};
use crate::settings::DeploySettings;
use crate::site::Page;

/// Looks something up while the package is made. Where that fails, the build ends at once.
pub(crate) async fn while_building<T>(
    look: impl AsyncFn() -> Result<T, Error>,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<(T, Package), Error> {
    let is_built = tell_of_build(settings, output)?;
    let made = timed(make(settings));
    let (found, (made, took)) = seen_after(made, is_built, look).await?;
    Ok((found, tell_of(made, took, output)?))
}

/// Looks something up while the program is made. Where that fails, the build ends at once.
pub(super) async fn while_compiling<T>(
    look: impl AsyncFn() -> Result<T, Error>,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<(T, Program), Error> {
    let is_built = tell_of_build(settings, output)?;
    let program = async { Ok(build::program(&settings.origin, settings.architecture).await?) };
    seen_after(program, is_built, look).await
}

/// Whether the program is built now, which takes its time.
fn tell_of_build(settings: &DeploySettings, output: &mut Output) -> Result<bool, OutputError> {
    output.step(&settings.origin.told())?;
    let is_built = settings.origin.is_built();
    if is_built {
        output.step("building the functions (the first time takes minutes)")?;
    }
    Ok(is_built)
}

pub(super) fn tell_of(
    made: Made,
    took: Duration,
    output: &mut Output,
) -> Result<Package, OutputError> {
    output.step(&format!(
        "package {} of {} KB, from `{}` of {} KB, in {} s",
        short(&made.package.sha256),
        made.package.zip.len() / 1000,
        made.bootstrap.display(),
        made.bytes / 1000,
        took.as_secs()
    ))?;
    Ok(made.package)
}

/// What is seen while something is made and, where that takes its time, in which somebody else may have
/// deployed, after it.
async fn seen_after<T, M>(
    building: impl Future<Output = Result<M, Error>>,
    takes_long: bool,
    look: impl AsyncFn() -> Result<T, Error>,
) -> Result<(T, M), Error> {
    let (mut found, made) = try_join!(look(), building)?;
    if takes_long {
        found = look().await?;
    }
    Ok((found, made))
}

pub(super) async fn timed(
    made: impl Future<Output = Result<Made, BuildError>>,
) -> Result<(Made, Duration), Error> {
    let since = Instant::now();
    Ok((made.await?, since.elapsed()))
}

async fn make(settings: &DeploySettings) -> Result<Made, BuildError> {
    let program = build::program(&settings.origin, settings.architecture).await?;
    program.pack().await
}

/// The page of `--wwwroot`, of the sources, or else the one that this program was built with.
pub(crate) fn page(settings: &DeploySettings) -> Result<Page, Error> {
    if let Some(folder) = &settings.wwwroot {
        return Ok(Page::read(folder)?);
    }
    match settings.origin.sources().map(Sources::wwwroot) {
        Some(folder) => Ok(Page::read(&folder)?),
        None => Ok(Page::embedded()),
    }
}

pub(super) fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_build_it_is_looked_again_and_what_cannot_be_seen_ends_the_build() {
        let looks = std::cell::Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            Ok(looks.get())
        };
        let make = async || Ok("package");
        let seen = seen_after(make(), true, &look).await.unwrap();
        assert_eq!(seen, (2, "package"), "what was seen last");
        let seen = seen_after(make(), false, &look).await.unwrap();
        assert_eq!(seen, (3, "package"), "nothing was built");

        let refused = async || Err::<(), _>(Error::Unconfirmed);
        let endless = std::future::pending::<Result<(), Error>>();
        let seen = seen_after(endless, true, refused).await;
        assert!(matches!(seen, Err(Error::Unconfirmed)), "{seen:?}");
        let failed = async || Err::<(), _>(Error::Unconfirmed);
        assert!(seen_after(failed(), true, &look).await.is_err());
        assert_eq!(looks.get(), 4, "not again for nothing");
    }
}
