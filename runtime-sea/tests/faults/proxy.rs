//! A network in between that can be made to fail.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Passes connections on to a server on this machine.
pub(crate) struct Proxy {
    port: u16,
    network: Arc<Network>,
    _ends: tokio_util::sync::DropGuard,
}

#[derive(Default)]
struct Network {
    links: Mutex<Vec<Arc<Link>>>,
    /// Every so many commits one's answer is lost with its connection; none where this is zero.
    lose_every: AtomicU32,
    commits: AtomicU32,
    lost: AtomicU32,
    listens: AtomicUsize,
    notifies: AtomicUsize,
}

/// One connection through the network.
#[derive(Default)]
struct Link {
    listens: AtomicBool,
    /// Whether nothing goes through any more, in either direction and without anybody being told.
    silent: AtomicBool,
    cut: CancellationToken,
}

impl Proxy {
    /// Stands until this is dropped.
    pub(crate) async fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = Arc::<Network>::default();
        let ends = CancellationToken::new();
        let accepting = {
            let (network, ends) = (network.clone(), ends.clone());
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let network = network.clone();
                    let ends = ends.clone();
                    tokio::spawn(async move {
                        ends.run_until_cancelled(connect(network, client, server_port))
                            .await;
                    });
                }
            }
        };
        tokio::spawn({
            let ends = ends.clone();
            async move { ends.run_until_cancelled(accepting).await }
        });
        Self {
            port,
            network,
            _ends: ends.drop_guard(),
        }
    }

    /// The address of a database, through the proxy.
    pub(crate) fn through(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("127.0.0.1:").unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        // What is encrypted cannot be told apart: MySQL offers it, and the driver would take it.
        let plain = match scheme {
            "mysql://root@" => "?ssl-mode=disabled",
            _ => "",
        };
        format!("{scheme}127.0.0.1:{}/{database}{plain}", self.port)
    }

    /// From now on, the answer to every so many commits is lost.
    pub(crate) fn lose_answers_to_commits(&self, every: u32) {
        self.network.lose_every.store(every, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub(crate) fn lost(&self) -> u32 {
        self.network.lost.load(Ordering::SeqCst)
    }

    /// How often somebody subscribed to notifications.
    pub(crate) fn listens(&self) -> usize {
        self.network.listens.load(Ordering::SeqCst)
    }

    /// How often somebody notified.
    pub(crate) fn notifies(&self) -> usize {
        self.network.notifies.load(Ordering::SeqCst)
    }

    /// The connections that listen break.
    pub(crate) fn cut_listeners(&self) {
        for link in self.links() {
            if link.listens.load(Ordering::SeqCst) {
                link.cut.cancel();
            }
        }
    }

    /// Nothing goes through the connections that listen any more. New ones work.
    pub(crate) fn silence_listeners(&self) {
        for link in self.links() {
            if link.listens.load(Ordering::SeqCst) {
                link.silent.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Nothing goes through any connection that there is. New ones work.
    pub(crate) fn silence(&self) {
        for link in self.links() {
            link.silent.store(true, Ordering::SeqCst);
        }
    }

    fn links(&self) -> Vec<Arc<Link>> {
        self.network.links.lock().unwrap().clone()
    }
}

async fn connect(network: Arc<Network>, client: TcpStream, server_port: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let link = Arc::<Link>::default();
    network.links.lock().unwrap().push(link.clone());
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = forth(&network, &link, from_client, to_server);
    let back = back(&link, from_server, to_client);
    tokio::select! {
        () = there => {}
        () = back => {}
        () = link.cut.cancelled() => {}
    }
}

async fn forth(network: &Network, link: &Link, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..read];
        if link.silent.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        if contains(bytes, b"LISTEN ") {
            link.listens.store(true, Ordering::SeqCst);
            network.listens.fetch_add(1, Ordering::SeqCst);
        }
        if contains(bytes, b"NOTIFY ") {
            network.notifies.fetch_add(1, Ordering::SeqCst);
        }
        // Not the isolation level `READ COMMITTED`.
        let is_commit = contains(bytes, b"COMMIT") && !contains(bytes, b"COMMITTED");
        let loses = is_commit && {
            let every = network.lose_every.load(Ordering::SeqCst);
            let commits = network.commits.fetch_add(1, Ordering::SeqCst) + 1;
            every > 0 && commits.is_multiple_of(every)
        };
        // Before the server can answer.
        link.silent.fetch_or(loses, Ordering::SeqCst);
        if to.write_all(bytes).await.is_err() {
            return;
        }
        if loses {
            network.lost.fetch_add(1, Ordering::SeqCst);
            // The server gets time to read it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            return;
        }
    }
}

async fn back(link: &Link, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if link.silent.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|it| it == text)
}
