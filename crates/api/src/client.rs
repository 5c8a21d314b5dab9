//! A blocking client, with one method for each route.

mod download;
mod error;
mod events;
mod governance;
mod url;

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use ureq::http::Response;
use ureq::typestate::WithBody;
use ureq::{Agent, Body, RequestBuilder, SendBody};

use crate::application::Application;
use crate::auth::{
    AddLoginKey, Challenge, Code, CreateToken, LoginKey, MakeCode, Refresh, Revoke, Revoked, Token, TokenAnswer,
    TokenCreated, TokenPair, TokenRequest, Validated,
};
use crate::blob::{Blob, Uploaded};
use crate::call::{Called, Execute, RpcRequest, RpcResponse};
use crate::code::ErrorCode;
use crate::context::{Context, ContextCreated, CreateContext, StartSync, Sync};
use crate::envelope::{Data, List};
use crate::event::{EventLine, Subscription, Topics};
use crate::group::{CreateGroup, Group, GroupCreated, Invite, Invited, Join, JoinGroup, LogLine, Member};
use crate::node::{Connect, Connected, Health, Identity, NodeStatus, Peer, Usage};
use crate::problem::Problem;

pub use download::{Reach, download};
pub use error::ClientError;
pub use events::EventStream;
use url::segment;

/// How long to wait for a connection: a node on this machine or its network answers in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for an ordinary answer: longer than any wait that the server does on its own.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a transfer of a bundle or blob may stand still before it is given up.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the installation of a bundle may take after it was sent: compiling is slow on small machines.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(600);

/// Longest answer that is read into memory. Lists of ten thousand rows stay below it.
const ANSWER_LEN_MAX: u64 = 64 * 1024 * 1024;

/// A blob on its way.
pub struct BlobBody {
    /// Its id, as the node says: to be compared with the hash of the bytes.
    pub blob_id: Option<String>,
    /// Its length, if the node says.
    pub size: Option<u64>,
    /// Its bytes.
    pub reader: Box<dyn Read>,
}

/// Talks to one node.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// A client for the node at `base`, like `http://127.0.0.1:2480`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`] if `base` does not begin with `http://` or has a query.
    pub fn new(base: &str, token: Option<String>) -> Result<Self, ClientError> {
        let base = base.trim_end_matches('/');
        if !base.starts_with("http://") || base.contains(['?', '#', ' ']) || base.len() <= "http://".len() {
            return Err(ClientError::BadUrl(base.to_owned()));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_per_read(Some(STALL_TIMEOUT))
            .timeout_per_write(Some(STALL_TIMEOUT))
            .user_agent(concat!("mesto/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), base: base.to_owned(), token })
    }

    /// Where the node is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether the node lives. Needs no token.
    ///
    /// # Errors
    /// [`ClientError`], like every method below.
    pub fn health(&self) -> Result<Health, ClientError> {
        self.get("/admin-api/health")
    }

    /// How the node is.
    pub fn status(&self) -> Result<NodeStatus, ClientError> {
        self.get("/admin-api/status")
    }

    /// What the node holds.
    pub fn usage(&self) -> Result<Usage, ClientError> {
        self.get("/admin-api/usage")
    }

    /// Who the node is, in `group` if one is named.
    pub fn identity(&self, group: Option<&str>) -> Result<Identity, ClientError> {
        match group {
            Some(group) => self.get(&format!("/admin-api/identity?group={}", segment(group))),
            None => self.get("/admin-api/identity"),
        }
    }

    /// The connected peers.
    pub fn peers(&self) -> Result<Vec<Peer>, ClientError> {
        self.list("/admin-api/peers")
    }

    /// Connects to a peer.
    pub fn connect(&self, addr: &str) -> Result<Connected, ClientError> {
        self.post("/admin-api/peers", &Connect { addr: addr.to_owned() })
    }

    /// Installs the bundle that `mpk` yields, `len` bytes long.
    pub fn install(&self, mpk: &mut dyn Read, len: u64) -> Result<Application, ClientError> {
        let path = "/admin-api/applications";
        let request = self.authorised(self.agent.post(self.url(path))).config();
        let request = request.timeout_recv_response(Some(INSTALL_TIMEOUT)).build();
        let request = request.header("content-type", "application/octet-stream").header("content-length", len);
        data(self.answered(request.send(SendBody::from_reader(mpk)))?)
    }

    /// The installed applications.
    pub fn applications(&self) -> Result<Vec<Application>, ClientError> {
        self.list("/admin-api/applications")
    }

    /// The newest installed version of an application.
    pub fn application(&self, app: &str) -> Result<Application, ClientError> {
        self.get(&format!("/admin-api/applications/{}", segment(app)))
    }

    /// The schema of an application: its methods, events and types.
    pub fn application_schema(&self, app: &str) -> Result<Box<RawValue>, ClientError> {
        self.get(&format!("/admin-api/applications/{}/schema", segment(app)))
    }

    /// Begins a group.
    pub fn create_group(&self, request: &CreateGroup) -> Result<GroupCreated, ClientError> {
        self.post("/admin-api/groups", request)
    }

    /// The groups that the node is in.
    pub fn groups(&self) -> Result<Vec<Group>, ClientError> {
        self.list("/admin-api/groups")
    }

    /// One group.
    pub fn group(&self, group: &str) -> Result<Group, ClientError> {
        self.get(&format!("/admin-api/groups/{}", segment(group)))
    }

    /// A group's members.
    pub fn members(&self, group: &str) -> Result<Vec<Member>, ClientError> {
        self.list(&format!("/admin-api/groups/{}/members", segment(group)))
    }

    /// The newest lines of a group's log.
    pub fn group_log(&self, group: &str) -> Result<Vec<LogLine>, ClientError> {
        self.list(&format!("/admin-api/groups/{}/log", segment(group)))
    }

    /// Makes a ticket.
    pub fn invite(&self, group: &str, request: &Invite) -> Result<Invited, ClientError> {
        self.post(&format!("/admin-api/groups/{}/invitations", segment(group)), request)
    }

    /// Joins by a ticket. The join is durable and completes by itself.
    pub fn join_group(&self, request: &JoinGroup) -> Result<Join, ClientError> {
        self.post("/admin-api/groups/join", request)
    }

    /// How far a join is, as soon as it is complete or after `wait`, which the server bounds.
    pub fn join_status(&self, group: &str, wait: Duration) -> Result<Join, ClientError> {
        self.get(&format!("/admin-api/groups/{}/join?waitMs={}", segment(group), wait.as_millis()))
    }

    /// Makes a context.
    pub fn create_context(&self, request: &CreateContext) -> Result<ContextCreated, ClientError> {
        self.post("/admin-api/contexts", request)
    }

    /// The contexts of `group`, or of all groups.
    pub fn contexts(&self, group: Option<&str>) -> Result<Vec<Context>, ClientError> {
        match group {
            Some(group) => self.list(&format!("/admin-api/groups/{}/contexts", segment(group))),
            None => self.list("/admin-api/contexts"),
        }
    }

    /// One context.
    pub fn context(&self, context: &str) -> Result<Context, ClientError> {
        self.get(&format!("/admin-api/contexts/{}", segment(context)))
    }

    /// One context, as soon as it is ready or after `wait`, which the server bounds.
    pub fn context_when_ready(&self, context: &str, wait: Duration) -> Result<Context, ClientError> {
        self.get(&format!("/admin-api/contexts/{}?waitMs={}", segment(context), wait.as_millis()))
    }

    /// Joins a context.
    pub fn join_context(&self, context: &str) -> Result<ContextCreated, ClientError> {
        self.post(&format!("/admin-api/contexts/{}/join", segment(context)), &serde_json::json!({}))
    }

    /// The schema of the app that a context runs.
    pub fn context_schema(&self, context: &str) -> Result<Box<RawValue>, ClientError> {
        self.get(&format!("/admin-api/contexts/{}/schema", segment(context)))
    }

    /// The newest lines of a context's log.
    pub fn context_log(&self, context: &str) -> Result<Vec<LogLine>, ClientError> {
        self.list(&format!("/admin-api/contexts/{}/log", segment(context)))
    }

    /// Starts a comparison with connected members.
    pub fn sync(&self, context: &str, request: &StartSync) -> Result<Sync, ClientError> {
        self.post(&format!("/admin-api/contexts/{}/sync", segment(context)), request)
    }

    /// How a context stands with connected members, as soon as it is converged or after `wait`, which the
    /// server bounds.
    pub fn sync_status(&self, context: &str, wait: Duration) -> Result<Sync, ClientError> {
        self.get(&format!("/admin-api/contexts/{}/sync?waitMs={}", segment(context), wait.as_millis()))
    }

    /// How every joined context stands with connected members.
    pub fn sync_all(&self) -> Result<Vec<Sync>, ClientError> {
        self.list("/admin-api/sync")
    }

    /// Calls a method. `args` is a JSON object.
    ///
    /// # Errors
    /// [`ClientError::Rpc`] if the call gave no result.
    pub fn call(
        &self,
        context: &str,
        method: &str,
        args: &RawValue,
        identity: Option<&str>,
    ) -> Result<Called, ClientError> {
        let params = Execute {
            context_id: context.into(),
            method: method.into(),
            args_json: Some(args),
            executor_public_key: identity.map(Into::into),
        };
        let malformed = |error: serde_json::Error| ClientError::Malformed(error.to_string());
        let params = serde_json::value::to_raw_value(&params).map_err(malformed)?;
        let id = serde_json::value::to_raw_value(&1).map_err(malformed)?;
        let request =
            RpcRequest { jsonrpc: "2.0".into(), id: Some(&id), method: "execute".into(), params: Some(&params) };
        let answer: RpcResponse<Called> = read(self.send_json("/jsonrpc", &request)?)?;
        match (answer.result, answer.error) {
            (Some(called), None) => Ok(called),
            (_, Some(error)) => Err(ClientError::Rpc(error)),
            (None, None) => Err(ClientError::Malformed("neither a result nor an error".to_owned())),
        }
    }

    /// What happened lately in `contexts`, or everywhere if there are none; oldest first.
    pub fn recent_events(&self, contexts: &[String]) -> Result<Vec<EventLine>, ClientError> {
        let query: Vec<String> = contexts.iter().map(|context| format!("context={}", segment(context))).collect();
        self.list(&format!("/admin-api/events?{}", query.join("&")))
    }

    /// Opens a stream that carries `topics`.
    pub fn events(&self, topics: Topics) -> Result<EventStream, ClientError> {
        self.open_events(topics, None)
    }

    /// Takes up a stream that broke. If the node cannot tell what was missed the stream is a new one, which
    /// [`EventStream::resumed`] says.
    pub fn resume_events(&self, broken: &EventStream, topics: Topics) -> Result<EventStream, ClientError> {
        self.open_events(topics, broken.last_id())
    }

    fn open_events(&self, topics: Topics, last_id: Option<&str>) -> Result<EventStream, ClientError> {
        let mut request = self.authorised(self.agent.get(self.url("/sse"))).header("accept", "text/event-stream");
        if let Some(last_id) = last_id {
            request = request.header("last-event-id", last_id);
        }
        let stream = EventStream::open(self.answered(request.call())?.into_body())?;
        if !stream.resumed() {
            let id = stream.session_id().to_owned();
            let subscription = Subscription { id, method: "subscribe".to_owned(), params: topics };
            self.send_json("/sse/subscription", &subscription)?;
        }
        Ok(stream)
    }

    /// Stores what `bytes` yields. `len` is its length, if known.
    pub fn put_blob(&self, bytes: &mut dyn Read, len: Option<u64>) -> Result<Uploaded, ClientError> {
        let request = self.authorised(self.agent.put(self.url("/admin-api/blobs")));
        let mut request = request.header("content-type", "application/octet-stream");
        if let Some(len) = len {
            request = request.header("content-length", len);
        }
        data(self.answered(request.send(SendBody::from_reader(bytes)))?)
    }

    /// A stored blob, by id or prefix. Its bytes are yet to be read.
    pub fn get_blob(&self, blob: &str) -> Result<BlobBody, ClientError> {
        let request = self.authorised(self.agent.get(self.url(&format!("/admin-api/blobs/{}", segment(blob)))));
        let answer = self.answered(request.call())?;
        let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let blob_id = tag.map(|tag| tag.trim_matches('"').to_owned());
        let body = answer.into_body();
        let size = body.content_length();
        Ok(BlobBody { blob_id, size, reader: Box::new(body.into_with_config().limit(u64::MAX).reader()) })
    }

    /// The stored blobs.
    pub fn blobs(&self) -> Result<Vec<Blob>, ClientError> {
        self.list("/admin-api/blobs")
    }

    /// Removes a blob from the node.
    pub fn delete_blob(&self, blob: &str) -> Result<Blob, ClientError> {
        self.delete(&format!("/admin-api/blobs/{}", segment(blob)))
    }

    /// Something to sign, to log in by a key.
    pub fn challenge(&self) -> Result<Challenge, ClientError> {
        self.get("/auth/challenge")
    }

    /// Logs in.
    pub fn log_in(&self, request: &TokenRequest) -> Result<TokenPair, ClientError> {
        read::<TokenAnswer>(self.send_json("/auth/token", request)?).map(|answer| answer.data)
    }

    /// Exchanges a refresh token.
    pub fn refresh(&self, refresh: &Refresh) -> Result<TokenPair, ClientError> {
        read::<TokenAnswer>(self.send_json("/auth/refresh", refresh)?).map(|answer| answer.data)
    }

    /// Ends the login of a token.
    pub fn revoke(&self, revoke: &Revoke) -> Result<Revoked, ClientError> {
        self.post("/auth/revoke", revoke)
    }

    /// Whose token this client shows.
    pub fn validate(&self) -> Result<Validated, ClientError> {
        self.get("/auth/validate")
    }

    /// Logins and tokens.
    pub fn tokens(&self) -> Result<Vec<Token>, ClientError> {
        self.list("/auth/tokens")
    }

    /// Makes a token for a program.
    pub fn create_token(&self, request: &CreateToken) -> Result<TokenCreated, ClientError> {
        self.post("/auth/tokens", request)
    }

    /// Ends a login or token.
    pub fn revoke_token(&self, token: &str) -> Result<Revoked, ClientError> {
        self.delete(&format!("/auth/tokens/{}", segment(token)))
    }

    /// Who may log in.
    pub fn login_keys(&self) -> Result<Vec<LoginKey>, ClientError> {
        self.list("/auth/keys")
    }

    /// Lets somebody log in.
    pub fn add_login_key(&self, request: &AddLoginKey) -> Result<LoginKey, ClientError> {
        self.post("/auth/keys", request)
    }

    /// Lets somebody log in no more.
    pub fn remove_login_key(&self, key: &str) -> Result<Revoked, ClientError> {
        self.delete(&format!("/auth/keys/{}", segment(key)))
    }

    /// A one-time code for the page of a context.
    pub fn make_code(&self, request: &MakeCode) -> Result<Code, ClientError> {
        self.post("/auth/codes", request)
    }

    fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        data(self.with_json(self.agent.put(self.url(path)), body)?)
    }

    fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        data(self.with_json(self.agent.patch(self.url(path)), body)?)
    }

    fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        data(self.answered(self.authorised(self.agent.delete(self.url(path))).call())?)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        data(self.answered(self.authorised(self.agent.get(self.url(path))).call())?)
    }

    fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let answer = self.answered(self.authorised(self.agent.get(self.url(path))).call())?;
        Ok(read::<List<T>>(answer)?.data)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        data(self.send_json(path, body)?)
    }

    fn send_json(&self, path: &str, body: &impl Serialize) -> Result<Response<Body>, ClientError> {
        self.with_json(self.agent.post(self.url(path)), body)
    }

    fn with_json(
        &self,
        request: RequestBuilder<WithBody>,
        body: &impl Serialize,
    ) -> Result<Response<Body>, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Malformed(error.to_string()))?;
        let request = self.authorised(request).header("content-type", "application/json");
        self.answered(request.send(&body[..]))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn authorised<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// The answer, if it is a success.
    fn answered(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, ClientError> {
        let mut answer = answer.map_err(|error| ClientError::of_transport(&self.base, error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_string().unwrap_or_default();
        Err(match serde_json::from_str::<Problem>(&text) {
            Ok(problem) => ClientError::Refused(Box::new(problem)),
            Err(_) => ClientError::Refused(Box::new(Problem::new(
                if status == 401 { ErrorCode::Unauthorized } else { ErrorCode::InternalError },
                format!("{} answered with status {status}; is it a Mesto node?", self.base),
            ))),
        })
    }
}

fn data<T: DeserializeOwned>(answer: Response<Body>) -> Result<T, ClientError> {
    read::<Data<T>>(answer).map(|answer| answer.data)
}

fn read<T: DeserializeOwned>(mut answer: Response<Body>) -> Result<T, ClientError> {
    let text = answer.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_vec();
    let text = text.map_err(|error| ClientError::Malformed(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| ClientError::Malformed(error.to_string()))
}
