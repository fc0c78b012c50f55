//! A real Chromium, driven over the `WebDriver` protocol.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs};

use base64ct::{Base64, Encoding as _};
use bootstrapd_tests::{Connection, Directory, Request, within};
use serde_json::{Value, json};

use crate::required;

/// Browsers are large: one at a time.
static ONE: Mutex<()> = Mutex::new(());

pub(super) const TAB: &str = "\u{e004}";
pub(super) const ENTER: &str = "\u{e007}";
pub(super) const DOWN: &str = "\u{e015}";
pub(super) const SPACE: &str = " ";

/// A browser with one page. Dropping it ends it.
pub(super) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    directory: Directory,
    _one: MutexGuard<'static, ()>,
}

impl Browser {
    pub(super) fn start() -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        drop(required("chromium"));
        let directory = Directory::new();
        let mut driver =
            required("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let said = "started successfully on port ";
        let port = lines.map_while(Result::ok).find_map(|line| Some(line.split_once(said)?.1.to_owned()));
        let port: u16 = port.unwrap().trim_end_matches('.').parse().unwrap();
        let mut browser = Self {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
            directory,
            _one: one,
        };
        let home = format!("--user-data-dir={}", browser.directory.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--no-proxy-server",
            "--hide-scrollbars",
            "--window-size=1000,900",
            &home,
        ];
        let options = json!({"args": arguments});
        let wanted = json!({"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}});
        let session = browser.call("POST", "/session", &json!({"capabilities": wanted}));
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = match method {
            "POST" => Request::post(&format!("{}{path}", self.session), body.to_string()),
            _ => Request::new(method, &format!("{}{path}", self.session)),
        };
        let mut connection = Connection::open(self.address);
        connection.stream().set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let answer = connection.call(&request);
        let mut said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status, 200, "{path}: {said}");
        said["value"].take()
    }

    pub(super) fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url}));
    }

    pub(super) fn url(&self) -> String {
        self.call("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// What a function's body returns; a promise is waited for.
    pub(super) fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    pub(super) fn text(&self, script: &str) -> String {
        self.run(script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression holds.
    pub(super) fn wait(&self, expression: &str) {
        within(Duration::from_secs(40), expression, || {
            (self.run(&format!("return Boolean({expression})")) == json!(true)).then_some(())
        });
    }

    /// Presses keys, one after the other, on whatever has the focus.
    pub(super) fn press(&self, keys: &str) {
        let keys: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})))
            .collect();
        self.call("POST", "/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}));
    }

    /// The id of what has the focus.
    pub(super) fn focus(&self) -> String {
        self.text("return document.activeElement.id")
    }

    pub(super) fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let command = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}});
        self.call("POST", "/goog/cdp/execute", &command);
    }

    pub(super) fn resize(&self, width: u32, height: u32) {
        self.call("POST", "/window/rect", &json!({"width": width, "height": height}));
    }

    /// Keeps a picture of the page, where `BOOTSTRAPD_TEST_SCREENSHOTS` names a directory.
    pub(super) fn picture(&self, name: &str) {
        if let Ok(directory) = env::var("BOOTSTRAPD_TEST_SCREENSHOTS") {
            let command = json!({"cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": true}});
            let taken = self.call("POST", "/goog/cdp/execute", &command);
            let bytes = Base64::decode_vec(taken["data"].as_str().unwrap()).unwrap();
            fs::write(format!("{directory}/{name}.png"), bytes).unwrap();
        }
    }

    /// What the page complained about, such as what its policy does not allow.
    pub(super) fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", &json!({"type": "browser"}));
        log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", "", &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
