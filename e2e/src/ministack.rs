//! AWS as far as the tests need it: MiniStack (`ministack` on `PyPI`), reached by
//! AWS's own host names over TLS, so that the programs under test are what users run.
//!
//! A proxy of ours sends `*.amazonaws.com` and `*.cloudfront.net` to MiniStack and refuses all
//! else; a certificate of ours, from an authority that [`Ministack::environment`] names, vouches
//! for those names. `AUTH=true` makes MiniStack check each function's role.
//!
//! # Layout
//!
//! - `certificate.rs`: the authority and the certificate.
//! - `console.rs`: AWS in boto3's words, for many calls.
//! - `machine.rs`: a machine of a program's own, whose requests can be held, lost and refused.
//! - `proxy.rs`: the proxy.
//! - `python.rs`: the virtual environment, below `target/`.
//! - `user.rs`: somebody who may do less than everything.
//! - `../ministack/README.md`: what MiniStack lacks and gets from us, with the sources.
//! - `../ministack/start.py`: starts MiniStack with that.
//! - `../ministack/aws.py`: calls AWS in boto3's words.

mod certificate;
mod console;
mod machine;
mod proxy;
mod python;
mod user;

pub use console::Console;
pub use machine::{Machine, Moment, changes_something, is_by_a_function};
pub use user::User;

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::client::Client;
use crate::{chatctl, within_deadline};
use certificate::Certificate;
use proxy::{Ports, Proxy};

/// The Region of everything.
pub const REGION: &str = "us-east-1";
/// One in which there is nothing.
pub const OTHER_REGION: &str = "eu-west-1";
/// MiniStack's own credentials, which may do anything.
const ACCESS_KEY_ID: &str = "test";
/// How long MiniStack takes to start, at most; one second or so on a quiet machine.
const START_TIMEOUT: Duration = Duration::from_mins(2);
/// Another process may take the port between its choice and its use.
const START_TRIES: usize = 5;
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer to a request over HTTP.
pub type Response = hyper::Response<Bytes>;

/// A MiniStack of a test's own. It ends with this value, or with the test's process.
pub struct Ministack {
    process: Child,
    folder: PathBuf,
    ports: Ports,
    connector: TlsConnector,
    python: PathBuf,
    proxy: Proxy,
}

impl Ministack {
    /// Starts it with an empty account.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let python = python::installed().await;
        let mut tries = 0;
        loop {
            tries += 1;
            let folder = new_folder();
            let certificate = Certificate::new();
            certificate.write(&folder);
            let ports = free_ports();
            let proxy = Proxy::start(ports, Ipv4Addr::LOCALHOST).await;
            let mut ministack = Self {
                process: spawn(&python, &folder, ports, &proxy.url()),
                folder,
                ports,
                connector: certificate.connector(),
                python: python.clone(),
                proxy,
            };
            match ministack.healthy().await {
                Ok(()) => return ministack,
                Err(problem) if tries == START_TRIES => {
                    panic!("MiniStack does not start: {problem}\n{}", ministack.log())
                }
                Err(_) => {}
            }
        }
    }

    /// The variables that make a program, such as `chatctl`, take this for AWS.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.environment_through(&self.proxy, ACCESS_KEY_ID)
    }

    fn environment_through(&self, proxy: &Proxy, key: &str) -> Vec<(&'static str, String)> {
        let none = self.folder.join("none").display().to_string();
        let own = [
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            // The tester's own are none of the tests' business.
            ("AWS_CONFIG_FILE", none.clone()),
            ("AWS_SHARED_CREDENTIALS_FILE", none),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        let network = network(&self.folder, &proxy.url());
        network.into_iter().chain(own).collect()
    }

    /// Calls AWS: an operation in boto3's words (`create_stack`), all of its pages.
    ///
    /// # Panics
    /// When it fails.
    pub async fn aws(&self, service: &str, operation: &str, parameters: Value) -> Value {
        let called = self.try_aws(service, operation, parameters).await;
        called.unwrap_or_else(|error| panic!("{service} {operation}: {error}"))
    }

    /// Likewise, or gives what boto3 said.
    ///
    /// # Errors
    /// The last line of it.
    ///
    /// # Panics
    /// When it takes too long.
    pub async fn try_aws(
        &self,
        service: &str,
        operation: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        let call = tokio::process::Command::new(&self.python)
            .arg(scripts().join("aws.py"))
            .args([service, operation, &parameters.to_string()])
            .envs(self.environment())
            .env("AWS_CA_BUNDLE", certificate::authority(&self.folder))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = within_deadline("answer of boto3", call)
            .await
            .expect("Python runs");
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).expect("JSON"))
        } else {
            let problem = String::from_utf8_lossy(&output.stderr);
            Err(problem.trim().lines().last().unwrap_or_default().to_owned())
        }
    }

    /// Fetches a URL as a browser would, without following redirects.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(&self, url: &str) -> Response {
        let uri: Uri = url.parse().expect("a URL");
        let host = uri.host().expect("an absolute URL").to_owned();
        let answer = async {
            if uri.scheme_str() == Some("http") {
                return ask(self.proxy.plain().await?, &host, url).await;
            }
            let path = uri.path_and_query().map_or("/", |it| it.as_str());
            ask(self.connect(&host).await?, &host, path).await
        };
        within_deadline(url, answer)
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// Opens a socket at a `wss` URL.
    ///
    /// # Panics
    /// When the handshake is refused.
    pub async fn socket(&self, url: &str) -> Client<TlsStream<TcpStream>> {
        let socket = Box::pin(self.try_socket(url)).await;
        socket.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// Likewise, or gives the refusal.
    ///
    /// # Errors
    /// What the WebSocket library makes of the refusal.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn try_socket(
        &self,
        request: impl IntoClientRequest,
    ) -> Result<Client<TlsStream<TcpStream>>, Box<tungstenite::Error>> {
        let request = request.into_client_request().expect("a URL");
        let host = request.uri().host().expect("an absolute URL").to_owned();
        let stream = within_deadline("connection", self.connect(&host)).await;
        Box::pin(Client::over(stream.expect("the proxy connects"), request)).await
    }

    /// A connection to a host of AWS through the proxy.
    async fn connect(&self, host: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = self.proxy.connect(host).await?;
        self.tls(stream, host).await
    }

    async fn tls(&self, stream: TcpStream, host: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        self.connector.connect(name, stream).await
    }

    /// Every request so far, those of the functions included, in the order of their answers:
    /// `method`, `host`, `path`, `query`, `operation` (of services that name one), `caller` (the
    /// access key id; a role's starts with `ASIA`), `status`, `error` (the body of a refusal), `at`
    /// (seconds since 1970), `action` (service and operation), `machine` (the address that it came
    /// from) and `nth` (of those of the same action from there, since they are counted).
    ///
    /// # Panics
    /// When the record cannot be read.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let record = whole_lines(&self.folder);
        record
            .lines()
            .map(|line| serde_json::from_str(line).expect("a request a line"))
            .collect()
    }

    /// The certificate that it answers with, as a file.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        certificate::chain(&self.folder)
    }

    /// The proxy that leads to it.
    #[must_use]
    pub fn proxy(&self) -> String {
        self.proxy.url()
    }

    /// Asks for what `control.py` can do.
    async fn control(&self, verb: &str, order: &Value) -> std::io::Result<Value> {
        let host = Ipv4Addr::LOCALHOST;
        let stream = TcpStream::connect((host, self.ports.tls)).await?;
        let stream = self.tls(stream, &host.to_string()).await?;
        let request = Request::post(format!("/_tests/{verb}"))
            .header("host", "127.0.0.1")
            .header("connection", "close")
            .body(Full::from(order.to_string()))
            .map_err(std::io::Error::other)?;
        let response = exchange(stream, request).await?;
        if !response.status().is_success() {
            return Err(std::io::Error::other(format!("{verb}: {response:?}")));
        }
        serde_json::from_slice(response.body()).map_err(std::io::Error::other)
    }

    /// What MiniStack had to say.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(log(&self.folder)).unwrap_or_default()
    }

    /// The process id of MiniStack, whose functions are its children.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until MiniStack answers, or gives the last reason why it does not.
    async fn healthy(&mut self) -> Result<(), String> {
        let since = Instant::now();
        let mut problem = "it was not asked".to_owned();
        while since.elapsed() < START_TIMEOUT {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            let answer = async {
                let host = Ipv4Addr::LOCALHOST;
                let stream = TcpStream::connect((host, self.ports.tls)).await?;
                let stream = self.tls(stream, &host.to_string()).await?;
                ask(stream, "127.0.0.1", "/_ministack/health").await
            };
            match tokio::time::timeout(START_TIMEOUT, answer).await {
                Ok(Ok(response)) if response.status().is_success() => return Ok(()),
                Ok(Ok(response)) => problem = response.status().to_string(),
                Ok(Err(error)) => problem = error.to_string(),
                Err(late) => problem = late.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(problem)
    }
}

impl std::fmt::Debug for Ministack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Ministack")
            .field("ports", &self.ports)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // The leash: `start.py` ends MiniStack and its functions.
        drop(self.process.stdin.take());
        let since = Instant::now();
        while since.elapsed() < END_TIMEOUT && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Nothing, if it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        // After a failure someone may want to read the log.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn spawn(python: &Path, folder: &Path, ports: Ports, proxy: &str) -> Child {
    let output = File::create(log(folder)).expect("a file in a new folder");
    let errors = output.try_clone().expect("a second handle");
    Command::new(python)
        .arg(scripts().join("start.py"))
        // The functions inherit these: one that the template forgets must not come from the tester.
        .env_clear()
        .envs(
            ["PATH", "LANG"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .envs(network(folder, proxy))
        // The checkout is for what people write.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("STATE_DIR", folder.join("state"))
        .env("S3_DATA_DIR", folder.join("s3"))
        .env("RECORD", record(folder))
        .env("GATEWAY_PORT", ports.tls.to_string())
        .env("WEBSITE_PORT", ports.website.to_string())
        .env("USE_SSL", "1")
        .env("MINISTACK_SSL_CERT", certificate::chain(folder))
        .env("MINISTACK_SSL_KEY", certificate::key(folder))
        .env("MINISTACK_HOST", format!("{REGION}.amazonaws.com"))
        .env("MINISTACK_REGION", REGION)
        .envs([
            ("AUTH", "true"),
            ("BIND_HOST", "127.0.0.1"),
            ("IOT_MTLS_ENABLED", "0"),
            ("LAMBDA_ACCOUNT_CONCURRENCY", "0"),
        ])
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(errors)
        // The functions are in it as well, and end with it.
        .process_group(0)
        .spawn()
        .expect("Python starts")
}

/// The variables that lead AWS's host names to MiniStack and vouch for it.
fn network(folder: &Path, proxy: &str) -> [(&'static str, String); 4] {
    let authority = certificate::authority(folder).display().to_string();
    [
        ("SSL_CERT_FILE", authority),
        ("HTTPS_PROXY", proxy.to_owned()),
        ("HTTP_PROXY", proxy.to_owned()),
        ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
    ]
}

/// `target` is what stands in the request: a path, or a whole URL for a proxy.
async fn ask<S>(stream: S, host: &str, target: &str) -> std::io::Result<Response>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = Request::get(target)
        .header("host", host)
        .header("connection", "close")
        .body(Full::default())
        .map_err(std::io::Error::other)?;
    exchange(stream, request).await
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> std::io::Result<Response>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(std::io::Error::other)?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok::<_, hyper::Error>(Response::from_parts(head, body.collect().await?.to_bytes()))
    };
    let (answer, _) = tokio::join!(answer, connection);
    answer.map_err(std::io::Error::other)
}

/// Everything of one MiniStack, below the folder that cargo builds in.
fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = chatctl::target().join("tmp/ministack").join(name);
    // One that an earlier process of the same number has left.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder below cargo's own");
    folder
}

fn free_ports() -> Ports {
    let listener = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    // Both at the same time, or else they could be the same one.
    let (tls, website) = (listener(), listener());
    let port = |it: &TcpListener| it.local_addr().expect("bound").port();
    Ports {
        tls: port(&tls),
        website: port(&website),
    }
}

fn scripts() -> PathBuf {
    chatctl::checkout().join("e2e/ministack")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("ministack.log")
}

/// The record without the line that is being written, if there is one.
fn whole_lines(folder: &Path) -> String {
    let mut record = std::fs::read_to_string(record(folder)).unwrap_or_default();
    record.truncate(record.rfind('\n').map_or(0, |end| end + 1));
    record
}

fn record(folder: &Path) -> PathBuf {
    folder.join("requests.ndjson")
}
