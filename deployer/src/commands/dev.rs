//! `chatctl dev`: the whole stack on this machine, from the template that is deployed to AWS.

mod activity;
mod carried;
mod files;
mod logs;
mod reload;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use local::template::{Context, Template};
use local::{
    Code, Database, FunctionOptions, Listener, Object, Options, Stack, StartError, content_type,
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::build::{self, BuildError};
use crate::error::Error;
use crate::output::Output;
use crate::settings::{Access, DevSettings};
use crate::site::{self, Chat, Extent, Page, SignIn, SiteError};
use crate::template;
use carried::Carried;
use logs::Logs;
use watch::Watch;
pub(crate) use watch::WatchError;

/// Runs the stack until the user ends it.
///
/// # Errors
/// [`Error`], if it does not start, or what it has to say cannot be printed.
pub(crate) fn run(settings: &DevSettings, output: &mut Output) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .map_err(Error::Machine)?
        .block_on(serve(settings, output))
}

async fn serve(settings: &DevSettings, output: &mut Output) -> Result<(), Error> {
    files::allow_many();
    let mut ended = Ended::new()?;
    let logs = Logs::new(output.footer(), settings.quiet);
    let seed = settings.seed.unwrap_or_else(new_seed);
    if !settings.faults.is_none() {
        output.note(&format!(
            "faults strike as `--seed {seed}` has it: give that to have the same again"
        ));
    }
    let Running {
        stack,
        mut watch,
        // Its files are needed until the stack has ended.
        carried: _carried,
    } = tokio::select! {
        started = start(settings, seed, &logs, output) => started?,
        () = ended.wait() => return Ok(()),
    };
    let announced = announce(settings, &stack, output);
    logs.show();
    if announced.is_ok() {
        let watched = async {
            match &mut watch {
                Some(watch) => watch.run(&stack, &logs).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = watched => {}
            () = refreshed(&logs) => {}
            () = ended.wait() => {}
        }
    }
    stack.stop().await;
    announced
}

/// How often what is going on is told anew.
const REFRESH: Duration = Duration::from_secs(1);

async fn refreshed(logs: &Logs) {
    let mut ticks = tokio::time::interval(REFRESH);
    loop {
        ticks.tick().await;
        logs.refresh();
    }
}

/// What runs.
struct Running {
    stack: Stack,
    watch: Option<Watch>,
    carried: Option<Carried>,
}

/// What can fail at once goes before the build, which may take minutes.
async fn start(
    settings: &DevSettings,
    seed: u64,
    logs: &Arc<Logs>,
    output: &Output,
) -> Result<Running, Error> {
    let access = &settings.access.discovered().await?;
    let document = template::synthesize(&settings.template)?;
    if let Some(sources) = settings.origin.sources() {
        // What a deploy would refuse is refused here as well.
        Page::look_at(&sources.wwwroot()).map_err(Error::Site)?;
    }
    runs_here(settings, access, document.as_value())?;
    let listener = Listener::bind(settings.port)?;
    if let Some(folder) = &settings.data {
        Database::prepare(folder).map_err(StartError::from)?;
    }
    output.note(&settings.origin.told());
    let Parts {
        bootstrap,
        page,
        mut watch,
        carried,
    } = parts(settings).await?;
    let stack = local(
        settings,
        access,
        Options {
            seed,
            site: Some(page),
            listener: Some(listener),
            observer: logs.observer(),
            ..Options::new(document.as_value(), Code::new(bootstrap))
        },
    )
    .await?;
    publish(&stack);
    if let Some(watch) = &mut watch {
        watch.publish(&stack);
    }
    if let Err(fault) = verify(settings, &stack).await {
        logs.show();
        stack.stop().await;
        return Err(fault.into());
    }
    Ok(Running {
        stack,
        watch,
        carried,
    })
}

/// Whether the local stack knows all that is in a template.
fn runs_here(
    settings: &DevSettings,
    access: &Access,
    document: &serde_json::Value,
) -> Result<(), StartError> {
    let context = Context {
        stack_name: &settings.template.stage.stack_name(),
        parameters: &parameters(settings, access),
        // Whichever port it will be.
        authority: "127.0.0.1:0",
    };
    Ok(Template::read(document, &context).map(drop)?)
}

/// What the stack is made of.
struct Parts {
    bootstrap: PathBuf,
    page: PathBuf,
    watch: Option<Watch>,
    carried: Option<Carried>,
}

/// Has it built, or written out where this program carries it.
async fn parts(settings: &DevSettings) -> Result<Parts, Error> {
    let sources = match settings.origin.code()? {
        build::Code::Sources(sources) => sources,
        // `dev` is given no program.
        build::Code::Given(_) => return Err(BuildError::NoSources.into()),
        build::Code::Carried if settings.watch => return Err(BuildError::NothingToWatch.into()),
        build::Code::Carried => {
            let program = build::carried::program_here();
            let program =
                program.ok_or_else(|| BuildError::NotCarried("this machine".to_owned()))?;
            let carried = Carried::write(program, &Page::embedded()).map_err(Error::Machine)?;
            return Ok(Parts {
                bootstrap: carried.program(),
                page: carried.page(),
                watch: None,
                carried: Some(carried),
            });
        }
    };
    // Before the build: what is edited while it goes on is taken up afterwards.
    let watch = settings
        .watch
        .then(|| Watch::begin(&sources, settings.profile));
    let mut watch = watch.transpose()?;
    let mut bootstrap = build::bootstrap(&sources, settings.profile).await?;
    if let Some(watch) = &mut watch {
        bootstrap = watch.keep(&bootstrap)?;
    }
    Ok(Parts {
        bootstrap,
        page: sources.wwwroot(),
        watch,
        carried: None,
    })
}

async fn local(
    settings: &DevSettings,
    access: &Access,
    options: Options<'_>,
) -> Result<Stack, StartError> {
    let options = Options {
        parameters: parameters(settings, access),
        stack_name: settings.template.stage.stack_name(),
        data: settings.data.clone(),
        limits: settings.limits,
        functions: FunctionOptions {
            account_concurrency: settings.account_concurrency,
            reports: settings.reports,
            ..FunctionOptions::default()
        },
        faults: settings.faults,
        ..options
    };
    Stack::start(options).await
}

/// What the template is given.
fn parameters(settings: &DevSettings, access: &Access) -> BTreeMap<String, String> {
    // The functions run from the file that was built, so no bucket holds a package.
    let own = [
        ("CodeBucket", "local".to_owned()),
        ("CodeKey", "local".to_owned()),
        ("HistoryDays", settings.history_days.to_string()),
        (
            "MessagesPerSecond",
            settings.messages_per_second.to_string(),
        ),
    ];
    own.into_iter()
        .chain(access.parameters())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Where page and socket are, as the template says it.
fn urls(stack: &Stack) -> (String, String) {
    let output = |name: &str| stack.template().outputs.get(name).cloned();
    (
        output("SiteUrl").unwrap_or_else(|| stack.site_url()),
        output("WebSocketUrl").unwrap_or_else(|| stack.websocket_url()),
    )
}

/// What the page is told of signing in, where people do.
fn sign_in(stack: &Stack) -> Option<&str> {
    stack.template().outputs.get("SignIn").map(String::as_str)
}

fn publish(stack: &Stack) {
    if let Some(site) = stack.site() {
        let (page, websocket) = urls(stack);
        let body = site::config_with(&page, &websocket, sign_in(stack)).into();
        let content_type = content_type(site::CONFIG_KEY);
        site.put(site::CONFIG_KEY, Object { content_type, body });
    }
}

/// Looks at the chat from outside, as `deploy` does. What goes wrong on purpose is no reason not to
/// start, and a message would use up strikes: the page, which nothing of that is for, is all then.
async fn verify(settings: &DevSettings, stack: &Stack) -> Result<(), SiteError> {
    let extent = if settings.faults.is_none() && settings.account_concurrency.is_none() {
        Extent::Whole
    } else {
        Extent::Page
    };
    let (site, websocket) = urls(stack);
    let chat = Chat {
        sign_in: sign_in(stack).map_or(SignIn::Nobody, SignIn::Everybody),
        ..Chat::at(&site, &websocket)
    };
    site::verify_here(chat, extent).await
}

fn announce(settings: &DevSettings, stack: &Stack, output: &mut Output) -> Result<(), Error> {
    let (site, websocket) = urls(stack);
    if settings.json {
        output.data(&format!(
            "{}\n",
            json!({"site": site, "websocket": websocket})
        ))?;
        return Ok(());
    }
    output.data(&format!("Site:      {site}\nWebSocket: {websocket}\n"))?;
    output.note("open the site in two windows and chat; Ctrl-C ends it");
    Ok(())
}

/// Another one each time, and short enough to be typed.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().subsec_nanos().into()
}

/// The signals that end the stack.
struct Ended {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Ended {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(Error::Machine)?,
            terminate: signal(SignalKind::terminate()).map_err(Error::Machine)?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
