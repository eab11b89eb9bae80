//! Where a page may come from whose socket is let in. A browser says it in each handshake and no page can
//! change it; whoever is no browser can say what it likes. So this keeps foreign pages out of their visitors'
//! browsers, and nobody else out of the chat.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;

/// Origins of pages: scheme, host and, if it is not the scheme's own, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// All, and whoever says none.
    Any,
    /// These, written as a browser writes them.
    These(Vec<String>),
}

/// The word for all of them.
const ANY: &str = "any";

/// The word for the page's own, which the template writes beside it.
const SITE: &str = "site";

impl AllowedOrigins {
    /// Reads `any`, or origins with commas in between; `None` for what is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == ANY {
            return Some(Self::Any);
        }
        let origins = text.split(',').filter(|it| *it != SITE);
        let origins: Vec<_> = origins.map(str::to_owned).collect();
        let is_list = !origins.is_empty() && origins.iter().all(|it| is_origin(it));
        is_list.then_some(Self::These(origins))
    }

    /// Whether a handshake may go on. Compared letter by letter: a browser writes an origin in one way
    /// alone, and what is not written so is no browser's. `null`, a page without an origin, is none.
    #[must_use]
    pub fn admit(&self, event: &ApiGatewayWebsocketProxyRequest) -> bool {
        let Self::These(allowed) = self else {
            return true;
        };
        let all = event.multi_value_headers.get_all("origin");
        let said = event.headers.get_all("origin").iter().chain(all);
        let mut said = said.peekable();
        // Where there are several, no browser wrote them, and each has to be good.
        said.peek().is_some()
            && said.all(|it| allowed.iter().any(|one| one.as_bytes() == it.as_bytes()))
    }
}

/// Whether somebody could come from there. It is not read any further: it is compared.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|it| !it.is_empty() && it.chars().all(|it| it.is_ascii_graphic() && it != '/'))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::event::tests::event;

    const PAGE: &str = "https://chat.example";

    fn from(origins: &[&'static str]) -> ApiGatewayWebsocketProxyRequest {
        let mut event = event("CONNECT");
        for origin in origins {
            let origin = HeaderValue::from_static(origin);
            event.headers.insert("Origin", origin.clone());
            event.multi_value_headers.append("Origin", origin);
        }
        event
    }

    fn admitted(allowed: &str, origins: &[&'static str]) -> bool {
        let allowed = AllowedOrigins::parse(allowed).expect("a list");
        allowed.admit(&from(origins))
    }

    #[test]
    fn a_page_of_the_list_is_let_in_and_every_other_is_not() {
        let list = "https://chat.example,https://d1.cloudfront.net,http://127.0.0.1:8765";
        for origin in [PAGE, "https://d1.cloudfront.net", "http://127.0.0.1:8765"] {
            assert!(admitted(list, &[origin]), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "https://chat.example.evil.example",
            "https://evil.example/https://chat.example",
            "https://evilchat.example",
            "https://a.chat.example",
            "https://chat.example.",
            "https://chat.example:444",
            "https://chat.example:443",
            "https://chat.example/",
            "https://chat.exampl",
            "http://chat.example",
            "HTTPS://chat.example",
            "https://CHAT.example",
            "https://chat.example,https://d1.cloudfront.net",
            "http://127.0.0.1:8766",
            "http://127.0.0.1",
            "http://localhost:8765",
            "site",
            "any",
        ] {
            assert!(!admitted(list, &[origin]), "{origin}");
        }
    }

    #[test]
    fn who_says_no_origin_or_several_is_not_let_in() {
        assert!(!admitted(PAGE, &[]));
        assert!(!admitted(PAGE, &["https://evil.example", PAGE]));
        assert!(!admitted(PAGE, &[PAGE, "https://evil.example"]));
    }

    #[test]
    fn with_any_everybody_is_let_in() {
        for origins in [&[][..], &["null"], &["https://evil.example"], &[PAGE, "x"]] {
            assert!(admitted("any", origins), "{origins:?}");
        }
    }

    #[test]
    fn the_pages_own_origins_are_read_beside_the_word_for_them() {
        let both = AllowedOrigins::parse("https://chat.example,site");
        assert_eq!(both, Some(AllowedOrigins::These(vec![PAGE.to_owned()])));
        for wrong in [
            "",
            "site",
            "Any",
            "*",
            "null",
            "any,https://chat.example",
            "https://chat.example,",
            "https://chat.example, https://b.example",
            "chat.example",
            "https://",
            "https://chat.example/",
            "wss://chat.example",
        ] {
            assert_eq!(AllowedOrigins::parse(wrong), None, "{wrong}");
        }
    }
}
