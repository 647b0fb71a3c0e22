//! Parses `traceparent` as strictly as W3C Trace Context level 1, so that no test accepts a header that a backend may refuse.

/// A valid `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The flags; bit 0 is `sampled`.
    pub flags: u8,
}

impl TraceParent {
    /// Parses a header value.
    pub fn parse(value: &str) -> Result<Self, String> {
        let parts: Vec<&str> = value.split('-').collect();
        let [version, trace_id, span_id, flags] = parts[..] else {
            return Err(format!("{} parts instead of 4 in {value:?}", parts.len()));
        };
        for (name, part, length) in
            [("version", version, 2), ("trace id", trace_id, 32), ("span id", span_id, 16), ("flags", flags, 2)]
        {
            if part.len() != length {
                return Err(format!("{name} of {} characters instead of {length} in {value:?}", part.len()));
            }
            if !part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("{name} is not lower-case hexadecimal in {value:?}"));
            }
        }
        if version != "00" {
            return Err(format!("version {version} instead of 00 in {value:?}"));
        }
        for (name, part) in [("trace id", trace_id), ("span id", span_id)] {
            if part.bytes().all(|byte| byte == b'0') {
                return Err(format!("{name} is all zero in {value:?}"));
            }
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|error| format!("{error} in the flags of {value:?}"))?;
        Ok(Self { trace_id: trace_id.to_owned(), span_id: span_id.to_owned(), flags })
    }

    /// Tells whether the `sampled` flag is set.
    pub fn sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::TraceParent;

    #[test]
    fn takes_a_valid_value() {
        let parent = TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").expect("valid");
        assert_eq!(parent.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span_id, "b7ad6b7169203331");
        assert!(parent.sampled());
    }

    #[test]
    fn refuses_what_is_not_valid() {
        for (value, why) in [
            ("", "1 parts"),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", "3 parts"),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", "5 parts"),
            ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "version 01"),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "version ff"),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "trace id is not lower-case"),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", "trace id is all zero"),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "span id is all zero"),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01", "span id of 15"),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", "flags of 1"),
            (" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "version of 3"),
        ] {
            let error = TraceParent::parse(value).expect_err(value);
            assert!(error.contains(why), "{value:?}: {error}");
        }
    }
}
