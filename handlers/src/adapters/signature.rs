//! AWS's signature, Version 4 (its IAM User Guide, “Create a signed AWS API request”), of requests that
//! come by the thousand within a second and differ in their path alone.
//!
//! AWS's own library derives the key anew for each request: four hashes of a secret, a day, a Region and
//! a service that are the same all day, and headers sorted and copied besides. That was a sixth of what a
//! post costs the function. A test compares each signature made here with the library's.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::sign::v4::generate_signing_key;
use aws_smithy_types::date_time::{DateTime, Format};
use http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a path has as it is; the rest is encoded once more than in the request.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignatureError {
    /// The clock, or what is to be a header's value, is no such thing.
    #[error("no time or header can be made of it")]
    Value(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Signs in the function's name.
#[derive(Debug)]
pub(super) struct Signatures {
    credentials: Credentials,
    region: String,
    token: Option<HeaderValue>,
    kept: Mutex<Vec<Kept>>,
}

/// What is the same for all requests to a service, within a second and within a day.
#[derive(Debug)]
struct Kept {
    service: &'static str,
    second: u64,
    /// `20261122T101500Z`.
    time: String,
    /// `20261122/us-east-1/execute-api/aws4_request`.
    scope: String,
    key: hmac::Key,
}

/// What a request is signed for.
pub(super) struct Signable<'a> {
    pub(super) method: &'static str,
    /// Without a query, and without empty or dotted segments in its path.
    pub(super) uri: &'a Uri,
    pub(super) service: &'static str,
    /// With names in lower case.
    pub(super) headers: &'a [(&'static str, &'static str)],
    /// The body's SHA-256 in hexadecimal digits.
    pub(super) digest: &'a str,
}

/// What a signed request has besides its own headers.
pub(super) struct Signature {
    pub(super) time: HeaderValue,
    pub(super) token: Option<HeaderValue>,
    pub(super) authorization: HeaderValue,
}

impl Signatures {
    /// A session token that no header can have is left out, and AWS refuses what is sent.
    pub(super) fn new(credentials: Credentials, region: String) -> Self {
        let token = credentials.session_token();
        let token = token.and_then(|it| HeaderValue::from_str(it).ok());
        let token = token.map(|mut it| {
            it.set_sensitive(true);
            it
        });
        Self {
            credentials,
            region,
            token,
            kept: Mutex::default(),
        }
    }

    /// # Errors
    /// If the clock is before 1970 or after 9999.
    pub(super) fn sign(
        &self,
        signable: &Signable<'_>,
        now: SystemTime,
    ) -> Result<Signature, SignatureError> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.kept(&mut all, signable.service, now)?;
        let (request, names) = self.canonical(signable, &kept.time);
        let mut to_sign = format!("{ALGORITHM}\n{}\n{}\n", kept.time, kept.scope);
        let digested = digest::digest(&digest::SHA256, request.as_bytes());
        push_hex(&mut to_sign, digested.as_ref());
        let mut authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature=",
            self.credentials.access_key_id(),
            kept.scope,
        );
        push_hex(
            &mut authorization,
            hmac::sign(&kept.key, to_sign.as_bytes()).as_ref(),
        );
        let mut authorization = value(authorization)?;
        authorization.set_sensitive(true);
        Ok(Signature {
            time: value(kept.time.clone())?,
            token: self.token.clone(),
            authorization,
        })
    }

    /// What was kept, brought up to date.
    fn kept<'a>(
        &self,
        all: &'a mut Vec<Kept>,
        service: &'static str,
        now: SystemTime,
    ) -> Result<&'a Kept, SignatureError> {
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let second = since
            .map_err(|error| SignatureError::Value(error.into()))?
            .as_secs();
        let place = all.iter().position(|it| it.service == service);
        let place = match place {
            Some(place) if all[place].second == second => return Ok(&all[place]),
            Some(place) => place,
            None => all.len(),
        };
        let time = stamp(now)?;
        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{service}/aws4_request", self.region);
        let former = all.get(place).filter(|it| it.scope == scope);
        let derive = || {
            let secret = self.credentials.secret_access_key();
            let key = generate_signing_key(secret, now, &self.region, service);
            hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
        };
        let key = former.map_or_else(derive, |it| it.key.clone());
        let kept = Kept {
            service,
            second,
            time,
            scope,
            key,
        };
        match all.get_mut(place) {
            Some(former) => *former = kept,
            None => all.push(kept),
        }
        Ok(&all[place])
    }

    /// The canonical request, and the names of the headers in it.
    fn canonical(&self, signable: &Signable<'_>, time: &str) -> (String, String) {
        let path = utf8_percent_encode(signable.uri.path(), PATH);
        let mut headers: Vec<(&str, &str)> = Vec::with_capacity(signable.headers.len() + 3);
        headers.extend(signable.headers);
        let host = host(signable.uri);
        let token = self.credentials.session_token();
        let more = [
            Some(("host", host)),
            Some(("x-amz-date", time)),
            token.map(|it| ("x-amz-security-token", it)),
        ];
        headers.extend(more.into_iter().flatten());
        headers.sort_unstable_by_key(|it| it.0);
        let length = headers.iter().map(|it| it.0.len() + it.1.len() + 2);
        let mut request = String::with_capacity(256 + length.sum::<usize>());
        request.push_str(signable.method);
        request.push('\n');
        request.extend(path);
        request.push_str("\n\n");
        let mut names = String::with_capacity(64);
        for (name, value) in headers {
            for part in [name, ":", value, "\n"] {
                request.push_str(part);
            }
            if !names.is_empty() {
                names.push(';');
            }
            names.push_str(name);
        }
        for part in ["\n", &names, "\n", signable.digest] {
            request.push_str(part);
        }
        (request, names)
    }
}

/// As the HTTP client writes it: without the port that the scheme has by itself.
fn host(uri: &Uri) -> &str {
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let own = match uri.scheme_str() {
        Some("https") => ":443",
        _ => ":80",
    };
    authority.strip_suffix(own).unwrap_or(authority)
}

/// `20261122T101500Z`.
fn stamp(now: SystemTime) -> Result<String, SignatureError> {
    // Whole seconds, so there is no fraction to leave out.
    let seconds = DateTime::from_secs(DateTime::from(now).secs());
    let text = seconds.fmt(Format::DateTime);
    let text = text.map_err(|error| SignatureError::Value(error.into()))?;
    Ok(text.replace(['-', ':'], ""))
}

fn value(text: String) -> Result<HeaderValue, SignatureError> {
    HeaderValue::try_from(text).map_err(|error| SignatureError::Value(error.into()))
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    use aws_smithy_runtime_api::client::identity::Identity;

    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// A post of nothing.
    fn post_to(uri: &Uri) -> Signable<'_> {
        Signable {
            method: "POST",
            uri,
            service: "execute-api",
            headers: &[],
            digest: DIGEST,
        }
    }

    /// The headers that AWS's library adds, by name.
    fn library(
        signatures: &Signatures,
        signable: &Signable<'_>,
        now: SystemTime,
    ) -> Vec<(String, String)> {
        let identity = Identity::from(signatures.credentials.clone());
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&signatures.region)
            .name(signable.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .expect("all is there")
            .into();
        let uri = signable.uri.to_string();
        let body = SignableBody::Precomputed(signable.digest.to_owned());
        let request = SignableRequest::new(
            signable.method,
            &uri,
            signable.headers.iter().copied(),
            body,
        );
        let signed = sign(request.expect("a request"), &params).expect("a signature");
        let (instructions, _) = signed.into_parts();
        let headers = instructions.headers();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        headers.sort();
        headers
    }

    fn own(
        signatures: &Signatures,
        signable: &Signable<'_>,
        now: SystemTime,
    ) -> Vec<(String, String)> {
        let signature = signatures.sign(signable, now).expect("a signature");
        let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
        let mut headers = vec![
            ("authorization".to_owned(), text(&signature.authorization)),
            ("x-amz-date".to_owned(), text(&signature.time)),
        ];
        if let Some(token) = &signature.token {
            headers.push(("x-amz-security-token".to_owned(), text(token)));
        }
        headers
    }

    #[test]
    fn every_signature_is_the_one_that_awss_library_makes() {
        let post: &[(&str, &str)] = &[("content-type", "application/octet-stream")];
        let errand: &[(&str, &str)] = &[("x-amz-invocation-type", "Event")];
        // The same second, the next one, the next day, and back.
        let times = [0, 0, 1, 86_400, 86_401, 1, 1_000_000_000].map(|more| {
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250 + more * 1_000)
        });
        for token in [None, Some("a/token+with=signs".to_owned())] {
            let credentials = Credentials::new("AKID", "secret/+=", token, None, "test");
            let signatures = Signatures::new(credentials, "eu-central-1".to_owned());
            for now in times {
                for (service, uri, headers) in [
                    (
                        "execute-api",
                        "https://a.execute-api.eu-central-1.amazonaws.com/dev/@connections/L0SM9cOFvHcCIhw%3D",
                        post,
                    ),
                    (
                        "execute-api",
                        "http://127.0.0.1:8765/dev/%40connections/x-._~%2F%20%C3%A4",
                        post,
                    ),
                    (
                        "lambda",
                        "https://lambda.eu-central-1.amazonaws.com:443/2015-03-31/functions/chat-dev/invocations",
                        errand,
                    ),
                    ("execute-api", "http://localhost:80/@connections/a", &[]),
                ] {
                    let uri = uri.parse().expect("a URI");
                    for digest in [DIGEST, "0f"] {
                        let signable = Signable {
                            method: "POST",
                            uri: &uri,
                            service,
                            headers,
                            digest,
                        };
                        let expected = library(&signatures, &signable, now);
                        assert_eq!(own(&signatures, &signable, now), expected, "{uri}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_that_is_shown_of_a_signature_is_a_secret() {
        let credentials = Credentials::new("AKID", "hidden", Some("token".into()), None, "test");
        let signatures = Signatures::new(credentials, "us-east-1".to_owned());
        let uri = "http://localhost/a".parse().expect("a URI");
        let signable = post_to(&uri);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let signature = signatures.sign(&signable, now).expect("a signature");
        assert!(signature.authorization.is_sensitive());
        assert!(signature.token.expect("a token").is_sensitive());
        let shown = format!("{signatures:?}");
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn a_clock_that_no_date_can_be_made_of_is_an_error() {
        let credentials = Credentials::new("AKID", "secret", None, None, "test");
        let signatures = Signatures::new(credentials, "us-east-1".to_owned());
        let uri = "http://localhost/a".parse().expect("a URI");
        let signable = post_to(&uri);
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(signatures.sign(&signable, before).is_err());
    }
}
