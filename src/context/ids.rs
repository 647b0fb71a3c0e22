//! Trace ids, span ids and trace flags.
//!
//! W3C Trace Context level 1, section 3.2.2: <https://www.w3.org/TR/trace-context-1/#traceparent-header-field-values>

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// The text has another length than the id has digits.
    #[error("expected {expected} hex digits, found {found} characters")]
    Length {
        /// Digits that the id has.
        expected: usize,
        /// Characters that were given.
        found: usize,
    },
    /// A character is not a lower-case hex digit.
    #[error("'{0}' is not a lower-case hex digit")]
    Digit(char),
    /// All digits are zero, which W3C Trace Context declares invalid for both kinds of id.
    #[error("an id that is all zero is invalid")]
    Zero,
}

/// The id of a trace: 16 bytes, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span: 8 bytes, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

/// The W3C trace-flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl TraceId {
    /// Draws a random id.
    pub(crate) fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_nonzero(rng))
    }

    /// The id's bytes, the first one first.
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// The id's bytes, the first one first.
    pub(crate) fn bytes(self) -> [u8; 8] {
        self.0
    }

    /// Draws a random id.
    pub(crate) fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_nonzero(rng))
    }
}

impl Flags {
    /// The caller records this trace.
    pub(crate) const SAMPLED: Self = Self(0x01);
    /// The caller does not record this trace.
    pub(crate) const NOT_SAMPLED: Self = Self(0x00);

    /// At least the last 7 bytes of the trace id are random; only level 2 has it.
    const RANDOM: Self = Self(0x02);

    /// Makes flags. Those of level 1 are never `random`.
    pub(crate) fn new(sampled: bool, random: bool) -> Self {
        Self(if sampled { Self::SAMPLED.0 } else { 0 } | if random { Self::RANDOM.0 } else { 0 })
    }

    /// Whether the trace id is said to be random.
    pub(crate) fn is_random(self) -> bool {
        self.0 & Self::RANDOM.0 != 0
    }

    /// Whether the caller records this trace.
    pub(crate) fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// The flags as a number.
    pub(crate) fn byte(self) -> u8 {
        self.0
    }
}

/// How trace ids are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TraceIdFormat {
    /// 16 random bytes.
    #[default]
    Random,
    /// As k6 makes them when it runs by itself.
    K6Local,
    /// As k6 makes them in its cloud.
    K6Cloud,
}

/// What k6's trace ids begin with.
const K6_PREFIX: i64 = 0o756;

/// What k6's trace ids say of where it ran.
const K6_LOCAL: i64 = 33;
const K6_CLOUD: i64 = 12;

impl TraceIdFormat {
    /// Makes a trace id.
    ///
    /// k6's begin with three numbers, each a zigzag varint (Go's `binary.PutVarint`): a constant, where k6 ran, and the time in nanoseconds since
    /// the epoch. The rest, 4 bytes now, is random.
    pub(crate) fn trace_id(self, now: SystemTime, rng: &mut impl CryptoRng) -> TraceId {
        let place = match self {
            Self::Random => return TraceId::random(rng),
            Self::K6Local => K6_LOCAL,
            Self::K6Cloud => K6_CLOUD,
        };
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let nanos = i64::try_from(since).unwrap_or(i64::MAX);
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let mut at = 0;
        for number in [K6_PREFIX, place, nanos] {
            at += put_varint(number, &mut bytes[at..]);
        }
        TraceId(bytes)
    }
}

/// Writes a zigzag varint and tells its length: 10 bytes at most.
fn put_varint(number: i64, into: &mut [u8]) -> usize {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut length = 0;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        into[length] = if rest == 0 { low } else { low | 0x80 };
        length += 1;
        if rest == 0 {
            return length;
        }
    }
}

fn random_nonzero<const N: usize>(rng: &mut impl CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    while bytes == [0; N] {
        rng.fill_bytes(&mut bytes);
    }
    bytes
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    if let Some(digit) = text.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
        return Err(ParseIdError::Digit(digit));
    }
    if text.len() != 2 * N {
        return Err(ParseIdError::Length { expected: 2 * N, found: text.len() });
    }
    let nibble = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    Ok(bytes)
}

fn parse_nonzero<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let bytes = parse_hex(text)?;
    if bytes == [0; N] {
        return Err(ParseIdError::Zero);
    }
    Ok(bytes)
}

impl FromStr for TraceId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_nonzero(text).map(Self)
    }
}

impl FromStr for SpanId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_nonzero(text).map(Self)
    }
}

impl FromStr for Flags {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex::<1>(text).map(|[byte]| Self(byte))
    }
}

/// Gives the three kinds the same text form everywhere: lower-case hex, in `Display`, `Debug` and JSON.
macro_rules! hex_text {
    ($name:ident, $bytes:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let bytes: &[u8] = &$bytes(self);
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_text!(TraceId, |id: &TraceId| id.0);
hex_text!(SpanId, |id: &SpanId| id.0);
hex_text!(Flags, |flags: &Flags| [flags.0]);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand::rand_core::{TryCryptoRng, TryRng};

    use super::*;

    /// A generator whose first draws are all zero.
    struct ZerosFirst(u32);

    impl TryRng for ZerosFirst {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(0)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(0)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            self.0 += 1;
            bytes.fill(u8::from(self.0 > 2));
            Ok(())
        }
    }

    impl TryCryptoRng for ZerosFirst {}

    #[test]
    fn random_ids_are_never_all_zero() {
        assert_eq!(TraceId::random(&mut ZerosFirst(0)).to_string(), "01010101010101010101010101010101");
        assert_eq!(SpanId::random(&mut ZerosFirst(0)).to_string(), "0101010101010101");
    }

    /// A generator that draws the same byte for ever.
    struct Constant(u8);

    impl TryRng for Constant {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(u32::from_ne_bytes([self.0; 4]))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(u64::from_ne_bytes([self.0; 8]))
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    impl TryCryptoRng for Constant {}

    #[test]
    fn k6_trace_ids_say_where_and_when() {
        let at = |nanos| UNIX_EPOCH + std::time::Duration::from_nanos(nanos);
        for (format, nanos, id) in [
            (TraceIdFormat::K6Local, 1_629_191_640_000_000_000, "dc074280c0e3d3c5ca869c2dabababab"),
            (TraceIdFormat::K6Cloud, 1_629_191_640_000_000_000, "dc071880c0e3d3c5ca869c2dabababab"),
            (TraceIdFormat::K6Local, 1_764_300_000_123_456_789, "dc0742aab4a48994e086fc30abababab"),
            (TraceIdFormat::K6Cloud, 0, "dc071800abababababababababababab"),
            (TraceIdFormat::K6Local, u64::try_from(i64::MAX).unwrap(), "dc0742feffffffffffffffff01ababab"),
        ] {
            assert_eq!(format.trace_id(at(nanos), &mut Constant(0xab)).to_string(), id, "{format:?} {nanos}");
        }
    }

    #[test]
    fn text_round_trips() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(id.parse::<TraceId>().unwrap().to_string(), id);
        let id = "00f067aa0ba902b7";
        assert_eq!(id.parse::<SpanId>().unwrap().to_string(), id);
        assert_eq!("01".parse::<Flags>().unwrap(), Flags::SAMPLED);
        assert_eq!(Flags::NOT_SAMPLED.to_string(), "00");
    }

    #[test]
    fn each_invalid_text_has_its_reason() {
        for (text, reason) in [
            ("", "expected 16 hex digits, found 0 characters"),
            ("00f067aa0ba902b", "expected 16 hex digits, found 15 characters"),
            ("00f067aa0ba902b70", "expected 16 hex digits, found 17 characters"),
            ("00F067AA0BA902B7", "'F' is not a lower-case hex digit"),
            ("00f067aa0ba902bé", "'é' is not a lower-case hex digit"),
            ("+0f067aa0ba902b7", "'+' is not a lower-case hex digit"),
            ("0000000000000000", "an id that is all zero is invalid"),
        ] {
            assert_eq!(text.parse::<SpanId>().unwrap_err().to_string(), reason);
        }
    }
}
