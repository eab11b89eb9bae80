//! Browsers reload the page when it has changed: a script that the page has here and nowhere else asks
//! once a second for a number. It asks rather than waits, because browsers have few connections for a host,
//! and every tab would hold one.

use std::path::PathBuf;
use std::time::SystemTime;

use local::{Folder, Object, Site, content_type};

/// No file of the page begins so: hidden files are no part of it.
const SCRIPT_KEY: &str = ".chatctl/reload.js";
const VERSION_KEY: &str = ".chatctl/version";
const INDEX: &str = "index.html";
const TAG: &str = "<script type=\"module\" src=\"/.chatctl/reload.js\"></script>";

/// Tells browsers of changes.
pub(super) struct Reload {
    wwwroot: PathBuf,
    /// Tells this run from the one before, after which a page may be another one as well.
    started: u128,
    changes: u64,
}

impl Reload {
    /// Puts the script into the page.
    pub(super) fn begin(site: &Site, wwwroot: PathBuf) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let reload = Self {
            wwwroot,
            started: now.unwrap_or_default().as_millis(),
            changes: 0,
        };
        put(site, SCRIPT_KEY, include_str!("reload.js").to_owned());
        reload.publish(site);
        reload
    }

    /// The page is another one.
    pub(super) fn changed(&mut self, site: &Site) {
        self.changes += 1;
        self.publish(site);
    }

    fn publish(&self, site: &Site) {
        // Half way through a change there may be none; then the one before stays.
        let html = Folder::new(&self.wwwroot).get(INDEX);
        if let Some(html) = html.and_then(|it| String::from_utf8(it.into()).ok()) {
            put(site, INDEX, with_script(&html));
        }
        put(
            site,
            VERSION_KEY,
            format!("{}.{}", self.started, self.changes),
        );
    }
}

fn put(site: &Site, key: &str, body: String) {
    let content_type = content_type(key);
    let body = body.into();
    site.put(key, Object { content_type, body });
}

/// A page with the script at its end.
fn with_script(html: &str) -> String {
    let end = html.rfind("</body>").unwrap_or(html.len());
    let (before, after) = html.split_at(end);
    format!("{before}{TAG}\n{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_last_thing_of_the_page() {
        assert_eq!(
            with_script("<body>hi</body></html>"),
            format!("<body>hi{TAG}\n</body></html>")
        );
        assert_eq!(with_script("hi"), format!("hi{TAG}\n"));
    }

    #[test]
    fn the_script_asks_for_the_number_that_is_told() {
        let script = include_str!("reload.js");
        assert!(script.contains(&format!("'/{VERSION_KEY}'")), "{script}");
        assert!(TAG.contains(&format!("\"/{SCRIPT_KEY}\"")));
    }
}
