//! A domain of one's own in front of the site and the socket, with its certificate.

use std::fmt;
use std::str::FromStr;

/// The name of a domain: labels of lower-case letters, digits and inner hyphens with dots in between,
/// the last one not of digits alone. The parameter `DomainName` of the template states the same rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainName(String);

/// What DNS allows.
const NAME_LENGTH_MAX: usize = 253;
const LABEL_LENGTH_MAX: usize = 63;

impl FromStr for DomainName {
    type Err = DomainError;

    fn from_str(name: &str) -> Result<Self, DomainError> {
        let is_label = |label: &str| {
            let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            (1..=LABEL_LENGTH_MAX).contains(&label.len())
                && label.bytes().all(allowed)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // An address has dots, too.
        let (_, last) = name.rsplit_once('.').unwrap_or_default();
        let has_letter = last.bytes().any(|byte| byte.is_ascii_lowercase());
        if name.len() <= NAME_LENGTH_MAX && has_letter && name.split('.').all(is_label) {
            Ok(Self(name.to_owned()))
        } else {
            Err(DomainError::Name(name.to_owned()))
        }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The ARN of a certificate that CloudFront can use. The parameter `CertificateArn` of the template
/// states the same rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateArn(String);

/// Where CloudFront has its certificates from, wherever the rest is.
const CERTIFICATE_REGION: &str = "us-east-1";

const ACCOUNT_ID_LENGTH: usize = 12;

impl FromStr for CertificateArn {
    type Err = DomainError;

    fn from_str(arn: &str) -> Result<Self, DomainError> {
        let bad = || DomainError::Certificate(arn.to_owned());
        let parts: Vec<_> = arn.split(':').collect();
        let &["arn", partition, "acm", region, account, resource] = parts.as_slice() else {
            return Err(bad());
        };
        let is_partition = partition
            .strip_prefix("aws")
            .is_some_and(|it| it.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-')));
        let is_account =
            account.len() == ACCOUNT_ID_LENGTH && account.bytes().all(|it| it.is_ascii_digit());
        let id = resource.strip_prefix("certificate/").unwrap_or_default();
        let is_id = !id.is_empty()
            && id
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-');
        if !(is_partition && is_account && is_id) {
            return Err(bad());
        }
        if region != CERTIFICATE_REGION {
            return Err(DomainError::Region {
                region: region.to_owned(),
            });
        }
        Ok(Self(arn.to_owned()))
    }
}

impl fmt::Display for CertificateArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A domain that the site and the socket answer at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Domain {
    /// Its name.
    pub(crate) name: DomainName,
    /// What proves to a browser that it is the right one.
    pub(crate) certificate: CertificateArn,
}

/// A domain that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DomainError {
    /// No name.
    #[error("`--domain {0}` is not the name of a domain")]
    Name(String),
    /// No certificate.
    #[error("`--certificate-arn {0}` is not the ARN of a certificate")]
    Certificate(String),
    /// A certificate that CloudFront does not see.
    #[error(
        "the certificate is in `{region}`, and CloudFront takes those of `{CERTIFICATE_REGION}` alone"
    )]
    Region {
        /// Where it is.
        region: String,
    },
    /// One of the two.
    #[error("`{given}` needs `{missing}` as well")]
    Half {
        /// The flag that was given.
        given: &'static str,
        /// The one that was not.
        missing: &'static str,
    },
    /// Only CloudFront answers at another name.
    #[error("`--domain` does not go with `--cdn off`")]
    WithoutCdn,
}

impl DomainError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Name(_) => {
                "set `--domain` or `CHATCTL_DOMAIN` to the name alone, in lower case, such \
                 as `chat.example.org`; names of other scripts are written as `xn--…`"
                    .to_owned()
            }
            Self::Certificate(_) => {
                "set `--certificate-arn` or `CHATCTL_CERTIFICATE_ARN` to an ARN such \
                 as `arn:aws:acm:us-east-1:123456789012:certificate/12345678-…`; \
                 `aws acm list-certificates --region us-east-1` prints those that there are"
                    .to_owned()
            }
            Self::Half { missing, .. } if *missing == "--domain" => {
                "set `--domain` or `CHATCTL_DOMAIN` to the name that the certificate is for, or leave \
                 both out"
                    .to_owned()
            }
            Self::Region { .. } | Self::Half { .. } => format!(
                "`aws acm request-certificate --region {CERTIFICATE_REGION} --validation-method DNS \
                 --domain-name …` makes one for the domain; the chat itself can be in any Region"
            ),
            Self::WithoutCdn => {
                "a bucket's website has neither certificate nor other name: deploy with \
                 `--cdn on`"
                    .to_owned()
            }
        }
    }
}

impl Domain {
    /// From what was given: both or neither.
    ///
    /// # Errors
    /// [`DomainError`], if it is one of the two, or no good.
    pub(crate) fn new(
        name: Option<&str>,
        certificate: Option<&str>,
    ) -> Result<Option<Self>, DomainError> {
        // A variable that is set to nothing is not set.
        let given = |it: &&str| !it.is_empty();
        match (name.filter(given), certificate.filter(given)) {
            (None, None) => Ok(None),
            (Some(name), Some(certificate)) => Ok(Some(Self {
                name: name.parse()?,
                certificate: certificate.parse()?,
            })),
            (Some(_), None) => Err(DomainError::Half {
                given: "--domain",
                missing: "--certificate-arn",
            }),
            (None, Some(_)) => Err(DomainError::Half {
                given: "--certificate-arn",
                missing: "--domain",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:acm:us-east-1:123456789012:certificate/1234-abcd";

    #[test]
    fn names_are_of_labels_in_lower_case() {
        let long = format!("{}.example.org", "a".repeat(63));
        for name in [
            "chat.example.org",
            "example.org",
            "xn--bcher-kva.example",
            "1.2.x3",
            &long,
        ] {
            let parsed = name.parse::<DomainName>().map(|it| it.to_string());
            assert_eq!(parsed.as_deref(), Ok(name));
        }
        let long = format!("{}.example.org", "a".repeat(64));
        let longer = ["abcdefgh."; 29].concat() + "org";
        for name in [
            "",
            "localhost",
            "Chat.example.org",
            "https://chat.example.org",
            "chat.example.org/",
            "chat..org",
            ".org",
            "org.",
            "-a.org",
            "a-.org",
            "*.example.org",
            "127.0.0.1",
            "chat_1.example.org",
            "bücher.example",
            "chat.example.org:443",
            &long,
            &longer,
        ] {
            let error = name.parse::<DomainName>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`--domain {name}` is not the name of a domain")
            );
        }
    }

    #[test]
    fn certificates_are_of_us_east_1() {
        for arn in [ARN, "arn:aws-cn:acm:us-east-1:123456789012:certificate/A"] {
            assert!(arn.parse::<CertificateArn>().is_ok(), "{arn}");
        }
        for arn in [
            "",
            "1234-abcd",
            "arn:aws:iam:us-east-1:123456789012:certificate/1234",
            "arn:aws:acm:us-east-1:12345:certificate/1234",
            "arn:aws:acm:us-east-1:123456789012:certificate/",
            "arn:aws:acm:us-east-1:123456789012:key/1234",
            "arn:aws:acm:us-east-1:123456789012:certificate/1234:5",
        ] {
            let error = arn.parse::<CertificateArn>().unwrap_err();
            assert_eq!(error, DomainError::Certificate(arn.to_owned()));
        }
        let elsewhere = ARN.replace("us-east-1", "eu-central-1");
        let error = elsewhere.parse::<CertificateArn>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the certificate is in `eu-central-1`, and CloudFront takes those of `us-east-1` alone"
        );
        assert!(
            error
                .hint()
                .contains("request-certificate --region us-east-1")
        );
    }

    #[test]
    fn it_is_both_or_neither() {
        let domain = |name, certificate| Domain::new(name, certificate);
        assert_eq!(domain(None, None), Ok(None));
        assert_eq!(domain(Some(""), Some("")), Ok(None));
        assert!(
            domain(Some("chat.example.org"), Some(ARN))
                .unwrap()
                .is_some()
        );
        let error = domain(Some("chat.example.org"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`--domain` needs `--certificate-arn` as well"
        );
        let error = domain(None, Some(ARN)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`--certificate-arn` needs `--domain` as well"
        );
    }
}
