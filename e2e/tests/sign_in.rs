//! Only who has signed in comes in, and under the account's name: by tokens of a provider of the tests' own.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2e::altered::Altered;
use e2e::chatctl::{self, Dev};
use e2e::client::Client;
use e2e::ministack::Ministack;
use e2e::provider::{CLIENT, Provider, Signer, encoded, part};
use e2e::{DEADLINE, stack};
use local::{Event, Observer};
use ring::hmac;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;

fn handshake(websocket: &str, offered: Option<&str>) -> Request {
    let mut request = websocket.into_client_request().expect("a URL");
    if let Some(offered) = offered {
        let offered = HeaderValue::from_str(offered).expect("a header");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", offered);
    }
    request
}

/// Comes in with a token. That the answer chooses one of the protocols the client sees to by itself.
async fn enter(websocket: &str, token: &str) -> Result<Client, u16> {
    let offered = format!("chatctl, bearer.{token}");
    enter_offering(websocket, Some(&offered)).await
}

async fn enter_offering(websocket: &str, offered: Option<&str>) -> Result<Client, u16> {
    match Client::try_connect(handshake(websocket, offered)).await {
        Ok(client) => Ok(client),
        Err(error) => match *error {
            Error::Http(response) => Err(response.status().as_u16()),
            other => panic!("an answer of HTTP, not {other}"),
        },
    }
}

/// The same claims but for some.
fn but(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    let changes = changes.as_object().expect("claims").clone();
    claims.as_object_mut().expect("claims").extend(changes);
    claims
}

/// Tokens that are not good, each by what is wrong with it.
fn forgeries(provider: &Provider, signer: &Signer) -> Vec<(&'static str, String)> {
    let claims = provider.claims("sub-secret", "Mallory Secret");
    let with = |changes: Value| signer.token("1", &but(&claims, &changes));
    let unsigned = |alg: &str| {
        format!(
            "{}.{}",
            part(&json!({"alg": alg, "kid": "1"})),
            part(&claims)
        )
    };
    let jwk = signer.jwk("1");
    let public = jwk["n"].as_str().expect("an RSA key").as_bytes();
    let hs256 = unsigned("HS256");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public), hs256.as_bytes());
    let good = with(json!({}));
    let (_, signature) = good.rsplit_once('.').expect("dots");
    let (header, _) = good.split_once('.').expect("dots");
    let root = part(&but(&claims, &json!({"sub": "root"})));
    vec![
        ("another's claims", format!("{header}.{root}.{signature}")),
        ("expired", with(json!({"exp": 1_700_000_000}))),
        ("not yet valid", with(json!({"nbf": 4_000_000_000_u64}))),
        ("wrong audience", with(json!({"aud": "another"}))),
        (
            "wrong issuer",
            with(json!({"iss": "https://login.example"})),
        ),
        ("no subject", with(json!({"sub": ""}))),
        ("alg none", format!("{}.", unsigned("none"))),
        (
            "HS256 with the public key",
            format!("{hs256}.{}", encoded(tag.as_ref())),
        ),
        (
            "another key of the same name",
            Signer::p256().token("1", &claims),
        ),
        ("unknown key", signer.token("2", &claims)),
        ("no token at all", "x".to_owned()),
        ("empty", String::new()),
        ("huge", with(json!({"x": "x".repeat(7_000)}))),
    ]
}

#[tokio::test]
async fn who_has_signed_in_comes_in_under_the_accounts_name_and_nobody_else() {
    let signer = Signer::rsa();
    let provider = Provider::start(&[signer.jwk("1")]).await;
    let dev = Dev::start(&provider.arguments()).await;

    let config: Value = serde_json::from_str(&dev.get("config.json").await).expect("JSON");
    let issuer = &provider.issuer;
    let expected = json!({
        "issuer": issuer,
        "clientId": CLIENT,
        "authorizationEndpoint": format!("{issuer}/auth"),
        "tokenEndpoint": format!("{issuer}/token"),
    });
    assert_eq!(config["signIn"], expected);

    for (what, token) in forgeries(&provider, &signer) {
        let refused = enter(&dev.websocket, &token).await.err();
        assert_eq!(refused, Some(403), "{what}");
    }
    for (offered, status) in [(None, 401), (Some("chatctl"), 403), (Some("bearer.x"), 403)] {
        let refused = enter_offering(&dev.websocket, offered).await.err();
        assert_eq!(refused, Some(status), "{offered:?}");
    }
    let token = signer.token("1", &provider.claims("1", "Ann Lee"));
    let query = format!("{}?token={token}&access_token={token}", dev.websocket);
    let refused = enter_offering(&query, None).await.err();
    assert_eq!(refused, Some(401), "never in the query string");

    let mut ann = enter(&dev.websocket, &token).await.expect("signed in");
    let joined = ann.ask(json!({"type": "create", "name": "root"})).await;
    assert_eq!(joined["name"], "Ann Lee", "{joined}");
    let token = signer.token("1", &provider.claims("2", "Ann Lee"));
    let mut other = enter(&dev.websocket, &token).await.expect("signed in");
    let join = json!({"type": "join", "room": joined["room"], "name": "Ann Lee"});
    assert_eq!(other.ask(join).await["name"], "Ann Lee-2");
    let rename = json!({"type": "rename", "name": "root"});
    assert_eq!(other.ask_for("error", rename).await["code"], "name-fixed");

    // Whoever looks from outside has not signed in, and says what it could not see.
    let verify = ["verify", "--url", &dev.websocket, "--site", &dev.site];
    let verified = chatctl::run(&verify).await;
    assert_eq!(
        verified.status.code(),
        Some(1),
        "of somebody else's chat it knows nothing"
    );
    dev.end("TERM").await;
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_found_and_one_that_it_withdraws_is_forgotten() {
    let (old, new) = (Signer::rsa(), Signer::p256());
    let provider = Provider::start(&[old.jwk("old")]).await;
    let dev = Dev::start(&provider.arguments()).await;
    let claims = provider.claims("1", "ann");
    enter(&dev.websocket, &old.token("old", &claims))
        .await
        .expect("signed in");
    provider.show(&[new.jwk("new")]);
    let token = new.token("new", &claims);
    let since = Instant::now();
    // Not at each handshake that names a key that is not there.
    while let Err(status) = enter(&dev.websocket, &token).await {
        assert_eq!(status, 403);
        assert!(since.elapsed() < DEADLINE, "never read again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // By another process than the one that has read them, it may be, which then reads them for the first time.
    let old = enter(&dev.websocket, &old.token("old", &claims))
        .await
        .err();
    assert_eq!(old, Some(403));
    dev.end("TERM").await;
}

#[tokio::test]
async fn of_who_is_refused_nothing_is_stored_and_no_line_says_who_it_is() {
    let signer = Signer::rsa();
    let provider = Provider::start(&[signer.jwk("1")]).await;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let at = |path: &str| format!("{}{path}", provider.issuer);
    let parameters = [
        ("Issuer", at("")),
        ("Audience", CLIENT.to_owned()),
        ("JwksUri", at("/keys")),
        ("AuthorizationEndpoint", at("/auth")),
        ("TokenEndpoint", at("/token")),
    ];
    let stack = stack::start(|it| {
        it.parameters
            .extend(parameters.map(|(name, value)| (name.to_owned(), value)));
        it.observer = Observer::new(move |event| {
            if let Event::Log { line, .. } | Event::Platform { line, .. } = event {
                heard.lock().expect("whole").push(line);
            }
        });
    })
    .await;
    let websocket = stack.websocket_url();
    for (what, token) in forgeries(&provider, &signer) {
        let refused = enter(&websocket, &token).await.err();
        assert_eq!(refused, Some(403), "{what}");
    }
    assert_eq!(stack::items(&stack), Vec::<Value>::new());
    let token = signer.token("1", &provider.claims("sub-secret", "Mallory Secret"));
    let mut mallory = enter(&websocket, &token).await.expect("signed in");
    mallory.ask(json!({"type": "create", "name": ""})).await;
    let records = stack::items(&stack);
    let of_connection = |it: &&Value| it["sk"]["S"] == "CONNECTION";
    let record = records.iter().find(of_connection).expect("a record");
    assert_eq!(record["subject"]["S"], "sub-secret");
    stack.stop().await;

    let lines = lines.lock().expect("whole").join("\n");
    for outcome in [
        "expired",
        "wrong-issuer",
        "bad-algorithm",
        "bad-signature",
        "unknown-key",
    ] {
        assert!(
            lines.contains(&format!("\"outcome\":\"{outcome}\"")),
            "{outcome}: {lines}"
        );
    }
    let failed = lines.lines().find(|it| it.contains("\"level\":\"error\""));
    assert_eq!(failed, None, "nobody's refusal is a failure");
    for secret in ["sub-secret", "Mallory", "Secret", "bearer", &token[..40]] {
        assert!(!lines.contains(secret), "{secret}: {lines}");
    }
}

#[tokio::test]
async fn a_provider_that_is_none_is_told_before_anything_is_built() {
    let provider = Provider::start(&[]).await;
    let issuer = format!("{}/", provider.issuer);
    let oidc = ["--auth", "oidc", "--audience", CLIENT];
    let dev = [&["dev", "--port", "0"], &oidc[..], &["--issuer", &issuer]].concat();
    let refused = chatctl::run(&dev).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("calls itself `{}`", provider.issuer)),
        "{said}"
    );
    for (arguments, word) in [
        (
            &["--issuer", "https://login.example", "--cdn", "off"][..],
            "`--cdn off`",
        ),
        (
            &["--issuer", "http://login.example"],
            "`http://login.example`",
        ),
        (&["--issuer", &provider.issuer], "`http://127.0.0.1"),
        (&[], "`--issuer`"),
    ] {
        let deploy = [&["deploy"], &oidc[..], arguments].concat();
        let refused = chatctl::run(&deploy).await;
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn a_chat_that_nobody_can_enter_for_want_of_keys_is_not_said_to_be_well() {
    let provider = Provider::start(&[Signer::rsa().jwk("1")]).await;
    provider.hide_keys();
    let _ = chatctl::bootstrap();
    let dev = [&["dev", "--port", "0", "--json"], &provider.arguments()[..]].concat();
    let ended = chatctl::run(&dev).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert_eq!(
        String::from_utf8_lossy(&ended.stdout),
        "",
        "no address is told"
    );
    for words in ["cannot read the provider's keys", "`jwks_uri`"] {
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn api_gateway_asks_the_authorizer_and_verify_tells_what_it_cannot_see() {
    let ministack = Ministack::start().await;
    let bootstrap = chatctl::packaged_bootstrap();
    let bootstrap = bootstrap.to_str().expect("a path of characters");
    // For its package alone: a provider on this machine is none for a deploy.
    chatctl::result_on(&ministack, &["deploy", "--json", "--bootstrap", bootstrap]).await;
    let signer = Signer::rsa();
    let provider = Provider::start(&[signer.jwk("1")]).await;
    let outputs = signed_stack(&ministack, &provider).await;
    let output = |name: &str| {
        let named = outputs.iter().find(|it| it["OutputKey"] == name);
        named.expect(name)["OutputValue"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    let sign_in: Value = serde_json::from_str(&output("SignIn")).expect("JSON");
    assert_eq!(sign_in["issuer"], provider.issuer.as_str());

    for websocket in [output("WebSocketUrl"), output("DirectWebSocketUrl")] {
        let status = |offered: Option<String>| {
            let request = handshake(&websocket, offered.as_deref());
            let ministack = &ministack;
            async move {
                let refused = ministack.try_socket(request).await.err()?;
                match *refused {
                    Error::Http(response) => Some(response.status().as_u16()),
                    other => panic!("an answer of HTTP, not {other}"),
                }
            }
        };
        assert_eq!(status(None).await, Some(401));
        assert_eq!(status(Some("chatctl".to_owned())).await, Some(403));
        for (what, token) in forgeries(&provider, &signer) {
            let offered = format!("chatctl, bearer.{token}");
            assert_eq!(status(Some(offered)).await, Some(403), "{what}");
        }
        let token = signer.token("1", &provider.claims("1", "J\u{fc}rgen"));
        let offered = format!("chatctl, bearer.{token}");
        let request = handshake(&websocket, Some(&offered));
        let mut client = ministack.try_socket(request).await.expect("signed in");
        let joined = client.ask(json!({"type": "create", "name": ""})).await;
        assert_eq!(joined["name"], "J\u{fc}rgen", "{joined}");
    }

    let verify = ["verify", "--stage", "signed", "--json"];
    let verified = chatctl::run_on(&ministack, &verify).await;
    let said = String::from_utf8_lossy(&verified.stdout);
    let last = said.lines().last().expect("a result");
    let result: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(result["held"], json!(["sign-in"]), "{said}");
    assert_eq!(
        result["failed"],
        json!(["page"]),
        "nobody has published one: {said}"
    );
    let not_tried = result["not_tried"].as_array().map_or(0, Vec::len);
    assert_eq!(not_tried, 21, "{said}");

    provider.hide_keys();
    let since = Instant::now();
    // Those of before tell for some seconds that a key is not there.
    let said = loop {
        let verified = chatctl::run_on(&ministack, &verify).await;
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        if !said.contains(r#""held":["sign-in"]"#) {
            break said;
        }
        assert!(since.elapsed() < DEADLINE, "{said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(said.contains("cannot read the provider's keys"), "{said}");
}

#[tokio::test]
async fn a_deployed_chat_lets_in_the_people_of_a_cognito_user_pool_and_nobody_else() {
    let ministack = Ministack::start().await;
    let (ours, theirs) = (
        UserPool::new(&ministack).await,
        UserPool::new(&ministack).await,
    );
    let bootstrap = chatctl::packaged_bootstrap();
    let bootstrap = bootstrap.to_str().expect("a path of characters");
    let deploy = ["deploy", "--json", "--bootstrap", bootstrap];
    let deploy = [&deploy[..], &ours.arguments()].concat();
    let result = chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(result["changed"], true);

    let site = result["site"].as_str().expect("an address");
    let config = ministack.get(&format!("{site}config.json")).await;
    let config: Value = serde_json::from_slice(config.body()).expect("JSON");
    let of_cognito = "https://cognito-idp.us-east-1.amazonaws.com";
    let sign_in = json!({
        "issuer": ours.issuer,
        "clientId": ours.client,
        "authorizationEndpoint": format!("{of_cognito}/oauth2/authorize"),
        "tokenEndpoint": format!("{of_cognito}/oauth2/token"),
    });
    assert_eq!(config, json!({"server": "/dev", "signIn": sign_in}));
    let page = ministack.get(site).await;
    let policy = page.headers()["content-security-policy"].to_str();
    let may_connect = policy
        .expect("text")
        .split(';')
        .find_map(|it| it.trim().strip_prefix("connect-src "));
    let may_connect: Vec<_> = may_connect.expect("a policy").split(' ').collect();
    assert!(may_connect.contains(&of_cognito), "{may_connect:?}");

    let ann = ours.token(&ministack, "ann", "Ann Lee").await;
    let bob = ours.token(&ministack, "bob", "Bob").await;
    let stranger = theirs.token(&ministack, "ann", "Ann Lee").await;
    for websocket in [&result["websocket"], &result["direct"]] {
        let websocket = websocket.as_str().expect("an address");
        let enter = async |token: &str| {
            let offered = format!("chatctl, bearer.{token}");
            ministack
                .try_socket(handshake(websocket, Some(&offered)))
                .await
        };
        let refused = enter(&stranger).await.expect_err("a refusal");
        assert!(matches!(*refused, Error::Http(it) if it.status() == 403));
        let (mut ann, mut bob) = (
            enter(&ann).await.expect("signed in"),
            enter(&bob).await.expect("signed in"),
        );
        let joined = ann.ask(json!({"type": "create", "name": "root"})).await;
        assert_eq!(joined["name"], "Ann Lee", "{joined}");
        let join = json!({"type": "join", "room": joined["room"], "name": "root"});
        assert_eq!(bob.ask(join).await["name"], "Bob");
    }

    let again = chatctl::result_on(&ministack, &deploy).await;
    assert_eq!(again["changed"], false, "{again}");
    let nothing_said = ["deploy", "--json", "--bootstrap", bootstrap];
    let kept = chatctl::run_on(&ministack, &nothing_said).await;
    let said = String::from_utf8_lossy(&kept.stdout);
    let told = format!("kept: sign-in at `{}`", ours.issuer);
    assert!(said.contains(&told), "{said}");
    assert!(said.contains(r#""changed":false"#), "{said}");
    let websocket = result["websocket"].as_str().expect("an address");
    let stranger = ministack.try_socket(handshake(websocket, None)).await;
    assert!(stranger.is_err(), "nobody opens it by leaving out a flag");

    // The chat is told of without its provider as well, and what that would have to say is left out.
    let gone = ["--issuer", "https://login.invalid", "--audience", "c"];
    let status = [&["status", "--auth", "oidc"][..], &gone].concat();
    let status = chatctl::run_on(&ministack, &status).await;
    let (told, why) = (
        String::from_utf8_lossy(&status.stdout),
        String::from_utf8_lossy(&status.stderr),
    );
    assert_eq!(status.status.code(), Some(1), "{told}{why}");
    let not_compared = "settings      not known: the provider does not tell of itself";
    assert!(told.contains(not_compared), "{told}{why}");
    assert!(told.contains("page          the same as here"), "{told}");
    assert!(
        why.contains("could not be looked up: the template"),
        "{why}"
    );

    let anybody = [&nothing_said[..], &["--auth", "none"]].concat();
    let result = chatctl::result_on(&ministack, &anybody).await;
    let config = ministack.get(&format!("{site}config.json")).await;
    let config: Value = serde_json::from_slice(config.body()).expect("JSON");
    assert_eq!(
        config,
        json!({"server": "/dev"}),
        "without it everybody comes in again"
    );
    let websocket = result["websocket"].as_str().expect("an address");
    assert!(
        ministack
            .try_socket(handshake(websocket, None))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn where_people_sign_in_code_whose_action_function_dies_at_start_is_found_and_is_no_release()
{
    let ministack = Ministack::start().await;
    let pool = UserPool::new(&ministack).await;
    let packaged = chatctl::packaged_bootstrap().display().to_string();
    // The connect function and the authorizer do without it: strangers stay out as they should.
    let broken = Altered::without("MANAGEMENT_ENDPOINT");
    let deploy = |bootstrap: &str, timeout: &str| {
        let deploy = [
            "deploy",
            "--verify-timeout",
            timeout,
            "--bootstrap",
            bootstrap,
        ];
        let all = deploy.into_iter().chain(pool.arguments());
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let run = async |arguments: Vec<String>| {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = chatctl::run_on(&ministack, &arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let releases = async || {
        let list = ["rollback", "--list", "--json"];
        let listed = chatctl::result_on(&ministack, &list).await;
        listed["releases"].as_array().expect("a list").len()
    };
    let (code, said) = run(deploy(&packaged, "5m")).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("that strangers stay out"), "{said}");
    assert!(!said.contains("both ways"), "no message is sent: {said}");
    assert_eq!(releases().await, 1);

    // Again with nothing to change: what was not found to work is tried again.
    for _ in 0..2 {
        let (code, said) = run(deploy(&broken.path(), "20s")).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("does not work after 20s"), "{said}");
        assert!(said.contains("-ActionFunction-"), "{said}");
        assert!(said.contains("` fails: "), "{said}");
        assert!(said.contains("`chatctl rollback"), "the way back: {said}");
        assert_eq!(releases().await, 1);
    }
    let (code, said) = run(vec!["rollback".to_owned()]).await;
    assert_eq!(code, Some(0), "{said}");
}

/// A pool of Cognito's, a provider that knows nothing of `chatctl`.
struct UserPool {
    id: String,
    issuer: String,
    client: String,
}

impl UserPool {
    async fn new(ministack: &Ministack) -> Self {
        let pool = ministack.aws(
            "cognito-idp",
            "create_user_pool",
            json!({"PoolName": "people"}),
        );
        let pool = pool.await["UserPool"]["Id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let request = json!({
            "UserPoolId": pool,
            "ClientName": "chat",
            "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        });
        let client = ministack
            .aws("cognito-idp", "create_user_pool_client", request)
            .await;
        let client = client["UserPoolClient"]["ClientId"]
            .as_str()
            .expect("an id");
        Self {
            issuer: format!("https://cognito-idp.us-east-1.amazonaws.com/{pool}"),
            client: client.to_owned(),
            id: pool,
        }
    }

    fn arguments(&self) -> [&str; 6] {
        [
            "--auth",
            "oidc",
            "--issuer",
            &self.issuer,
            "--audience",
            &self.client,
        ]
    }

    /// The ID token of somebody who signs in.
    async fn token(&self, ministack: &Ministack, user: &str, name: &str) -> String {
        let password = "correct-Horse-7";
        let user = json!({"UserPoolId": self.id, "Username": user});
        let of_user = |changes: Value| but(&user, &changes);
        let create = of_user(json!({
            "MessageAction": "SUPPRESS",
            "UserAttributes": [{"Name": "name", "Value": name}],
        }));
        ministack
            .aws("cognito-idp", "admin_create_user", create)
            .await;
        let set = of_user(json!({"Password": password, "Permanent": true}));
        ministack
            .aws("cognito-idp", "admin_set_user_password", set)
            .await;
        let sign_in = json!({
            "UserPoolId": self.id,
            "ClientId": self.client,
            "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": user["Username"], "PASSWORD": password},
        });
        let signed_in = ministack
            .aws("cognito-idp", "admin_initiate_auth", sign_in)
            .await;
        let token = signed_in["AuthenticationResult"]["IdToken"].as_str();
        token.expect("an ID token").to_owned()
    }
}

/// A chat where people sign in at a provider of this machine, made as CloudFormation makes it.
async fn signed_stack(ministack: &Ministack, provider: &Provider) -> Vec<Value> {
    let deployed = ministack.aws(
        "cloudformation",
        "describe_stacks",
        json!({"StackName": "chat-dev"}),
    );
    let deployed = deployed.await["Stacks"][0]["Parameters"].clone();
    let code = deployed.as_array().expect("parameters").iter();
    let code = code.filter(|it| {
        ["CodeBucket", "CodeKey"]
            .iter()
            .any(|key| it["ParameterKey"] == *key)
    });
    let arguments = provider.arguments();
    let synth = [
        &["synth", "--format", "json", "--stage", "signed"],
        &arguments[..],
    ]
    .concat();
    let template = chatctl::run(&synth).await.stdout;
    // Without the spaces that are for people.
    let template: Value = serde_json::from_slice(&template).expect("JSON");
    let request = json!({
        "StackName": "chat-signed",
        "TemplateBody": template.to_string(),
        "Parameters": code.collect::<Vec<_>>(),
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": [{"Key": "chatctl", "Value": "chat"}],
    });
    ministack
        .aws("cloudformation", "create_stack", request)
        .await;
    let since = Instant::now();
    loop {
        let request = json!({"StackName": "chat-signed"});
        let stacks = ministack
            .aws("cloudformation", "describe_stacks", request)
            .await;
        let stack = &stacks["Stacks"][0];
        match stack["StackStatus"].as_str() {
            Some("CREATE_COMPLETE") => {
                return stack["Outputs"].as_array().expect("outputs").clone();
            }
            Some("CREATE_IN_PROGRESS") if since.elapsed() < DEADLINE => {}
            other => panic!("{other:?}: {}", ministack.log()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
