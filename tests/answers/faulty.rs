//! A server that accepts connections and has no manners.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a connection, once a request was read from it.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Nothing is ever said.
    Silence,
    /// The beginning of an answer, and then nothing.
    Stall,
    /// The beginning of an answer, and then a byte every few milliseconds, without an end.
    Drip,
    /// Half an answer.
    Cut,
    /// The end of the connection.
    Hangup,
    /// An answer that says that it is longer than anybody wants.
    Huge,
    /// Status, content type and body.
    Says(u16, &'static str, &'static str),
}

/// A server on a port of its own, until the runtime ends.
pub struct Faulty {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Faulty {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, noted.clone()));
            }
        });
        Self { port, asked }
    }

    /// The methods of requests over HTTP that would change something.
    pub fn writes(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD ")).cloned().collect()
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        read.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&read).into_owned();
        // What is not HTTP is never whole, and not answered; some drivers wait for the server to begin.
        if !text.contains("\r\n\r\n") {
            continue;
        }
        asked.lock().expect("no panic").push(text.lines().next().unwrap_or_default().to_owned());
        read.clear();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{\"a\": [";
        match manner {
            Manner::Silence => {}
            Manner::Hangup => return None,
            Manner::Cut => {
                stream.write_all(head.as_bytes()).await.ok()?;
                return None;
            }
            Manner::Stall => stream.write_all(head.as_bytes()).await.ok()?,
            Manner::Drip => {
                stream.write_all(head.as_bytes()).await.ok()?;
                loop {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    stream.write_all(b" ").await.ok()?;
                }
            }
            Manner::Huge => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000000000\r\n\r\n[";
                stream.write_all(head.as_bytes()).await.ok()?;
            }
            Manner::Says(status, kind, body) => {
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.ok()?;
            }
        }
    }
}
