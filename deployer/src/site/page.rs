//! The files of the page as objects, and what of them is new to a bucket.

mod archive;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use local::{Entry, Folder, FolderError, content_type};
use serde_json::json;

use super::{CONFIG_KEY, SiteError};
use crate::cloud::{NewObject, StoredObject};
use crate::template::Cdn;

/// Browsers ask each time, so that a new deploy shows at once. CloudFront keeps what it has until it is
/// told to forget it.
const CACHED_AT_EDGES: &str = "max-age=0, s-maxage=31536000, must-revalidate";

/// Without CloudFront nobody could be told: a cache on the way would show the old page for a year.
const CACHED_NOWHERE: &str = "max-age=0, must-revalidate";

const INDEX: &str = "index.html";

/// Who serves the objects of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// This distribution, which adds the headers that protect the page.
    Distribution(String),
    /// The bucket itself, without such headers: the page brings its policy itself.
    Website {
        /// Its Content-Security-Policy.
        policy: String,
    },
}

impl Host {
    /// The setting that it comes from.
    pub(crate) fn cdn(&self) -> Cdn {
        match self {
            Self::Distribution(_) => Cdn::On,
            Self::Website { .. } => Cdn::Off,
        }
    }

    fn cache_control(&self) -> &'static str {
        match self {
            Self::Distribution(_) => CACHED_AT_EDGES,
            Self::Website { .. } => CACHED_NOWHERE,
        }
    }
}

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

    /// Its files, by their keys.
    pub(crate) fn files(&self) -> &[(String, Bytes)] {
        &self.0
    }

    /// The one in a folder. Hidden files are no part of it.
    ///
    /// # Errors
    /// [`SiteError`], if it cannot be read, has what cannot be published, or has no `index.html`.
    pub(crate) fn read(folder: &Path) -> Result<Self, SiteError> {
        let entries = entries(folder)?;
        let folder = Folder::new(folder);
        let files = entries.into_iter().map(|entry| {
            let body = folder.read(&entry)?;
            Ok((entry.key, body))
        });
        Ok(Self(files.collect::<Result<_, FolderError>>()?))
    }

    /// Whether there is one in a folder, without reading it.
    ///
    /// # Errors
    /// As [`Page::read`].
    pub(crate) fn look_at(folder: &Path) -> Result<(), SiteError> {
        entries(folder).map(drop)
    }

    /// Writes it into a folder.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<()> {
        for (key, body) in &self.0 {
            let path = folder.join(key);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, body)?;
        }
        Ok(())
    }

    /// The page that knows where its socket is.
    pub(crate) fn with_config(mut self, config: String) -> Self {
        self.0.retain(|(key, _)| key != CONFIG_KEY);
        self.0.push((CONFIG_KEY.to_owned(), config.into()));
        self
    }

    /// The page as it has to be for who serves it.
    pub(super) fn on(mut self, host: &Host) -> Self {
        if let Host::Website { policy } = host {
            for (_, body) in self.0.iter_mut().filter(|(key, _)| key == INDEX) {
                *body = with_policy(body, policy).into();
            }
        }
        self
    }

    /// What the objects say of themselves besides their content, by what it depends on, as a text that
    /// differs where any of it does.
    pub(super) fn rules(&self, host: &Host) -> String {
        let extension = |key: &str| match key.rsplit_once('.') {
            Some((_, extension)) => extension.to_owned(),
            None => key.to_owned(),
        };
        let types: BTreeMap<_, _> = self
            .0
            .iter()
            .map(|(key, _)| (extension(key), content_type(key)))
            .collect();
        json!({"cache-control": host.cache_control(), "content-type": types}).to_string()
    }
}

/// The files of a page in a folder.
fn entries(folder: &Path) -> Result<Vec<Entry>, SiteError> {
    let entries = Folder::new(folder).entries()?;
    if entries.iter().any(|it| it.key == INDEX) {
        return Ok(entries);
    }
    Err(SiteError::NoPage {
        path: folder.to_owned(),
    })
}

/// An HTML page with a Content-Security-Policy at the head of its head: it holds for what comes after.
fn with_policy(html: &[u8], policy: &str) -> Vec<u8> {
    let escaped = policy.replace('&', "&amp;").replace('"', "&quot;");
    let meta = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{escaped}\">");
    let at = end_of_tag(html, "<head")
        .or_else(|| end_of_tag(html, "<!doctype"))
        .unwrap_or_default();
    let (before, after) = html.split_at(at);
    [before, b"\n  ", meta.as_bytes(), after].concat()
}

/// Where the first tag that begins so ends.
fn end_of_tag(html: &[u8], beginning: &str) -> Option<usize> {
    let length = beginning.len();
    let at = html.windows(length + 1).position(|window| {
        // Not `<header>`.
        window[..length].eq_ignore_ascii_case(beginning.as_bytes())
            && !window[length].is_ascii_alphanumeric()
    })?;
    let end = html[at..].iter().position(|byte| *byte == b'>')?;
    Some(at + end + 1)
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
    /// Between a page and what is in a bucket. `trusted` is whether the objects there are known to say
    /// of themselves what they should: a list does not tell, and they are sent again otherwise.
    pub(super) fn new(page: Page, host: &Host, stored: &[StoredObject], trusted: bool) -> Self {
        // A page may have thousands of files.
        let keys: HashSet<_> = page.0.iter().map(|(key, _)| key.as_str()).collect();
        let is_stale = |it: &&StoredObject| !keys.contains(it.key.as_str());
        let mut difference = Self {
            stale: stored
                .iter()
                .filter(is_stale)
                .map(|it| it.key.clone())
                .collect(),
            ..Self::default()
        };
        let stored: HashMap<_, _> = stored.iter().map(|it| (&it.key, &it.md5)).collect();
        for (key, body) in page.0 {
            let md5 = format!("{:x}", md5::compute(&body));
            if trusted && stored.get(&key) == Some(&&md5) {
                continue;
            }
            let names_others = key == INDEX || key == CONFIG_KEY;
            let object = object(key, body, host);
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
    /// Of a page that is nowhere yet, or for another host: all of it.
    pub(crate) fn of_all(page: Page) -> Self {
        let mut send: Vec<_> = page.0.into_iter().map(|(key, _)| key).collect();
        send.sort();
        Self {
            send,
            remove: Vec::new(),
        }
    }

    /// Whether there are none.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn of(difference: Difference) -> Self {
        let objects = difference.first.into_iter().chain(difference.last);
        let mut send: Vec<_> = objects.map(|it| it.key).collect();
        send.sort();
        Self {
            send,
            remove: difference.stale,
        }
    }
}

fn object(key: String, body: Bytes, host: &Host) -> NewObject {
    NewObject {
        content_type: content_type(&key),
        cache_control: Some(host.cache_control()),
        key,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloudfront() -> Host {
        Host::Distribution("distribution".to_owned())
    }

    fn website() -> Host {
        Host::Website {
            policy: "default-src 'none'; img-src \"&".to_owned(),
        }
    }

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
        let page = page.with_config("{}".to_owned());
        let difference = Difference::new(page, &cloudfront(), &bucket, true);
        assert_eq!(keys(&difference.first), ["style.css", "added.js"]);
        assert_eq!(keys(&difference.last), ["index.html", "config.json"]);
        assert_eq!(difference.stale, ["gone.js"]);
        assert!(!difference.is_none());
    }

    #[test]
    fn a_page_that_is_there_already_is_no_difference() {
        let page = page(&[("index.html", "a")]).with_config("{}".to_owned());
        let bucket = [stored("index.html", "a"), stored("config.json", "{}")];
        assert!(Difference::new(page.clone(), &cloudfront(), &bucket, true).is_none());
        let untrusted = Difference::new(page, &cloudfront(), &bucket, false);
        assert_eq!(keys(&untrusted.last), ["index.html", "config.json"]);
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
            for (host, cached) in [
                (
                    cloudfront(),
                    "max-age=0, s-maxage=31536000, must-revalidate",
                ),
                (website(), "max-age=0, must-revalidate"),
            ] {
                let object = object(key.to_owned(), Bytes::new(), &host);
                assert_eq!(object.content_type, content_type, "{key}");
                assert_eq!(object.cache_control, Some(cached), "{key}");
            }
        }
    }

    #[test]
    fn the_rules_differ_with_what_objects_say_of_themselves_and_not_with_their_content() {
        let one = page(&[("index.html", "a"), ("a.js", "a")]);
        let rules = one.rules(&cloudfront());
        let same = page(&[("index.html", "b"), ("b.js", "c"), ("a/c.js", "c")]);
        assert_eq!(same.rules(&cloudfront()), rules);
        assert_ne!(one.rules(&website()), rules);
        let more = page(&[("index.html", "a"), ("a.js", "a"), ("data", "a")]);
        assert_ne!(more.rules(&cloudfront()), rules);
    }

    #[test]
    fn without_cloudfront_the_page_brings_its_policy_before_all_that_it_is_for() {
        const META: &str = "\n  <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; img-src &quot;&amp;\">";
        for (before, after) in [
            ("<!doctype html>\n<html><HEAD lang=en>", "<script>"),
            ("<!DOCTYPE html>", "<html><header><head"),
            ("<!doctype html>", "<p>hi"),
            ("", "hi"),
        ] {
            let html = format!("{before}{after}");
            let page = Page(vec![
                (INDEX.to_owned(), html.clone().into()),
                ("other.html".to_owned(), html.clone().into()),
            ]);
            assert_eq!(page.clone().on(&cloudfront()), page);
            let page = page.on(&website());
            assert_eq!(page.0[0].1, format!("{before}{META}{after}"));
            assert_eq!(page.0[1].1, html);
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
