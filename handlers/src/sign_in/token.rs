//! The form of a token: a header, claims and a signature, each in base64url, with dots in between (RFC 7515,
//! “Compact Serialization”).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// What in a header changes how the rest is to be read. It is not known here, so such a token is not read.
const UNKNOWN: [&str; 4] = ["b64", "crit", "enc", "zip"];

/// A token, of which nothing is known to be true.
pub(super) struct Token<'a> {
    pub(super) header: Header,
    /// What is signed.
    pub(super) signed: &'a str,
    pub(super) claims: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// What a token says of itself.
pub(super) struct Header(Map<String, Value>);

impl<'a> Token<'a> {
    /// `None` for what has another form.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        // A dot more is no base64.
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Self {
            header: Header(serde_json::from_slice(&bytes(header)?).ok()?),
            signed,
            claims: bytes(claims)?,
            signature: bytes(signature)?,
        })
    }
}

impl Header {
    /// Whether all of it that matters is understood here. An access token says that its type is `at+jwt`: it is
    /// for another purpose, whoever it is for.
    pub(super) fn is_known(&self) -> bool {
        let is_jwt = |it: &Value| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case("JWT"));
        self.0.get("typ").is_none_or(is_jwt) && !UNKNOWN.iter().any(|it| self.0.contains_key(*it))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}
