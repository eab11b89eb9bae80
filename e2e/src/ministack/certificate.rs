//! An authority of one MiniStack's own, and its certificate for the names that AWS uses. The
//! authority's key is never written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{OTHER_REGION, REGION};

/// A certificate with its key and authority.
pub(super) struct Certificate {
    authority: String,
    authority_der: CertificateDer<'static>,
    leaf: String,
    key: String,
}

impl Certificate {
    /// Makes a new one.
    pub(super) fn new() -> Self {
        let authority_key = KeyPair::generate().expect("randomness");
        let mut parameters = named("chatctl's tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = parameters
            .self_signed(&authority_key)
            .expect("an authority signs itself");
        let issuer = Issuer::new(parameters, authority_key);

        let key = KeyPair::generate().expect("randomness");
        let mut parameters = named("MiniStack");
        parameters.subject_alt_names = names();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let leaf = parameters.signed_by(&key, &issuer).expect("it signs");
        Self {
            authority: authority.pem(),
            authority_der: authority.der().clone(),
            leaf: leaf.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes what programs are told of by path.
    pub(super) fn write(&self, folder: &Path) {
        for (path, content) in [
            (authority(folder), &self.authority),
            (chain(folder), &self.leaf),
            (key(folder), &self.key),
        ] {
            std::fs::write(path, content).expect("a file in a new folder");
        }
    }

    /// Connects to who has this certificate, and to nobody else.
    pub(super) fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority_der.clone()).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }
}

/// The authority's certificate.
pub(super) fn authority(folder: &Path) -> PathBuf {
    folder.join("authority.pem")
}

/// The certificate.
pub(super) fn chain(folder: &Path) -> PathBuf {
    folder.join("certificate.pem")
}

/// The certificate's key.
pub(super) fn key(folder: &Path) -> PathBuf {
    folder.join("key.pem")
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// A wildcard stands for one label, so each depth is named.
fn names() -> Vec<rcgen::SanType> {
    let hosts = [
        "127.0.0.1".to_owned(),
        "*.amazonaws.com".to_owned(),
        format!("*.{REGION}.amazonaws.com"),
        format!("*.{OTHER_REGION}.amazonaws.com"),
        format!("*.execute-api.{REGION}.amazonaws.com"),
        format!("*.s3.{REGION}.amazonaws.com"),
        "*.s3.amazonaws.com".to_owned(),
        "*.cloudfront.net".to_owned(),
    ];
    CertificateParams::new(hosts)
        .expect("names and an address")
        .subject_alt_names
}
