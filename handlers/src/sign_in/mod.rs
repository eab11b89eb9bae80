//! Who has signed in: an ID token of an OpenID Connect provider, and whether it is good.
//!
//! The cryptography is `ring`'s, which is in the program for TLS. The form of a token is three parts with dots in
//! between, and read here: `jsonwebtoken` would have us give it the same cryptography, takes a list for an
//! issuer, looks at neither `crit` nor `iat`, and by one feature of a dependency has all of AWS's SDKs built
//! twice in a fresh clone. What a token says is never in an error: whoever reads logs is not to learn who came.
//!
//! # Layout
//!
//! - `mod.rs`: what makes a token good, and what it says of somebody.
//! - `token.rs`: its form.
//! - `keys.rs`: the provider's keys, read, kept and read again.

mod keys;
#[cfg(test)]
pub(crate) mod tests;
mod token;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use keys::{KeyError, KeySource, Keys};

use crate::chat::Name;
use crate::ports::{Clock, Identity, Timestamp};
use keys::Key;
use token::Token;

/// What clocks may differ by.
const LEEWAY: Duration = Duration::from_mins(1);

/// Bytes of a token at most: API Gateway takes some 10 KB of headers.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a `sub` at most: OpenID Connect has 255 ASCII characters.
const SUBJECT_BYTES_MAX: usize = 255;

/// Why a token is not good: the outcome that a log line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.word())]
pub enum Refusal {
    /// There is none.
    NoToken,
    /// It is none of the form, or says too little.
    BadToken,
    /// It is signed in a way that is not taken here, or not with its key's algorithm.
    BadAlgorithm,
    /// The provider has no such key.
    UnknownKey,
    /// The signature is not the key's.
    BadSignature,
    /// It is another provider's.
    WrongIssuer,
    /// It is for somebody else.
    WrongAudience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
}

impl Refusal {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::BadToken => "bad-token",
            Self::BadAlgorithm => "bad-algorithm",
            Self::UnknownKey => "unknown-key",
            Self::BadSignature => "bad-signature",
            Self::WrongIssuer => "wrong-issuer",
            Self::WrongAudience => "wrong-audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
        }
    }
}

/// Why it is not known who somebody is.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The token is not good.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The provider's keys are not to be had, so nobody knows.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

/// Looks at tokens.
#[expect(missing_debug_implementations, reason = "ports hold clients")]
pub struct Verifier<S> {
    issuer: String,
    audience: String,
    keys: Keys<S>,
    clock: Box<dyn Clock>,
}

/// What is looked at in a token.
#[derive(Deserialize)]
struct Claims {
    /// One, as OpenID Connect has it, and no list.
    iss: String,
    sub: String,
    aud: Audience,
    /// Who it was given to, where it is for several.
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    // Of any type: what somebody is called is no reason to refuse them.
    #[serde(default)]
    name: Value,
    #[serde(default)]
    preferred_username: Value,
    #[serde(default)]
    email: Value,
    #[serde(default)]
    email_verified: Value,
}

/// Who a token is for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, who: &str) -> bool {
        match self {
            Self::One(one) => one == who,
            Self::Several(several) => several.iter().any(|it| it == who),
        }
    }
}

impl<S: KeySource> Verifier<S> {
    /// For the tokens of one provider for one client.
    pub fn new(issuer: String, audience: String, source: S, clock: impl Clock + 'static) -> Self {
        Self {
            issuer,
            audience,
            keys: Keys::new(source),
            clock: Box::new(clock),
        }
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`SignInError`] tells a token that is not good from keys that are not to be had.
    pub async fn verify(&self, token: &str) -> Result<Identity, SignInError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::BadToken.into());
        }
        let token = Token::read(token).ok_or(Refusal::BadToken)?;
        if !token.header.is_known() {
            return Err(Refusal::BadToken.into());
        }
        let kid = token.header.text("kid").ok_or(Refusal::BadToken)?;
        let now = self.clock.now();
        let key = self.keys.find(kid, now).await?;
        let key = key.ok_or(Refusal::UnknownKey)?;
        Ok(self.read(&token, &key, now)?)
    }

    /// Nothing of a token is believed before its signature.
    fn read(&self, token: &Token<'_>, key: &Key, now: Timestamp) -> Result<Identity, Refusal> {
        // The key says how it signs, never the token: else whoever knows the public key could sign with
        // it as with a secret.
        if token.header.text("alg") != Some(key.algorithm()) {
            return Err(Refusal::BadAlgorithm);
        }
        if !key.has_signed(token.signed.as_bytes(), &token.signature) {
            return Err(Refusal::BadSignature);
        }
        let claims = serde_json::from_slice::<Claims>(&token.claims);
        let claims = claims.map_err(|_| Refusal::BadToken)?;
        if claims.iss != self.issuer {
            return Err(Refusal::WrongIssuer);
        }
        let is_given_to = |it: &String| *it == self.audience;
        if !claims.aud.has(&self.audience) || !claims.azp.as_ref().is_none_or(is_given_to) {
            return Err(Refusal::WrongAudience);
        }
        is_its_time(&claims, now)?;
        identity(claims).ok_or(Refusal::BadToken)
    }
}

fn is_its_time(claims: &Claims, now: Timestamp) -> Result<(), Refusal> {
    let leeway = LEEWAY.as_secs_f64();
    let now = Duration::from_millis(now.millis()).as_secs_f64();
    if claims.exp + leeway <= now {
        return Err(Refusal::Expired);
    }
    let begins = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    if begins - leeway > now {
        return Err(Refusal::NotYetValid);
    }
    Ok(())
}

/// What tells one account from another and says nothing of it.
fn digits_of(subject: &str) -> String {
    let digest = Sha256::digest(subject);
    let [one, two, three, ..]: [u8; 32] = digest.into();
    format!("{one:02x}{two:02x}{three:02x}")
}

/// Some providers write it as a text, and some not at all.
fn is_verified(email_verified: &Value) -> bool {
    match email_verified {
        Value::Null | Value::Bool(true) => true,
        Value::String(text) => text == "true",
        _ => false,
    }
}

/// Who it is, by a name that others may see. An address that nobody has verified is no name: it may be
/// somebody else's.
fn identity(claims: Claims) -> Option<Identity> {
    let subject = claims.sub;
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
        return None;
    }
    let email = claims.email.as_str();
    let email = email.filter(|_| is_verified(&claims.email_verified));
    let local = email.and_then(|it| Some(it.split_once('@')?.0));
    let named = [
        claims.name.as_str(),
        claims.preferred_username.as_str(),
        local,
    ];
    let name = named.into_iter().flatten().find_map(Name::near);
    // Not the subject itself, which is for nobody but the provider and us.
    let name = name.or_else(|| Name::near(&format!("user-{}", digits_of(&subject))))?;
    Some(Identity { subject, name })
}
