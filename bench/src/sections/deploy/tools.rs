//! The clients, and what each is run with for each task. All of them get the same template, the same
//! packages and the same AWS.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::cloud::{BUCKET, Cloud};
use crate::error::BenchError;
use crate::section::Context;
use crate::{peers, process};

/// Of `chatctl`'s own choice.
const STACK: &str = "chat-dev";
/// Pinned by `bench/peers`.
pub(super) const VERSIONS: &str = "AWS CLI 1.46.3, AWS SAM CLI 1.170.0, AWS CDK 2.1148.1";

/// The template as JSON, in CDK's assembly and in the bucket.
const DOCUMENT: &str = "template.json";
/// What a request of CloudFormation's takes of a template, in bytes.
const TEMPLATE_BYTES_MAX: u64 = 51_200;

/// What a client is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Tell its version.
    Start,
    /// Put everything there.
    First,
    /// Find that all is as it should be.
    Nothing,
    /// Likewise, and try the chat all the same.
    NothingButVerify,
    /// Another package, and nothing else.
    Code,
    /// Remove everything.
    Destroy,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// Ours: with package, page and verification, always.
    Chatctl,
    /// `aws cloudformation deploy`, and nothing else.
    Aws,
    /// The same with `aws s3 cp` for the package and `aws s3 sync` for the page.
    AwsAndPage,
    /// The stack alone.
    Sam,
    /// The stack alone.
    Cdk,
}

impl Tool {
    pub(super) const ALL: [Self; 5] = [
        Self::Chatctl,
        Self::Aws,
        Self::AwsAndPage,
        Self::Sam,
        Self::Cdk,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Chatctl => "chatctl",
            Self::Aws => "AWS CLI 1.46.3, stack alone",
            Self::AwsAndPage => "AWS CLI 1.46.3, with package and page",
            Self::Sam => "AWS SAM CLI 1.170.0, stack alone",
            Self::Cdk => "AWS CDK 2.1148.1, stack alone",
        }
    }
}

/// Programs, installed and built.
#[derive(Debug)]
pub(super) struct Kit {
    chatctl: PathBuf,
    /// The folders of the programs of the AWS CLI, of SAM, and of CDK.
    aws: PathBuf,
    sam: PathBuf,
    cdk: PathBuf,
    template: PathBuf,
    /// The same as JSON, as CDK finds it in the bucket.
    document: PathBuf,
    /// The page, as it is.
    page: PathBuf,
    /// Two programs that differ, and their packages.
    pub(super) code: [Code; 2],
    /// The home of all clients, and where they run.
    pub(super) home: PathBuf,
}

/// What the functions run.
#[derive(Debug)]
pub(super) struct Code {
    bootstrap: PathBuf,
    /// What Lambda takes.
    pub(super) package: PathBuf,
    /// What CDK makes of the template and the package, without which it would have to run a program.
    assembly: PathBuf,
}

impl Kit {
    /// Installs and builds all that is needed.
    ///
    /// # Errors
    /// What cannot be.
    pub(super) fn new(context: &Context) -> Result<Self, BenchError> {
        let home = context.folder().join("deploy");
        create(&home)?;
        let chatctl = context.program("chatctl")?;
        let synthesized = |format| {
            let mut synth = Command::new(&chatctl);
            synth.args(["synth", "--format", format]);
            process::output_of(synth.current_dir(&context.checkout))
        };
        let path = home.join("template.yaml");
        write(&path, &synthesized("yaml")?)?;
        // CDK reads its assemblies as JSON alone.
        let document = home.join(DOCUMENT);
        write(&document, &synthesized("json")?)?;
        let first = read(&context.bootstrap(None)?)?;
        // One byte more, which the program does not look at.
        let second = [first.as_slice(), &[0]].concat();
        let code = [("one", first), ("two", second)]
            .map(|(name, program)| Code::new(&home, name, &program, &document));
        let [first, second] = code;
        Ok(Self {
            chatctl,
            aws: peers::python(context, "awscli")?,
            sam: peers::python(context, "sam")?,
            cdk: peers::node(context, "cdk")?.join("node_modules/.bin"),
            template: path,
            document,
            page: context.checkout.join("wwwroot"),
            code: [first?, second?],
            home,
        })
    }

    /// What a client finds in the bucket: what it cannot, or is not to, put there itself.
    pub(super) fn laid_out_for(&self, tool: Tool) -> Vec<&Path> {
        let packages = self.code.iter().map(|it| it.package.as_path());
        match tool {
            Tool::Chatctl | Tool::AwsAndPage => Vec::new(),
            Tool::Aws | Tool::Sam => packages.collect(),
            // It sends a template as YAML of its own making, which is larger than a request may be, and
            // has nowhere to put it in an account that nobody has prepared for it.
            Tool::Cdk => packages.chain([self.document.as_path()]).collect(),
        }
    }

    /// What has a client do a task; `None` if it has no such thing.
    pub(super) fn command(&self, tool: Tool, task: Task, cloud: &Cloud) -> Option<Command> {
        let code = &self.code[usize::from(task == Task::Code)];
        let is_deploy = !matches!(task, Task::Start | Task::Destroy);
        if task == Task::NothingButVerify && tool != Tool::Chatctl {
            return None;
        }
        let mut command = match tool {
            Tool::Chatctl => self.chatctl(task, code),
            Tool::Aws | Tool::AwsAndPage => self.aws(tool, task, code),
            Tool::Sam => self.sam(task, code),
            Tool::Cdk if is_deploy => {
                let mut command = Command::new(self.cdk.join("cdk"));
                command
                    .args(["deploy", STACK, "--require-approval", "never"])
                    .args(["--no-notices", "--app"])
                    .arg(&code.assembly);
                for parameter in code.parameters() {
                    command.args(["--parameters", &parameter]);
                }
                command
            }
            Tool::Cdk => {
                let mut command = Command::new(self.cdk.join("cdk"));
                if task == Task::Start {
                    command.arg("--version");
                } else {
                    command
                        .args(["destroy", STACK, "--force", "--no-notices", "--app"])
                        .arg(&code.assembly);
                }
                command
            }
        };
        command
            .env_clear()
            .env("PATH", self.path(tool))
            .envs(cloud.environment(&self.home))
            .current_dir(&self.home);
        Some(command)
    }

    /// Deploys with another page.
    pub(super) fn publish(&self, page: &Path, cloud: &Cloud) -> Command {
        let mut command = Command::new(&self.chatctl);
        command
            .args(["deploy", "--json", "--bootstrap"])
            .arg(&self.code[0].bootstrap)
            .arg("--wwwroot")
            .arg(page)
            .env_clear()
            .env("PATH", self.path(Tool::Chatctl))
            .envs(cloud.environment(&self.home))
            .current_dir(&self.home);
        command
    }

    fn chatctl(&self, task: Task, code: &Code) -> Command {
        let mut command = Command::new(&self.chatctl);
        match task {
            Task::Start => command.arg("--version"),
            Task::Destroy => command.args(["destroy", "--yes", "--json"]),
            _ => command
                .args(["deploy", "--json", "--bootstrap"])
                .arg(&code.bootstrap)
                .arg("--wwwroot")
                .arg(&self.page),
        };
        if task == Task::NothingButVerify {
            command.arg("--verify");
        }
        command
    }

    fn aws(&self, tool: Tool, task: Task, code: &Code) -> Command {
        let has_page = tool == Tool::AwsAndPage;
        let script = |name| {
            // `venv/bin` is in the peer's own folder.
            let folder = self.aws.ancestors().nth(2).unwrap_or(&self.aws);
            Command::new(folder.join(name))
        };
        match task {
            Task::Start => {
                let mut command = Command::new(self.aws.join("aws"));
                command.arg("--version");
                command
            }
            Task::Destroy => {
                let mut command = script("destroy.sh");
                command.arg(STACK).args(has_page.then_some("empty"));
                command
            }
            _ if has_page => {
                let mut command = script("deploy.sh");
                command
                    .arg(&self.template)
                    .args([STACK, BUCKET])
                    .args([code.key().as_ref(), self.page.as_path()])
                    .args((task != Task::Nothing).then_some(&code.package));
                command
            }
            _ => {
                let mut command = Command::new(self.aws.join("aws"));
                command
                    .args(["cloudformation", "deploy", "--stack-name", STACK])
                    .args(["--capabilities", "CAPABILITY_IAM"])
                    .args(["--no-fail-on-empty-changeset", "--template-file"])
                    .arg(&self.template)
                    .arg("--parameter-overrides")
                    .args(code.parameters())
                    .args(self.way_of_template());
                command
            }
        }
    }

    /// How the AWS CLI has to be told to send a template that is larger than a request may be. `deploy.sh`
    /// does the same.
    fn way_of_template(&self) -> &[&str] {
        let bytes = std::fs::metadata(&self.template).map_or(0, |it| it.len());
        if bytes > TEMPLATE_BYTES_MAX {
            &["--s3-bucket", BUCKET]
        } else {
            &[]
        }
    }

    fn sam(&self, task: Task, code: &Code) -> Command {
        let mut command = Command::new(self.sam.join("sam"));
        match task {
            Task::Start => command.arg("--version"),
            Task::Destroy => command.args([
                "delete",
                "--no-prompts",
                "--region",
                e2e::ministack::REGION,
                "--stack-name",
                STACK,
            ]),
            _ => command
                .args(["deploy", "--stack-name", STACK])
                .args(["--capabilities", "CAPABILITY_IAM"])
                .args(["--no-confirm-changeset", "--no-fail-on-empty-changeset"])
                .args(["--s3-bucket", BUCKET, "--template-file"])
                .arg(&self.template)
                .arg("--parameter-overrides")
                .args(code.parameters()),
        };
        // It looks at the stack every five seconds otherwise, which would be all that is measured.
        command.env("SAM_CLI_POLL_DELAY", "0.5");
        command
    }

    /// Where a client finds what it starts itself.
    fn path(&self, tool: Tool) -> std::ffi::OsString {
        let own = matches!(tool, Tool::Aws | Tool::AwsAndPage).then_some(&self.aws);
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let inherited: Vec<PathBuf> = std::env::split_paths(&inherited).collect();
        // A folder with a colon in its name cannot be in it at all.
        std::env::join_paths(own.into_iter().chain(&inherited)).unwrap_or_default()
    }
}

impl Code {
    fn new(home: &Path, name: &str, program: &[u8], template: &Path) -> Result<Self, BenchError> {
        let code = Self {
            bootstrap: home.join(format!("{name}.bootstrap")),
            package: home.join(format!("{name}.zip")),
            assembly: home.join(format!("{name}.cdk")),
        };
        write(&code.bootstrap, program)?;
        write(&code.package, &zip(program)?)?;
        create(&code.assembly)?;
        write(&code.assembly.join(DOCUMENT), &read(template)?)?;
        let manifest = json!({
            "version": "36.0.0",
            "artifacts": {STACK: {
                "type": "aws:cloudformation:stack",
                "environment": format!("aws://000000000000/{}", e2e::ministack::REGION),
                "properties": {
                    "templateFile": DOCUMENT,
                    "stackTemplateAssetObjectUrl": format!("s3://{BUCKET}/{DOCUMENT}"),
                    "stackName": STACK,
                    "parameters": {"CodeBucket": BUCKET, "CodeKey": code.key()},
                },
            }},
        });
        write(
            &code.assembly.join("manifest.json"),
            manifest.to_string().as_bytes(),
        )?;
        Ok(code)
    }

    fn key(&self) -> String {
        let name = self.package.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn parameters(&self) -> [String; 2] {
        [
            format!("CodeBucket={BUCKET}"),
            format!("CodeKey={}", self.key()),
        ]
    }
}

fn zip(program: &[u8]) -> Result<Vec<u8>, BenchError> {
    use std::io::Write as _;
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let written = writer
        .start_file("bootstrap", options)
        .and_then(|()| Ok(writer.write_all(program)?))
        .and_then(|()| writer.finish());
    written
        .map(std::io::Cursor::into_inner)
        .map_err(|error| BenchError::Measurement(format!("the package: {error}")))
}

fn read(path: &Path) -> Result<Vec<u8>, BenchError> {
    std::fs::read(path).map_err(|source| BenchError::File {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn create(folder: &Path) -> Result<(), BenchError> {
    std::fs::create_dir_all(folder).map_err(|source| BenchError::File {
        path: folder.to_owned(),
        source,
    })
}

pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), BenchError> {
    std::fs::write(path, content).map_err(|source| BenchError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_named_with_the_versions_that_are_pinned() {
        let pins = [
            (
                Tool::Aws,
                include_str!("../../../peers/awscli/requirements.txt"),
                "awscli==",
            ),
            (
                Tool::AwsAndPage,
                include_str!("../../../peers/awscli/requirements.txt"),
                "awscli==",
            ),
            (
                Tool::Sam,
                include_str!("../../../peers/sam/requirements.txt"),
                "aws-sam-cli==",
            ),
            (
                Tool::Cdk,
                include_str!("../../../peers/cdk/package.json"),
                "\"aws-cdk\": \"",
            ),
        ];
        for (tool, text, key) in pins {
            let (_, rest) = text.split_once(key).expect("pinned");
            let version = rest.split(['\n', '"']).next().unwrap_or_default();
            assert!(tool.name().contains(&format!(" {version},")), "{version}");
            assert!(VERSIONS.contains(version), "{version}");
        }
    }
}
