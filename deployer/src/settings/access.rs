//! Who is let in.

use hyper::Uri;

use super::SettingsError;
use crate::cli::{AccessArgs, Auth};
use crate::cloud::StackView;
use crate::sign_in::{Provider, SignIn, SignInError};
use crate::template::Cdn;

/// The parameter that tells whose pages' sockets are let in.
const ALLOWED_ORIGINS: &str = "AllowedOrigins";

/// Everybody's.
const ANY: &str = "any";

/// Values of the template's parameters, of which each has its flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// Nothing, if that was not said.
    allowed_origins: Option<String>,
    entrance: Entrance,
    /// What the template is given for it, known once the provider was asked, or the stack.
    sign_in: Option<Vec<(&'static str, String)>>,
    /// What was not asked for and is kept, in words.
    kept: Vec<String>,
}

/// Whether people have to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entrance {
    /// It was not said.
    AsItIs,
    /// They do not.
    Open,
    /// They do.
    SignIn(SignIn),
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
        let entrance = entrance(args)?;
        if let Entrance::SignIn(sign_in) = &entrance {
            if place == Where::Cloud(Cdn::Off) {
                return Err(SettingsError::SignInWithoutCdn);
            }
            if sign_in.is_here() && place != Where::Anywhere {
                return Err(SettingsError::Issuer(sign_in.issuer().to_owned()));
            }
        }
        let origins = args.allowed_origins.as_deref();
        Ok(Self {
            allowed_origins: origins.map(allowed_origins).transpose()?,
            entrance,
            sign_in: None,
            kept: Vec::new(),
        })
    }

    /// The same, with what the stack has where nothing was said: nobody loses a protection by leaving out a
    /// flag.
    ///
    /// # Errors
    /// [`SettingsError`], if what is kept does not go with what is asked for.
    pub(super) fn keeping(&self, stack: &StackView, cdn: Cdn) -> Result<Self, SettingsError> {
        let mut access = self.clone();
        let origins = stack.parameter(ALLOWED_ORIGINS).filter(|it| *it != ANY);
        if let (None, Some(origins)) = (&self.allowed_origins, origins) {
            access.allowed_origins = Some(origins.to_owned());
            access.kept.push(format!("allowed origins: `{origins}`"));
        }
        let issuer = stack.parameter("Issuer").filter(|it| !it.is_empty());
        if let (Entrance::AsItIs, Some(issuer)) = (&self.entrance, issuer) {
            if cdn == Cdn::Off {
                return Err(SettingsError::SignInWithoutCdn);
            }
            let of_stack = |(name, default): (&'static str, String)| {
                (name, stack.parameter(name).map_or(default, str::to_owned))
            };
            let none = Provider::parameters(None).into_iter();
            access.sign_in = Some(none.map(of_stack).collect());
            access.kept.push(format!("sign-in at `{issuer}`"));
        }
        Ok(access)
    }

    /// What is kept of a stack though nobody asked for it.
    pub(crate) fn kept(&self) -> &[String] {
        &self.kept
    }

    /// The same, with what the provider says of itself.
    ///
    /// # Errors
    /// [`SignInError`], if nobody could sign in there.
    pub(crate) async fn discovered(&self) -> Result<Self, SignInError> {
        let mut access = self.clone();
        if let Entrance::SignIn(sign_in) = &self.entrance {
            let provider = sign_in.discover().await?;
            access.sign_in = Some(Provider::parameters(Some(&provider)).into());
        }
        Ok(access)
    }

    /// The template's parameters.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let origins = self.allowed_origins.as_deref().unwrap_or(ANY);
        let sign_in = self.sign_in.clone();
        let sign_in = sign_in.unwrap_or_else(|| Provider::parameters(None).into());
        let origins = (ALLOWED_ORIGINS, origins.to_owned());
        std::iter::once(origins).chain(sign_in).collect()
    }
}

fn entrance(args: &AccessArgs) -> Result<Entrance, SettingsError> {
    // A variable that is set to nothing is not set.
    let given = |value: &Option<String>| value.clone().filter(|it| !it.is_empty());
    match (args.auth, given(&args.issuer), given(&args.audience)) {
        (None, None, None) => Ok(Entrance::AsItIs),
        (Some(Auth::None), None, None) => Ok(Entrance::Open),
        (None | Some(Auth::None), ..) => Err(SettingsError::NoAuth),
        (Some(Auth::Oidc), None, _) => Err(SettingsError::SignIn("--issuer")),
        (Some(Auth::Oidc), _, None) => Err(SettingsError::SignIn("--audience")),
        (Some(Auth::Oidc), Some(issuer), Some(audience)) => {
            let is_plain = |it: char| it.is_ascii_graphic() && !"\"\\'<>`{}$".contains(it);
            if !audience.chars().all(is_plain) {
                return Err(SettingsError::Audience(audience));
            }
            let sign_in = SignIn::new(&issuer, &audience);
            let sign_in = sign_in.ok_or(SettingsError::Issuer(issuer))?;
            Ok(Entrance::SignIn(sign_in))
        }
    }
}

/// As a browser writes them, for the functions compare letters.
fn allowed_origins(text: &str) -> Result<String, SettingsError> {
    if [ANY, "site"].contains(&text) {
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
    use crate::stack::Status;

    fn args(
        auth: impl Into<Option<Auth>>,
        issuer: Option<&str>,
        audience: Option<&str>,
    ) -> AccessArgs {
        AccessArgs {
            allowed_origins: None,
            auth: auth.into(),
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
            refused(&args(None, None, Some("c")), on),
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
        assert_eq!(none.entrance, Entrance::Open);
    }

    fn stack(parameters: &[(&str, &str)]) -> StackView {
        let parameters = parameters.iter();
        StackView {
            id: "arn:aws:cloudformation:us-east-1:1:stack/chat-dev/1".to_owned(),
            status: Status::new("UPDATE_COMPLETE"),
            outputs: Vec::new(),
            parameters: parameters
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            tags: Vec::new(),
            owner: None,
            is_protected: false,
            changed: None,
        }
    }

    /// Of a stack where people sign in, and from its own page alone.
    const GUARDED: [(&str, &str); 7] = [
        ("AllowedOrigins", "site"),
        ("Issuer", "https://login.example"),
        ("Audience", "c"),
        ("JwksUri", "https://login.example/k"),
        ("AuthorizationEndpoint", "https://login.example/a"),
        ("TokenEndpoint", "https://login.example/t"),
        ("ConnectSources", "'self' https://login.example"),
    ];

    fn given(access: &Access) -> Vec<(&'static str, String)> {
        access.parameters()
    }

    fn as_texts(parameters: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let parameters = parameters.iter();
        parameters
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_was_not_said_stays_as_the_stack_has_it_and_only_what_is_said_opens_it() {
        let said_nothing = Access::new(&args(None, None, None), Where::Cloud(Cdn::On)).unwrap();
        let kept = said_nothing.keeping(&stack(&GUARDED), Cdn::On).unwrap();
        assert_eq!(given(&kept), as_texts(&GUARDED));
        assert_eq!(
            kept.kept(),
            [
                "allowed origins: `site`",
                "sign-in at `https://login.example`"
            ]
        );

        let mut anybody = args(Auth::None, None, None);
        anybody.allowed_origins = Some("any".to_owned());
        let anybody = Access::new(&anybody, Where::Cloud(Cdn::Off)).unwrap();
        let opened = anybody.keeping(&stack(&GUARDED), Cdn::Off).unwrap();
        let open = as_texts(&[
            ("AllowedOrigins", "any"),
            ("Issuer", ""),
            ("Audience", ""),
            ("JwksUri", ""),
            ("AuthorizationEndpoint", ""),
            ("TokenEndpoint", ""),
            ("ConnectSources", "'self'"),
        ]);
        assert_eq!(given(&opened), open);
        assert!(opened.kept().is_empty());

        // Open by itself, and one of before there was any of it: there is nothing to keep, or to tell.
        for parameters in [&[("AllowedOrigins", "any"), ("Issuer", "")][..], &[]] {
            let kept = said_nothing.keeping(&stack(parameters), Cdn::Off).unwrap();
            assert_eq!(given(&kept), open);
            assert!(kept.kept().is_empty(), "{parameters:?}");
        }
    }

    #[test]
    fn one_of_them_that_is_said_leaves_the_other_as_it_is() {
        let on = Where::Cloud(Cdn::On);
        let no_sign_in = Access::new(&args(Auth::None, None, None), on).unwrap();
        let kept = no_sign_in.keeping(&stack(&GUARDED), Cdn::On).unwrap();
        assert_eq!(given(&kept)[0].1, "site");
        assert_eq!(given(&kept)[1].1, "");
        assert_eq!(kept.kept(), ["allowed origins: `site`"]);

        let mut any_page = args(None, None, None);
        any_page.allowed_origins = Some("any".to_owned());
        let any_page = Access::new(&any_page, on).unwrap();
        let kept = any_page.keeping(&stack(&GUARDED), Cdn::On).unwrap();
        assert_eq!(given(&kept)[0].1, "any");
        assert_eq!(given(&kept)[1..], as_texts(&GUARDED[1..]));
    }

    #[test]
    fn sign_in_that_is_kept_does_not_go_without_cloudfront_either() {
        let said_nothing = Access::new(&args(None, None, None), Where::Cloud(Cdn::Off)).unwrap();
        let refused = said_nothing.keeping(&stack(&GUARDED), Cdn::Off);
        assert_eq!(refused.unwrap_err(), SettingsError::SignInWithoutCdn);
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
