//! Trace ids, span ids and trace flags.
//!
//! W3C Trace Context level 1, section 3.2.2: <https://www.w3.org/TR/trace-context-1/#traceparent-header-field-values>

use std::fmt;
use std::str::FromStr;

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
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_nonzero(rng))
    }

    /// The id's bytes, the first one first.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// The id's bytes, the first one first.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }

    /// Draws a random id.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_nonzero(rng))
    }
}

impl Flags {
    /// The caller records this trace.
    pub const SAMPLED: Self = Self(0x01);
    /// The caller does not record this trace.
    pub const NOT_SAMPLED: Self = Self(0x00);

    /// Whether the caller records this trace.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// The flags as a number.
    #[must_use]
    pub fn byte(self) -> u8 {
        self.0
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
