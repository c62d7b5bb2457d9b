//! A proxy in front of PostgreSQL that counts what clients ask, keeps what they send, and can break.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    queries: AtomicUsize,
    connections: AtomicUsize,
    is_down: AtomicBool,
    sent: Mutex<Vec<u8>>,
}

impl Proxy {
    /// Listens on a free port and passes on to `upstream`.
    pub async fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                if shared.is_down.load(Ordering::Relaxed) {
                    continue;
                }
                let server = TcpStream::connect(&upstream).await.expect("the server behind the proxy");
                tokio::spawn(pass(client, server, shared.clone()));
            }
        });
        Self { port, state }
    }

    /// Statements executed since the last call: simple queries, and executions of prepared ones.
    pub fn take_queries(&self) -> usize {
        self.state.queries.swap(0, Ordering::Relaxed)
    }

    /// Everything that clients have sent, after what opens a connection.
    pub fn sent(&self) -> Vec<u8> {
        self.state.sent.lock().expect("no panic").clone()
    }

    /// From now on connections end, those that are open at the next thing that is said.
    pub fn go_down(&self) {
        self.state.is_down.store(true, Ordering::Relaxed);
    }
}

async fn pass(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut is_startup = true;
    loop {
        // Frontend messages: a type, but for the first, and a length that counts itself.
        let mut header = vec![0; if is_startup { 4 } else { 5 }];
        if from_client.read_exact(&mut header).await.is_err() || state.is_down.load(Ordering::Relaxed) {
            break;
        }
        let length = u32::from_be_bytes(header[header.len() - 4..].try_into().expect("four bytes")) as usize;
        let mut body = vec![0; length - 4];
        if from_client.read_exact(&mut body).await.is_err() {
            break;
        }
        if !is_startup {
            if matches!(header[0], b'Q' | b'E') {
                state.queries.fetch_add(1, Ordering::Relaxed);
            }
            state.sent.lock().expect("no panic").extend(&body);
        }
        is_startup = false;
        if to_server.write_all(&header).await.is_err() || to_server.write_all(&body).await.is_err() {
            break;
        }
    }
    back.abort();
}
