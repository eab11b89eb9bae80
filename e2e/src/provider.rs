//! An OpenID Connect provider of the tests' own, as far as the chat's functions need one: its configuration and
//! its keys. It signs whatever a test has it sign.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The chat's client id there.
pub const CLIENT: &str = "chat";

/// A key that nothing is kept secret with.
const RSA: &[u8] = include_bytes!("../../handlers/src/sign_in/tests/rsa.der");

/// Bytes in base64url.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A part of a token.
#[must_use]
pub fn part(value: &Value) -> String {
    encoded(value.to_string().as_bytes())
}

/// Somebody who signs.
#[expect(missing_debug_implementations, reason = "it holds a key")]
pub enum Signer {
    /// With RS256.
    Rsa(Box<RsaKeyPair>),
    /// With ES256.
    P256(Box<EcdsaKeyPair>),
}

impl Signer {
    /// The tests' own RSA key.
    ///
    /// # Panics
    /// Never: the key is one.
    #[must_use]
    pub fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::from_der(RSA).expect("a key")))
    }

    /// A new key.
    ///
    /// # Panics
    /// Without randomness.
    #[must_use]
    pub fn p256() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("randomness");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random);
        Self::P256(Box::new(key.expect("just made")))
    }

    /// Its public key, as a provider shows it.
    #[must_use]
    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                json!({"kty": "RSA", "kid": kid, "use": "sig", "n": encoded(&n), "e": encoded(&e)})
            }
            Self::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": encoded(x), "y": encoded(y)})
            }
        }
    }

    /// A token.
    ///
    /// # Panics
    /// Without randomness.
    #[must_use]
    pub fn token(&self, kid: &str, claims: &Value) -> String {
        let random = SystemRandom::new();
        let alg = match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        };
        let header = json!({"alg": alg, "kid": kid, "typ": "JWT"});
        let text = format!("{}.{}", part(&header), part(claims));
        let signature = match self {
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
        };
        format!("{text}.{}", encoded(&signature))
    }
}

/// A provider at a free port of this machine.
#[derive(Debug)]
pub struct Provider {
    /// Its identifier, and where it is.
    pub issuer: String,
    /// `None` where it fails.
    keys: Arc<Mutex<Option<Vec<Value>>>>,
}

impl Provider {
    /// Starts it with these keys.
    ///
    /// # Panics
    /// Without a free port.
    pub async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let provider = Self {
            issuer: format!("http://{address}"),
            keys: Arc::new(Mutex::new(Some(keys.to_vec()))),
        };
        let (issuer, keys) = (provider.issuer.clone(), Arc::clone(&provider.keys));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client may open a connection and ask nothing: nobody else waits for it.
                tokio::spawn(serve(stream, issuer.clone(), Arc::clone(&keys)));
            }
        });
        provider
    }

    /// Has other keys from now on.
    pub fn show(&self, keys: &[Value]) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.to_vec());
    }

    /// Answers 500 to whoever asks for its keys from now on.
    pub fn hide_keys(&self) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What a chat is started with.
    #[must_use]
    pub fn arguments(&self) -> [&str; 6] {
        [
            "--auth",
            "oidc",
            "--issuer",
            &self.issuer,
            "--audience",
            CLIENT,
        ]
    }

    /// Claims of somebody who has just signed in there.
    ///
    /// # Panics
    /// Before 1970.
    #[must_use]
    pub fn claims(&self, subject: &str, name: &str) -> Value {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.expect("after 1970").as_secs();
        json!({"iss": self.issuer, "aud": CLIENT, "sub": subject, "name": name,
               "iat": now, "exp": now + 3600})
    }
}

/// Answers one request.
async fn serve(mut stream: TcpStream, issuer: String, keys: Arc<Mutex<Option<Vec<Value>>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if let Ok(0) | Err(_) = stream.read_buf(&mut request).await {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let keys = keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let status = if keys.is_none() && path == "/keys" {
        "500 Internal Server Error"
    } else {
        "200 OK"
    };
    let body = answer(path, &issuer, &keys.unwrap_or_default());
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    drop(stream.write_all((head + &body).as_bytes()).await);
}

fn answer(path: &str, issuer: &str, keys: &[Value]) -> String {
    let answer = match path {
        "/.well-known/openid-configuration" => json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
        }),
        "/keys" => json!({ "keys": keys }),
        _ => json!({}),
    };
    answer.to_string()
}
