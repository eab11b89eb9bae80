//! The provider's public keys. A provider changes them now and then: the new one is there some time before it
//! signs, and then a token names a key that was not there when they were read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use crate::log;
use crate::ports::{PortError, Timestamp};

/// After so long they are read again, whatever tokens say: a key that the provider has withdrawn counts no
/// longer.
const FRESH: Duration = Duration::from_mins(15);

/// They are read no sooner than after so long, whatever keys tokens name.
const PAUSE: Duration = Duration::from_secs(10);

/// For so long they count where the provider gives none.
const STALE: Duration = Duration::from_hours(6);

/// Keys at most: providers have two or three.
const KEYS_MAX: usize = 64;

/// Where keys are had from.
pub trait KeySource {
    /// The provider's key set, as it stands there.
    ///
    /// # Errors
    /// [`PortError`] when it cannot be had.
    fn fetch(&self) -> impl Future<Output = Result<Vec<u8>, PortError>>;
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// They cannot be fetched.
    #[error("the provider's keys are not to be had")]
    Fetch(#[source] PortError),
    /// What was fetched is no key set.
    #[error("the provider's keys are no key set; hint: is `JWKS_URI` its `jwks_uri`?")]
    Unreadable,
    /// They could not be had a moment ago, and are not asked for again yet.
    #[error("the provider's keys were not to be had a moment ago")]
    Waiting,
}

/// A key, which signs in one way alone.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point, uncompressed.
    P256(Vec<u8>),
}

impl Key {
    /// What a token has to say that it is signed with.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    /// Whether a signature of a message is its own. RSA keys of less than 2,048 bits have signed nothing.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

/// The keys as they were last read, and when.
#[derive(Default)]
struct Known {
    keys: HashMap<String, Key>,
    /// When they were read.
    read: Option<Timestamp>,
    /// When that was last tried, and whether it worked.
    tried: Option<(Timestamp, bool)>,
}

/// The provider's keys.
#[expect(missing_debug_implementations, reason = "ports hold clients")]
pub struct Keys<S> {
    source: S,
    known: RefCell<Known>,
}

impl<S: KeySource> Keys<S> {
    pub(super) fn new(source: S) -> Self {
        Self {
            source,
            known: RefCell::default(),
        }
    }

    /// The key of a name; `None` where the provider has none.
    pub(super) async fn find(&self, kid: &str, now: Timestamp) -> Result<Option<Key>, KeyError> {
        let (known, fresh, usable) = {
            let state = self.known.borrow();
            let read = state.read;
            let is_within = |time| read.is_some_and(|it| now < it.after(time));
            (
                state.keys.get(kid).cloned(),
                is_within(FRESH),
                is_within(STALE),
            )
        };
        if fresh && known.is_some() {
            return Ok(known);
        }
        let Err(error) = self.read_again(now).await else {
            return Ok(self.known.borrow().keys.get(kid).cloned());
        };
        match (known.filter(|_| usable), error) {
            (Some(key), error) => {
                log::error("the provider's keys of before count on", &error);
                Ok(Some(key))
            }
            // They were read just now, and this one was not there.
            (None, KeyError::Waiting) if fresh && self.has_worked() => Ok(None),
            (None, error) => Err(error),
        }
    }

    /// Whether the last try to read them worked.
    fn has_worked(&self) -> bool {
        self.known.borrow().tried.is_some_and(|(_, worked)| worked)
    }

    async fn read_again(&self, now: Timestamp) -> Result<(), KeyError> {
        let last = self.known.borrow().tried;
        if last.is_some_and(|(at, _)| now < at.after(PAUSE)) {
            return Err(KeyError::Waiting);
        }
        let read = async {
            let text = self.source.fetch().await.map_err(KeyError::Fetch)?;
            parse(&text).ok_or(KeyError::Unreadable)
        };
        let read = read.await;
        let mut known = self.known.borrow_mut();
        known.tried = Some((now, read.is_ok()));
        known.keys = read?;
        known.read = Some(now);
        Ok(())
    }
}

/// A key as it stands in a set.
#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Reads a key set; `None` if it is none. A key that is not for this is left out: what it is for is
/// somebody else's business.
fn parse(text: &[u8]) -> Option<HashMap<String, Key>> {
    let set: Value = serde_json::from_slice(text).ok()?;
    let keys = set.get("keys")?.as_array()?;
    let keys = keys.iter().take(KEYS_MAX).filter_map(|it| {
        let jwk = Jwk::deserialize(it).ok()?;
        let key = key(&jwk)?;
        Some((jwk.kid, key))
    });
    Some(keys.collect())
}

fn key(jwk: &Jwk) -> Option<Key> {
    let signs = jwk.purpose.as_ref().is_none_or(|it| it == "sig");
    let verifies = |it: &Vec<String>| it.iter().any(|it| it == "verify");
    if !signs || !jwk.key_ops.as_ref().is_none_or(verifies) {
        return None;
    }
    let is_called = |name: &str| jwk.alg.as_ref().is_none_or(|it| it == name);
    let bytes = |it: &Option<String>| URL_SAFE_NO_PAD.decode(it.as_ref()?).ok();
    match jwk.kty.as_str() {
        "RSA" if is_called("RS256") => Some(Key::Rsa {
            n: bytes(&jwk.n)?,
            e: bytes(&jwk.e)?,
        }),
        "EC" if is_called("ES256") && jwk.crv.as_deref() == Some("P-256") => {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            let is_whole = x.len() == 32 && y.len() == 32;
            is_whole.then(|| Key::P256([&[4], &x[..], &y[..]].concat()))
        }
        _ => None,
    }
}
