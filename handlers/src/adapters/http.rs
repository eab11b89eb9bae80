//! The one HTTP client under the clients of all services, and whom it trusts.

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::ATTEMPT_TIMEOUT;
use crate::config::{Authorities, CA_BUNDLE};

/// The authorities of AWS's endpoints: five instead of the platform's 150 or so, whose file takes
/// longer to read than all else in a start.
const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

/// The domain of the endpoints that have certificates of those authorities.
const AMAZON_DOMAIN: &str = ".amazonaws.com";

/// How the Regions begin whose endpoints are in other domains: China's, the isolated ones', the European
/// sovereign cloud's.
const OTHER_DOMAINS: [&str; 4] = ["cn-", "us-iso", "eu-isoe", "eusc-"];

/// A file of certificate authorities that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It cannot be read.
    #[error("the file `{path}` in `{CA_BUNDLE}` cannot be read")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It holds something else, or nothing.
    #[error(
        "the file `{path}` in `{CA_BUNDLE}` holds no certificates; hint: it has to be in PEM format"
    )]
    NoCertificates {
        /// Which.
        path: String,
    },
}

/// How connections are secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security<'a> {
    /// Not at all: every endpoint is an `http://` one.
    Plain,
    /// By certificates of these authorities.
    Tls(&'a Authorities),
}

impl<'a> Security<'a> {
    /// What these endpoints need, and AWS's own of a Region if one is called besides. The program's own list of
    /// authorities is for AWS's hosts alone: others are certified by whom they like.
    pub(super) fn of<'b>(
        authorities: &'a Authorities,
        endpoints: impl Iterator<Item = &'b str>,
        default_endpoint_in: Option<&str>,
    ) -> Self {
        let mut secure = endpoints.filter(|it| !it.starts_with("http://")).peekable();
        if secure.peek().is_none() && default_endpoint_in.is_none() {
            return Self::Plain;
        }
        match authorities {
            Authorities::Amazon
                if !secure.all(is_amazons) || default_endpoint_in.is_some_and(is_elsewhere) =>
            {
                Self::Tls(&Authorities::Platform)
            }
            other => Self::Tls(other),
        }
    }
}

fn is_amazons(endpoint: &str) -> bool {
    let rest = endpoint.strip_prefix("https://").unwrap_or(endpoint);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    host.ends_with(AMAZON_DOMAIN)
}

fn is_elsewhere(region: &str) -> bool {
    OTHER_DOMAINS.iter().any(|it| region.starts_with(it))
}

/// One connector, whatever asks for one: one pool of connections and one TLS configuration. The SDKs'
/// own client makes one for each set of timeouts, and another for each client to see that it can.
#[derive(Clone, Debug)]
struct OneConnector(SharedHttpConnector);

impl HttpClient for OneConnector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.clone()
    }
}

/// The SDKs' client on a connector.
pub(super) fn client(connector: &SharedHttpConnector) -> SharedHttpClient {
    SharedHttpClient::new(OneConnector(connector.clone()))
}

/// The connector, with the proxy of the environment, which the SDKs do not look at by themselves.
///
/// # Errors
/// [`AuthorityError`], if the authorities are to be read from a file and are not there.
pub(super) fn connector(security: Security<'_>) -> Result<SharedHttpConnector, AuthorityError> {
    // A call's own timeouts end the wait for an answer; this ends a connection that nobody waits for
    // any more, because another one was free earlier.
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(ATTEMPT_TIMEOUT)
        .build();
    let builder = Connector::builder()
        .connector_settings(settings)
        .proxy_config(ProxyConfig::from_env());
    let connector = match security {
        Security::Plain => builder.build_http(),
        Security::Tls(authorities) => builder
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(trusting(authorities)?)
            .build(),
    };
    Ok(SharedHttpConnector::new(connector))
}

fn trusting(authorities: &Authorities) -> Result<TlsContext, AuthorityError> {
    let store = match authorities {
        Authorities::Amazon => TrustStore::empty().with_pem_certificate(AMAZON_ROOTS),
        Authorities::Platform => TrustStore::default(),
        Authorities::Bundle(path) => TrustStore::empty().with_pem_certificate(read(path)?),
    };
    let context = TlsContext::builder().with_trust_store(store).build();
    // It has nothing to fail with, and the platform's authorities are what it takes otherwise.
    Ok(context.unwrap_or_default())
}

/// Reads certificates, all of which are good: the HTTP client panics at one that is not.
fn read(path: &str) -> Result<Vec<u8>, AuthorityError> {
    let pem = std::fs::read(path).map_err(|source| AuthorityError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let (good, bad) =
        RootCertStore::empty().add_parsable_certificates(certificates.unwrap_or_default());
    if good == 0 || bad > 0 {
        return Err(AuthorityError::NoCertificates {
            path: path.to_owned(),
        });
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::ServerConfig;
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::adapters::{DynamoStore, aws_config};
    use crate::config::Settings;
    use crate::ports::{ConnectionId, PortError, Store, Timestamp};

    /// A DynamoDB without items, with a certificate of its own, and the file of that.
    async fn secure_database(name: &str) -> (String, PathBuf) {
        let signed = generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let CertifiedKey { cert, signing_key } = signed.expect("randomness");
        let file = std::env::temp_dir().join(format!("{name}-{}.pem", std::process::id()));
        std::fs::write(&file, cert.pem()).expect("a folder for such files");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("https://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue; // Whoever does not trust the certificate leaves.
                };
                let mut request = [0; 4096];
                drop(stream.read(&mut request).await);
                let answer = "HTTP/1.1 200 -\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.shutdown().await);
            }
        });
        (endpoint, file)
    }

    fn settings(endpoint: &str, authorities: Authorities) -> Settings {
        Settings {
            authorities,
            ..crate::adapters::tests::settings(endpoint)
        }
    }

    /// Reads an item that is not there.
    async fn read_from(endpoint: &str, authorities: Authorities) -> Result<(), PortError> {
        let settings = settings(endpoint, authorities);
        let config = aws_config(&settings, &[]).expect("usable authorities");
        let store = DynamoStore::new(&config, &settings);
        let id = ConnectionId::new("a");
        let read = store.connection(&id, Timestamp::from_seconds(0)).await;
        read.map(|connection| assert!(connection.is_none()))
    }

    #[tokio::test]
    async fn an_authority_that_the_environment_names_is_trusted_and_otherwise_refused() {
        let (endpoint, file) = secure_database("authority").await;
        let bundle = Authorities::Bundle(file.to_string_lossy().into_owned());
        read_from(&endpoint, bundle).await.expect("trusted");
        for authorities in [Authorities::Amazon, Authorities::Platform] {
            let refused = read_from(&endpoint, authorities.clone()).await;
            let error = format!("{:?}", refused.expect_err("nobody knows who that is"));
            assert!(error.contains("UnknownIssuer"), "{authorities:?}: {error}");
        }
        std::fs::remove_file(file).expect("it was there");
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_its_name_and_does_not_panic() {
        let file = std::env::temp_dir().join(format!("no-authority-{}.pem", std::process::id()));
        let path = file.to_string_lossy().into_owned();
        let refused = || {
            let bundle = Authorities::Bundle(path.clone());
            connector(Security::Tls(&bundle)).expect_err("of no use")
        };
        assert!(matches!(refused(), AuthorityError::Unreadable { .. }));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = &AMAZON_ROOTS[..AMAZON_ROOTS.len() - 40];
        let mixed = format!("{AMAZON_ROOTS}{garbage}");
        for content in ["", "no certificate", garbage, cut, &mixed] {
            std::fs::write(&file, content).expect("a folder for such files");
            let error = refused();
            assert!(matches!(error, AuthorityError::NoCertificates { .. }));
            assert!(error.to_string().contains(&path), "{error}");
        }
        std::fs::remove_file(file).expect("it was there");
    }

    #[test]
    fn all_of_amazons_authorities_are_good() {
        let certificates = CertificateDer::pem_slice_iter(AMAZON_ROOTS.as_bytes());
        let certificates = certificates.collect::<Result<Vec<_>, _>>().expect("PEM");
        let (good, bad) = RootCertStore::empty().add_parsable_certificates(certificates);
        assert_eq!((good, bad), (5, 0));
    }

    #[test]
    fn only_awss_own_hosts_are_left_to_amazons_authorities() {
        let stage = "https://abc.execute-api.us-east-1.amazonaws.com/dev";
        let of = |authorities: &Authorities, endpoints: &[&str], has_default_endpoint: bool| {
            let endpoints = endpoints.iter().copied();
            let region = has_default_endpoint.then_some("us-east-1");
            match Security::of(authorities, endpoints, region) {
                Security::Plain => None,
                Security::Tls(authorities) => Some(authorities.clone()),
            }
        };
        let amazon = Authorities::Amazon;
        assert_eq!(of(&amazon, &[], true), Some(Authorities::Amazon));
        assert_eq!(of(&amazon, &[stage], true), Some(Authorities::Amazon));
        for other in [
            "https://chat.example/dev",
            "https://127.0.0.1:8000",
            "https://amazonaws.com.example",
            "https://example/x.amazonaws.com",
            "https://example?.amazonaws.com",
        ] {
            assert_eq!(
                of(&amazon, &[stage, other], true),
                Some(Authorities::Platform)
            );
        }
        let local = "http://127.0.0.1:8000";
        assert_eq!(of(&amazon, &[local, local], false), None);
        assert_eq!(of(&amazon, &[local], true), Some(Authorities::Amazon));
        assert_eq!(
            of(&amazon, &[local, stage], false),
            Some(Authorities::Amazon)
        );
        let bundle = Authorities::Bundle("/own.pem".to_owned());
        assert_eq!(of(&bundle, &[stage], true), Some(bundle.clone()));
    }

    #[test]
    fn only_regions_in_awss_own_domain_are_left_to_amazons_authorities() {
        for (region, expected) in [
            ("eu-central-1", Authorities::Amazon),
            ("us-gov-west-1", Authorities::Amazon),
            ("cn-north-1", Authorities::Platform),
            ("us-iso-east-1", Authorities::Platform),
            ("us-isob-east-1", Authorities::Platform),
            ("us-isof-south-1", Authorities::Platform),
            ("eu-isoe-west-1", Authorities::Platform),
            ("eusc-de-east-1", Authorities::Platform),
        ] {
            let none = std::iter::empty();
            let security = Security::of(&Authorities::Amazon, none, Some(region));
            assert_eq!(security, Security::Tls(&expected), "{region}");
        }
    }
}
