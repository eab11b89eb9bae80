//! Who may ask. All listeners are on 127.0.0.1, where nobody else's machine gets; but any page that a
//! browser on this machine has open can send requests there. What it must not do is told apart by two
//! things that browsers write themselves and that no script can change.
//!
//! - `Host`: a page whose own name was made to lead to 127.0.0.1 (DNS rebinding) is, to the browser, of the
//!   same origin as what answers there, and may read it. Its requests carry that name.
//! - `Origin` and `Sec-Fetch-Site`: what functions and SDKs ask, no page has to. Whatever would do
//!   something without being read (a POST of a form) has an `Origin`.

use std::net::IpAddr;

use hyper::header::{HOST, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, StatusCode, Uri};

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not say whom it asks, or says several.
    NoHost,
    /// It asks somebody else.
    ForeignHost,
    /// A page asks for what is for programs.
    Page,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Page => StatusCode::FORBIDDEN,
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::NoHost => "a request names one host",
            Self::ForeignHost => {
                "this machine's chat is at 127.0.0.1 and localhost, and answers to no other name"
            }
            Self::Page => "this is for programs, and not for pages of a browser",
        }
    }
}

/// Whether a request asks for this machine: by an address, which no name server can make somebody
/// else's, or as `localhost`, which browsers do not look up.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn check_host(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::NoHost);
    };
    let host: Authority = host.as_bytes().try_into().map_err(|_| Refusal::NoHost)?;
    // RFC 9112, section 3.2.2: what the request line names goes before the header.
    let named = [Some(&host), uri.authority()];
    if named.into_iter().flatten().all(is_this_machine) {
        Ok(())
    } else {
        Err(Refusal::ForeignHost)
    }
}

/// Whether a program of this machine asks for this machine, and no page.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn check_program(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    check_host(uri, headers)?;
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err(Refusal::Page);
    }
    Ok(())
}

fn is_this_machine(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_address = bare.parse::<IpAddr>().is_ok();
    // Who is named before the `@` is nobody's business here.
    let has_user = authority.as_str().contains('@');
    !has_user && (is_address || host.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn addresses_and_localhost_are_this_machine_and_no_other_name_is() {
        for (host, expected) in [
            ("127.0.0.1:8765", Ok(())),
            ("127.0.0.1", Ok(())),
            ("localhost:8765", Ok(())),
            ("LOCALHOST", Ok(())),
            ("[::1]:8765", Ok(())),
            ("192.168.1.5:8765", Ok(())),
            ("evil.example", Err(Refusal::ForeignHost)),
            ("evil.example:8765", Err(Refusal::ForeignHost)),
            ("127.0.0.1.evil.example:8765", Err(Refusal::ForeignHost)),
            ("localhost.evil.example", Err(Refusal::ForeignHost)),
            ("notlocalhost", Err(Refusal::ForeignHost)),
            ("evil.example@127.0.0.1", Err(Refusal::ForeignHost)),
            ("127.0.0.1@evil.example", Err(Refusal::ForeignHost)),
            ("", Err(Refusal::NoHost)),
            ("127.0.0.1/x", Err(Refusal::NoHost)),
        ] {
            let headers = headers(&[("host", host)]);
            let checked = check_host(&Uri::from_static("/"), &headers);
            assert_eq!(checked, expected, "{host}");
        }
    }

    #[test]
    fn a_request_names_one_host_and_means_it_in_its_first_line_too() {
        let root = Uri::from_static("/");
        assert_eq!(check_host(&root, &headers(&[])), Err(Refusal::NoHost));
        let twice = headers(&[("host", "localhost"), ("host", "localhost")]);
        assert_eq!(check_host(&root, &twice), Err(Refusal::NoHost));
        let here = headers(&[("host", "localhost")]);
        let elsewhere = Uri::from_static("http://evil.example/");
        assert_eq!(check_host(&elsewhere, &here), Err(Refusal::ForeignHost));
        assert_eq!(
            check_host(&Uri::from_static("http://localhost/"), &here),
            Ok(())
        );
    }

    #[test]
    fn what_is_for_programs_no_page_may_ask_not_even_our_own() {
        let root = Uri::from_static("/");
        assert_eq!(
            check_program(&root, &headers(&[("host", "localhost")])),
            Ok(())
        );
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let headers = headers(&[("host", "localhost"), (name, value)]);
            let checked = check_program(&root, &headers);
            assert_eq!(checked, Err(Refusal::Page), "{name}: {value}");
        }
    }
}
