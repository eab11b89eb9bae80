//! A WebSocket API of API Gateway with its Lambda functions, DynamoDB tables and CloudFront site, on
//! one machine, in one process, from the CloudFormation template that is deployed to AWS.
//!
//! # Layout
//!
//! - `lib.rs`: [`Stack`], which puts the parts together.
//! - [`template`]: reads the template; what it does not know it refuses.
//! - `gateway/`: API Gateway's WebSocket behaviour and `@connections`.
//! - `lambda/`: the Runtime API and the functions' processes.
//! - `database.rs`: DynamoDB, embedded.
//! - `site.rs`: static files as CloudFront serves them.
//! - `folder.rs`: which files of a folder those are.
//! - `server.rs`: the one port.
//! - `door.rs`: who may ask there, and of the other listeners.
//! - `head.rs`: header names as the client wrote them.
//! - `tap.rs`: a stream that shows what is read from it.
//! - `faults.rs`: what the real cloud does on a bad day.
//! - `observer.rs`: what the stack tells while it runs.
//!
//! # Example
//!
//! Another app than the chat, its functions in Node, by its template:
//!
//! ```
//! use std::path::Path;
//!
//! use local::{Code, Options, Stack};
//!
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # runtime.block_on(async {
//! let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/app");
//! let template = std::fs::read(app.join("template.json"))?;
//! let template = serde_json::from_slice(&template)?;
//! let code = Code {
//!     program: "node".into(),
//!     arguments: vec![app.join("runtime.mjs").into(), app.join("app.mjs").into()],
//! };
//!
//! let stack = Stack::start(Options::new(&template, code)).await?;
//! assert!(stack.websocket_url().starts_with("ws://127.0.0.1:"));
//! assert!(stack.websocket_url().ends_with("/live"));
//! stack.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod database;
mod door;
mod faults;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
mod head;
mod lambda;
mod observer;
mod server;
mod site;
mod tap;
pub mod template;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::task::JoinHandle;

pub use database::{Database, DatabaseError};
use faults::Dice;
pub use faults::{Fault, FaultError, Faults};
pub use folder::{Entry, Folder, FolderError, SITE_BYTES_MAX};
pub use gateway::{FRAME_BYTES_MAX, Limits, MESSAGE_BYTES_MAX};
pub use lambda::{Code, FunctionOptions, InitError, InvokeError, Report, Status};
pub use observer::{Event, Observer};
pub use server::Listener;
pub use site::{Object, Site, content_type};
use template::{Context, Template, TemplateError};

/// How long stopping may take before what is left is cut off.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// What a stack is started with.
#[derive(Debug)]
pub struct Options<'a> {
    /// The template's JSON form, with intrinsic functions in their long form.
    pub template: &'a Value,
    /// Values of its parameters.
    pub parameters: BTreeMap<String, String>,
    /// The stack's name.
    pub stack_name: String,
    /// The program of every function.
    pub code: Code,
    /// Programs of single functions, by logical id, that go before `code`.
    pub function_code: BTreeMap<String, Code>,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// A port that was taken before; goes before `port`.
    pub listener: Option<Listener>,
    /// A folder that keeps the tables; without one they are in memory.
    pub data: Option<PathBuf>,
    /// The site's files.
    pub site: Option<PathBuf>,
    /// When connections end by themselves.
    pub limits: Limits,
    /// How functions are run.
    pub functions: FunctionOptions,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// Chooses when it does: the same seed, the same strikes.
    pub seed: u64,
    /// Who is told what happens.
    pub observer: Observer,
}

impl<'a> Options<'a> {
    /// A stack called `local` on a free port, in memory, without a site's folder, where nothing goes
    /// wrong on purpose.
    #[must_use]
    pub fn new(template: &'a Value, code: Code) -> Self {
        Self {
            template,
            parameters: BTreeMap::new(),
            stack_name: "local".to_owned(),
            code,
            function_code: BTreeMap::new(),
            port: 0,
            listener: None,
            data: None,
            site: None,
            limits: Limits::default(),
            functions: FunctionOptions::default(),
            faults: Faults::default(),
            seed: 0,
            observer: Observer::default(),
        }
    }
}

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port cannot be listened on.
    #[error("port {port} of 127.0.0.1 cannot be used")]
    Port {
        /// The port.
        port: u16,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The template does not run here.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The database cannot be set up.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A function's program does not start.
    #[error(transparent)]
    Init(#[from] InitError),
}

/// A running stack. Dropping it ends its processes at once; [`Stack::stop`] does so in order.
#[derive(Debug)]
pub struct Stack {
    authority: String,
    template: Template,
    database: Database,
    site: Option<Arc<Site>>,
    parts: Parts,
    server: JoinHandle<()>,
}

struct Parts {
    gateway: Arc<gateway::Gateway>,
    functions: Arc<lambda::Functions>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Parts")
    }
}

impl Stack {
    /// Starts everything. When this returns, the site and the socket answer.
    ///
    /// # Errors
    /// [`StartError`] says what cannot be used; nothing is left running then.
    pub async fn start(options: Options<'_>) -> Result<Self, StartError> {
        let listener = match options.listener {
            Some(listener) => listener,
            None => Listener::bind(options.port)?,
        };
        let (listener, address) = listener.listen()?;
        let authority = address.to_string();
        let context = Context {
            stack_name: &options.stack_name,
            parameters: &options.parameters,
            authority: &authority,
        };
        let template = Template::read(options.template, &context)?;
        let dice = Dice::new(options.faults, options.seed, &options.observer);
        let dice = Arc::new(dice);
        let database = Database::open(options.data.as_deref(), &template.tables, &dice)?;
        let code = |id: &str| {
            options
                .function_code
                .get(id)
                .unwrap_or(&options.code)
                .clone()
        };
        let setting = lambda::Setting {
            code: &code,
            environment: &lambda_environment(&database, &options.code.program),
            options: options.functions,
            dice: &dice,
            observer: &options.observer,
        };
        let functions = lambda::Functions::new(&template.functions, &setting);
        functions.warm_up().await?;
        let gateway = Arc::new(gateway::Gateway::new(
            template.api.clone(),
            authority.clone(),
            Arc::clone(&functions),
            options.limits,
            dice,
        ));
        let site = template
            .site
            .clone()
            .map(|site| Arc::new(Site::new(site, options.site)));
        let server = server::Server {
            gateway: Arc::clone(&gateway),
            site: site.clone(),
        };
        let server = tokio::spawn(server.run(listener));
        Ok(Self {
            authority,
            template,
            database,
            site,
            parts: Parts { gateway, functions },
            server,
        })
    }

    /// The site's URL.
    #[must_use]
    pub fn site_url(&self) -> String {
        format!("http://{}/", self.authority)
    }

    /// The socket's URL.
    #[must_use]
    pub fn websocket_url(&self) -> String {
        format!("ws://{}/{}", self.authority, self.template.api.stage)
    }

    /// The template as it runs here.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The tables.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The site, if the template has one.
    #[must_use]
    pub fn site(&self) -> Option<&Site> {
        self.site.as_deref()
    }

    /// Has all functions run another program from now on: what is under way ends with the old one, and
    /// connections stay open. To be called by one at a time.
    ///
    /// # Errors
    /// [`InitError`], if it does not start; then all stays as it is.
    pub async fn swap(&self, code: &Code) -> Result<(), InitError> {
        self.parts.functions.swap(code).await
    }

    /// Invokes a function, by its logical id, and waits for its response (Lambda's invocation type
    /// `RequestResponse`).
    ///
    /// # Errors
    /// [`InvokeError`] says why there is none.
    pub async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        self.parts.functions.invoke(function, event).await
    }

    /// Has a function invoked, by its logical id, and waits for nothing (Lambda's invocation type
    /// `Event`): one that fails is tried again as its `EventInvokeConfig` says. Gives the request id.
    ///
    /// # Errors
    /// [`InvokeError::NotFound`]; what happens later only the observer hears.
    pub fn invoke_event(&self, function: &str, event: Bytes) -> Result<String, InvokeError> {
        self.parts.functions.invoke_event(function, event)
    }

    /// Closes all connections and ends all processes, in a few seconds at most.
    pub async fn stop(mut self) {
        self.close();
        // What does not end in time is killed as its handle is dropped.
        let parts = &self.parts;
        let ends = async {
            drop((&mut self.server).await);
            tokio::join!(parts.gateway.stopped(), parts.functions.stop())
        };
        drop(tokio::time::timeout(STOP_TIMEOUT, ends).await);
    }

    fn close(&self) {
        self.server.abort();
        self.parts.gateway.stop();
        self.parts.functions.close();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Connections that are open hold on to the functions until they have ended; not to
        // processes between invocations.
        self.close();
        self.parts.functions.kill_idle();
    }
}

/// What Lambda itself sets (AWS's Developer Guide, “Defined runtime environment variables”), and
/// where the SDKs find the services that are here.
fn lambda_environment(database: &Database, program: &Path) -> BTreeMap<String, String> {
    let task_root = program
        .parent()
        .unwrap_or(Path::new("/"))
        .display()
        .to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    [
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_DEFAULT_REGION", template::REGION),
        ("AWS_ENDPOINT_URL_DYNAMODB", database.endpoint()),
        ("AWS_REGION", template::REGION),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("LAMBDA_TASK_ROOT", &task_root),
        ("LANG", "en_US.UTF-8"),
        ("PATH", &path),
        ("TZ", ":UTC"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
