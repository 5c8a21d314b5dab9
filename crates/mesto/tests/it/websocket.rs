//! The client's side of a WebSocket (RFC 6455), as far as the tests need it.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http::Connection;
use crate::node::Node;

/// An open WebSocket.
pub(crate) struct Socket {
    reader: BufReader<TcpStream>,
}

impl Socket {
    pub(crate) fn open(node: &Node) -> Self {
        Self::open_with(node, &node.home().token())
    }

    /// With another token than the home's, given as browsers give it.
    pub(crate) fn open_with(node: &Node, token: &str) -> Self {
        let headers = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        Self { reader: Connection::open(node.api_address(), None).upgrade(&format!("/ws?token={token}"), &headers) }
    }

    /// Whether the node hangs up before it says anything more, or ever.
    pub(crate) fn ends(mut self) -> bool {
        let mut first = [0];
        matches!(self.reader.read(&mut first), Ok(0)) || first == [0x88]
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.frame(1, message.to_string().as_bytes());
    }

    /// Asks to execute a method.
    pub(crate) fn execute(&mut self, id: u64, context: &str, method: &str, args: &Value) {
        let params = json!({"contextId": context, "method": method, "argsJson": args});
        self.send(&json!({"id": id, "method": "execute", "params": params}));
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            let [first, second] = self.read();
            let len = match second & 0x7f {
                126 => usize::from(u16::from_be_bytes(self.read())),
                127 => usize::try_from(u64::from_be_bytes(self.read())).expect("it fits"),
                short => usize::from(short),
            };
            let mut payload = vec![0; len];
            self.reader.read_exact(&mut payload).expect("a frame");
            match first {
                0x81 => return serde_json::from_slice(&payload).expect("JSON"),
                0x89 => self.frame(10, &payload),
                other => panic!("an unexpected frame of kind {other:#x}"),
            }
        }
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | kind];
        match payload.len() {
            short @ 0..126 => frame.push(0x80 | u8::try_from(short).expect("short")),
            long => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(long).expect("tests send short messages").to_be_bytes());
            }
        }
        // A mask of zeros is as good as any: what it protects from are proxies.
        frame.extend([0; 4]);
        frame.extend(payload);
        self.reader.get_mut().write_all(&frame).expect("it is sent");
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).expect("a frame");
        bytes
    }
}
