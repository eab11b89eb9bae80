//! Static files as CloudFront serves them from a bucket: objects by key, content types, the headers
//! policy's headers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH,
};
use hyper::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;

use crate::folder::Folder;
use crate::template;

/// A file of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its content type.
    pub content_type: String,
    /// Its content.
    pub body: Bytes,
}

/// The site of a stack: objects that were put, and a folder behind them that is read anew for every
/// request, so that an edit shows on reload.
#[derive(Debug)]
pub struct Site {
    declared: template::Site,
    folder: Option<Folder>,
    objects: RwLock<BTreeMap<String, Object>>,
}

impl Site {
    pub(crate) fn new(declared: template::Site, folder: Option<PathBuf>) -> Self {
        Self {
            declared,
            folder: folder.map(Folder::new),
            objects: RwLock::default(),
        }
    }

    /// Puts an object under a key such as `config.json`; it goes before a file of that name.
    pub fn put(&self, key: impl Into<String>, object: Object) {
        self.objects
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.into(), object);
    }

    /// Answers a request for a path such as `/` or `/app.js`.
    pub(crate) async fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Response<Full<Bytes>> {
        let mut response = if method == Method::GET || method == Method::HEAD {
            match self.object(path).await {
                Some(object) => respond(method, headers, object),
                // A bucket that may not be listed answers so, to keep secret what is there.
                None => plain(StatusCode::FORBIDDEN, "AccessDenied: there is no such file"),
            }
        } else {
            plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are allowed here",
            )
        };
        for (name, value) in &self.declared.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    async fn object(&self, path: &str) -> Option<Object> {
        let path = percent_decode_str(path.strip_prefix('/')?)
            .decode_utf8()
            .ok()?
            .into_owned();
        let key = if path.is_empty() {
            self.declared.default_root_object.clone()?
        } else {
            path
        };
        if let Some(object) = self
            .objects
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Some(object.clone());
        }
        let content_type = content_type(&key);
        let folder = self.folder.clone()?;
        let body = tokio::task::spawn_blocking(move || folder.get(&key)).await;
        Some(Object {
            content_type,
            body: body.ok()??,
        })
    }
}

/// The content type of a file by its name, with the encoding for what is text.
#[must_use]
pub fn content_type(key: &str) -> String {
    let guess = mime_guess::from_path(key).first_or_octet_stream();
    let is_text = guess.type_() == "text"
        || ["javascript", "json", "xml"].contains(&guess.subtype().as_str())
        || guess
            .suffix()
            .is_some_and(|suffix| suffix == "xml" || suffix == "json");
    if is_text {
        format!("{}; charset=utf-8", guess.essence_str())
    } else {
        guess.to_string()
    }
}

fn respond(method: &Method, headers: &HeaderMap, object: Object) -> Response<Full<Bytes>> {
    let tag = entity_tag(&object.body);
    let unchanged = headers.get(IF_NONE_MATCH).is_some_and(|seen| *seen == tag);
    let length = object.body.len();
    let body = if unchanged || method == Method::HEAD {
        Bytes::new()
    } else {
        object.body
    };
    let mut response = Response::new(Full::new(body));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    let headers = response.headers_mut();
    headers.insert(ETAG, tag);
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("max-age=0, must-revalidate"),
    );
    if let Ok(value) = HeaderValue::from_str(&object.content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    response
}

/// Changes with the content. Only ever compared with itself, on this machine.
fn entity_tag(body: &[u8]) -> HeaderValue {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    HeaderValue::from_str(&format!("\"{:016x}-{:x}\"", hasher.finish(), body.len()))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http_body_util::BodyExt;

    use super::*;

    fn site() -> Site {
        let declared = template::Site {
            default_root_object: Some("index.html".to_owned()),
            headers: vec![(
                "content-security-policy".to_owned(),
                "default-src 'none'".to_owned(),
            )],
            hosts: Vec::new(),
            leads_to_api: false,
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let site = Site::new(declared, Some(folder));
        let put = |key: &str, body: &'static str| {
            site.put(
                key,
                Object {
                    content_type: content_type(key),
                    body: body.into(),
                },
            );
        };
        put("index.html", "<p>hi");
        put("site.rs", "put");
        site
    }

    async fn get(path: &str) -> (StatusCode, HeaderMap, String) {
        let response = site().answer(&Method::GET, path, &HeaderMap::new()).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a full body").to_bytes();
        (
            parts.status,
            parts.headers,
            String::from_utf8_lossy(&body).into_owned(),
        )
    }

    #[tokio::test]
    async fn the_root_is_the_default_object_with_its_type_and_the_policys_headers() {
        let (status, headers, body) = get("/").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "<p>hi"));
        assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(headers["content-security-policy"], "default-src 'none'");
    }

    #[tokio::test]
    async fn an_object_that_was_put_goes_before_the_folders_file() {
        assert_eq!(get("/site.rs").await.2, "put");
        assert!(get("/lib.rs").await.2.contains("# Layout"));
    }

    #[tokio::test]
    async fn nothing_outside_the_folder_is_reachable() {
        for path in [
            "/../Cargo.toml",
            "/%2e%2e/Cargo.toml",
            "//etc/passwd",
            "/%2Fetc/passwd",
            "/x",
            "/.",
            "/%ff",
            "/lib.rs%00",
            "/gateway%5cmod.rs",
            "/gateway/../lib.rs",
            "/gateway/%2e%2e/lib.rs",
            "/./lib.rs",
            "/gateway//mod.rs",
            "/lib.rs/",
            "/gateway",
        ] {
            let (status, headers, _) = get(path).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
            assert!(headers.contains_key("content-security-policy"), "{path}");
        }
    }

    #[tokio::test]
    async fn an_unchanged_file_is_not_sent_again_and_nothing_can_be_written() {
        let site = site();
        let first = site.answer(&Method::GET, "/", &HeaderMap::new()).await;
        let seen = HeaderMap::from_iter([(IF_NONE_MATCH, first.headers()[ETAG].clone())]);
        let again = site.answer(&Method::GET, "/", &seen).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let written = site.answer(&Method::PUT, "/", &HeaderMap::new()).await;
        assert_eq!(written.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn text_says_its_encoding_and_other_files_do_not() {
        for (key, expected) in [
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("config.json", "application/json; charset=utf-8"),
            ("icon.svg", "image/svg+xml; charset=utf-8"),
            ("a.png", "image/png"),
            ("a", "application/octet-stream"),
        ] {
            assert_eq!(content_type(key), expected, "{key}");
        }
    }
}
