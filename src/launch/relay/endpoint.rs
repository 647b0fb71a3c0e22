//! Holds back and rewrites the line by which Chromium names its `DevTools` endpoint. Pure.

use std::net::SocketAddr;

/// The start of the line that clients wait for on the browser's standard error.
const DEVTOOLS_LINE: &[u8] = b"DevTools listening on ";

/// The scheme of the endpoint's URL in that line.
const SCHEME: &str = "ws://";

/// Length in bytes above which an unfinished line is passed on in pieces.
const MAX_LINE: usize = 64 * 1024;

/// The browser's `DevTools` endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    /// The path of its URL.
    pub(super) path: String,
}

/// Holds the endpoint's line back until it is released. Other lines pass.
#[derive(Debug, Default)]
pub(super) struct EndpointFilter {
    is_released: bool,
    /// Whether the relay needs the endpoint itself.
    is_needed: bool,
    /// The port that the client chose, if the browser listens on another one.
    client_port: Option<u16>,
    endpoint: Option<Endpoint>,
    line: Vec<u8>,
    held: Vec<u8>,
}

impl EndpointFilter {
    /// Creates a filter that finds the endpoint if `is_needed`, and puts `client_port`, if there is one, in place of the browser's port.
    pub(super) fn new(is_needed: bool, client_port: Option<u16>) -> Self {
        Self { is_needed, client_port, ..Self::default() }
    }

    pub(super) fn is_released(&self) -> bool {
        self.is_released
    }

    /// Returns the browser's own endpoint, known once its line has come, and only if it is needed.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Takes output of the browser and appends to `out` what the client may read now.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.passes_all() {
            out.append(&mut self.line);
            out.extend_from_slice(bytes);
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            let is_complete = self.line.ends_with(b"\n");
            if is_complete && self.line.starts_with(DEVTOOLS_LINE) {
                self.find_endpoint();
                let out = if self.is_released { &mut *out } else { &mut self.held };
                out.append(&mut self.line);
            } else if is_complete || self.line.len() > MAX_LINE || self.passes_all() {
                out.append(&mut self.line);
            }
        }
    }

    /// Releases the held line. The filter goes on if it still needs the endpoint.
    pub(super) fn release(&mut self, out: &mut Vec<u8>) {
        self.is_released = true;
        out.append(&mut self.held);
        if self.passes_all() {
            out.append(&mut self.line);
        }
    }

    /// Releases everything at the end of the output.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(out);
        out.append(&mut self.line);
    }

    fn passes_all(&self) -> bool {
        self.is_released && (!self.is_needed || self.endpoint.is_some())
    }

    /// Finds the endpoint in the first line that names one, and replaces the browser's port there by the client's.
    fn find_endpoint(&mut self) {
        if self.is_needed
            && self.endpoint.is_none()
            && let Some(endpoint) = parse(&self.line)
        {
            if let Some(port) = self.client_port {
                self.line = [DEVTOOLS_LINE, format!("{SCHEME}127.0.0.1:{port}{}\n", endpoint.path).as_bytes()].concat();
            }
            self.endpoint = Some(endpoint);
        }
    }
}

/// Returns the endpoint that the line names.
fn parse(line: &[u8]) -> Option<Endpoint> {
    let url = line.strip_prefix(DEVTOOLS_LINE)?.strip_prefix(SCHEME.as_bytes())?;
    let (address, path) = url.split_at(url.iter().position(|byte| *byte == b'/')?);
    let path = str::from_utf8(path).ok()?.trim_end().to_owned();
    Some(Endpoint { address: str::from_utf8(address).ok()?.parse().ok()?, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "DevTools listening on ws://127.0.0.1:9222/devtools/browser/x\n";
    const REWRITTEN: &str = "DevTools listening on ws://127.0.0.1:9333/devtools/browser/x\n";

    fn endpoint(address: &str) -> Endpoint {
        Endpoint { address: address.parse().unwrap(), path: "/devtools/browser/x".to_owned() }
    }

    fn fed(filter: &mut EndpointFilter, text: &str) -> String {
        let mut out = Vec::new();
        filter.feed(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn released(filter: &mut EndpointFilter) -> String {
        let mut out = Vec::new();
        filter.release(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_endpoints_line_is_held() {
        let mut filter = EndpointFilter::default();
        let text = format!("\nfirst\n{LINE}last\n");
        assert_eq!(fed(&mut filter, &text), "\nfirst\nlast\n");
        assert_eq!(released(&mut filter), LINE);
        assert_eq!(fed(&mut filter, LINE), LINE);
    }

    #[test]
    fn the_line_is_recognised_in_pieces() {
        let mut filter = EndpointFilter::default();
        for piece in ["Dev", "Tools listening", " on ws://x\nmo"] {
            assert_eq!(fed(&mut filter, piece), "");
        }
        assert_eq!(fed(&mut filter, "re\nrest"), "more\n");
        assert_eq!(released(&mut filter), "DevTools listening on ws://x\nrest");
    }

    #[test]
    fn an_endless_line_is_passed_on_in_pieces() {
        let mut filter = EndpointFilter::default();
        let long = "x".repeat(MAX_LINE);
        assert_eq!(fed(&mut filter, &long), "");
        assert_eq!(fed(&mut filter, "y"), long + "y");
    }

    #[test]
    fn the_line_names_the_clients_port() {
        let mut filter = EndpointFilter::new(true, Some(9333));
        assert_eq!(fed(&mut filter, &format!("first\n{LINE}last\n")), "first\nlast\n");
        assert_eq!(filter.endpoint(), Some(&endpoint("127.0.0.1:9222")));
        assert_eq!(released(&mut filter), REWRITTEN);
        assert_eq!(fed(&mut filter, LINE), LINE, "only the first line names the endpoint");
    }

    #[test]
    fn a_late_line_names_the_clients_port_too() {
        let mut filter = EndpointFilter::new(true, Some(9333));
        assert_eq!(fed(&mut filter, "be"), "");
        assert_eq!(released(&mut filter), "");
        assert_eq!(fed(&mut filter, "fore\nDevTools listening on ws://[::1]:9222"), "before\n");
        assert_eq!(fed(&mut filter, "/devtools/browser/x\naft"), format!("{REWRITTEN}aft"));
        assert_eq!(filter.endpoint(), Some(&endpoint("[::1]:9222")));
        assert_eq!(fed(&mut filter, "er"), "er");
    }

    #[test]
    fn the_line_of_a_browser_on_its_own_port_is_unchanged() {
        for is_late in [false, true] {
            let mut filter = EndpointFilter::new(true, None);
            let early = if is_late { released(&mut filter) } else { String::new() };
            let text = early + &fed(&mut filter, LINE) + &released(&mut filter);
            assert_eq!((text.as_str(), filter.endpoint()), (LINE, Some(&endpoint("127.0.0.1:9222"))), "{is_late}");
        }
    }

    #[test]
    fn a_line_without_an_address_is_unchanged() {
        for line in ["ws://x/", "ws://127.0.0.1:9222", "wss://127.0.0.1:9222/", "ws://127.0.0.1:99999/", "ws://\u{fc}/"]
        {
            let mut filter = EndpointFilter::new(true, Some(9333));
            let line = format!("DevTools listening on {line}\n");
            assert_eq!(fed(&mut filter, &line), "", "{line}");
            assert_eq!((released(&mut filter), filter.endpoint()), (line, None));
        }
    }

    #[test]
    fn the_end_releases_everything() {
        let mut filter = EndpointFilter::new(true, Some(9333));
        assert_eq!(fed(&mut filter, &format!("{LINE}unfinished")), "");
        let mut out = Vec::new();
        filter.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{REWRITTEN}unfinished"));
    }
}
