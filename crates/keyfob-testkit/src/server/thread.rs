//! The thread of a server: it accepts connections until the server stops.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::oneshot;

use crate::server::service::{self, ServerState};

/// The thread that a server runs on.
pub(crate) struct ServerThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl ServerThread {
    pub(crate) fn start(listener: TcpListener, shared: Arc<ServerState>) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("keyfob-testkit".to_owned())
            .spawn(move || run(listener, &shared, stopped))?;
        Ok(Self { stop, thread })
    }

    /// Ends the listener, every connection, and the thread.
    pub(crate) fn stop(self) {
        drop(self.stop);
        // A closure of the script may own the server, and then this runs on the thread itself, which cannot wait for itself.
        if self.thread.thread().id() != thread::current().id() {
            let _ = self.thread.join();
        }
    }
}

/// Serves until the stop sender is dropped. All connections end with it.
fn run(listener: TcpListener, shared: &Arc<ServerState>, stopped: oneshot::Receiver<()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime for the server's thread");
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            failed = accept(listener, shared) => {
                failed.expect("a listener that can be used without blocking");
            }
        }
    });
}

async fn accept(listener: TcpListener, shared: &Arc<ServerState>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely there is no file descriptor left. Another connection will end and free one.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::spawn(service::serve(Arc::clone(shared), stream, connection));
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
