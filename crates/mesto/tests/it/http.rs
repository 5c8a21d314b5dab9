//! A small HTTP client: one connection that is kept open, and nothing that the tests do not see.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any answer takes, the waits on the server's side included.
const READ_WITHIN: Duration = Duration::from_secs(40);

/// A connection.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    address: String,
    token: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let body = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {} {body}", self.status))
    }

    /// `data` of a success.
    #[track_caller]
    pub(crate) fn data(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/json"));
        self.json()["data"].clone()
    }

    /// The problem document of a failure.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{problem}");
        problem
    }
}

impl Connection {
    pub(crate) fn open(address: &str, token: Option<&str>) -> Self {
        let stream = TcpStream::connect(address).expect("the API listens");
        stream.set_read_timeout(Some(READ_WITHIN)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { reader: BufReader::new(stream), address: address.to_owned(), token: token.map(str::to_owned) }
    }

    /// Sends a request; `headers` may replace `Host`, the token and the length.
    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(method, path, headers, body).expect("the request is sent");
        self.answer(method).expect("an answer")
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !given("content-length") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        if !given("host") {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        if let Some(token) = self.token.as_ref().filter(|_| !given("authorization")) {
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let stream = self.reader.get_mut();
        stream.write_all(&[head.as_bytes(), body].concat())
    }

    fn answer(&mut self, method: &str) -> std::io::Result<Answer> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no status line but {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let len = answer.header("content-length").and_then(|len| len.parse().ok());
        if let Some(len) = len.filter(|_| method != "HEAD") {
            answer.body.resize(len, 0);
            self.reader.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// A JSON-RPC text and what answers it.
    #[track_caller]
    pub(crate) fn rpc(&mut self, text: &str) -> Value {
        let answer = self.request("POST", "/jsonrpc", &[("content-type", "application/json")], text.as_bytes());
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        answer.json()
    }

    /// The answer to a call.
    #[track_caller]
    pub(crate) fn execute(&mut self, context: &str, method: &str, args: &Value) -> Value {
        self.rpc(&execute(context, method, args).to_string())
    }

    /// The result of a call that must succeed.
    #[track_caller]
    pub(crate) fn call(&mut self, context: &str, method: &str, args: &Value) -> Value {
        let answer = self.execute(context, method, args);
        assert!(answer["error"].is_null(), "{method} {args}: {answer}");
        answer["result"].clone()
    }

    /// The result of a call, or nothing if the connection broke before it was there.
    pub(crate) fn try_call(&mut self, context: &str, method: &str, args: &Value) -> Option<Value> {
        let text = execute(context, method, args).to_string();
        self.send("POST", "/jsonrpc", &[("content-type", "application/json")], text.as_bytes()).ok()?;
        let answer = self.answer("POST").ok()?;
        serde_json::from_slice::<Value>(&answer.body).ok()?.get("result").cloned()
    }

    /// Begins a request whose answer is a stream of server-sent events.
    pub(crate) fn events(mut self, path: &str, headers: &[(&str, &str)]) -> Events {
        self.send("GET", path, headers, b"").expect("the request is sent");
        let answer = self.answer("GET").expect("an answer");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")), "{answer:?}");
        Events { reader: self.reader, text: String::new() }
    }

    /// Gives the stream away, after an answer of another protocol was read.
    pub(crate) fn upgrade(mut self, path: &str, headers: &[(&str, &str)]) -> BufReader<TcpStream> {
        self.send("GET", path, headers, b"").expect("the request is sent");
        let answer = self.answer("GET").expect("an answer");
        assert_eq!(answer.status, 101, "{answer:?}");
        self.reader
    }
}

/// The text of a call.
pub(crate) fn execute(context: &str, method: &str, args: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "execute",
        "params": {"contextId": context, "method": method, "argsJson": args}})
}

/// A stream of server-sent events, in chunks of HTTP.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    text: String,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

impl Events {
    /// The next message, comments aside.
    pub(crate) fn next(&mut self) -> Message {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    message.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
                };
                let (id, data) = (field("id"), field("data"));
                self.text = rest.to_owned();
                if let Some(data) = data {
                    return Message { id, data: serde_json::from_str(&data).expect("JSON") };
                }
                continue;
            }
            let chunk = self.chunk().expect("a chunk");
            self.text.push_str(&chunk);
        }
    }

    fn chunk(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let len = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let mut chunk = vec![0; len + 2];
        self.reader.read_exact(&mut chunk)?;
        chunk.truncate(len);
        String::from_utf8(chunk).map_err(std::io::Error::other)
    }
}
