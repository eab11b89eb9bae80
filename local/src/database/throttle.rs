//! Stands in front of the database, where it is to be throttled on purpose: answers some requests
//! as DynamoDB does to those beyond a table's throughput, and hands on all others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::faults::Dice;
use crate::template::Table;

/// A pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Throttles requests now and then.
#[derive(Clone)]
pub(super) struct Throttle {
    dice: Arc<Dice>,
    refusal: &'static Refusal,
}

/// How DynamoDB refuses a request.
struct Refusal {
    kind: &'static str,
    message: &'static str,
}

/// AWS's Developer Guide, “Throttling issues for DynamoDB tables using on-demand mode”.
const ON_DEMAND: Refusal = Refusal {
    kind: "com.amazon.coral.availability#ThrottlingException",
    message: "Throughput exceeds the current capacity of your table or index. DynamoDB is \
              automatically scaling your table or index so please try again shortly. If exceptions \
              persist, check if you have a hot key: https://docs.aws.amazon.com/amazondynamodb/\
              latest/developerguide/bp-partition-key-design.html",
};

/// AWS's Developer Guide, “Error handling with DynamoDB”.
const PROVISIONED: Refusal = Refusal {
    kind: "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    message: "The level of configured provisioned throughput for the table was exceeded. Consider \
              increasing your provisioning level with the UpdateTable API.",
};

type Body = Either<Incoming, Full<Bytes>>;

impl Throttle {
    /// In the words for tables that are paid by request, where all are.
    pub(super) fn new(tables: &[Table], dice: &Arc<Dice>) -> Self {
        let on_demand = tables
            .iter()
            .all(|table| table.request["BillingMode"] == "PAY_PER_REQUEST");
        Self {
            dice: Arc::clone(dice),
            refusal: if on_demand { &ON_DEMAND } else { &PROVISIONED },
        }
    }

    /// Serves one connection, by one to the database.
    async fn pass(self, client: TcpStream, behind: SocketAddr) {
        drop(client.set_nodelay(true));
        let Ok(database) = TcpStream::connect(behind).await else {
            return;
        };
        drop(database.set_nodelay(true));
        let Ok((sender, connection)) =
            hyper::client::conn::http1::handshake(TokioIo::new(database)).await
        else {
            return;
        };
        let sender = Mutex::new(sender);
        let service = service_fn(|request| self.answer(request, &sender));
        let server = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(client), service);
        // Whichever ends, the function's SDK sees its connection end and makes another.
        tokio::select! {
            _ = server => {}
            _ = connection => {}
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        database: &Mutex<SendRequest<Full<Bytes>>>,
    ) -> Result<Response<Body>, hyper::Error> {
        // Read in full in either case: what follows on the connection is the next request.
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        if self.dice.db_throttle() {
            let response = self.refusal.response();
            return Ok(response.map(Either::Right));
        }
        let request = Request::from_parts(head, Full::new(body));
        let mut database = database.lock().await;
        database.ready().await?;
        let response = database.send_request(request).await?;
        Ok(response.map(Either::Left))
    }
}

impl Refusal {
    fn response(&self) -> Response<Full<Bytes>> {
        let body = json!({"__type": self.kind, "message": self.message});
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-amz-json-1.0"),
        );
        let id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

/// Serves for as long as it is polled; without a throttle it waits.
pub(super) async fn serve(front: Option<(Throttle, std::net::TcpListener)>, behind: SocketAddr) {
    let Some((throttle, listener)) = front else {
        return std::future::pending().await;
    };
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(throttle.clone().pass(client, behind));
            }
            // The likely reason, no free file descriptors, passes by itself.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
