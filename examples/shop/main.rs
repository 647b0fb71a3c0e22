//! A small traced web shop for browser tests.
//!
//! Two services run in this process, each on its own port: `shop` serves the pages and their JSON API, and asks `pricing` for prices
//! over HTTP. Both trace requests as an instrumented backend does. Both also record what they receive, so that a test can compare it with
//! what a browser sent:
//!
//! - `GET /_received`: all requests as JSON
//! - `GET /_received.txt`: their number for each trace
//!
//! If OpenTelemetry's variables name a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`), both export their spans to it.
//!
//! The only line on stdout, `shop http://127.0.0.1:PORT`, means that both services listen.

mod assets;
mod basket;
mod catalog;
mod export;
mod pricing;
mod record;
mod span;
mod storefront;
mod traceparent;
mod upstream;

use std::io::Write;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::net::TcpListener;
use tracing::Level;

use record::Record;
use span::Tracer;
use upstream::Upstream;

/// Serves a small traced web shop until it is killed.
#[derive(Parser)]
struct Args {
    /// Address at which the shop listens
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,

    /// Port of the shop; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Port of the pricing service behind it; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    pricing_port: u16,

    /// Ends by itself after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    lifetime: Option<u64>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let record = Record::default();
    // The SDK logs failed exports.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(Level::WARN).init();

    let pricing = TcpListener::bind(("127.0.0.1", args.pricing_port)).await?;
    let upstream = Upstream::new(pricing.local_addr()?);
    let shop = TcpListener::bind((args.address, args.port)).await?;
    let url = format!("http://{}", shop.local_addr()?);

    let tracers = [Tracer::new("pricing", record.clone())?, Tracer::new("shop", record.clone())?];
    close_on_signals(tracers.clone())?;
    let [for_pricing, for_shop] = tracers.clone();
    let prices = pricing::router(for_pricing);
    let store = storefront::router(for_shop, upstream).merge(record::router(record));

    // Both sockets listen already, so a client can connect as soon as it reads this line.
    let mut stdout = std::io::stdout();
    writeln!(stdout, "shop {url}")?;
    stdout.flush()?;

    let served =
        async { tokio::try_join!(axum::serve(pricing, prices).into_future(), axum::serve(shop, store).into_future(),) };
    match args.lifetime {
        Some(seconds) => {
            let _ = tokio::time::timeout(Duration::from_secs(seconds), served).await;
        }
        None => {
            served.await?;
        }
    }
    tracers.iter().for_each(Tracer::close);
    Ok(())
}

/// Makes signals end the process only after the last spans are exported.
fn close_on_signals(tracers: [Tracer; 2]) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for signal in &mut signals {
            tracers.iter().for_each(Tracer::close);
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(())
}
