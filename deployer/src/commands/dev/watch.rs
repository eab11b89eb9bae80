//! `chatctl dev --watch`: what is edited is built, swapped in and shown at once, while everybody stays
//! connected. What cannot be built or does not start changes nothing.
//!
//! # Layout
//! * here: what to do about a change.
//! * `changes`: which files have changed.
//! * `programs`: the programs that were built, each at a path of its own.
//! * `reload`: telling browsers.

mod changes;
mod programs;

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Instant;

use local::{Code, Stack};

use super::logs::Logs;
use super::reload::Reload;
use crate::build::{self, BuildError, Profile, Sources};
use crate::conversation::reasons;
use changes::{Changes, Touched};
use programs::Programs;

/// Why changes cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// The operating system does not tell of changes.
    #[error("changes of the sources cannot be watched")]
    Changes(#[from] notify::Error),
    /// A program that was built cannot be kept.
    #[error("the program that was built cannot be copied")]
    Program(#[from] std::io::Error),
}

impl WatchError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Changes(_) => "Linux limits how much is watched: `sudo sysctl \
                 fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512` raises that; \
                 or run it without `--watch`"
                .to_owned(),
            Self::Program(_) => "is there room on the disk?".to_owned(),
        }
    }
}

type Building = Pin<Box<dyn Future<Output = Result<PathBuf, BuildError>> + Send>>;

/// The sources of a running stack.
pub(super) struct Watch {
    sources: Sources,
    profile: Profile,
    changes: Changes,
    programs: Programs,
    reload: Option<Reload>,
}

impl Watch {
    /// From now on no change is missed.
    ///
    /// # Errors
    /// [`WatchError`], if the operating system does not tell of them.
    pub(super) fn begin(sources: &Sources, profile: Profile) -> Result<Self, WatchError> {
        Ok(Self {
            sources: sources.clone(),
            profile,
            changes: Changes::of(sources.checkout())?,
            programs: Programs::default(),
            reload: None,
        })
    }

    /// Gives the page what has it reload.
    pub(super) fn publish(&mut self, stack: &Stack) {
        let begin = |site| Reload::begin(site, self.sources.wwwroot());
        self.reload = stack.site().map(begin);
    }

    /// A program that was built, where cargo does not write: the next build must not be what an old
    /// function starts.
    ///
    /// # Errors
    /// [`WatchError`], if it cannot be copied.
    pub(super) fn keep(&mut self, program: &std::path::Path) -> Result<PathBuf, WatchError> {
        Ok(self.programs.keep(program)?)
    }

    /// Sees to every change until it is dropped.
    pub(super) async fn run(&mut self, stack: &Stack, logs: &Logs) {
        let say = |line: String| logs.tell(&line);
        let mut building: Option<(Instant, Building)> = None;
        loop {
            tokio::select! {
                touched = self.changes.next() => {
                    if touched.contains(Touched::TEMPLATE) {
                        say("the template has changed: end this and start it again to have it".to_owned());
                    }
                    if touched.contains(Touched::PAGE)
                        && let (Some(site), Some(reload)) = (stack.site(), &mut self.reload)
                    {
                        reload.changed(site);
                        say("the page has changed: browsers load it again".to_owned());
                    }
                    if touched.contains(Touched::CODE) {
                        // cargo has things to say, too.
                        logs.pause("the functions have changed: building them");
                        let (sources, profile) = (self.sources.clone(), self.profile);
                        // A build of what was there before is in vain: dropping it ends it.
                        let build = async move { build::bootstrap(&sources, profile).await };
                        building = Some((Instant::now(), Box::pin(build)));
                    }
                }
                (since, built) = finished(&mut building) => {
                    building = None;
                    logs.resume();
                    say(self.swap(stack, since, built).await);
                }
            }
        }
    }

    /// Gives what came of it.
    async fn swap(
        &mut self,
        stack: &Stack,
        since: Instant,
        built: Result<PathBuf, BuildError>,
    ) -> String {
        const STAYS: &str = "the functions stay as they are";
        let why = |error: &(dyn std::error::Error + 'static)| reasons(error).join(": ");
        let program = match built {
            Ok(program) => program,
            Err(error) => return format!("{}; {STAYS}", why(&error)),
        };
        if self.programs.is_last(&program) {
            return format!("nothing has come of the change; {STAYS}");
        }
        let kept = match self.programs.keep(&program) {
            Ok(kept) => kept,
            Err(error) => return format!("{}; {STAYS}", why(&WatchError::from(error))),
        };
        match stack.swap(&Code::new(kept)).await {
            Ok(()) => {
                self.programs.forget_old();
                let took = since.elapsed().as_secs_f64();
                format!("swapped in after {took:.1} s: whoever is connected stays so")
            }
            Err(error) => {
                self.programs.forget_last();
                format!("{}; {STAYS}", why(&error))
            }
        }
    }
}

/// What comes of a build, if there is one.
async fn finished(
    building: &mut Option<(Instant, Building)>,
) -> (Instant, Result<PathBuf, BuildError>) {
    match building {
        Some((since, build)) => (*since, build.await),
        None => std::future::pending().await,
    }
}
