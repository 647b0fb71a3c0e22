//! The host's connection to its browser's `DevTools`. By it the host learns which windows are of one browser context, gives the workers of
//! extensions their order ([`worker_order`](super::worker_order)), and keeps Chromium from losing track of off-the-record browser contexts.
//!
//! Chromium tells an extension about the requests of all off-the-record contexts. When any of them closes, it no longer does so for the one that
//! was opened last. So the host opens one that nobody uses after each new context: only that one is lost then.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::base::environment;
use crate::launch::latch;

/// The file in the user data directory that names port and path of the `DevTools`.
pub(super) const PORT_FILE: &str = "DevToolsActivePort";

/// Limit for spare contexts, each of which takes about 1 MB.
const MAX_SPARE: usize = 8;

/// Limit for pages whose windows are asked for at once.
const MAX_PAGES: usize = 200;

/// Limit for each answer of the browser.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the path of the file in which a browser with this user data directory names its `DevTools`.
pub(super) fn port_file(user_data_dir: &Path) -> io::Result<PathBuf> {
    // The host may have another working directory than the client.
    std::path::absolute(user_data_dir.join(PORT_FILE))
}

/// Returns whether clients may open browser contexts in this host's browser. They need `DevTools`, which a browser of the user's own does not have.
pub(crate) fn has_clients() -> bool {
    environment::path(environment::DEVTOOLS_FILE).is_some() || latch::profile_of_this_host().is_some()
}

/// Browser contexts that nobody uses, and the connection to the browser through which they were opened. The browser closes them with the
/// connection.
#[derive(Debug, Default)]
pub(crate) struct SpareContexts {
    connection: Option<Connection>,
    /// The ids, oldest first.
    ids: VecDeque<Value>,
}

impl SpareContexts {
    /// Opens another one, so that no context which is open now is the one that was opened last. Returns whether an older one was closed: a
    /// client's context that opened in the same moment may be lost.
    ///
    /// # Errors
    ///
    /// Fails if the browser has no `DevTools` port that the host knows of, or does not answer as expected.
    pub(crate) fn open(&mut self) -> io::Result<bool> {
        let result = self.try_open();
        if result.is_err() {
            *self = Self::default();
        }
        result
    }

    /// Returns the connection, which is opened if there is none.
    ///
    /// # Errors
    ///
    /// Fails if the browser has no `DevTools` port that the host knows of.
    pub(crate) fn connection(&mut self) -> io::Result<&mut Connection> {
        Ok(match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open()?),
        })
    }

    fn try_open(&mut self) -> io::Result<bool> {
        let oldest = if self.ids.len() < MAX_SPARE { None } else { self.ids.pop_front() };
        let connection = self.connection()?;
        let opened = connection.send("Target.createBrowserContext", &json!({ "disposeOnDetach": true }))?;
        // At once, to leave little time between the two.
        let closed =
            oldest.map(|id| connection.send("Target.disposeBrowserContext", &json!({ "browserContextId": id })));
        let id = connection.answer(opened)?.get("browserContextId").cloned();
        let has_closed = match closed {
            None => false,
            Some(closed) => connection.answer(closed?).map(|_| true)?,
        };
        self.ids.push_back(id.ok_or_else(|| io::Error::other("the browser named no context"))?);
        Ok(has_closed)
    }
}

/// A connection to this host's browser.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: WebSocket<TcpStream>,
    /// Number of commands so far, which is the id of the last one.
    sent: u64,
}

/// An answer to a command, or an event, which has no id.
#[derive(Deserialize)]
struct Reply {
    id: Option<u64>,
    #[serde(default)]
    result: Value,
    error: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
}

impl Connection {
    /// Connects to the browser as a whole.
    pub(super) fn open() -> io::Result<Self> {
        let (port, path) = read_port_file(&port_file_of_this_browser()?)?;
        Self::open_at(port, &path)
    }

    /// Connects to the target with this id.
    pub(super) fn open_target(id: &str) -> io::Result<Self> {
        let (port, _) = read_port_file(&port_file_of_this_browser()?)?;
        Self::open_at(port, &format!("/devtools/page/{id}"))
    }

    fn open_at(port: u16, path: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), ANSWER_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Self::over(stream, &format!("ws://127.0.0.1:{port}{path}"))
    }

    fn over(stream: TcpStream, url: &str) -> io::Result<Self> {
        let (socket, _) = tungstenite::client(url, stream).map_err(io::Error::other)?;
        Ok(Self { socket, sent: 0 })
    }

    /// Lists the browser's targets.
    pub(super) fn targets(&mut self) -> io::Result<Vec<Value>> {
        let result = self.call("Target.getTargets", &json!({}))?;
        Ok(result["targetInfos"].as_array().cloned().unwrap_or_default())
    }

    /// Returns the windows of each browser context that has pages. A client may open each page in a window of its own.
    ///
    /// # Errors
    ///
    /// Fails if the browser does not answer as expected.
    pub(crate) fn windows(&mut self) -> io::Result<Vec<Vec<i32>>> {
        let targets = self.targets()?;
        let pages = targets.iter().filter(|target| target["type"] == "page");
        let mut asked = Vec::new();
        for page in pages.take(MAX_PAGES) {
            let id = self.send("Browser.getWindowForTarget", &json!({ "targetId": page["targetId"] }))?;
            asked.push((page["browserContextId"].as_str().unwrap_or_default(), id));
        }
        let mut windows: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        for (context, id) in asked {
            if deadline < Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // The page may be gone.
            let Ok(answer) = self.answer(id) else { continue };
            let window = answer["windowId"].as_i64().and_then(|id| i32::try_from(id).ok());
            windows.entry(context).or_default().extend(window);
        }
        Ok(windows.into_values().collect())
    }

    /// Attaches to the service workers that run, until this connection is closed. Returns them in the order in which the browser reports them.
    pub(super) fn attach_to_workers(&mut self) -> io::Result<Vec<Value>> {
        let filter = json!([{ "type": "service_worker" }, { "exclude": true }]);
        let params = json!({ "autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true, "filter": filter });
        let id = self.send("Target.setAutoAttach", &params)?;
        let mut attached = Vec::new();
        self.answer_after(id, |event| {
            if event.method.as_deref() == Some("Target.attachedToTarget") {
                attached.push(event.params["targetInfo"].clone());
            }
        })?;
        Ok(attached)
    }

    /// Sends a command, and waits for its result.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        let id = self.send(method, params)?;
        self.answer(id)
    }

    /// Sends a command, and returns its id.
    fn send(&mut self, method: &str, params: &Value) -> io::Result<u64> {
        self.sent += 1;
        let command = json!({ "id": self.sent, "method": method, "params": params }).to_string();
        self.socket.send(Message::text(command)).map_err(io::Error::other)?;
        Ok(self.sent)
    }

    /// Waits for the result of a command.
    fn answer(&mut self, id: u64) -> io::Result<Value> {
        self.answer_after(id, |_| ())
    }

    /// Waits for the result of a command. Answers come in the order of the commands. Passes on what comes before.
    fn answer_after(&mut self, id: u64, mut on_event: impl FnMut(Reply)) -> io::Result<Value> {
        loop {
            let message = self.socket.read().map_err(io::Error::other)?;
            let Ok(reply) = message.to_text().map_err(io::Error::other).and_then(parsed) else { continue };
            if reply.id == Some(id) {
                return reply.error.map_or(Ok(reply.result), |error| Err(io::Error::other(error.to_string())));
            }
            on_event(reply);
        }
    }
}

fn parsed(text: &str) -> io::Result<Reply> {
    serde_json::from_str(text).map_err(io::Error::from)
}

fn port_file_of_this_browser() -> io::Result<PathBuf> {
    environment::path(environment::DEVTOOLS_FILE).ok_or_else(|| io::Error::other("no port is known"))
}

/// Reads the port and the path of the browser's `DevTools`.
fn read_port_file(file: &Path) -> io::Result<(u16, String)> {
    let content = fs::read_to_string(file)?;
    let mut lines = content.lines();
    let port = lines.next().and_then(|line| line.trim().parse().ok());
    match (port, lines.next()) {
        (Some(port), Some(path)) if path.starts_with('/') => Ok((port, path.trim().to_owned())),
        _ => Err(io::Error::other(format!("{} names no port", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_port_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(PORT_FILE);
        for (content, expected) in [
            ("9222\n/devtools/browser/x\n", Some((9222, "/devtools/browser/x".to_owned()))),
            ("9222\n/devtools/browser/x", Some((9222, "/devtools/browser/x".to_owned()))),
            ("9222", None),
            ("", None),
            ("99999\n/x", None),
            ("9222\nhttp://x", None),
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(read_port_file(&file).ok(), expected, "{content:?}");
        }
    }

    #[test]
    fn events_and_errors_are_told_from_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let browser = std::thread::spawn(move || {
            let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
            let mut commands = Vec::new();
            for answers in [
                [r#"{"method":"Target.targetCreated","params":{}}"#, r#"{"id":1,"result":{"browserContextId":"C"}}"#],
                ["not JSON", r#"{"id":2,"error":{"code":-32602,"message":"gone"}}"#],
            ] {
                commands.push(socket.read().unwrap().to_text().unwrap().to_owned());
                for answer in answers {
                    socket.send(Message::text(answer)).unwrap();
                }
            }
            commands
        });
        let stream = TcpStream::connect(address).unwrap();
        let mut connection = Connection::over(stream, &format!("ws://{address}/")).unwrap();
        let id = connection.send("A", &json!({})).unwrap();
        assert_eq!(connection.answer(id).unwrap(), json!({ "browserContextId": "C" }));
        let id = connection.send("B", &json!({ "x": 1 })).unwrap();
        let error = connection.answer(id).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
        assert_eq!(browser.join().unwrap()[1], r#"{"id":2,"method":"B","params":{"x":1}}"#);
    }
}
