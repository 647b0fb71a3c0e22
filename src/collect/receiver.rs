//! The server: OTLP over HTTP and gRPC, usually on loopback ports, each of which takes both.
//!
//! Its memory is bounded: connections and large bodies are limited in number, bodies in size and time, and one body at a time is decoded.
//! A slow client delays no other client.

mod connection;
mod cors;
pub(crate) mod direct;
pub(crate) mod requests;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, MutexGuard, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use std::{io, iter};

use axum::Router;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

use crate::base::failure::{ExitCode, Failure};
use crate::base::{lock, lock_within, threads};
use crate::collect::contents::Contents;
use crate::collect::expected::{BATCH, MissingSpans};
use crate::collect::receiver::requests::{Shared, Unread};
use crate::collect::store::TraceFileWriter;

/// OTLP's port for HTTP.
pub(crate) const PORT: u16 = 4318;

/// OTLP's port for gRPC.
const GRPC_PORT: u16 = 4317;

/// The number of connections to serve at once; further ones wait.
const MAX_CONNECTIONS: usize = 256;

/// Pause after a failed accept. Failures are mostly due to too many open files, which are closed as connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Pause before missing spans are looked for again: a request may have become too old meanwhile.
const MISSING_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for open requests when the server stops.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// How long to wait for what is being written after a signal that ends the wait.
pub(crate) const LAST_WRITE: Duration = Duration::from_millis(500);

/// Listens on the named address, or else on OTLP's ports on loopback, or any port if that for HTTP is taken.
///
/// The first listener is for HTTP and gRPC alike. Where the port for gRPC is taken, services reach only the first.
pub(crate) fn bind(named: Option<SocketAddr>) -> io::Result<Vec<TcpListener>> {
    if let Some(address) = named {
        return Ok(vec![TcpListener::bind(address)?]);
    }
    let Ok(http) = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)) else {
        return Ok(vec![TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?]);
    };
    Ok(iter::once(http).chain(TcpListener::bind((Ipv4Addr::LOCALHOST, GRPC_PORT))).collect())
}

/// A running collector.
#[derive(Debug)]
pub(crate) struct Collector {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    /// Lets the thread begin.
    permit: mpsc::Sender<()>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The result of a collector that has stopped.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) contents: Contents,
    /// The number of spans that could not be written.
    pub(crate) lost: usize,
    pub(crate) unread: Unread,
    /// Whether a signal ended the wait for a write that did not end.
    pub(crate) is_stuck: bool,
    /// The spans of services that were waited for and have not arrived.
    pub(crate) missing: MissingSpans,
}

impl Collector {
    /// Serves in a thread of its own, once [`Self::begin`] is called. Passes problems to `on_problem`, each kind once.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses a thread or further open files. Then a file that was made for this collector is removed.
    pub(crate) fn start(
        listeners: Vec<TcpListener>,
        store: TraceFileWriter,
        on_problem: fn(&str),
    ) -> Result<Self, Failure> {
        let shared = Arc::new(Shared::new(store, on_problem));
        let started = Self::start_server(listeners, &shared);
        started.inspect_err(|_| lock(&shared.store).remove_if_new())
    }

    fn start_server(listeners: Vec<TcpListener>, shared: &Arc<Shared>) -> Result<Self, Failure> {
        let shared = Arc::clone(shared);
        let addresses =
            listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>().map_err(not_received)?;
        let (runtime, listeners) = prepare_server(listeners).map_err(not_received)?;
        let (stop, stopped) = oneshot::channel();
        let (permit, may_begin) = mpsc::channel();
        let (for_server, for_thread) = (Arc::clone(&shared), Arc::clone(&shared));
        let thread = threads::start("collector", move || {
            // Until then clients wait in the listener's queue.
            if may_begin.recv().is_err() {
                return;
            }
            runtime.block_on(async {
                let router = requests::router(for_server);
                let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
                for listener in listeners {
                    tokio::spawn(serve(listener, router.clone(), Arc::clone(&connections)));
                }
                let _ = stopped.await;
            });
            // A client that never stops sending must not keep the server running.
            let is_cut_short = lock(&for_thread.activity).is_cut_short;
            runtime.shutdown_timeout(if is_cut_short { LAST_WRITE } else { LAST_REQUESTS });
        })?;
        Ok(Self { addresses, shared, permit, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the endpoints for OTLP's settings, such as `http://127.0.0.1:4318`. The first is for every protocol.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| {
            let mut address = *address;
            // A server that listens on all addresses is reached on loopback.
            match address {
                SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
                _ => {}
            }
            format!("http://{address}")
        })
    }

    /// Empties the file and lets clients in, even if the file can't be emptied.
    pub(crate) fn begin(&self) -> io::Result<()> {
        let emptied = lock(&self.shared.store).begin();
        let _ = self.permit.send(());
        emptied
    }

    /// Returns a handle for another thread.
    pub(crate) fn handle(&self) -> CollectorHandle {
        CollectorHandle(Arc::clone(&self.shared))
    }

    /// Returns the number of spans so far.
    pub(crate) fn spans(&self) -> usize {
        lock(&self.shared.contents).spans
    }

    /// Waits until nothing has arrived for `quiet`, `timeout` has passed, or [`CollectorHandle::stop_waiting`] is called. Then stops and returns what was collected.
    ///
    /// With `for_services` it also waits for the spans that services are known to send, for the time of a batch at most.
    pub(crate) fn finish(mut self, quiet: Duration, timeout: Duration, for_services: bool) -> Collected {
        let (began, began_at) = (Instant::now(), SystemTime::now());
        loop {
            let elapsed = began.elapsed();
            let is_missing = for_services
                && elapsed < BATCH
                && self.store().is_some_and(|store| !store.missing(SystemTime::now()).is_empty());
            let activity = lock(&self.shared.activity);
            // Spans that the command sent last may arrive after its end, so wait at least `quiet` from now.
            let idle = activity.latest.max(began).elapsed();
            let is_quiet = (activity.requests == 0 && idle >= quiet) || elapsed >= timeout;
            if (is_quiet && !is_missing) || activity.is_cut_short {
                break;
            }
            let left = if is_missing { MISSING_PAUSE } else { quiet.saturating_sub(idle) };
            let _ = self.shared.changed.wait_timeout(activity, left.max(Duration::from_millis(1)));
        }
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let store = self.store();
        let missing = store.as_ref().filter(|_| for_services).map(|store| store.missing(began_at)).unwrap_or_default();
        Collected {
            contents: lock(&self.shared.contents).clone(),
            lost: store.as_ref().map_or(0, |store| store.lost()),
            unread: *lock(&self.shared.unread),
            is_stuck: store.is_none(),
            missing,
        }
    }

    /// Locks the store. Returns `None` if a write keeps it locked when [`CollectorHandle::stop_waiting`] has been called.
    fn store(&self) -> Option<MutexGuard<'_, TraceFileWriter>> {
        loop {
            // A signal during the wait cuts it short too.
            let is_cut_short = lock(&self.shared.activity).is_cut_short;
            let store = lock_within(&self.shared.store, LAST_WRITE);
            if store.is_some() || is_cut_short {
                return store;
            }
        }
    }
}

/// Ends a collector from another thread.
#[derive(Debug, Clone)]
pub(crate) struct CollectorHandle(Arc<Shared>);

impl CollectorHandle {
    /// Ends the wait for further spans.
    pub(crate) fn stop_waiting(&self) {
        lock(&self.0.activity).is_cut_short = true;
        self.0.changed.notify_all();
    }

    /// Removes the file if it was made for this collector.
    pub(crate) fn remove_new_file(&self) {
        lock(&self.0.store).remove_if_new();
    }

    /// Leaves a file with whole lines, or none if no span has arrived. Nothing is written from then on, unless the disk is stuck.
    pub(crate) fn end_at_once(&self) {
        if let Some(store) = lock_within(&self.0.store, LAST_WRITE) {
            if lock(&self.0.contents).spans == 0 {
                store.remove_if_new();
            }
            std::mem::forget(store);
        }
    }
}

fn not_received(error: io::Error) -> Failure {
    Failure::new(ExitCode::Failure, "spans can't be received").because(error)
}

/// Makes the server's runtime and listeners.
fn prepare_server(listeners: Vec<TcpListener>) -> io::Result<(Runtime, Vec<tokio::net::TcpListener>)> {
    // With a single blocking thread, only one body at a time is decoded.
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let listeners = {
        let _inside = runtime.enter();
        let asynchronous = |listener: TcpListener| {
            listener.set_nonblocking(true)?;
            tokio::net::TcpListener::from_std(listener)
        };
        listeners.into_iter().map(asynchronous).collect::<io::Result<_>>()?
    };
    Ok((runtime, listeners))
}

async fn serve(listener: tokio::net::TcpListener, router: Router, connections: Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let router = router.clone();
        tokio::spawn(async move {
            if let Err(error) = connection::serve(stream, router).await {
                tracing::debug!("a connection ended: {error}");
            }
            drop(permit);
        });
    }
}
