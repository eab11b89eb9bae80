//! The files of the page as objects, and what of them is new to a bucket.

use std::path::Path;

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use local::content_type;

use super::{CONFIG_KEY, SiteError, config};
use crate::cloud::{Buckets, CloudError, NewObject, StoredObject};

/// Browsers ask each time, so that a new deploy shows at once. CloudFront keeps what it has until it is
/// told to forget it.
const CACHE_CONTROL: &str = "max-age=0, s-maxage=31536000, must-revalidate";

const INDEX: &str = "index.html";

/// The page as it was when the program was built.
static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wwwroot");

/// The files of a page, by their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page(Vec<(String, Bytes)>);

impl Page {
    /// The one inside the program.
    pub(crate) fn embedded() -> Self {
        fn collect(folder: &Dir<'static>, files: &mut Vec<(String, Bytes)>) {
            for file in folder.files() {
                let key = file.path().to_string_lossy().into_owned();
                files.push((key, Bytes::from_static(file.contents())));
            }
            for folder in folder.dirs() {
                collect(folder, files);
            }
        }
        let mut files = Vec::new();
        collect(&EMBEDDED, &mut files);
        Self(files)
    }

    /// The one in a folder. Hidden files are no part of it.
    ///
    /// # Errors
    /// [`SiteError`], if it cannot be read or has no `index.html`.
    pub(crate) fn read(folder: &Path) -> Result<Self, SiteError> {
        fn collect(
            folder: &Path,
            prefix: &str,
            files: &mut Vec<(String, Bytes)>,
        ) -> Result<(), SiteError> {
            let unreadable = |path: &Path| {
                let path = path.to_owned();
                move |source| SiteError::Unreadable { path, source }
            };
            for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
                let entry = entry.map_err(unreadable(folder))?;
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                if name.starts_with('.') {
                    continue;
                }
                let key = format!("{prefix}{name}");
                if path.is_dir() {
                    collect(&path, &format!("{key}/"), files)?;
                } else {
                    let body = std::fs::read(&path).map_err(unreadable(&path))?;
                    files.push((key, body.into()));
                }
            }
            Ok(())
        }
        let mut files = Vec::new();
        collect(folder, "", &mut files)?;
        if files.iter().any(|(key, _)| key == INDEX) {
            Ok(Self(files))
        } else {
            Err(SiteError::NoPage {
                path: folder.to_owned(),
            })
        }
    }

    /// The page that knows where its socket is.
    pub(crate) fn with_config(mut self, websocket_url: &str) -> Self {
        self.0.retain(|(key, _)| key != CONFIG_KEY);
        let config = config(websocket_url).into();
        self.0.push((CONFIG_KEY.to_owned(), config));
        self
    }
}

/// What it takes to make a bucket hold a page, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Objects to be put, in any order.
    pub(super) first: Vec<NewObject>,
    /// Objects to be put then: what names the others.
    pub(super) last: Vec<NewObject>,
    /// Keys to be removed then.
    pub(super) stale: Vec<String>,
}

impl Difference {
    /// Between a page and what is in a bucket.
    pub(super) fn new(page: Page, stored: &[StoredObject]) -> Self {
        let is_stale = |it: &&StoredObject| !page.0.iter().any(|(key, _)| *key == it.key);
        let mut difference = Self {
            stale: stored
                .iter()
                .filter(is_stale)
                .map(|it| it.key.clone())
                .collect(),
            ..Self::default()
        };
        for (key, body) in page.0 {
            let md5 = format!("{:x}", md5::compute(&body));
            if stored.iter().any(|it| it.key == key && it.md5 == md5) {
                continue;
            }
            let names_others = key == INDEX || key == CONFIG_KEY;
            let object = object(key, body);
            if names_others {
                difference.last.push(object);
            } else {
                difference.first.push(object);
            }
        }
        difference
    }

    /// Whether there is nothing to do.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The keys of what a publish would send and remove.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    /// Sent.
    pub(crate) send: Vec<String>,
    /// Removed.
    pub(crate) remove: Vec<String>,
}

impl Edits {
    /// Between a page and what is in a bucket.
    ///
    /// # Errors
    /// [`CloudError`], if AWS does not say what is in it.
    pub(crate) async fn between(
        cloud: &impl Buckets,
        bucket: &str,
        page: Page,
    ) -> Result<Self, CloudError> {
        let mut stored = cloud.objects(bucket, "").await?;
        stored.retain(|it| it.key != super::publish::MARKER);
        Ok(Self::of(Difference::new(page, &stored)))
    }

    /// Of a page that is nowhere yet.
    pub(crate) fn of_all(page: Page) -> Self {
        Self::of(Difference::new(page, &[]))
    }

    /// Whether there are none.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn of(difference: Difference) -> Self {
        let objects = difference.first.into_iter().chain(difference.last);
        let mut send: Vec<_> = objects.map(|it| it.key).collect();
        send.sort();
        Self {
            send,
            remove: difference.stale,
        }
    }
}

fn object(key: String, body: Bytes) -> NewObject {
    NewObject {
        content_type: content_type(&key),
        cache_control: Some(CACHE_CONTROL),
        key,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(files: &[(&str, &'static str)]) -> Page {
        let file = |(key, body): &(&str, &'static str)| ((*key).to_owned(), Bytes::from(*body));
        Page(files.iter().map(file).collect())
    }

    fn stored(key: &str, body: &str) -> StoredObject {
        StoredObject {
            key: key.to_owned(),
            md5: format!("{:x}", md5::compute(body)),
        }
    }

    fn keys(objects: &[NewObject]) -> Vec<&str> {
        objects.iter().map(|it| it.key.as_str()).collect()
    }

    #[test]
    fn only_what_is_new_is_put_and_what_names_others_last() {
        let page = page(&[
            ("index.html", "new"),
            ("main.js", "same"),
            ("style.css", "new"),
            ("added.js", "new"),
        ]);
        let bucket = [
            stored("index.html", "old"),
            stored("main.js", "same"),
            stored("style.css", "old"),
            stored("gone.js", "old"),
        ];
        let difference = Difference::new(page.with_config("wss://chat"), &bucket);
        assert_eq!(keys(&difference.first), ["style.css", "added.js"]);
        assert_eq!(keys(&difference.last), ["index.html", "config.json"]);
        assert_eq!(difference.stale, ["gone.js"]);
        assert!(!difference.is_none());
    }

    #[test]
    fn a_page_that_is_there_already_is_no_difference() {
        let page = page(&[("index.html", "a")]).with_config("wss://chat");
        let bucket = [
            stored("index.html", "a"),
            stored("config.json", r#"{"server":"wss://chat"}"#),
        ];
        assert!(Difference::new(page, &bucket).is_none());
    }

    #[test]
    fn objects_say_what_they_are_and_that_browsers_have_to_ask() {
        for (key, content_type) in [
            ("index.html", "text/html; charset=utf-8"),
            ("main.js", "text/javascript; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("config.json", "application/json; charset=utf-8"),
            ("icon.svg", "image/svg+xml; charset=utf-8"),
            ("data", "application/octet-stream"),
        ] {
            let object = object(key.to_owned(), Bytes::new());
            assert_eq!(object.content_type, content_type, "{key}");
            let expected = "max-age=0, s-maxage=31536000, must-revalidate";
            assert_eq!(object.cache_control, Some(expected), "{key}");
        }
    }

    #[test]
    fn the_embedded_page_is_the_one_of_the_clone() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wwwroot");
        let (mut embedded, mut read) = (Page::embedded().0, Page::read(&folder).unwrap().0);
        embedded.sort();
        read.sort();
        assert_eq!(embedded, read);
    }

    #[test]
    fn a_folder_without_a_page_is_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let error = Page::read(&folder).unwrap_err();
        assert!(matches!(error, SiteError::NoPage { .. }), "{error}");
    }
}
