//! A proxy in front of any server that counts round trips, keeps what clients send, and can break.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub struct TcpProxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    round_trips: AtomicUsize,
    is_down: AtomicBool,
    sent: Mutex<Vec<u8>>,
}

impl TcpProxy {
    /// Listens on a free port and passes on to `upstream`.
    pub async fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.is_down.load(Ordering::Relaxed) {
                    continue;
                }
                let server = TcpStream::connect(&upstream).await.expect("the server behind the proxy");
                tokio::spawn(pass(client, server, shared.clone()));
            }
        });
        Self { port, state }
    }

    /// Times that a client said something after the server had, since the last call.
    pub fn take_round_trips(&self) -> usize {
        self.state.round_trips.swap(0, Ordering::Relaxed)
    }

    /// Whether clients have sent these bytes.
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        self.state.sent.lock().expect("no panic").windows(bytes.len()).any(|window| window == bytes)
    }

    /// From now on connections end, those that are open at the next thing that is said.
    pub fn go_down(&self) {
        self.state.is_down.store(true, Ordering::Relaxed);
    }
}

async fn pass(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let has_answered = Arc::new(AtomicBool::new(true));
    let answering = has_answered.clone();
    let back = tokio::spawn(async move {
        let mut buffer = vec![0; 65536];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            answering.store(true, Ordering::SeqCst);
            if to_client.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
        if state.is_down.load(Ordering::Relaxed) {
            break;
        }
        if has_answered.swap(false, Ordering::SeqCst) {
            state.round_trips.fetch_add(1, Ordering::Relaxed);
        }
        state.sent.lock().expect("no panic").extend(&buffer[..length]);
        if to_server.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    back.abort();
}
