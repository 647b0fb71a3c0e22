use std::convert::Infallible;

use rand::rand_core::{TryCryptoRng, TryRng};

use super::*;

/// A random generator whose first two draws are all zero.
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

/// A random generator that always draws the same byte.
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
fn k6_trace_ids_encode_place_and_time() {
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
    assert_eq!(Flags::new(false, false).to_string(), "00");
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
        assert_eq!(text.parse::<SpanId>().unwrap_err(), reason);
    }
}
