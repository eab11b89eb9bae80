//! The AWS of a run: a MiniStack with an empty account, as the end-to-end tests have it, by AWS's own
//! names over TLS and through a proxy. The same for every client.

use std::ffi::OsString;
use std::path::Path;

use e2e::ministack::Ministack;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::error::BenchError;

/// The bucket that peers find their packages in.
pub(super) const BUCKET: &str = "bench-packages";

/// One AWS, until it is dropped.
#[derive(Debug)]
pub(super) struct Cloud {
    // Before the runtime that its proxy runs on.
    ministack: Ministack,
    runtime: Runtime,
}

impl Cloud {
    /// # Errors
    /// If there is no runtime for it.
    pub(super) fn start() -> Result<Self, BenchError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| BenchError::Measurement(format!("no runtime: {error}")))?;
        let ministack = runtime.block_on(Ministack::start());
        Ok(Self { ministack, runtime })
    }

    /// What makes any of the clients take this for AWS. Each language has its own variable for the
    /// authority that vouches for it.
    pub(super) fn environment(&self, home: &Path) -> Vec<(&'static str, OsString)> {
        let network = self.ministack.environment();
        let authority: Option<OsString> = network
            .iter()
            .find(|(name, _)| *name == "SSL_CERT_FILE")
            .map(|(_, value)| value.into());
        let authority = authority.unwrap_or_default();
        let of_languages = ["AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"];
        let of_languages = of_languages.map(|name| (name, authority.clone()));
        // Nobody looks for news, reports home, or asks.
        let quiet = [
            // The AWS CLI's own name for the Region.
            ("AWS_DEFAULT_REGION", e2e::ministack::REGION),
            ("AWS_PAGER", ""),
            ("CDK_DISABLE_CLI_TELEMETRY", "true"),
            ("CDK_DISABLE_VERSION_CHECK", "true"),
            ("CI", "true"),
            ("SAM_CLI_TELEMETRY", "0"),
        ];
        network
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .chain(of_languages)
            .chain(quiet.map(|(name, value)| (name, value.into())))
            .chain([("HOME", home.into())])
            .collect()
    }

    /// How many requests with the client's signature there were so far: calls of AWS. Those of the
    /// functions are signed by their roles, and what a browser would ask is not signed.
    pub(super) fn calls(&self) -> usize {
        let requests = self.ministack.requests();
        let own = |it: &&Value| it["caller"].as_str() == Some("test");
        requests.iter().filter(own).count()
    }

    /// The calls after the first so many, by operation, to see what they were.
    pub(super) fn operations_after(&self, calls: usize) -> Vec<String> {
        let requests = self.ministack.requests();
        let own = requests
            .iter()
            .filter(|it| it["caller"].as_str() == Some("test"));
        own.skip(calls)
            .map(|it| it["action"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// A bucket with these files in it.
    pub(super) fn bucket_with(&self, files: &[&Path]) {
        let bucket = json!({"Bucket": BUCKET});
        let made = self.ministack.aws("s3", "create_bucket", bucket);
        self.runtime.block_on(made);
        for file in files {
            let key = file.file_name().unwrap_or_default().to_string_lossy();
            let object = json!({"Bucket": BUCKET, "Key": key, "Body": file});
            let put = self.ministack.aws("s3", "put_object", object);
            self.runtime.block_on(put);
        }
    }
}
