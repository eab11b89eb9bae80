//! The `bootstrap` of all Lambda functions; `_HANDLER` picks the one.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use handlers::adapters::{
    self, DynamoStore, HttpKeys, ManagementOutbox, OsRandomness, SystemClock,
};
use handlers::authorize::AuthorizeEvent;
use handlers::chat::Chat;
use handlers::config::{
    ChatSettings, ConnectSettings, Environment, Function, Helper, LogSettings, Settings,
    SignInSettings,
};
use handlers::event::{ActionEvent, status};
use handlers::log::{self, Journal};
use handlers::sign_in::Verifier;
use handlers::{action, authorize, connect, disconnect};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

type Event = LambdaEvent<ApiGatewayWebsocketProxyRequest>;

fn main() -> std::process::ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(serve()),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            log::error("the bootstrap stopped", error.as_ref());
            std::process::ExitCode::FAILURE
        }
    }
}

/// Each of them is boxed: the rules' futures are as deep in one another as a compiler takes them.
async fn serve() -> Result<(), Error> {
    let environment = |name: &str| std::env::var(name).ok();
    let function = Function::read(&environment)?;
    let logs = LogSettings::read(&environment);
    let journal = &Journal::new(function, logs, log::to_stdout);
    match function {
        Function::Connect => connect(&environment, journal).await,
        Function::Disconnect => disconnect(&environment, journal).await,
        Function::Action => action(&environment, journal).await,
        Function::Authorize => authorize(&environment, journal).await,
    }
}

async fn connect(
    environment: Environment<'_>,
    journal: &Journal<impl Fn(&str)>,
) -> Result<(), Error> {
    let settings = Settings::read(environment)?;
    let more = &ConnectSettings::read(environment)?;
    let store = &DynamoStore::new(&adapters::aws_config(&settings, &[])?, &settings);
    let serving = run(service_fn(|event: Event| async move {
        let work = connect::handle(store, &SystemClock, more, &event.payload);
        journal.invocation(&event.context.request_id, work).await
    }));
    Box::pin(serving).await
}

async fn disconnect(
    environment: Environment<'_>,
    journal: &Journal<impl Fn(&str)>,
) -> Result<(), Error> {
    let chat = &chat(environment, None)?;
    let serving = run(service_fn(|event: Event| async move {
        let work = disconnect::handle(chat, &event.payload);
        journal.invocation(&event.context.request_id, work).await
    }));
    Box::pin(serving).await
}

async fn action(
    environment: Environment<'_>,
    journal: &Journal<impl Fn(&str)>,
) -> Result<(), Error> {
    let helper = Helper::read(environment)?;
    let chat = &chat(environment, helper.as_ref())?;
    let serving = run(service_fn(|event: LambdaEvent<ActionEvent>| async move {
        let work = action::handle(chat, event.payload);
        journal.invocation(&event.context.request_id, work).await
    }));
    Box::pin(serving).await
}

/// Where people sign in: nothing of the chat is needed, and nothing of it can be reached.
async fn authorize(
    environment: Environment<'_>,
    journal: &Journal<impl Fn(&str)>,
) -> Result<(), Error> {
    let settings = SignInSettings::read(environment)?;
    let keys = HttpKeys::new(&settings.authorities, settings.jwks_uri)?;
    let verifier = &Verifier::new(settings.issuer, settings.audience, keys, SystemClock);
    let serving = run(service_fn(
        |event: LambdaEvent<AuthorizeEvent>| async move {
            let mut answer = None;
            let work = async {
                answer = Some(authorize::handle(verifier, &event.payload).await?);
                Ok(status(200))
            };
            let told = journal.invocation(&event.context.request_id, work).await;
            told.map(|_| answer)
        },
    ));
    Box::pin(serving).await
}

/// What answers frames and sees connections go. With a helper it hands over what is too much for one.
fn chat(
    environment: Environment<'_>,
    helper: Option<&Helper>,
) -> Result<Chat<DynamoStore, ManagementOutbox>, Error> {
    let settings = Settings::read(environment)?;
    let more = ChatSettings::read(environment)?;
    let endpoint = more.management_endpoint.as_str();
    let endpoints: Vec<&str> = std::iter::once(endpoint)
        .chain(helper.map(|helper| helper.endpoint.as_str()))
        .collect();
    let config = adapters::aws_config(&settings, &endpoints)?;
    let chat = Chat::new(
        DynamoStore::new(&config, &settings),
        ManagementOutbox::new(&config, endpoint, helper),
        SystemClock,
        OsRandomness,
        more.history,
    )
    .with_tempo(more.tempo);
    Ok(match helper {
        Some(helper) => chat.with_share(helper.share),
        None => chat,
    })
}
