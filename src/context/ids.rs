//! Trace ids, span ids and trace flags.
//!
//! W3C Trace Context level 1, section 3.2.2: <https://www.w3.org/TR/trace-context-1/#traceparent-header-field-values>

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A trace's id, which is never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// A span's id, which is never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

/// The W3C trace-flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags([u8; 1]);

impl TraceId {
    pub(crate) fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_nonzero(rng))
    }

    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    pub(crate) fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_nonzero(rng))
    }

    /// Returns the id of these bytes, if they are one.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().filter(|bytes| *bytes != [0; 8]).map(Self)
    }

    pub(crate) fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl Flags {
    pub(crate) const SAMPLED: Self = Self([0x01]);

    /// At least the last 7 bytes of the trace id are random. Level 1 does not have this flag.
    const RANDOM: u8 = 0x02;

    pub(crate) fn new(sampled: bool, random: bool) -> Self {
        Self([u8::from(sampled) | if random { Self::RANDOM } else { 0 }])
    }

    pub(crate) fn is_random(self) -> bool {
        self.byte() & Self::RANDOM != 0
    }

    pub(crate) fn is_sampled(self) -> bool {
        self.byte() & 0x01 != 0
    }

    pub(crate) fn byte(self) -> u8 {
        self.0[0]
    }
}

/// How trace ids are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TraceIdFormat {
    /// 16 random bytes.
    #[default]
    Random,
    /// As k6 makes them on the user's machine.
    K6Local,
    /// As k6 makes them in Grafana Cloud.
    K6Cloud,
}

/// The first number of k6's trace ids.
const K6_PREFIX: i64 = 0o756;

/// The second number of k6's trace ids: where k6 runs.
const K6_LOCAL: i64 = 33;
const K6_CLOUD: i64 = 12;

impl TraceIdFormat {
    /// Makes a trace id.
    ///
    /// k6's ids begin with three numbers, each a zigzag varint (Go's `binary.PutVarint`): a constant, where k6 runs, and the nanoseconds since
    /// the epoch. The remaining bytes, currently 4, are random.
    pub(crate) fn trace_id(self, now: SystemTime, rng: &mut impl CryptoRng) -> TraceId {
        let origin = match self {
            Self::Random => return TraceId::random(rng),
            Self::K6Local => K6_LOCAL,
            Self::K6Cloud => K6_CLOUD,
        };
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let nanos = i64::try_from(since_epoch).unwrap_or(i64::MAX);
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let mut at = 0;
        for number in [K6_PREFIX, origin, nanos] {
            at += put_varint(number, &mut bytes[at..]);
        }
        TraceId(bytes)
    }
}

/// Writes a zigzag varint and returns its length, at most 10 bytes.
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

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], String> {
    if let Some(digit) = text.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
        return Err(format!("'{digit}' is not a lower-case hex digit"));
    }
    if text.len() != 2 * N {
        return Err(format!("expected {} hex digits, found {} characters", 2 * N, text.len()));
    }
    let nibble = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'a' + 10 };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    Ok(bytes)
}

fn parse_nonzero<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = parse_hex(text)?;
    if bytes == [0; N] {
        return Err("an id that is all zero is invalid".to_owned());
    }
    Ok(bytes)
}

/// Implements the text form, which is lower-case hex in `Display`, `Debug` and JSON.
macro_rules! hex_text {
    ($name:ident, $parse:ident) => {
        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                $parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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

hex_text!(TraceId, parse_nonzero);
hex_text!(SpanId, parse_nonzero);
hex_text!(Flags, parse_hex);

#[cfg(test)]
mod tests;
