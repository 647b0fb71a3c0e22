//! Finds services whose clock is off: their spans are outside of the requests that they answer, always by the same time. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::view::parents::Parent;
use crate::view::parsed::ParsedSpan;

/// Nanoseconds. Clocks of different machines, and of a browser and a service, differ by less without being off.
const USUAL: i128 = 5_000_000;

/// How many spans must end after the request that they answer: one alone may go on after the client has given up.
const MIN_LATE_ENDS: usize = 3;

/// A service whose clock is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) service: String,
    /// The service at the top of the trace.
    pub(super) reference: String,
    /// Nanoseconds by which the service is ahead of the reference; negative if it is behind.
    pub(super) ahead: i128,
}

impl Clock {
    pub(super) fn sentence(&self) -> String {
        let Self { service, reference, ahead } = self;
        let direction = if *ahead > 0 { "ahead of" } else { "behind" };
        format!("the clock of {service} is {} {direction} that of {reference}", amount(ahead.unsigned_abs()))
    }
}

fn amount(nanos: u128) -> String {
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let seconds = nanos as f64 / 1e9;
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        ..120.0 => format!("{seconds:.2} s"),
        ..7200.0 => format!("{:.1} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.0} d", seconds / 86400.0),
    }
}

/// How far the clock of a server may be ahead of its client's, seen from one call.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    low: i128,
    high: i128,
    /// Whether the server's span begins outside of the client's.
    starts_outside: bool,
}

impl Bounds {
    /// The server's span must lie within the client's. Returns nothing for a span that is longer, if it overlaps the client's.
    fn of(client: &ParsedSpan, server: &ParsedSpan) -> Option<Self> {
        let is_sound = |span: &ParsedSpan| span.start > 0 && span.end >= span.start;
        if !is_sound(client) || !is_sound(server) {
            return None;
        }
        let after = |a: u64, b: u64| i128::from(a) - i128::from(b);
        let high = after(server.start, client.start);
        let low = after(server.end, client.end);
        let starts_outside = high < -USUAL || after(server.start, client.end) > USUAL;
        if low <= high {
            Some(Self { low, high, starts_outside })
        } else {
            starts_outside.then_some(Self { low: high, high, starts_outside })
        }
    }

    fn allows(self, ahead: i128) -> bool {
        let tolerance = USUAL.max(ahead.abs() / 20);
        (self.low - tolerance..=self.high + tolerance).contains(&ahead)
    }
}

/// Returns the services whose clocks are off, by name.
pub(super) fn clocks(spans: &[ParsedSpan], parents: &[Parent]) -> Vec<Clock> {
    let mut calls: BTreeMap<(&str, &str), Vec<Bounds>> = BTreeMap::new();
    for (server, parent) in spans.iter().zip(parents) {
        let Some(client) = parent.index().map(|index| &spans[index]) else { continue };
        if client.kind == "client" && server.kind == "server" && client.service != server.service {
            calls.entry((&client.service, &server.service)).or_default().extend(Bounds::of(client, server));
        }
    }
    let mut neighbours: HashMap<&str, Vec<(&str, i128)>> = HashMap::new();
    for ((client, server), bounds) in calls {
        let ahead = constant(&bounds);
        neighbours.entry(client).or_default().push((server, ahead));
        neighbours.entry(server).or_default().push((client, -ahead));
    }
    let top = |wanted: fn(&Parent) -> bool| parents.iter().position(wanted).map(|index| spans[index].service.as_str());
    let Some(reference) = top(|parent| *parent == Parent::None).or_else(|| top(|parent| parent.index().is_none()))
    else {
        return Vec::new();
    };
    let mut known = BTreeMap::from([(reference, 0)]);
    let mut pending = VecDeque::from([reference]);
    while let Some(service) = pending.pop_front() {
        for (other, ahead) in neighbours.remove(service).unwrap_or_default() {
            if !known.contains_key(other) {
                known.insert(other, known[service] + ahead);
                pending.push_back(other);
            }
        }
    }
    let is_off = |(_, ahead): &(&str, i128)| ahead.abs() > USUAL;
    let clock =
        |(service, ahead): (&str, i128)| Clock { service: service.to_owned(), reference: reference.to_owned(), ahead };
    known.into_iter().filter(is_off).map(clock).collect()
}

/// Returns by how much a server's clock is ahead, if most of its calls show the same, else 0.
fn constant(calls: &[Bounds]) -> i128 {
    let count = |wanted: &dyn Fn(&Bounds) -> bool| calls.iter().filter(|bounds| wanted(bounds)).count();
    let late_ends = count(&|bounds| bounds.low > USUAL);
    if count(&|bounds| bounds.starts_outside) == 0 && late_ends < MIN_LATE_ENDS {
        return 0;
    }
    let low = calls.iter().map(|bounds| bounds.low).max().unwrap_or(0);
    let high = calls.iter().map(|bounds| bounds.high).min().unwrap_or(0);
    let ahead = if low <= high {
        i128::midpoint(low, high)
    } else {
        let mut middles: Vec<i128> = calls.iter().map(|bounds| i128::midpoint(bounds.low, bounds.high)).collect();
        middles.sort_unstable();
        middles[middles.len() / 2]
    };
    let is_usual = count(&|bounds| bounds.allows(0)) * 4 > calls.len();
    let is_constant = count(&|bounds| bounds.allows(ahead)) * 4 >= calls.len() * 3;
    if is_constant && !is_usual { ahead } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds the clocks of a trace from calls of `web`, given as client's start and end, server's start and end, in milliseconds.
    fn found(calls: &[(u64, u64, u64, u64)]) -> Vec<(String, i128)> {
        let span = |kind, service: &str, start: u64, end: u64| ParsedSpan {
            kind,
            service: service.to_owned(),
            start: (1_000_000 + start) * 1_000_000,
            end: (1_000_000 + end) * 1_000_000,
            ..ParsedSpan::default()
        };
        let mut spans = vec![span("internal", "web", 0, 10_000)];
        let mut parents = vec![Parent::None];
        for (start, end, server_start, server_end) in calls {
            parents.extend([Parent::Span(0), Parent::Span(spans.len()), Parent::Span(spans.len() + 1)]);
            spans.push(span("client", "web", *start, *end));
            spans.push(span("server", "shop", *server_start, *server_end));
            spans.push(span("client", "shop", *server_start, *server_end));
            // The service behind has the same clock as the shop.
            parents.push(Parent::Span(spans.len() - 1));
            spans.push(span("server", "stock", *server_start + 1, server_end.saturating_sub(1)));
        }
        clocks(&spans, &parents).into_iter().map(|clock| (clock.service, clock.ahead / 1_000_000)).collect()
    }

    #[test]
    fn a_clock_is_off_if_its_spans_are_outside_by_a_constant() {
        for (calls, expected) in [
            (&[(0, 100, 10, 90)][..], &[][..]),
            // Ahead, and behind; so is the service behind it.
            (&[(0, 100, 510, 590)], &[500]),
            (&[(500, 600, 10, 90), (700, 900, 230, 380)], &[-500]),
            // Longer than the call, and elsewhere.
            (&[(0, 100, 5000, 5900)], &[5000]),
            // Longer than the call, or on beyond its end: the client gave up.
            (&[(0, 100, 10, 300)], &[]),
            (&[(0, 100, 80, 170)], &[]),
            (&[(0, 100, 80, 170), (200, 300, 280, 370), (400, 500, 480, 570)], &[75]),
            // Not a constant, or only one of many.
            (&[(0, 100, 510, 590), (200, 300, 910, 990), (400, 500, 410, 490)], &[]),
            (&[(0, 100, 510, 590), (200, 300, 210, 290), (400, 500, 410, 490)], &[]),
        ] {
            let services = ["shop", "stock"];
            let expected: Vec<_> =
                services.iter().flat_map(|name| expected.iter().map(|ahead| ((*name).to_owned(), *ahead))).collect();
            assert_eq!(found(calls), expected, "{calls:?}");
        }
    }

    #[test]
    fn the_amount_has_a_fitting_unit() {
        for (ms, text) in
            [(6, "6 ms"), (5000, "5.00 s"), (600_000, "10.0 min"), (7_200_000, "2.0 h"), (31_536_000_000, "365 d")]
        {
            assert_eq!(amount(ms * 1_000_000), text);
        }
    }
}
