//! A real browser, driven by the protocol of its developer tools: Debian's Chromium without a window.
//!
//! One process for each [`Browser`], with a profile of its own in a temporary folder; it ends with its
//! guard.
#![allow(
    clippy::unwrap_used,
    reason = "a browser that cannot be driven fails its test"
)]

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// How long anything may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page. What it is asked for and cannot give is a panic: a test that cannot see
/// its page has failed.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    next: u64,
    /// What the page said by itself, oldest first.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts it.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let program = std::env::var("ASSAY_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        let child = Command::new(&program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--no-default-browser-check",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-extensions",
                "--force-color-profile=srgb",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; the tests of pages need Debian's chromium: apt-get install chromium"));
        let mut child = child;
        let file = profile.path().join("DevToolsActivePort");
        let begin = Instant::now();
        let (port, path) = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some((port, path)) = text.split_once('\n')
                && !path.trim().is_empty()
            {
                break (port.trim().parse::<u16>().unwrap(), path.trim().to_owned());
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{program} ended at once: {status}");
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "{program} does not open its port"
            );
            std::thread::sleep(Duration::from_millis(50));
        };
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) =
            tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), stream).unwrap();
        let mut browser = Self {
            child,
            socket,
            session: String::new(),
            next: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = browser.call(
            "Target.attachToTarget",
            &json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Asks for something, and gives its result.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket
            .send(Message::text(message.to_string()))
            .unwrap();
        loop {
            let answer = self.read();
            if answer["id"] == json!(id) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn read(&mut self) -> Value {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Close(_) => panic!("the browser went away"),
                _ => {}
            }
        }
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&mut self, url: &str) {
        self.events
            .retain(|event| event["method"] != "Page.loadEventFired");
        let result = self.call("Page.navigate", &json!({ "url": url }));
        assert!(result.get("errorText").is_none(), "{url}: {result}");
        let begin = Instant::now();
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            assert!(begin.elapsed() < PATIENCE, "{url} does not load");
            let event = self.read();
            self.events.push(event);
        }
    }

    /// The width of the window, and the theme that is preferred.
    pub fn look(&mut self, width: u32, dark: bool) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false }),
        );
        let theme = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] }),
        );
    }

    /// The value of an expression in the page; a promise is waited for.
    pub fn value(&mut self, expression: &str) -> Value {
        let result = self.call(
            "Runtime.evaluate",
            &json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        assert!(
            result.get("exceptionDetails").is_none(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, expression: &str) {
        let begin = Instant::now();
        while self.value(expression) != json!(true) {
            assert!(begin.elapsed() < PATIENCE, "never so: {expression}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Follows a link or presses a button, and waits for the page that it leads to.
    pub fn click(&mut self, selector: &str) {
        self.events
            .retain(|event| event["method"] != "Page.loadEventFired");
        let quoted = json!(selector);
        self.value(&format!("document.querySelector({quoted}).click()"));
        let begin = Instant::now();
        while !self
            .events
            .iter()
            .any(|event| event["method"] == "Page.loadEventFired")
        {
            assert!(begin.elapsed() < PATIENCE, "{selector} leads nowhere");
            let event = self.read();
            self.events.push(event);
        }
    }

    /// A picture of the whole page as PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let size = self.call("Page.getLayoutMetrics", &json!({}));
        let size = &size["cssContentSize"];
        let height = size["height"].as_f64().unwrap().min(6000.0);
        let picture = self.call(
            "Page.captureScreenshot",
            &json!({
                "format": "png",
                "captureBeyondViewport": true,
                "clip": { "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 },
            }),
        );
        data_encoding::BASE64
            .decode(picture["data"].as_str().unwrap().as_bytes())
            .unwrap()
    }

    /// What went wrong in pages since the last time: errors of scripts, of the policy, of the network;
    /// and requests to another origin than `origin`.
    pub fn complaints(&mut self, origin: &str) -> Vec<String> {
        let mut found = Vec::new();
        for event in std::mem::take(&mut self.events) {
            let of = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => found.push(of["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" if of["type"] == "error" => {
                    found.push(of["args"].to_string());
                }
                "Log.entryAdded" if of["entry"]["level"] == "error" => {
                    found.push(of["entry"].to_string());
                }
                "Network.requestWillBeSent" => {
                    let url = of["request"]["url"].as_str().unwrap_or_default();
                    let own = url
                        .strip_prefix(origin)
                        .is_some_and(|rest| rest.starts_with('/'));
                    if !own && url != "about:blank" {
                        found.push(format!("a request to {url}"));
                    }
                }
                _ => {}
            }
        }
        found
    }
}
