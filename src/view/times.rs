//! Finds the place of each span on the time axis, also of spans whose times can't be right. Pure.
//!
//! One such span would make the others too short to see. So it is drawn at its parent, and what is below it moves with it.

use crate::view::parents::{Parent, top_down};
use crate::view::parsed::ParsedSpan;

/// Nanoseconds.
const DAY: i128 = 86_400_000_000_000;

/// Longest time between a span and its parent's. Jobs may run hours after they were ordered.
const MAX_DISTANCE: i128 = DAY;

/// Longest time between spans that have no parent in common, and longest span that no other confirms. A person's browser may be open for weeks.
pub(super) const MAX_PAUSE: i128 = 30 * DAY;

/// A span's place on the time axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Nanoseconds since the epoch.
    pub(super) start: u64,
    /// Nanoseconds since the epoch.
    pub(super) end: u64,
    /// Nanoseconds by which the start is later than the file says.
    pub(super) moved: i128,
    pub(super) fault: Option<Fault>,
}

/// What is wrong with a span's times. Distances are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    NoStart,
    NoEnd,
    EndsBeforeStart,
    /// The distance from its parent; negative for earlier.
    Far(i128),
    /// The time that it lasts.
    TooLong(i128),
}

impl Fault {
    pub(super) fn words(self) -> String {
        match self {
            Self::NoStart => "no start time".to_owned(),
            Self::NoEnd => "no end time".to_owned(),
            Self::EndsBeforeStart => "ends before it starts".to_owned(),
            Self::Far(distance) if distance < 0 => format!("{} d too early", days(-distance)),
            Self::Far(distance) => format!("{} d too late", days(distance)),
            Self::TooLong(length) => format!("lasts {} d", days(length)),
        }
    }
}

fn days(nanos: i128) -> i128 {
    (nanos + DAY / 2) / DAY
}

#[derive(Debug, Clone, Copy)]
struct Interval {
    start: i128,
    end: i128,
}

impl Interval {
    /// Returns the time between two intervals: 0 if they overlap, negative if this one is earlier.
    fn distance_from(self, other: Self) -> i128 {
        if self.start > other.end { self.start - other.end } else { (self.end - other.start).min(0) }
    }

    fn is_within(self, limit: i128, of: i128) -> bool {
        self.distance_from(Self { start: of, end: of }).abs() <= limit
    }
}

/// Places spans, whose clocks are `ahead` by so many nanoseconds.
pub(super) fn place(spans: &[ParsedSpan], parents: &[Parent], ahead: impl Fn(&ParsedSpan) -> i128) -> Vec<Placed> {
    let read = |span: &ParsedSpan| {
        let offset = ahead(span);
        Interval { start: i128::from(span.start) - offset, end: i128::from(span.end) - offset }
    };
    let times: Vec<Interval> = spans.iter().map(read).collect();
    let faults = own_faults(spans, &times);
    let mut starts: Vec<i128> = (0..spans.len()).filter(|i| faults[*i].is_none()).map(|i| times[i].start).collect();
    starts.sort_unstable();
    // Most spans are near the one in the middle, however far the others are.
    let middle = starts.get(starts.len().saturating_sub(1) / 2).copied().unwrap_or_default();

    let order = top_down(parents);
    // The nearest ancestor without a fault of its own, and whether it is near.
    let mut above: Vec<Option<usize>> = vec![None; spans.len()];
    let mut is_near = vec![false; spans.len()];
    let mut is_kept = vec![false; spans.len()];
    for &index in &order {
        let parent = parents[index].index();
        above[index] = parent.and_then(|parent| if faults[parent].is_none() { Some(parent) } else { above[parent] });
        if faults[index].is_some() {
            continue;
        }
        let time = times[index];
        is_near[index] = above[index].is_some_and(|above| time.distance_from(times[above]).abs() <= MAX_DISTANCE);
        let limit = if above[index].is_some() { MAX_DISTANCE } else { MAX_PAUSE };
        is_kept[index] = match above[index].filter(|_| is_near[index]) {
            Some(above) => is_kept[above],
            None => time.is_within(limit, middle),
        };
    }
    let kept = (0..spans.len()).filter(|index| is_kept[*index]).map(|index| times[index]);
    let whole = kept.reduce(|a, b| Interval { start: a.start.min(b.start), end: a.end.max(b.end) });
    let whole = whole.unwrap_or(Interval { start: middle, end: middle });

    let mut placed: Vec<(Interval, Option<Fault>)> = times.iter().map(|time| (*time, None)).collect();
    for &index in &order {
        let time = times[index];
        let parent = parents[index].index().map_or(whole, |parent| placed[parent].0);
        placed[index] = match faults[index] {
            None if is_kept[index] => (time, None),
            None => {
                let by = above[index].map_or(whole.start - time.start, |above| {
                    let by = placed[above].0.start;
                    by - if is_near[index] { times[above].start } else { time.start }
                });
                let distance = time.distance_from(above[index].map_or(whole, |above| times[above]));
                let moved = Interval { start: time.start + by, end: time.end + by };
                (moved, Some(Fault::Far(distance)).filter(|_| !is_near[index]))
            }
            Some(fault) => (repaired(time, fault, parent, whole), Some(fault)),
        };
    }
    let nanos = |time: i128| u64::try_from(time.max(0)).unwrap_or(u64::MAX);
    let result = |((place, fault), time): ((Interval, Option<Fault>), &Interval)| Placed {
        start: nanos(place.start),
        end: nanos(place.end),
        moved: place.start - time.start,
        fault,
    };
    placed.into_iter().zip(&times).map(result).collect()
}

/// Returns what is wrong with spans regardless of their parents.
fn own_faults(spans: &[ParsedSpan], times: &[Interval]) -> Vec<Option<Fault>> {
    let is_sound = |span: &ParsedSpan| span.start > 0 && span.end >= span.start;
    let sound: Vec<Interval> =
        spans.iter().zip(times).filter(|(span, _)| is_sound(span)).map(|(_, time)| *time).collect();
    // A long span is right if others were never far apart while it lasted. The end of a long one shows nothing.
    let is_short = |time: &&Interval| time.end - time.start <= MAX_PAUSE;
    let starts = sound.iter().map(|time| time.start);
    let mut points: Vec<i128> = starts.chain(sound.iter().filter(is_short).map(|time| time.end)).collect();
    points.sort_unstable();
    let mut pauses = vec![0; points.len()];
    for index in 1..points.len() {
        pauses[index] = pauses[index - 1] + usize::from(points[index] - points[index - 1] > MAX_PAUSE);
    }
    let is_confirmed = |time: &Interval| {
        let first = points.partition_point(|point| *point < time.start);
        let last = points.partition_point(|point| *point <= time.end) - 1;
        pauses[first] == pauses[last] && time.end - points[last] <= MAX_PAUSE
    };
    let fault = |(span, time): (&ParsedSpan, &Interval)| {
        let length = time.end - time.start;
        if span.start == 0 {
            Some(Fault::NoStart)
        } else if span.end == 0 {
            Some(Fault::NoEnd)
        } else if length < 0 {
            Some(Fault::EndsBeforeStart)
        } else if length > MAX_PAUSE && sound.len() > 1 && !is_confirmed(time) {
            Some(Fault::TooLong(length))
        } else {
            None
        }
    };
    spans.iter().zip(times).map(fault).collect()
}

/// Returns a place for a span with a fault of its own: within its parent's time, which is the whole trace's for a span at the top.
fn repaired(time: Interval, fault: Fault, parent: Interval, whole: Interval) -> Interval {
    let is_within = |point: i128| (parent.start..=parent.end).contains(&point);
    let start = if fault != Fault::NoStart && is_within(time.start) { time.start } else { parent.start };
    let end = match fault {
        Fault::TooLong(_) if is_within(time.end) => time.end,
        Fault::TooLong(_) => parent.end.min(whole.end),
        _ => start,
    };
    Interval { start, end: end.max(start) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::parents::parents;

    const NOW: u64 = 1_700_000_000_000;

    const YEAR: i64 = 365 * 86_400_000;

    /// Places spans given as id, parent, start and end, in milliseconds after now. Returns start, end and fault.
    fn placed(spans: &[(&str, &str, i64, i64)]) -> Vec<(i64, i64, String)> {
        let nanos = |ms: i64| if ms == i64::MIN { 0 } else { NOW.saturating_add_signed(ms) * 1_000_000 };
        let spans: Vec<ParsedSpan> = spans
            .iter()
            .map(|(id, parent, start, end)| ParsedSpan {
                id: (*id).to_owned(),
                parent: Some((*parent).to_owned()).filter(|parent| !parent.is_empty()),
                start: nanos(*start),
                end: nanos(*end),
                ..ParsedSpan::default()
            })
            .collect();
        let ms = |nanos: u64| (nanos / 1_000_000).cast_signed() - NOW.cast_signed();
        let placed = place(&spans, &parents(&spans), |_| 0);
        let line = |at: &Placed| (ms(at.start), ms(at.end), at.fault.map_or_else(String::new, Fault::words));
        placed.iter().map(line).collect()
    }

    #[test]
    fn times_that_can_not_be_right_do_not_stretch_the_trace() {
        const NONE: i64 = i64::MIN;
        for (name, span, expected) in [
            ("no start", ("x", "b", NONE, 30), (20, 20, "no start time")),
            ("no time", ("x", "b", NONE, NONE), (20, 20, "no start time")),
            ("no end", ("x", "b", 25, NONE), (25, 25, "no end time")),
            ("reversed", ("x", "b", 25, 22), (25, 25, "ends before it starts")),
            ("reversed and elsewhere", ("x", "b", 95, 22), (20, 20, "ends before it starts")),
            ("a year ahead", ("x", "b", YEAR, YEAR + 5), (20, 25, "365 d too late")),
            ("a year ago", ("x", "b", -YEAR, 5 - YEAR), (20, 25, "365 d too early")),
            ("endless", ("x", "b", 25, YEAR), (25, 40, "lasts 365 d")),
            ("for a year", ("x", "b", -YEAR, 30), (20, 30, "lasts 365 d")),
            ("an orphan a year ahead", ("x", "missing", YEAR, YEAR + 5), (0, 5, "365 d too late")),
            ("another root without a start", ("x", "", NONE, 30), (0, 0, "no start time")),
            // These may be right.
            ("an hour later", ("x", "b", 3_600_000, 3_600_001), (3_600_000, 3_600_001, "")),
            ("an hour earlier", ("x", "b", -3_600_000, -3_599_999), (-3_600_000, -3_599_999, "")),
            (
                "an orphan of the next week",
                ("x", "missing", 7 * 86_400_000, 7 * 86_400_001),
                (7 * 86_400_000, 7 * 86_400_001, ""),
            ),
        ] {
            let placed = placed(&[("a", "", 0, 100), ("b", "a", 20, 40), ("c", "a", 50, 60), span]);
            assert_eq!(placed[3], (expected.0, expected.1, expected.2.to_owned()), "{name}");
            assert_eq!(placed[0], (0, 100, String::new()), "{name}");
        }
    }

    #[test]
    fn what_is_below_moves_along() {
        let spans = [
            ("a", "", 0, 100),
            ("b", "a", 20, 40),
            ("c", "a", 50, 60),
            ("d", "b", 25, 30),
            ("x", "b", YEAR, YEAR + 9),
            ("y", "x", YEAR + 2, YEAR + 5),
            ("z", "y", 26, 27),
        ];
        let expected = [(20, 29, "365 d too late"), (22, 25, ""), (26, 27, "")];
        for (found, (start, end, fault)) in placed(&spans)[4..].iter().zip(expected) {
            assert_eq!(*found, (start, end, fault.to_owned()));
        }
    }

    #[test]
    fn a_root_may_be_what_is_wrong() {
        let below = [("b", "a", 20, 40), ("c", "a", 50, 60)];
        for (root, expected) in [
            (("a", "", YEAR, YEAR + 100), (20, 120, "365 d too late")),
            (("a", "", i64::MIN, 100), (20, 20, "no start time")),
            (("a", "", 0, YEAR), (20, 60, "lasts 365 d")),
        ] {
            let placed = placed(&[&[root][..], &below].concat());
            assert_eq!(placed[0], (expected.0, expected.1, expected.2.to_owned()));
            assert_eq!(placed[1..], [(20, 40, String::new()), (50, 60, String::new())]);
        }
    }

    #[test]
    fn a_long_session_is_shown_as_it_is() {
        let week = 7 * 86_400_000;
        let spans: Vec<_> = (0..20).map(|at| ("x", "a", at * week, at * week + 10)).collect();
        let placed = placed(&[&[("a", "", 0, 20 * week)][..], &spans].concat());
        assert!(placed.iter().all(|(.., fault)| fault.is_empty()), "{placed:?}");
        assert_eq!(self::placed(&[("a", "", 0, 40 * week)]), [(0, 40 * week, String::new())]);
    }
}
