//! Who is let in.

use hyper::Uri;

use super::SettingsError;
use crate::cli::{AccessArgs, Auth};
use crate::sign_in::{Provider, SignIn, SignInError};
use crate::template::Cdn;

/// Values of the template's parameters, of which each has its flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    allowed_origins: String,
    sign_in: Option<SignIn>,
    /// Known once it was asked.
    provider: Option<Provider>,
}

/// Where the chat is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// On AWS, where nobody finds what is on this machine.
    Cloud(Cdn),
    /// On this machine, or nobody knows yet.
    Anywhere,
}

impl Access {
    /// # Errors
    /// [`SettingsError`], if nobody could be let in as it is asked for.
    pub(crate) fn new(args: &AccessArgs, place: Where) -> Result<Self, SettingsError> {
        let sign_in = sign_in(args)?;
        if sign_in.is_some() && place == Where::Cloud(Cdn::Off) {
            return Err(SettingsError::SignInWithoutCdn);
        }
        if let Some(here) = sign_in.as_ref().filter(|it| it.is_here())
            && place != Where::Anywhere
        {
            return Err(SettingsError::Issuer(here.issuer().to_owned()));
        }
        Ok(Self {
            allowed_origins: allowed_origins(&args.allowed_origins)?,
            sign_in,
            provider: None,
        })
    }

    /// The same, with what the provider says of itself.
    ///
    /// # Errors
    /// [`SignInError`], if nobody could sign in there.
    pub(crate) async fn discovered(&self) -> Result<Self, SignInError> {
        let provider = match &self.sign_in {
            Some(sign_in) => Some(sign_in.discover().await?),
            None => None,
        };
        Ok(Self {
            provider,
            ..self.clone()
        })
    }

    /// The template's parameters.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let origins = ("AllowedOrigins", self.allowed_origins.clone());
        let provider = Provider::parameters(self.provider.as_ref());
        std::iter::once(origins).chain(provider).collect()
    }
}

fn sign_in(args: &AccessArgs) -> Result<Option<SignIn>, SettingsError> {
    // A variable that is set to nothing is not set.
    let given = |value: &Option<String>| value.clone().filter(|it| !it.is_empty());
    match (args.auth, given(&args.issuer), given(&args.audience)) {
        (Auth::None, None, None) => Ok(None),
        (Auth::None, ..) => Err(SettingsError::NoAuth),
        (Auth::Oidc, None, _) => Err(SettingsError::SignIn("--issuer")),
        (Auth::Oidc, _, None) => Err(SettingsError::SignIn("--audience")),
        (Auth::Oidc, Some(issuer), Some(audience)) => {
            let is_plain = |it: char| it.is_ascii_graphic() && !"\"\\'<>`{}$".contains(it);
            if !audience.chars().all(is_plain) {
                return Err(SettingsError::Audience(audience));
            }
            let sign_in = SignIn::new(&issuer, &audience);
            Ok(Some(sign_in.ok_or(SettingsError::Issuer(issuer))?))
        }
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

    fn args(auth: Auth, issuer: Option<&str>, audience: Option<&str>) -> AccessArgs {
        AccessArgs {
            allowed_origins: "any".to_owned(),
            auth,
            issuer: issuer.map(str::to_owned),
            audience: audience.map(str::to_owned),
        }
    }

    #[test]
    fn what_nobody_could_sign_in_with_is_refused() {
        const ISSUER: Option<&str> = Some("https://login.example");
        let (on, off) = (Where::Cloud(Cdn::On), Where::Cloud(Cdn::Off));
        let refused = |args: &AccessArgs, place| Access::new(args, place).unwrap_err();
        let oidc = |issuer, audience| args(Auth::Oidc, issuer, audience);
        assert_eq!(
            refused(&oidc(None, Some("c")), on),
            SettingsError::SignIn("--issuer")
        );
        assert_eq!(
            refused(&oidc(ISSUER, Some("")), on),
            SettingsError::SignIn("--audience")
        );
        assert_eq!(
            refused(&args(Auth::None, ISSUER, None), on),
            SettingsError::NoAuth
        );
        assert_eq!(
            refused(&oidc(ISSUER, Some("c")), off),
            SettingsError::SignInWithoutCdn
        );
        assert_eq!(
            refused(&oidc(ISSUER, Some("a\"b")), on),
            SettingsError::Audience("a\"b".to_owned())
        );
        let here = "http://127.0.0.1:3000";
        assert_eq!(
            refused(&oidc(Some(here), Some("c")), on),
            SettingsError::Issuer(here.to_owned())
        );
        Access::new(&oidc(Some(here), Some("c")), Where::Anywhere).unwrap();
        Access::new(&oidc(ISSUER, Some("c")), on).unwrap();
        let none = Access::new(&args(Auth::None, None, Some("")), off).unwrap();
        assert_eq!(none.sign_in, None);
    }

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
