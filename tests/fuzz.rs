//! Feeds the host a million random and mutated frames: it must neither crash nor hang nor take more memory than the cap on a frame accounts
//! for.
//!
//! `NAVTRACE_FUZZ_SEED` repeats a run; a failure prints the seed.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use navtrace::testing::Policy;
use navtrace::testing::Session;
use navtrace::testing::SessionContext;
use navtrace::testing::WantedMode;
use navtrace::testing::{Conversation, HostEvent, serve};
use navtrace::testing::{FrameError, MAX_FRAME};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};

const FRAMES: usize = 1_000_000;

/// A frame of the longest kind, a string in it while its escapes are resolved (a buffer that doubles as it grows) and once they are, the
/// frame before it, and the answers.
const MOST_MEMORY: usize = 4 * MAX_FRAME;

/// Frames that come over one channel, if none of them ends it.
const FRAMES_OF_A_CHANNEL: usize = 10;

/// A host that takes longer over one channel hangs.
const HANG: Duration = Duration::from_secs(60);

/// Counts what is allocated, so that the test sees every byte that the host takes.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    let live = LIVE.fetch_add(by, Ordering::Relaxed) + by;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FIXTURES: [&str; 5] = [
    include_str!("fixtures/messages/hello.json"),
    include_str!("fixtures/messages/hello-resume.json"),
    include_str!("fixtures/messages/armed.json"),
    include_str!("fixtures/messages/observed.json"),
    include_str!("fixtures/messages/replenish.json"),
];

/// Bytes that JSON and UTF-8 take a different turn at.
const TELLING: &[u8] = b"\"\\{}[]:,.-+eE0123456789ntu \x00\x7f\x80\xc3\xff";

fn mutated(rng: &mut StdRng) -> Vec<u8> {
    let mut body = FIXTURES.choose(rng).unwrap().trim_end().as_bytes().to_vec();
    for _ in 0..rng.random_range(0..6) {
        let at = rng.random_range(0..=body.len());
        match rng.random_range(0..4) {
            0 if at < body.len() => body[at] = *TELLING.choose(rng).unwrap(),
            1 => body.insert(at, *TELLING.choose(rng).unwrap()),
            2 => body.truncate(at),
            _ => {
                let end = rng.random_range(at..=body.len());
                let piece = body[at..end].to_vec();
                body.splice(at..at, piece);
            }
        }
    }
    body
}

fn random(rng: &mut StdRng, most: usize) -> Vec<u8> {
    let mut body = vec![0; rng.random_range(0..=most)];
    rng.fill_bytes(&mut body);
    body
}

/// Bodies that are as long as the cap allows and made to be costly.
fn costly(rng: &mut StdRng) -> Vec<u8> {
    let (start, piece, end): (&str, &str, &str) = *[
        (r#"{"v":1,"type":"hello","x":["#, "0,", "0]}"),
        ("", "[", ""),
        ("", r#"{"v":"#, ""),
        (r#"{"v":1,"type":"hello","offTheRecord":true,"session":null,"extension":""#, r"\n", r#""}"#),
        (r#"{"v":1,"type":""#, "é", r#""}"#),
    ]
    .choose(rng)
    .unwrap();
    let count = (MAX_FRAME - start.len() - end.len()) / piece.len();
    [start, &piece.repeat(count), end].concat().into_bytes()
}

fn frame(rng: &mut StdRng) -> Vec<u8> {
    let body = match rng.random_range(0..100_000) {
        0..10 => costly(rng),
        10..20_000 => random(rng, 200),
        _ => mutated(rng),
    };
    let length = match rng.random_range(0..1000) {
        // A frame that lies about its length ends the channel.
        0 => rng.next_u32(),
        _ => u32::try_from(body.len()).unwrap(),
    };
    [&length.to_ne_bytes(), body.as_slice()].concat()
}

fn session() -> SessionContext {
    let context = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":"01"}"#;
    serde_json::from_str(context).unwrap()
}

#[test]
fn a_million_frames() {
    let seed = std::env::var("NAVTRACE_FUZZ_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("NAVTRACE_FUZZ_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut fed, mut accepted, mut rejected, mut ended, mut spans) = (0, 0, 0, 0, 0);
    let mut most = 0;
    while fed < FRAMES {
        let input: Vec<u8> = (0..FRAMES_OF_A_CHANNEL).flat_map(|_| frame(&mut rng)).collect();
        let output = Mutex::new(Vec::new());
        let mut account = Session::new(session(), None, 0);
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let start = Instant::now();
        let served = serve(
            &mut input.as_slice(),
            &output,
            Conversation::new(Policy::default(), WantedMode::Auto, None),
            |event| {
                match event {
                    HostEvent::Rejected(_) => rejected += 1,
                    HostEvent::Observed(observed) => {
                        accepted += 1;
                        // Whatever is said is taken, and comes to spans.
                        spans += account.observe(&observed).len();
                    }
                    _ => accepted += 1,
                }
                None
            },
        );
        let output = output.into_inner().unwrap();
        // What the answers take is the test's own, which keeps them.
        most = most.max((PEAK.load(Ordering::Relaxed) - before).saturating_sub(2 * output.capacity()));
        assert!(start.elapsed() < HANG, "one channel took {:?}", start.elapsed());
        match served {
            Ok(()) => {}
            Err(FrameError::CutOff { .. } | FrameError::TooLong(_)) => ended += 1,
            Err(FrameError::Io(error)) => panic!("memory does not fail: {error}"),
        }
        fed += FRAMES_OF_A_CHANNEL;
    }
    println!(
        "{fed} frames: {accepted} events, {spans} spans, {rejected} rejected, {ended} channels ended; at most {most} bytes at once"
    );
    assert!(most <= MOST_MEMORY, "the host took {most} bytes");
    // A generator that makes nothing but noise, or nothing but good frames, tests nothing.
    assert!(accepted > FRAMES / 20 && rejected > FRAMES / 20 && ended > 100 && spans > 100);
}
