//! Holds back, reads and rewrites the line by which Chromium tells where its `DevTools` listen. Pure.

use std::net::SocketAddr;

/// What a client waits for on the browser's standard error.
const DEVTOOLS_LINE: &[u8] = b"DevTools listening on ";

/// What stands between that and the address.
const SCHEME: &str = "ws://";

/// A line that is longer than this is passed on in pieces.
const LONGEST_LINE: usize = 64 * 1024;

/// Holds the line back that a client starts on. Other lines pass.
#[derive(Debug, Default)]
pub(super) struct Hold {
    open: bool,
    /// The port that clients were promised, where it is not the browser's own.
    promised: Option<u16>,
    endpoint: Option<SocketAddr>,
    line: Vec<u8>,
    held: Vec<u8>,
}

impl Hold {
    /// Where the client chose the port, the line will name that port, whichever the browser listens on.
    pub(super) fn new(promised: Option<u16>) -> Self {
        Self { promised, ..Self::default() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Where the browser listens, once it has said so, if the client chose the port.
    pub(super) fn endpoint(&self) -> Option<SocketAddr> {
        self.endpoint
    }

    /// Takes what the browser has written, and gives what the client may read of it by now.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.passes_all() {
            out.append(&mut self.line);
            out.extend_from_slice(bytes);
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            let complete = self.line.ends_with(b"\n");
            if complete && self.line.starts_with(DEVTOOLS_LINE) {
                self.promise();
                let out = if self.open { &mut *out } else { &mut self.held };
                out.append(&mut self.line);
            } else if complete || self.line.len() > LONGEST_LINE || self.passes_all() {
                out.append(&mut self.line);
            }
        }
    }

    /// Lets go of what was held back. The line is still looked for if its port has to be read from it.
    pub(super) fn open(&mut self, out: &mut Vec<u8>) {
        self.open = true;
        out.append(&mut self.held);
        if self.passes_all() {
            out.append(&mut self.line);
        }
    }

    /// Gives what is left when nothing more will come.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.open(out);
        out.append(&mut self.line);
    }

    fn passes_all(&self) -> bool {
        self.open && (self.promised.is_none() || self.endpoint.is_some())
    }

    /// Puts the promised port in place of the browser's own.
    fn promise(&mut self) {
        if let (Some(port), None) = (self.promised, self.endpoint)
            && let Some((address, rest)) = address(&self.line)
        {
            self.endpoint = Some(address);
            self.line = [DEVTOOLS_LINE, format!("{SCHEME}127.0.0.1:{port}").as_bytes(), rest].concat();
        }
    }
}

/// Splits the line into the address in it and what follows.
fn address(line: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let url = line.strip_prefix(DEVTOOLS_LINE)?.strip_prefix(SCHEME.as_bytes())?;
    let (address, rest) = url.split_at(url.iter().position(|byte| *byte == b'/')?);
    Some((str::from_utf8(address).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "DevTools listening on ws://127.0.0.1:9222/devtools/browser/x\n";
    const PROMISED: &str = "DevTools listening on ws://127.0.0.1:9333/devtools/browser/x\n";

    fn fed(hold: &mut Hold, text: &str) -> String {
        let mut out = Vec::new();
        hold.feed(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn opened(hold: &mut Hold) -> String {
        let mut out = Vec::new();
        hold.open(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_devtools_line_is_held() {
        let mut hold = Hold::default();
        let text = format!("\nfirst\n{LINE}last\n");
        assert_eq!(fed(&mut hold, &text), "\nfirst\nlast\n");
        assert_eq!(opened(&mut hold), LINE);
        assert_eq!(fed(&mut hold, LINE), LINE);
    }

    #[test]
    fn the_line_is_recognised_in_pieces() {
        let mut hold = Hold::default();
        for piece in ["Dev", "Tools listening", " on ws://x\nmo"] {
            assert_eq!(fed(&mut hold, piece), "");
        }
        assert_eq!(fed(&mut hold, "re\nrest"), "more\n");
        assert_eq!(opened(&mut hold), "DevTools listening on ws://x\nrest");
    }

    #[test]
    fn a_line_without_end_is_not_kept_for_ever() {
        let mut hold = Hold::default();
        let long = "x".repeat(LONGEST_LINE);
        assert_eq!(fed(&mut hold, &long), "");
        assert_eq!(fed(&mut hold, "y"), long + "y");
    }

    #[test]
    fn the_line_names_the_port_that_was_promised() {
        let mut hold = Hold::new(Some(9333));
        assert_eq!(fed(&mut hold, &format!("first\n{LINE}last\n")), "first\nlast\n");
        assert_eq!(hold.endpoint(), Some(([127, 0, 0, 1], 9222).into()));
        assert_eq!(opened(&mut hold), PROMISED);
        assert_eq!(fed(&mut hold, LINE), LINE, "no later line is the browser's own word");
    }

    #[test]
    fn a_line_that_comes_late_names_the_promised_port_too() {
        let mut hold = Hold::new(Some(9333));
        assert_eq!(fed(&mut hold, "be"), "");
        assert_eq!(opened(&mut hold), "");
        assert_eq!(fed(&mut hold, "fore\nDevTools listening on ws://[::1]:9222"), "before\n");
        assert_eq!(fed(&mut hold, "/devtools/browser/x\naft"), format!("{PROMISED}aft"));
        assert_eq!(hold.endpoint(), Some("[::1]:9222".parse().unwrap()));
        assert_eq!(fed(&mut hold, "er"), "er");
    }

    #[test]
    fn a_line_that_names_no_address_stays_as_it_is() {
        for line in ["ws://x/", "ws://127.0.0.1:9222", "wss://127.0.0.1:9222/", "ws://127.0.0.1:99999/", "ws://\u{fc}/"]
        {
            let mut hold = Hold::new(Some(9333));
            let line = format!("DevTools listening on {line}\n");
            assert_eq!(fed(&mut hold, &line), "", "{line}");
            assert_eq!((opened(&mut hold), hold.endpoint()), (line, None));
        }
    }

    #[test]
    fn the_end_lets_go_of_what_is_left() {
        let mut hold = Hold::new(Some(9333));
        assert_eq!(fed(&mut hold, &format!("{LINE}unfinished")), "");
        let mut out = Vec::new();
        hold.end(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{PROMISED}unfinished"));
    }
}
