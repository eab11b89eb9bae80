//! Who is asked whether a connection may open (AWS's Developer Guide, “Control access to WebSocket APIs with
//! AWS Lambda REQUEST authorizers”).

use super::resolve::Resolver;
use super::{Reader, TemplateError, properties};

/// A function that is asked before that of `$connect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// Its logical id.
    pub function: String,
    /// What a handshake has to have, or it is refused without asking.
    pub identity_sources: Vec<IdentitySource>,
}

/// A part of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// `route.request.header.Name`
    Header(String),
    /// `route.request.querystring.name`
    Query(String),
}

impl IdentitySource {
    /// `None` for one that is not known here.
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("route.request.")?;
        match rest.split_once('.')? {
            (_, "") => None,
            ("header", name) => Some(Self::Header(name.to_owned())),
            ("querystring", name) => Some(Self::Query(name.to_owned())),
            _ => None,
        }
    }
}

impl Reader {
    /// The authorizer of a route, if it has one.
    pub(super) fn authorizer(
        &self,
        resolver: &Resolver<'_>,
        id: &str,
        route: &properties::Route,
    ) -> Result<Option<Authorizer>, TemplateError> {
        let unsupported = |property: &str, problem: String| {
            TemplateError::unsupported(format!("{id}.{property}"), problem)
        };
        match route.authorization_type.as_deref() {
            None | Some("NONE") => return Ok(None),
            // API Gateway takes one for `$connect` alone: later frames are of who was let in.
            Some("CUSTOM") if route.route_key == "$connect" => {}
            Some(other) => {
                let problem = format!("`{other}` does not run here on `{}`", route.route_key);
                return Err(unsupported("AuthorizationType", problem));
            }
        }
        let named = route.authorizer_id.as_deref().unwrap_or_default();
        let dangling = |target: &str| TemplateError::Dangling {
            place: format!("{id}.AuthorizerId"),
            target: target.to_owned(),
        };
        let authorizer = self.authorizers.get(named).ok_or_else(|| dangling(named))?;
        if authorizer.authorizer_type != "REQUEST" {
            let problem = "only `REQUEST` runs here";
            return Err(TemplateError::unsupported(
                format!("{named}.AuthorizerType"),
                problem,
            ));
        }
        let sources = authorizer.identity_source.iter().map(|it| {
            IdentitySource::parse(it).ok_or_else(|| {
                let problem = format!("`{it}` is not known here");
                TemplateError::unsupported(format!("{named}.IdentitySource"), problem)
            })
        });
        let function = self.invoked_by(resolver, &authorizer.authorizer_uri);
        Ok(Some(Authorizer {
            identity_sources: sources.collect::<Result<_, _>>()?,
            function: function
                .ok_or_else(|| dangling(&authorizer.authorizer_uri))?
                .clone(),
        }))
    }
}
