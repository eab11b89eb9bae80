//! An app of one's own, as `chatctl init` begins it: the page, the template and the functions of this chat, as
//! they were when the program was built, in a workspace of their own.
//!
//! # Layout
//! * `manifest`: the workspace's `Cargo.toml`, made of this project's.
//! * `handlers.lock`: the workspace's `Cargo.lock`, which a test makes of this project's.
//! * `README.md`, `chatctl.toml` and `gitignore`: what is written for the app alone.
//! * `place`: a folder that all of it is written to, or nothing.

mod manifest;
mod place;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::site::Page;
use crate::template::{self, StageName, TemplateError};

/// The functions, with their tests.
static HANDLERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../handlers/src");

/// What is the same in each app.
const AS_IT_IS: [(&str, &str); 6] = [
    (".gitignore", include_str!("init/gitignore")),
    ("Cargo.lock", include_str!("init/handlers.lock")),
    ("LICENSE", include_str!("../../LICENSE")),
    ("clippy.toml", include_str!("../../clippy.toml")),
    ("rustfmt.toml", include_str!("../../rustfmt.toml")),
    (manifest::PACKAGE_FILE, manifest::PACKAGE),
];

const README: &str = include_str!("init/README.md");

const SETTINGS: &str = include_str!("init/chatctl.toml");

/// What stands for the app's name in its README.
const NAME: &str = "{name}";

/// What stands there for the oldest Rust that builds it.
const RUST: &str = "{rust}";

/// The line of its settings that a name takes the place of.
const STAGE: &str = "# stage = \"chat\"";

/// Why no app was begun.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    /// Something is there that is not to be written over.
    #[error("`{}` is not empty: it has {}", folder.display(), listed(found))]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// What is in it, in order.
        found: Vec<String>,
    },
    /// Something is there that is no folder.
    #[error("`{}` is there, and is no folder", .0.display())]
    NoFolder(PathBuf),
    /// The operating system refuses.
    #[error("`{}` cannot be written", path.display())]
    Unwritable {
        /// What could not.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl InitError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NotEmpty { .. } => {
                "nothing was written: name a folder that is empty or not there yet"
            }
            Self::NoFolder(_) => "nothing was written: name another",
            Self::Unwritable { .. } => {
                "nothing was left there: may you write to it, and has the disk room for 1 MB?"
            }
        }
    }
}

/// A few names, and how many there are besides.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|it| format!("`{it}`"))
        .collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The files of an app, by their paths from its folder.
#[derive(Debug)]
pub(crate) struct App(Vec<(String, Cow<'static, [u8]>)>);

impl App {
    /// One that is like this chat. Its name is the stage that is meant in it where none is given.
    ///
    /// # Errors
    /// [`TemplateError`], if the embedded template is faulty: a test sees to it that it is not.
    pub(crate) fn new(name: Option<&StageName>) -> Result<Self, TemplateError> {
        let text = |path: &str, text: String| (path.to_owned(), Cow::Owned(text.into_bytes()));
        let title = name.map_or("Chat", StageName::as_str);
        let mut files = vec![
            text("Cargo.toml", manifest::of_the_app()),
            text("README.md", readme(title)),
            text("chatctl.toml", settings(name)),
        ];
        let as_it_is = AS_IT_IS.map(|(path, text)| (path.to_owned(), text.as_bytes().into()));
        files.extend(as_it_is);
        collect(&HANDLERS, &mut files);
        for (name, text) in template::embedded()? {
            files.push((format!("cloudformation/{name}"), text.as_bytes().into()));
        }
        for (key, body) in Page::embedded().files() {
            files.push((format!("wwwroot/{key}"), Cow::Owned(body.to_vec())));
        }
        Ok(Self(files))
    }

    /// Writes it to a folder that is empty or not there yet: all of it, or nothing.
    ///
    /// # Errors
    /// [`InitError`].
    pub(crate) fn write(&self, folder: &Path) -> Result<(), InitError> {
        place::write(&self.0, folder)
    }
}

fn readme(title: &str) -> String {
    let rust = env!("CARGO_PKG_RUST_VERSION");
    README.replace(NAME, title).replace(RUST, rust)
}

fn settings(name: Option<&StageName>) -> String {
    match name {
        Some(name) => SETTINGS.replace(STAGE, &format!("stage = \"{}\"", name.as_str())),
        None => SETTINGS.to_owned(),
    }
}

fn collect(folder: &Dir<'static>, files: &mut Vec<(String, Cow<'static, [u8]>)>) {
    for file in folder.files() {
        let path = format!("handlers/src/{}", file.path().display());
        files.push((path, file.contents().into()));
    }
    for folder in folder.dirs() {
        collect(folder, files);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn checkout() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// The files of a folder of the checkout, by their paths from its top.
    fn read(folder: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(checkout().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                read(&path, files);
            } else {
                files.insert(path, std::fs::read(entry.path()).unwrap());
            }
        }
    }

    /// `include_dir` cannot tell cargo of a new file, so an old build could lack it.
    #[test]
    fn an_app_has_the_page_the_template_and_the_functions_of_the_checkout_to_the_byte() {
        let mut there = BTreeMap::new();
        for folder in ["handlers", "cloudformation", "wwwroot"] {
            read(folder, &mut there);
        }
        // The stack of the packages is every chat's, and `chatctl`'s own.
        there.retain(|path, _| !path.starts_with("cloudformation/bootstrap/"));
        let written = App::new(None).unwrap().0;
        let mut written: BTreeMap<_, _> = written
            .into_iter()
            .map(|(path, body)| (path, body.into_owned()))
            .collect();
        written.retain(|path, _| path.contains('/'));
        let paths = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            paths(&written),
            paths(&there),
            "touch deployer/src/init.rs and build again"
        );
        for (path, body) in there {
            assert!(written[&path] == body, "{path} is another");
        }
    }

    #[test]
    fn a_name_is_the_stage_of_the_app_and_stands_above_its_readme() {
        let file = |name: Option<&StageName>, path: &str| {
            let files = App::new(name).unwrap().0;
            let (_, body) = files.into_iter().find(|it| it.0 == path).unwrap();
            String::from_utf8(body.into_owned()).unwrap()
        };
        let name = "club-7".parse().unwrap();
        let stage = |text: &str| toml::from_str::<toml::Table>(text).unwrap().remove("stage");
        let settings = file(Some(&name), "chatctl.toml");
        assert_eq!(stage(&settings), Some("club-7".into()), "{settings}");
        let unnamed = file(None, "chatctl.toml");
        assert_eq!(stage(&unnamed), None, "{unnamed}");
        assert!(unnamed.contains(STAGE), "{unnamed}");
        assert!(file(Some(&name), "README.md").starts_with("# club-7\n"));
        let readme = file(None, "README.md");
        assert!(readme.starts_with("# Chat\n"), "{readme}");
        assert!(
            readme.contains("Rust 1.") && !readme.contains('{'),
            "{readme}"
        );
    }

    #[test]
    fn of_many_names_a_few_are_told_and_the_others_counted() {
        let names = |count: usize| (0..count).map(|it| it.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&names(1)), "`0`");
        assert_eq!(listed(&names(3)), "`0`, `1`, `2`");
        assert_eq!(listed(&names(5)), "`0`, `1`, `2` and 2 more");
    }
}
