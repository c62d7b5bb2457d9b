//! A proxy in front of an API server that notes what is asked, and can answer in its place.

use std::sync::{Arc, Mutex};

use kube::client::Body;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request.
pub enum Fate {
    Pass,
    /// Answered without asking the server: the status line's rest, further headers, the body.
    Answer(&'static str, &'static str, String),
    /// The server's answer ends in the middle.
    Cut,
}

pub struct ApiProxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

type Decide = dyn Fn(&str) -> Fate + Send + Sync;

impl ApiProxy {
    /// Listens on a free port, without TLS, and passes on with the credentials of `client`. `decide` is asked about every
    /// `METHOD /path?query`.
    pub async fn start(client: kube::Client, decide: impl Fn(&str) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, decide): (_, Arc<Decide>) = (asked.clone(), Arc::new(decide));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, client.clone(), noted.clone(), decide.clone()));
            }
        });
        Self { port, asked }
    }

    /// What was asked since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

/// Answers one connection's requests; ends it at the first thing that it does not understand.
async fn serve(
    stream: TcpStream,
    client: kube::Client,
    asked: Arc<Mutex<Vec<String>>>,
    decide: Arc<Decide>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut request = http::Request::builder().method(method.as_str()).uri(&path);
        let mut length = 0;
        loop {
            let mut header = String::new();
            lines.read_line(&mut header).await.ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "accept" | "content-type" => request = request.header(name, value.trim()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).await.ok()?;
        let summary = format!("{method} {path}");
        asked.lock().expect("no panic").push(summary.clone());
        let (status, headers, body, cut) = match decide(&summary) {
            Fate::Answer(status, headers, body) => (status.to_owned(), headers.to_owned(), body.into_bytes(), false),
            fate => {
                let answer = client.send(request.body(Body::from(body)).ok()?).await.ok()?;
                let status = answer.status().to_string();
                let body = answer.into_body().collect_bytes().await.ok()?.to_vec();
                (status, String::new(), body, matches!(fate, Fate::Cut))
            }
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        write.write_all(head.as_bytes()).await.ok()?;
        if cut {
            write.write_all(&body[..body.len() / 2]).await.ok()?;
            return None;
        }
        write.write_all(&body).await.ok()?;
    }
}
