//! A small HTTP client that keeps its connection: enough for a node's API, and cheap enough to measure with.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

/// How long a node may take for one answer before we call it stuck.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longest answer that we take, in bytes: what we ask for is far smaller.
const ANSWER_LEN_MAX: usize = 64 * 1024 * 1024;
/// Headers of one answer: axum sends a handful.
const HEADERS_MAX: usize = 100;

/// One connection to a node's API.
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self { address, token: token.to_owned(), stream: BufReader::new(stream), request: Vec::new() })
    }

    /// `data` of the answer to a GET.
    pub(crate) fn get(&mut self, path: &str) -> Result<Value> {
        let (status, body) = self.request("GET", path, b"")?;
        let answer: Value =
            serde_json::from_slice(&body).with_context(|| format!("GET {path}: the answer is no JSON"))?;
        if status != 200 {
            bail!("GET {path}: {status}: {}", text_of(&answer, "detail"));
        }
        answer.get("data").cloned().ok_or_else(|| anyhow!("GET {path}: the answer has no data"))
    }

    /// `data` of the answer to a request with a JSON body.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.request(method, path, body.to_string().as_bytes())?;
        let answer: Value =
            serde_json::from_slice(&answer).with_context(|| format!("{method} {path}: the answer is no JSON"))?;
        if !(200..300).contains(&status) {
            bail!("{method} {path}: {status}: {}", text_of(&answer, "detail"));
        }
        answer.get("data").cloned().ok_or_else(|| anyhow!("{method} {path}: the answer has no data"))
    }

    /// Calls a method of a context's app by JSON-RPC; its result.
    pub(crate) fn call(&mut self, context: &str, method: &str, arguments: &Value) -> Result<Value> {
        let body = call_body(context, method, arguments);
        let answer: Value = serde_json::from_slice(&self.rpc(&body)?).context("the node's answer is no JSON")?;
        match (answer.get("result"), answer.get("error")) {
            (Some(result), _) => Ok(result.clone()),
            (None, error) => bail!("{method}: {}", error.map_or_else(String::new, |error| text_of(error, "message"))),
        }
    }

    /// Sends a JSON-RPC request made by [`call_body`]; the answer's bytes, which are not looked into.
    pub(crate) fn rpc(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        let (status, answer) = self.request("POST", "/jsonrpc", body)?;
        if status != 200 {
            bail!("POST /jsonrpc: {status}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(answer)
    }

    /// Sends one request; status and body of the answer.
    fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            self.token,
            body.len()
        )?;
        self.request.extend_from_slice(body);
        // One write: a header and a body in two packets would wait for each other.
        self.stream.get_mut().write_all(&self.request).context("the node closed the connection")?;
        read_answer(&mut self.stream).with_context(|| format!("{method} {path}"))
    }
}

/// The JSON of a call.
pub(crate) fn call_body(context: &str, method: &str, arguments: &Value) -> Vec<u8> {
    let params = serde_json::json!({ "contextId": context, "method": method, "argsJson": arguments });
    serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "execute", "params": params }).to_string().into_bytes()
}

/// A text of an object, empty if it is not there.
pub(crate) fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn read_answer(stream: &mut BufReader<impl std::io::Read>) -> Result<(u16, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).context("no answer")?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| anyhow!("not an HTTP answer: {line:?}"))?;
    let mut length = None;
    for _ in 0..HEADERS_MAX {
        line.clear();
        stream.read_line(&mut line)?;
        let header = line.trim_end();
        if header.is_empty() {
            let length = length.ok_or_else(|| anyhow!("the answer does not say its length"))?;
            if length > ANSWER_LEN_MAX {
                bail!("an answer of {length} bytes is too long");
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body)?;
            return Ok((status, body));
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    bail!("the answer has more than {HEADERS_MAX} headers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_on_one_connection_are_told_apart() {
        let bytes =
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let mut stream = BufReader::new(&bytes[..]);
        assert_eq!(read_answer(&mut stream).unwrap(), (200, b"ok".to_vec()));
        assert_eq!(read_answer(&mut stream).unwrap(), (404, Vec::new()));
        assert!(read_answer(&mut stream).is_err());
    }

    #[test]
    fn a_call_has_the_shape_that_clients_use() {
        let body: Value = serde_json::from_slice(&call_body("c", "set", &serde_json::json!({"key": "k"}))).unwrap();
        assert_eq!(body["method"], "execute");
        assert_eq!(body["params"]["argsJson"]["key"], "k");
    }
}
