//! The cloud, in our words: what commands ask of it and what it answers. Commands know these traits
//! alone, so that they can be run against a fake.
//!
//! # Layout
//! * `aws`: the traits on AWS, and the only importer of its SDKs.
//! * `error`: what the cloud refuses, and what the user can do about it.
//! * `telemetry`: what a chat that runs tells of itself.

pub(crate) mod aws;
mod error;
mod telemetry;

pub(crate) use error::{CloudError, denied_action};
pub(crate) use telemetry::{
    AlarmView, Caller, Detection, Drifted, History, Identity, LogEvent, LogPage, Logs, MetricQuery,
    Metrics, Point, StackHistory,
};

use bytes::Bytes;

use crate::stack::Status;

/// The tag that tells this program's stacks from others.
pub(crate) const OWNER_TAG: &str = "chatctl";

/// The content type of a package.
pub(crate) const PACKAGE_TYPE: &str = "application/zip";

/// Puts at the same time: enough to hide the way to the Region, and few enough for any line. A cloud
/// gives each of them time for its share of the line.
pub(crate) const PUTS_AT_ONCE: usize = 8;

/// All that most verbs need of a cloud; what one alone needs are traits of their own.
pub(crate) trait Cloud: Stacks + Buckets + Distributions {}

impl<T: Stacks + Buckets + Distributions> Cloud for T {}

/// Stacks of resources. A stack is meant by its name or its id; a deleted one has only its id left.
pub(crate) trait Stacks {
    /// The stack, if there is one.
    async fn find(&self, stack: &str) -> Result<Option<StackView>, CloudError>;

    /// Asks what it would take to make a stack as it is wanted, by a template that gets there so.
    async fn propose(
        &self,
        wanted: &Wanted,
        sent: Sent<'_>,
        is_new: bool,
        order: &Order<'_>,
    ) -> Result<Proposal, CloudError>;

    /// What has come of a proposal.
    async fn proposal(&self, proposal: &Proposal) -> Result<ProposalView, CloudError>;

    /// Starts carrying a proposal out.
    async fn execute(&self, proposal: &Proposal, order: &Order<'_>) -> Result<(), CloudError>;

    /// Throws a proposal away.
    async fn discard(&self, proposal: &Proposal) -> Result<(), CloudError>;

    /// Starts the deletion of a stack.
    async fn delete(&self, stack: &str, order: &Order<'_>) -> Result<(), CloudError>;

    /// Has a stack refuse to be deleted, or not any more.
    async fn protect(&self, stack: &str, is_protected: bool) -> Result<(), CloudError>;

    /// Starts a failed rollback again.
    async fn continue_rollback(&self, stack: &str, order: &Order<'_>) -> Result<(), CloudError>;

    /// Starts the undoing of an update that failed and was left so.
    async fn roll_back(&self, stack: &str, order: &Order<'_>) -> Result<(), CloudError>;

    /// What the operations on a stack failed at, or the making of a change set, the oldest first.
    async fn failures(&self, subject: Subject<'_>) -> Result<Vec<Failure>, CloudError>;

    /// What has happened to a stack, the oldest first: what is later than the event `after`, or all since
    /// the last operation began. All of a stack's life can be thousands.
    async fn events(&self, stack: &str, after: Option<&str>)
    -> Result<Vec<StackEvent>, CloudError>;

    /// The resources that a stack has now.
    async fn resources(&self, stack: &str) -> Result<Vec<StackResource>, CloudError>;

    /// The names of the stacks that begin so.
    async fn names(&self, prefix: &str, owner: &str) -> Result<Vec<String>, CloudError>;
}

/// Buckets of objects.
pub(crate) trait Buckets {
    /// The objects whose keys begin so.
    async fn objects(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredObject>, CloudError>;

    /// Stores an object.
    async fn put(&self, bucket: &str, object: NewObject) -> Result<(), CloudError>;

    /// Removes objects.
    async fn remove(&self, bucket: &str, keys: &[String]) -> Result<(), CloudError>;

    /// Removes everything, older versions and delete markers too, and tells how much it was. A bucket
    /// that is not there is empty.
    async fn empty(&self, bucket: &str) -> Result<usize, CloudError>;
}

/// Content delivery.
pub(crate) trait Distributions {
    /// Asks that every cached file be forgotten; gives the request's id.
    async fn invalidate(&self, distribution: &str) -> Result<String, CloudError>;

    /// Whether that is done.
    async fn is_invalidated(&self, distribution: &str, id: &str) -> Result<bool, CloudError>;

    /// Whether every edge has the distribution as it was last asked for.
    async fn is_deployed(&self, distribution: &str) -> Result<bool, CloudError>;
}

/// What is there, asked of the services themselves.
pub(crate) trait Presence {
    /// Whether a resource is there; nothing where there is no way to look for its type.
    async fn is_there(&self, resource: &StackResource) -> Result<Option<bool>, CloudError>;

    /// What has become of each resource of a stack, in AWS's words, even if the stack is gone.
    async fn fates(&self, stack_id: &str) -> Result<Vec<(StackResource, String)>, CloudError>;

    /// The id of the stack of that name that went last, as long as AWS knows of it: 90 days.
    async fn last_gone(&self, name: &str) -> Result<Option<String>, CloudError>;
}

/// How a template gets to the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent<'a> {
    /// In the request.
    Inside,
    /// As an object, which is read in the caller's name.
    As {
        /// Its bucket.
        bucket: &'a str,
        /// Its key.
        key: &'a str,
    },
}

/// How CloudFormation is to work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Whether a stack counts as finished before everything in it is ready to serve.
    pub(crate) is_express: bool,
    /// The role that CloudFormation works as, if not as the caller.
    pub(crate) role_arn: Option<String>,
}

/// One request for work on a stack.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// How to do it.
    pub(crate) terms: &'a Terms,
    /// Makes a repeated request the same request, and marks what comes of it.
    pub(crate) token: String,
    /// Whether a failure is left as it is; otherwise everything is made as it was before.
    pub(crate) keeps_failure: bool,
}

impl<'a> Order<'a> {
    /// A new one, undone if it fails.
    pub(crate) fn new(terms: &'a Terms) -> Self {
        let mut bytes = [0; 16];
        // Without randomness there is still the clock.
        if getrandom::fill(&mut bytes).is_err() {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            bytes = now.unwrap_or_default().as_nanos().to_be_bytes();
        }
        Self {
            terms,
            token: format!("chatctl-{:032x}", u128::from_be_bytes(bytes)),
            keeps_failure: false,
        }
    }
}

/// What a failure is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// A stack, by its id.
    Stack(&'a str),
    /// A change set.
    Proposal(&'a Proposal),
}

/// What an operation failed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Which operation it was.
    pub(crate) operation: String,
    /// Whether that operation was the undoing of another.
    pub(crate) is_rollback: bool,
    /// The token of the request that began it.
    pub(crate) token: Option<String>,
    /// The resource's name in the template.
    pub(crate) resource: String,
    /// Its type.
    pub(crate) kind: String,
    /// In AWS's words.
    pub(crate) reason: String,
}

/// What stacks were made from.
pub(crate) trait Templates {
    /// The text of a stack's template as it was given; nothing where there is no stack.
    async fn template(&self, stack: &str) -> Result<Option<String>, CloudError>;
}

/// What functions run.
pub(crate) trait Functions {
    /// What a function runs now.
    async fn function(&self, name: &str) -> Result<FunctionView, CloudError>;

    /// Starts replacing what a function runs.
    async fn replace_code(&self, name: &str, code: &Code) -> Result<FunctionView, CloudError>;

    /// Hands a function an event, once, and waits for what comes of it.
    async fn invoke(&self, name: &str, event: String) -> Result<Invoked, CloudError>;
}

/// A bucket of packages, whose age counts.
pub(crate) trait Packages {
    /// The objects whose keys begin so, with the time when each was written.
    async fn packages(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredPackage>, CloudError>;

    /// The content of an object.
    async fn read(&self, bucket: &str, key: &str) -> Result<Bytes, CloudError>;

    /// Makes an object count as written now.
    async fn refresh(&self, bucket: &str, key: &str) -> Result<(), CloudError>;
}

/// A stack as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StackView {
    /// Unique for all time, unlike the name.
    pub(crate) id: String,
    /// What it is doing.
    pub(crate) status: Status,
    /// Name and value of each output.
    pub(crate) outputs: Vec<(String, String)>,
    /// Name and value of each parameter.
    pub(crate) parameters: Vec<(String, String)>,
    /// Key and value of each tag.
    pub(crate) tags: Vec<(String, String)>,
    /// What this program wrote on it when it made it; nothing on a stack that somebody else made.
    pub(crate) owner: Option<String>,
    /// Whether it refuses to be deleted.
    pub(crate) is_protected: bool,
    /// When it was made or last changed, whoever did it; nothing where AWS does not tell. As long as it
    /// stays so, the template is what it was.
    pub(crate) changed: Option<String>,
}

impl StackView {
    /// The AWS partition that it is in, `aws` but for China and a government.
    pub(crate) fn partition(&self) -> &str {
        self.id.split(':').nth(1).unwrap_or("aws")
    }

    /// The Region that it is in, out of its id (an ARN).
    pub(crate) fn region(&self) -> &str {
        self.id.split(':').nth(3).unwrap_or("unknown")
    }

    /// The AWS account that it is in, out of its id (an ARN).
    pub(crate) fn account(&self) -> &str {
        self.id.split(':').nth(4).unwrap_or("unknown")
    }

    /// The value of an output.
    pub(crate) fn output(&self, name: &str) -> Option<&str> {
        let found = self.outputs.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The tags that somebody gave it: neither the one that says whose it is nor AWS's own.
    pub(crate) fn given_tags(&self) -> impl Iterator<Item = &(String, String)> {
        let is_given = |it: &&(String, String)| it.0 != OWNER_TAG && !it.0.starts_with("aws:");
        self.tags.iter().filter(is_given)
    }

    /// The value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A stack as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The stack's name.
    pub(crate) name: String,
    /// The template's text.
    pub(crate) template: String,
    /// Name and value of each parameter.
    pub(crate) parameters: Vec<(String, String)>,
    /// What is written on it, so that it is known again.
    pub(crate) owner: &'static str,
    /// Key and value of each further tag.
    pub(crate) tags: Vec<(String, String)>,
    /// Where the template is put for as long as it takes to be read, if it is too large for a request.
    pub(crate) aside: Option<Aside>,
}

/// A place for what is there for moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aside {
    /// The bucket.
    pub(crate) bucket: String,
    /// What the keys there begin with.
    pub(crate) prefix: String,
}

impl Wanted {
    /// A short text that differs where any of it does.
    pub(crate) fn fingerprint(&self) -> String {
        let pairs = self.parameters.iter().chain(&self.tags);
        let pairs = pairs.flat_map(|(key, value)| [key.as_str(), value]);
        let parts: Vec<_> = pairs.chain([self.template.as_str()]).collect();
        format!("{:x}", md5::compute(parts.join("\0")))
    }
}

/// A change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// Its own id.
    pub(crate) id: String,
    /// The id of the stack that it is for.
    pub(crate) stack_id: String,
}

/// What has come of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProposalView {
    /// It is not ready yet.
    Pending,
    /// It can be executed.
    Ready(Vec<Change>),
    /// It cannot, for a reason in AWS's words.
    Failed(String),
}

/// What would be done to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// What.
    pub(crate) action: Action,
    /// The resource's name in the template.
    pub(crate) resource: String,
    /// Its type.
    pub(crate) kind: String,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Makes it.
    Add,
    /// Changes it where it is.
    Modify,
    /// May have to make another one in its place; that shows only on the way.
    MayReplace,
    /// Makes another one in its place.
    Replace,
    /// Deletes it.
    Remove,
}

/// Something that happened to a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StackEvent {
    /// Unique.
    pub(crate) id: String,
    /// The resource's name in the template, or the stack's name.
    pub(crate) resource: String,
    /// Its type.
    pub(crate) kind: String,
    /// Its status, in AWS's words.
    pub(crate) status: String,
    /// Why, in AWS's words.
    pub(crate) reason: Option<String>,
}

impl StackEvent {
    /// Whether it is the beginning of what somebody asked for.
    pub(crate) fn begins_operation(&self) -> bool {
        self.kind == crate::stack::STACK
            && self.reason.as_deref() == Some("User Initiated")
            && Status::new(&self.status).is_transient()
    }

    /// Whether its reason is worth telling. Other events have reasons too, such as `User Initiated`, that
    /// help nobody.
    pub(crate) fn is_failure(&self) -> bool {
        let is_asked_for = self.reason.as_deref() == Some("User Initiated");
        !is_asked_for && (self.status.contains("FAILED") || self.status.contains("ROLLBACK"))
    }
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StackResource {
    /// Its name in the template.
    pub(crate) resource: String,
    /// Its type.
    pub(crate) kind: String,
    /// Its name on AWS, once it has one.
    pub(crate) physical_id: Option<String>,
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredObject {
    /// Its key.
    pub(crate) key: String,
    /// The MD5 of its content, in hexadecimal.
    pub(crate) md5: String,
}

/// An object to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewObject {
    /// Its key.
    pub(crate) key: String,
    /// Its content.
    pub(crate) body: Bytes,
    /// Its content type.
    pub(crate) content_type: String,
    /// How long it may be cached.
    pub(crate) cache_control: Option<&'static str>,
}

/// A package in its bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredPackage {
    /// Its key.
    pub(crate) key: String,
    /// When it was written, in milliseconds since 1970.
    pub(crate) written_ms: i64,
}

/// What functions are to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    /// The bucket of the package.
    pub(crate) bucket: String,
    /// The package's key.
    pub(crate) key: String,
    /// The SHA-256 of the package in base64, as Lambda tells it.
    pub(crate) sha256: String,
    /// The processor, in Lambda's words.
    pub(crate) architecture: &'static str,
}

/// What a function runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionView {
    /// The SHA-256 of its package in base64.
    pub(crate) sha256: String,
    /// The processor, in Lambda's words.
    pub(crate) architecture: String,
    /// What has come of the last change.
    pub(crate) update: Update,
}

/// What has come of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Invoked {
    /// The function's answer.
    Answered(String),
    /// It did not start, stopped, took too long or gave up, in AWS's words.
    Failed(String),
}

/// What has come of a function's last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Update {
    /// It is what runs.
    Done,
    /// It is going on.
    InProgress,
    /// It failed, for a reason in AWS's words.
    Failed(String),
}
