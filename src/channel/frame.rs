//! Reads and writes Chrome's native messaging frames: a 32-bit length in native byte order, then that many bytes.
//!
//! <https://developer.chrome.com/docs/extensions/develop/concepts/native-messaging#native-messaging-host-protocol>

use std::io::{self, ErrorKind, Read, Write};

use byteorder::{ByteOrder, NativeEndian};

/// Largest frame in either direction, in bytes: 1 MiB.
///
/// Chrome closes the channel when a host sends a longer frame. To a host it passes on up to 64 MiB, but the extension sends small batches.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Length of the prefix, in bytes.
const PREFIX: usize = 4;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The input ended inside the length prefix or inside the body.
    #[error("a frame was cut off: {got} of {expected} bytes came before the input ended")]
    CutOff {
        /// Number of bytes of the prefix or of the body that arrived.
        got: usize,
        /// Number of bytes that should have arrived.
        expected: usize,
    },
    /// The frame is longer than [`MAX_FRAME`].
    #[error("a frame of {0} bytes is longer than the {MAX_FRAME} bytes that a frame may have")]
    TooLong(usize),
    /// The stream failed.
    #[error("the channel to the extension failed: {0}")]
    Io(#[from] io::Error),
}

/// Reads a frame into `body`, whose allocation is reused. Returns `false` when the input ends between two frames.
///
/// Checks the frame's length before it allocates.
pub(crate) fn read(input: &mut impl Read, body: &mut Vec<u8>) -> Result<bool, FrameError> {
    body.clear();
    let mut prefix = [0; PREFIX];
    match read_full(input, &mut prefix)? {
        0 => return Ok(false),
        PREFIX => {}
        got => {
            return Err(FrameError::CutOff { got, expected: PREFIX });
        }
    }
    let length = NativeEndian::read_u32(&prefix) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    body.reserve_exact(length);
    body.resize(length, 0);
    match read_full(input, body)? {
        got if got == length => Ok(true),
        got => Err(FrameError::CutOff { got, expected: length }),
    }
}

/// Writes a frame and flushes it. Writes nothing when the body is too long.
pub(crate) fn write(output: &mut impl Write, body: &[u8]) -> Result<(), FrameError> {
    if body.len() > MAX_FRAME {
        return Err(FrameError::TooLong(body.len()));
    }
    // With a single write call a kill rarely leaves half a frame behind.
    let mut frame = vec![0; PREFIX];
    #[expect(clippy::cast_possible_truncation, reason = "MAX_FRAME fits in 32 bits")]
    NativeEndian::write_u32(&mut frame, body.len() as u32);
    frame.extend_from_slice(body);
    output.write_all(&frame)?;
    output.flush()?;
    Ok(())
}

/// Reads until `buffer` is full or the input ends, and returns the number of bytes read.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, body).unwrap();
        bytes
    }

    /// Returns its bytes one at a time, with an interruption before each.
    struct Trickle<'a>(&'a [u8], bool);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let count = self.0.len().min(buffer.len()).min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn writes_the_length_in_native_order_and_reads_it_back() {
        let bytes = framed(b"{}");
        assert_eq!(bytes[..4], 2_u32.to_ne_bytes());
        let mut body = Vec::new();
        assert!(read(&mut bytes.as_slice(), &mut body).unwrap());
        assert_eq!(body, b"{}");
    }

    #[test]
    fn reads_frames_that_arrive_byte_by_byte() {
        let bytes = [framed(b"one"), framed(b""), framed(b"three")].concat();
        let mut input = Trickle(&bytes, false);
        let mut body = Vec::new();
        for expected in [b"one".as_slice(), b"", b"three"] {
            assert!(read(&mut input, &mut body).unwrap());
            assert_eq!(body, expected);
        }
        assert!(!read(&mut input, &mut body).unwrap());
    }

    #[test]
    fn tells_a_clean_end_from_a_cut_off_frame() {
        let mut body = Vec::new();
        assert!(!read(&mut [].as_slice(), &mut body).unwrap());
        let whole = framed(b"{\"v\":1}");
        for (length, message) in [
            (2, "a frame was cut off: 2 of 4 bytes came before the input ended"),
            (4, "a frame was cut off: 0 of 7 bytes came before the input ended"),
            (9, "a frame was cut off: 5 of 7 bytes came before the input ended"),
        ] {
            let error = read(&mut &whole[..length], &mut body).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn checks_the_length_before_it_allocates() {
        let mut body = Vec::new();
        let error = read(&mut u32::MAX.to_ne_bytes().as_slice(), &mut body).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a frame of 4294967295 bytes is longer than the 1048576 bytes that a frame may have"
        );
        assert_eq!(body.capacity(), 0);
        let mut sent = Vec::new();
        assert!(matches!(write(&mut sent, &vec![b' '; MAX_FRAME + 1]), Err(FrameError::TooLong(_))));
        assert!(sent.is_empty());
    }
}
