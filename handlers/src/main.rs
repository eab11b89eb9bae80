//! The `bootstrap` of all three Lambda functions; `_HANDLER` picks the one.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use handlers::adapters::{self, DynamoStore, ManagementOutbox, OsRandomness, SystemClock};
use handlers::chat::Chat;
use handlers::config::{self, ChatSettings, Function, LogSettings, Settings};
use handlers::log::{self, Journal};
use handlers::{action, connect, disconnect};
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

async fn serve() -> Result<(), Error> {
    let environment = |name: &str| std::env::var(name).ok();
    let settings = Settings::read(&environment)?;
    let logs = LogSettings::read(&environment);
    let journal = &Journal::new(settings.function, logs, log::to_stdout);
    match settings.function {
        Function::Connect => {
            let store = &DynamoStore::new(&adapters::aws_config(&settings, &[])?, &settings);
            run(service_fn(|event: Event| async move {
                let work = connect::handle(store, &SystemClock, &event.payload);
                journal.invocation(&event.context.request_id, work).await
            }))
            .await
        }
        Function::Disconnect => {
            let chat = &chat(&settings, &environment)?;
            run(service_fn(|event: Event| async move {
                let work = disconnect::handle(chat, &event.payload);
                journal.invocation(&event.context.request_id, work).await
            }))
            .await
        }
        Function::Action => {
            let chat = &chat(&settings, &environment)?;
            run(service_fn(|event: Event| async move {
                let work = action::handle(chat, &event.payload);
                journal.invocation(&event.context.request_id, work).await
            }))
            .await
        }
    }
}

fn chat(
    settings: &Settings,
    environment: config::Environment<'_>,
) -> Result<Chat<DynamoStore, ManagementOutbox>, Error> {
    let more = ChatSettings::read(environment)?;
    let config = adapters::aws_config(settings, &[&more.management_endpoint])?;
    Ok(Chat::new(
        DynamoStore::new(&config, settings),
        ManagementOutbox::new(&config, &more.management_endpoint),
        SystemClock,
        OsRandomness,
        more.history,
    ))
}
