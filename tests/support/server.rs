//! A small HTTP server that a test answers for, request by request, and that can break off in the middle.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub cut: Cut,
}

/// Where an answer breaks off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    #[default]
    Nowhere,
    BeforeIt,
    HalfWay,
}

type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Handler = Arc<dyn Fn(Asked) -> Answering + Send + Sync>;

/// A server on a port of its own, until it is dropped.
pub struct Server {
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The parameters of a query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Reply {
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes(), cut: Cut::Nowhere }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Server {
    pub async fn start<F: Future<Output = Reply> + Send + 'static>(
        answer: impl Fn(Asked) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let handler: Handler = Arc::new(move |asked| Box::pin(answer(asked)));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(TokioIo::new(stream), handler.clone()));
            }
        });
        Self { url, task }
    }
}

/// Answers the requests of one connection, over whatever it runs.
pub async fn converse<I: hyper::rt::Read + hyper::rt::Write + Unpin>(io: I, handler: Handler) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move { respond(request, &handler).await }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

type Body = http_body_util::combinators::BoxBody<Bytes, std::io::Error>;

async fn respond(request: Request<Incoming>, handler: &Handler) -> Result<Response<Body>, std::io::Error> {
    let broken = || std::io::Error::other("broken off");
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| broken())?.to_bytes().to_vec();
    let headers = parts.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let reply = handler(Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body,
    })
    .await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let body: Body = match reply.cut {
        Cut::BeforeIt => return Err(broken()),
        Cut::Nowhere => Full::new(Bytes::from(reply.body)).map_err(|never: Infallible| match never {}).boxed(),
        Cut::HalfWay => {
            let half = Bytes::from(reply.body[..reply.body.len() / 2].to_vec());
            let half = futures::stream::iter([Ok(Frame::data(half))]);
            // What was said so far has to be on its way before the end.
            let end = futures::stream::once(async move {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                Err(broken())
            });
            http_body_util::BodyExt::boxed(StreamBody::new(Box::pin(half.chain(end))))
        }
    };
    Ok(response.body(body).expect("a response"))
}

/// Sends a request on to another server on this machine, such as `http://127.0.0.1:4242`.
pub async fn pass_on(upstream: &str, asked: &Asked) -> Reply {
    let authority = upstream.trim_start_matches("http://");
    let stream = TcpStream::connect(authority).await.expect("the server behind it");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let query = if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) };
    let mut request = Request::builder().method(asked.method.as_str()).uri(format!("{}{query}", asked.path));
    for (name, value) in asked.headers.iter().filter(|(name, _)| name != "host" && name != "content-length") {
        request = request.header(name, value);
    }
    let request = request.header("host", authority).body(Full::new(Bytes::from(asked.body.clone())));
    let response = sender.send_request(request.expect("a request")).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let headers = parts.headers.iter().filter(|(name, _)| *name != "content-length" && *name != "transfer-encoding");
    Reply {
        status: parts.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body.collect().await.expect("a whole answer").to_bytes().to_vec(),
        cut: Cut::Nowhere,
    }
}
