//! Tokens that are good and tokens that are not, by keys of our own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};

use super::*;
use crate::chat::memory::SetClock;
use crate::ports::PortError;

pub(crate) const ISSUER: &str = "https://login.example/tenant";
pub(crate) const CLIENT: &str = "chat-client";
const NOW: u64 = 1_700_000_000;

/// A key that nothing is kept secret with: `ring` makes none for RSA.
const RSA: &[u8] = include_bytes!("tests/rsa.der");

/// Somebody who signs.
pub(crate) enum Signer {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl Signer {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::from_der(RSA).expect("a key")))
    }

    pub(crate) fn p256() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("randomness");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random);
        Self::P256(Box::new(key.expect("just made")))
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        }
    }

    /// Its public key as a provider shows it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
                       "n": encoded(&n), "e": encoded(&e)})
            }
            Self::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": encoded(x), "y": encoded(y)})
            }
        }
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature);
                signed.expect("signed");
                signature
            }
            Self::P256(key) => {
                let signature = key.sign(&random, text.as_bytes());
                signature.expect("signed").as_ref().to_vec()
            }
        }
    }

    /// A token of this header and these claims.
    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", part(header), part(claims));
        let signature = encoded(&self.sign(&text));
        format!("{text}.{signature}")
    }

    /// An ordinary one.
    pub(crate) fn token(&self, kid: &str, claims: &Value) -> String {
        self.token_with(
            &json!({"alg": self.alg(), "kid": kid, "typ": "JWT"}),
            claims,
        )
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn part(value: &Value) -> String {
    encoded(value.to_string().as_bytes())
}

/// Claims of somebody who has just signed in.
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": CLIENT, "sub": "sub-1", "iat": NOW - 5, "exp": NOW + 300,
           "nonce": "n", "name": "Ann Lee", "preferred_username": "ann",
           "email": "a.lee@example.org", "email_verified": true})
}

/// The same but for some of them; `null` takes one away.
fn claims_but(changes: &Value) -> Value {
    let mut claims = claims();
    let all = claims.as_object_mut().expect("claims");
    for (name, value) in changes.as_object().expect("claims") {
        match value {
            Value::Null => all.remove(name),
            value => all.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// A provider whose keys a test changes.
#[derive(Clone, Default)]
pub(crate) struct Provider(Rc<(RefCell<Option<String>>, Cell<usize>)>);

impl Provider {
    pub(crate) fn with(keys: &[Value]) -> Self {
        let provider = Self::default();
        provider.show(keys);
        provider
    }

    fn show(&self, keys: &[Value]) {
        self.answer(Some(&json!({"keys": keys}).to_string()));
    }

    /// With `None` it cannot be reached.
    pub(crate) fn answer(&self, text: Option<&str>) {
        *self.0.0.borrow_mut() = text.map(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.0.1.get()
    }
}

impl KeySource for Provider {
    async fn fetch(&self) -> Result<Vec<u8>, PortError> {
        self.0.1.set(self.asked() + 1);
        let text = self.0.0.borrow().clone();
        let text = text.ok_or_else(|| PortError::new("fetch keys", "nobody there"))?;
        Ok(text.into_bytes())
    }
}

/// A clock that stands at the tests' now.
fn clock() -> SetClock {
    let clock = SetClock::default();
    let behind =
        Duration::from_secs(NOW).saturating_sub(Duration::from_millis(clock.now().millis()));
    clock.advance(behind);
    clock
}

pub(crate) fn verifier(provider: &Provider) -> (Verifier<Provider>, SetClock) {
    let clock = clock();
    let verifier = Verifier::new(
        ISSUER.into(),
        CLIENT.into(),
        provider.clone(),
        clock.clone(),
    );
    (verifier, clock)
}

async fn outcome(verifier: &Verifier<Provider>, token: &str) -> &'static str {
    match verifier.verify(token).await {
        Ok(_) => "ok",
        Err(SignInError::Refused(refusal)) => refusal.word(),
        Err(SignInError::Keys(_)) => "no-keys",
    }
}

#[tokio::test]
async fn tokens_of_both_algorithms_tell_who_it_is() {
    let (rsa, p256) = (Signer::rsa(), Signer::p256());
    let provider = Provider::with(&[rsa.jwk("r"), p256.jwk("e")]);
    let (verifier, _) = verifier(&provider);
    for token in [rsa.token("r", &claims()), p256.token("e", &claims())] {
        let identity = verifier.verify(&token).await.expect("good");
        assert_eq!(identity.subject, "sub-1");
        assert_eq!(identity.name.shown(), "Ann Lee");
    }
    assert_eq!(provider.asked(), 1, "keys are kept");
}

#[tokio::test]
async fn each_claim_that_is_not_as_it_has_to_be_is_refused() {
    let signer = Signer::p256();
    let (verifier, _) = verifier(&Provider::with(&[signer.jwk("e")]));
    let cases = [
        (json!({}), "ok"),
        (json!({"iss": "https://login.example"}), "wrong-issuer"),
        (
            json!({"iss": "https://login.example/tenant/"}),
            "wrong-issuer",
        ),
        (
            json!({"iss": "HTTPS://login.example/tenant"}),
            "wrong-issuer",
        ),
        (json!({"iss": [ISSUER]}), "bad-token"),
        (json!({"iss": null}), "bad-token"),
        (json!({"aud": "another"}), "wrong-audience"),
        (json!({"aud": "chat-client2"}), "wrong-audience"),
        (json!({"aud": []}), "wrong-audience"),
        (json!({"aud": ["another", "third"]}), "wrong-audience"),
        (json!({"aud": ["another", CLIENT]}), "ok"),
        (json!({"aud": ["another", CLIENT], "azp": CLIENT}), "ok"),
        (
            json!({"aud": ["another", CLIENT], "azp": "another"}),
            "wrong-audience",
        ),
        (json!({"aud": {"chat-client": 1}}), "bad-token"),
        (json!({"aud": null}), "bad-token"),
        (json!({"sub": null}), "bad-token"),
        (json!({"sub": ""}), "bad-token"),
        (json!({"sub": "x".repeat(256)}), "bad-token"),
        (json!({"exp": NOW - 59}), "ok"),
        (json!({"exp": NOW - 60}), "expired"),
        (json!({"exp": NOW - 3600}), "expired"),
        (json!({"exp": -1}), "expired"),
        (json!({"exp": NOW.to_string()}), "bad-token"),
        (json!({"exp": null}), "bad-token"),
        (json!({"iat": NOW + 60}), "ok"),
        (json!({"iat": NOW + 61}), "not-yet-valid"),
        (json!({"iat": null}), "bad-token"),
        (json!({"nbf": NOW + 60}), "ok"),
        (json!({"nbf": NOW + 61}), "not-yet-valid"),
        (json!({"nbf": "soon"}), "bad-token"),
    ];
    for (changes, expected) in cases {
        let token = signer.token("e", &claims_but(&changes));
        assert_eq!(outcome(&verifier, &token).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn no_token_chooses_how_it_is_verified() {
    let (rsa, p256) = (Signer::rsa(), Signer::p256());
    let (rsa_key, p256_key) = (rsa.jwk("r"), p256.jwk("e"));
    let provider = Provider::with(&[rsa_key.clone(), p256_key.clone()]);
    let (verifier, _) = verifier(&provider);
    let unsigned = |header: &Value| format!("{}.{}.", part(header), part(&claims()));
    for alg in ["none", "None", "NONE", ""] {
        let token = unsigned(&json!({"alg": alg, "kid": "r"}));
        assert_eq!(outcome(&verifier, &token).await, "bad-algorithm", "{alg}");
    }
    // What everybody can read of the key, as a secret.
    for key in [&rsa_key, &p256_key] {
        let kid = key["kid"].as_str().expect("a name");
        for secret in [key["n"].as_str(), key["x"].as_str()].into_iter().flatten() {
            let text = format!(
                "{}.{}",
                part(&json!({"alg": "HS256", "kid": kid})),
                part(&claims())
            );
            for secret in [
                secret.as_bytes().to_vec(),
                URL_SAFE_NO_PAD.decode(secret).expect("bytes"),
            ] {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
                let tag = ring::hmac::sign(&key, text.as_bytes());
                let token = format!("{text}.{}", encoded(tag.as_ref()));
                assert_eq!(outcome(&verifier, &token).await, "bad-algorithm");
            }
        }
    }
    // One key's name with the other's algorithm, and the other way round.
    for (signer, alg, kid, expected) in [
        (&rsa, "RS256", "e", "bad-algorithm"),
        (&p256, "ES256", "r", "bad-algorithm"),
        (&rsa, "ES256", "e", "bad-signature"),
        (&p256, "RS256", "r", "bad-signature"),
        (&rsa, "RS512", "r", "bad-algorithm"),
        (&rsa, "PS256", "r", "bad-algorithm"),
        (&rsa, "rs256", "r", "bad-algorithm"),
        (&rsa, "RS256", "x", "unknown-key"),
    ] {
        let token = signer.token_with(&json!({"alg": alg, "kid": kid}), &claims());
        assert_eq!(outcome(&verifier, &token).await, expected, "{alg} {kid}");
    }
}

#[tokio::test]
async fn a_signature_is_its_keys_own_and_of_every_byte() {
    let (signer, other) = (Signer::p256(), Signer::p256());
    let (verifier, _) = verifier(&Provider::with(&[signer.jwk("e"), other.jwk("o")]));
    let token = signer.token("e", &claims());
    assert_eq!(outcome(&verifier, &token).await, "ok");
    assert_eq!(
        outcome(&verifier, &other.token("e", &claims())).await,
        "bad-signature"
    );
    let (text, signature) = token.rsplit_once('.').expect("dots");
    let (header, _) = text.split_once('.').expect("a dot");
    let somebody = part(&claims_but(&json!({"sub": "root"})));
    for forged in [
        format!("{header}.{somebody}.{signature}"),
        format!("{text}."),
        format!("{text}.{}", encoded(&[0; 64])),
        format!("{text}.{}", encoded(&[0; 63])),
        format!(
            "{}.{signature}",
            token.rsplit_once('.').expect("dots").0.replace(
                header,
                &part(&json!({"typ": "JWT", "alg": "ES256", "kid": "e"}))
            )
        ),
    ] {
        assert_eq!(
            outcome(&verifier, &forged).await,
            "bad-signature",
            "{forged}"
        );
    }
}

#[tokio::test]
async fn what_changes_how_a_token_is_read_is_refused_however_it_is_signed() {
    let signer = Signer::p256();
    let (verifier, _) = verifier(&Provider::with(&[signer.jwk("e")]));
    for (name, value, expected) in [
        ("crit", json!(["exp"]), "bad-token"),
        ("crit", json!([]), "bad-token"),
        ("crit", Value::Null, "bad-token"),
        ("b64", json!(false), "bad-token"),
        ("zip", json!("DEF"), "bad-token"),
        ("enc", json!("A128GCM"), "bad-token"),
        ("typ", json!("at+jwt"), "bad-token"),
        ("typ", json!("jwt"), "ok"),
        ("kid", json!(1), "bad-token"),
        ("kid", Value::Null, "bad-token"),
        // Keys that a token brings along are nobody's.
        ("jwk", Signer::p256().jwk("e"), "ok"),
        ("jku", json!("https://evil.example/keys"), "ok"),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "e"});
        header[name] = value;
        let token = signer.token_with(&header, &claims());
        assert_eq!(outcome(&verifier, &token).await, expected, "{header}");
    }
    let thief = Signer::p256();
    let header = json!({"alg": "ES256", "kid": "e", "jwk": thief.jwk("e")});
    let token = thief.token_with(&header, &claims());
    assert_eq!(outcome(&verifier, &token).await, "bad-signature");
}

#[tokio::test]
async fn any_text_is_refused_without_a_panic_and_a_long_one_unread() {
    let signer = Signer::p256();
    let provider = Provider::with(&[signer.jwk("e")]);
    let (verifier, _) = verifier(&provider);
    let token = signer.token("e", &claims());
    for cut in 0..token.len() {
        assert_ne!(outcome(&verifier, &token[..cut]).await, "ok", "{cut}");
    }
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "{}.{}.{}",
        "é.é.é",
        "e30.e30.e30",
        "bnVsbA.e30.",
    ] {
        assert_eq!(outcome(&verifier, text).await, "bad-token", "{text}");
    }
    for more in ["=", ".", "\n", "A"] {
        assert_ne!(
            outcome(&verifier, &format!("{token}{more}")).await,
            "ok",
            "{more:?}"
        );
    }
    let room = TOKEN_BYTES_MAX - token.len();
    let filled = |bytes| signer.token("e", &claims_but(&json!({"padding": "x".repeat(bytes)})));
    assert_eq!(outcome(&verifier, &filled(room / 2)).await, "ok");
    assert_eq!(outcome(&verifier, &filled(room)).await, "bad-token");
    assert_eq!(
        outcome(&verifier, &"A".repeat(1_000_000)).await,
        "bad-token"
    );
}

#[tokio::test]
async fn a_claim_that_is_there_twice_is_refused() {
    let signer = Signer::p256();
    let (verifier, _) = verifier(&Provider::with(&[signer.jwk("e")]));
    let twice = claims().to_string().replacen('{', r#"{"sub":"root","#, 1);
    let text = format!(
        "{}.{}",
        part(&json!({"alg": "ES256", "kid": "e"})),
        encoded(twice.as_bytes())
    );
    let token = format!("{text}.{}", encoded(&signer.sign(&text)));
    assert_eq!(outcome(&verifier, &token).await, "bad-token");
}

#[tokio::test]
async fn the_name_is_the_first_claim_that_is_one() {
    let signer = Signer::p256();
    let (verifier, _) = verifier(&Provider::with(&[signer.jwk("e")]));
    let (no_name, nothing) = (json!(null), json!("\u{200b}"));
    let cases = [
        (json!({}), "Ann Lee"),
        (json!({"name": no_name}), "ann"),
        (json!({"name": nothing}), "ann"),
        (
            json!({"name": "x".repeat(100)}),
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        (
            json!({"name": no_name, "preferred_username": no_name}),
            "a.lee",
        ),
        (
            json!({"name": no_name, "preferred_username": no_name, "email_verified": null}),
            "a.lee",
        ),
        (
            json!({"name": no_name, "preferred_username": no_name, "email_verified": false}),
            "user-0a8062",
        ),
        (
            json!({"name": no_name, "preferred_username": no_name, "email": "nobody"}),
            "user-0a8062",
        ),
        (json!({"name": 7}), "ann"),
        (json!({"name": ["Ann"], "preferred_username": {}}), "a.lee"),
        (
            json!({"name": 7, "preferred_username": true, "email": 7}),
            "user-0a8062",
        ),
    ];
    for (changes, expected) in cases {
        let token = signer.token("e", &claims_but(&changes));
        let identity = verifier.verify(&token).await.expect("good");
        assert_eq!(identity.name.shown(), expected, "{changes}");
    }
}

#[tokio::test]
async fn only_an_address_that_is_verified_is_a_name_however_that_is_written() {
    let signer = Signer::p256();
    let (verifier, _) = verifier(&Provider::with(&[signer.jwk("e")]));
    for (verified, expected) in [
        (Value::Null, "a.lee"),
        (json!(true), "a.lee"),
        (json!("true"), "a.lee"),
        (json!(false), "user-0a8062"),
        (json!("false"), "user-0a8062"),
        (json!("True"), "user-0a8062"),
        (json!(""), "user-0a8062"),
        (json!(1), "user-0a8062"),
        (json!(["true"]), "user-0a8062"),
    ] {
        let mut claims = claims_but(&json!({"name": null, "preferred_username": null}));
        claims["email_verified"] = verified;
        let identity = verifier.verify(&signer.token("e", &claims)).await;
        let identity = identity.expect("good, whatever somebody is called");
        assert_eq!(identity.name.shown(), expected, "{claims}");
    }
}

#[tokio::test]
async fn a_new_key_is_found_and_one_that_was_withdrawn_counts_no_longer() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let provider = Provider::with(&[old.jwk("old")]);
    let (verifier, clock) = verifier(&provider);
    let (by_old, by_new) = (old.token("old", &claims()), new.token("new", &claims()));
    assert_eq!(outcome(&verifier, &by_old).await, "ok");
    provider.show(&[old.jwk("old"), new.jwk("new")]);
    // Whoever names keys that nobody has does not have them read each time.
    for _ in 0..5 {
        assert_eq!(outcome(&verifier, &by_new).await, "unknown-key");
    }
    assert_eq!(provider.asked(), 1);
    clock.advance(Duration::from_secs(10));
    assert_eq!(outcome(&verifier, &by_new).await, "ok");
    assert_eq!(
        (provider.asked(), outcome(&verifier, &by_old).await),
        (2, "ok")
    );

    provider.show(&[new.jwk("new")]);
    let later = Duration::from_mins(15);
    clock.advance(later);
    let exp = json!({"exp": NOW + 3600});
    let (by_old, by_new) = (
        old.token("old", &claims_but(&exp)),
        new.token("new", &claims_but(&exp)),
    );
    assert_eq!(
        outcome(&verifier, &by_old).await,
        "unknown-key",
        "withdrawn"
    );
    assert_eq!(outcome(&verifier, &by_new).await, "ok");
    assert_eq!(provider.asked(), 3);
}

#[tokio::test]
async fn where_the_provider_gives_no_keys_those_of_before_count_for_a_while() {
    let signer = Signer::p256();
    let provider = Provider::with(&[signer.jwk("e")]);
    let (verifier, clock) = verifier(&provider);
    let day = claims_but(&json!({"exp": NOW + 86_400}));
    let token = signer.token("e", &day);
    assert_eq!(outcome(&verifier, &token).await, "ok");
    for gone in [None, Some("{}"), Some("<html>"), Some("")] {
        provider.answer(gone);
        clock.advance(Duration::from_hours(1));
        assert_eq!(outcome(&verifier, &token).await, "ok", "{gone:?}");
    }
    let asked = provider.asked();
    assert_eq!(outcome(&verifier, &token).await, "ok");
    assert_eq!(
        provider.asked(),
        asked,
        "and is not asked at each handshake"
    );
    let unknown = Signer::p256().token("x", &day);
    assert_eq!(
        outcome(&verifier, &unknown).await,
        "no-keys",
        "nobody knows"
    );
    clock.advance(Duration::from_hours(2));
    assert_eq!(
        outcome(&verifier, &token).await,
        "no-keys",
        "it was long enough"
    );
    provider.show(&[signer.jwk("e")]);
    assert_eq!(
        outcome(&verifier, &token).await,
        "no-keys",
        "asked a moment ago"
    );
    clock.advance(Duration::from_secs(10));
    assert_eq!(outcome(&verifier, &token).await, "ok");
}

#[tokio::test]
async fn a_key_that_is_for_something_else_is_left_out_and_spoils_no_other() {
    let signer = Signer::p256();
    let good = signer.jwk("e");
    let but = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    for bad in [
        but("use", json!("enc")),
        but("alg", json!("ES384")),
        but("crv", json!("P-384")),
        but("kty", json!("RSA")),
        but("kty", json!("oct")),
        but("key_ops", json!(["sign"])),
        but("x", json!("AAAA")),
        but("y", json!("%")),
        but("y", Value::Null),
        but("kid", Value::Null),
        json!({"kty": "oct", "kid": "e", "k": "c2VjcmV0"}),
        json!({"kty": "RSA", "kid": "e", "n": "AQAB", "e": "AQAB"}),
        json!("key"),
        Value::Null,
    ] {
        let rsa = Signer::rsa();
        let (verifier, _) = verifier(&Provider::with(&[bad.clone(), rsa.jwk("r")]));
        let refused = outcome(&verifier, &signer.token("e", &claims())).await;
        assert!(
            ["unknown-key", "bad-algorithm"].contains(&refused),
            "{bad}: {refused}"
        );
        assert_eq!(
            outcome(&verifier, &rsa.token("r", &claims())).await,
            "ok",
            "{bad}"
        );
    }
    let verifying = but("key_ops", json!(["verify"]));
    let (verifier, _) = verifier(&Provider::with(&[verifying]));
    assert_eq!(
        outcome(&verifier, &signer.token("e", &claims())).await,
        "ok"
    );
}

#[tokio::test]
async fn no_refusal_says_anything_of_a_token() {
    let signer = Signer::p256();
    let (verifier, _) = verifier(&Provider::default());
    let token = signer.token("kid-of-a-key", &claims());
    let error = verifier.verify(&token).await.expect_err("no keys");
    let told = format!("{error} {error:?}");
    for secret in ["kid-of-a-key", "Ann", "sub-1", &token] {
        assert!(!told.contains(secret), "{told}");
    }
}
