//! Who is let in.

use hyper::Uri;

use super::SettingsError;
use crate::cli::AccessArgs;

/// Values of the template's parameters, of which each has its flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    allowed_origins: String,
}

impl Access {
    /// # Errors
    /// [`SettingsError`], if nobody could be let in as it is asked for.
    pub(crate) fn new(args: &AccessArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            allowed_origins: allowed_origins(&args.allowed_origins)?,
        })
    }

    /// The template's parameters.
    pub(crate) fn parameters(&self) -> [(&'static str, String); 1] {
        [("AllowedOrigins", self.allowed_origins.clone())]
    }
}

/// As a browser writes them, for the functions compare letters.
fn allowed_origins(text: &str) -> Result<String, SettingsError> {
    if ["any", "site"].contains(&text) {
        return Ok(text.to_owned());
    }
    let origins = text.split(',').map(|it| {
        let it = it.trim();
        origin(it).ok_or_else(|| SettingsError::AllowedOrigin(it.to_owned()))
    });
    let origins: Vec<_> = origins.collect::<Result<_, _>>()?;
    Ok(origins.join(","))
}

/// Scheme, host and, if it is not the scheme's own, port; `None` for anything less or more.
fn origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let port_of_scheme = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let authority = rest.to_ascii_lowercase();
    // What hyper would read a path, a query or a user's name from is more than an origin.
    let is_plain = |it: char| it.is_ascii_alphanumeric() || ".:[]-".contains(it);
    if !authority.chars().all(is_plain) {
        return None;
    }
    let uri: Uri = format!("{scheme}://{authority}/").parse().ok()?;
    let host = uri.host().filter(|it| !it.is_empty())?;
    let port = authority.strip_prefix(host)?;
    let port = match port.strip_prefix(':') {
        Some(number) => Some(number.parse::<u16>().ok().filter(|it| *it != 0)?),
        None if port.is_empty() => None,
        None => return None,
    };
    Some(match port.filter(|it| *it != port_of_scheme) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (given, expected) in [
            ("any", "any"),
            ("site", "site"),
            ("https://chat.example", "https://chat.example"),
            ("HTTPS://Chat.Example:443", "https://chat.example"),
            ("http://chat.example:80", "http://chat.example"),
            ("https://chat.example:80", "https://chat.example:80"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            (
                "https://a.example, https://b.example:8443",
                "https://a.example,https://b.example:8443",
            ),
        ] {
            assert_eq!(allowed_origins(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_by_its_own_words() {
        for (given, told) in [
            ("", ""),
            ("Any", "Any"),
            ("*", "*"),
            ("null", "null"),
            ("chat.example", "chat.example"),
            ("wss://chat.example", "wss://chat.example"),
            ("https://", "https://"),
            ("https://chat.example/", "https://chat.example/"),
            ("https://chat.example?x", "https://chat.example?x"),
            ("https://ann@chat.example", "https://ann@chat.example"),
            ("https://chat.example:", "https://chat.example:"),
            ("https://chat.example:0", "https://chat.example:0"),
            ("https://chat.example:65536", "https://chat.example:65536"),
            ("https://*.example", "https://*.example"),
            ("https://ch\u{e4}t.example", "https://ch\u{e4}t.example"),
            ("https://a.example,", ""),
            ("https://a.example,any", "any"),
            ("site,https://a.example", "site"),
        ] {
            let refused = allowed_origins(given).unwrap_err();
            assert_eq!(refused, SettingsError::AllowedOrigin(told.to_owned()));
        }
    }
}
