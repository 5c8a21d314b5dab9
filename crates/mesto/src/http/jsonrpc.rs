//! `POST /jsonrpc`: calls of methods, alone or in batches.
//!
//! This is the hot path. Arguments and results are passed through as the JSON text that they are; nothing is
//! built of them here.

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use mesto_api::ErrorCode;
use mesto_api::call::{Execute, RpcRequest};
use mesto_node::command::{Called, Selector};
use mesto_oplog::id::to_text;
use serde_json::value::RawValue;

use super::auth::Caller;
use super::auth::permission::Right;
use super::gate::Asked;
use super::refusal::Refusal;
use super::{Serving, body};
use crate::driver::Handle;

/// Longest request, in bytes: a delta may have 16 MiB, and its JSON is longer than its bytes.
pub(super) const RPC_LEN_MAX: usize = 24 * 1024 * 1024;

/// Most calls in a batch. They run one after the other, so that each sees what those before it did.
const BATCH_MAX: usize = 256;

/// Room for what surrounds a result: ids, names, punctuation.
const ANSWER_OVERHEAD: usize = 256;

pub(super) async fn execute(State(shared): Serving, Asked(caller): Asked, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = match body::read(&parts.headers, body, RPC_LEN_MAX).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal.into_response(),
    };
    if let Err(refusal) = body::check_json_type(&parts.headers) {
        return refusal.into_response();
    }
    body::raw_json(answer(&shared.node, &caller, &bytes).await)
}

/// The JSON text that answers the JSON text of one request or of a batch.
pub(super) async fn answer(node: &Handle, caller: &Caller, text: &[u8]) -> Vec<u8> {
    let is_batch = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_batch {
        return one(node, caller, text).await;
    }
    let requests: Vec<&RawValue> = match serde_json::from_slice(text) {
        Ok(requests) => requests,
        Err(error) => return failed(None, Refusal::new(ErrorCode::ParseError, error.to_string())),
    };
    if requests.is_empty() || requests.len() > BATCH_MAX {
        let detail = format!("a batch has 1 to {BATCH_MAX} requests");
        return failed(None, Refusal::new(ErrorCode::InvalidRequest, detail));
    }
    let mut answers = vec![b'['];
    for request in requests {
        if answers.len() > 1 {
            answers.push(b',');
        }
        answers.append(&mut one(node, caller, request.get().as_bytes()).await);
    }
    answers.push(b']');
    answers
}

async fn one(node: &Handle, caller: &Caller, text: &[u8]) -> Vec<u8> {
    let request: RpcRequest<'_> = match body::parse(text) {
        Ok(request) => request,
        Err(refusal) => return failed(None, as_request(refusal)),
    };
    match run(node, caller, &request).await {
        Ok(called) => succeeded(request.id, &called),
        Err(refusal) => failed(request.id, refusal),
    }
}

/// In JSON-RPC a shape that does not fit is an invalid request.
fn as_request(refusal: Refusal) -> Refusal {
    let problem = refusal.problem();
    if problem.code == ErrorCode::ParseError { refusal } else { Refusal::new(ErrorCode::InvalidRequest, problem.detail.clone()) }
}

async fn run(node: &Handle, caller: &Caller, request: &RpcRequest<'_>) -> Result<Called, Refusal> {
    if request.jsonrpc != "2.0" {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "`jsonrpc` is not \"2.0\""));
    }
    if request.method != "execute" {
        let detail = format!("there is no method `{}`: the one of this interface is `execute`", request.method);
        return Err(Refusal::new(ErrorCode::MethodNotFound, detail));
    }
    let params = request.params.ok_or_else(|| Refusal::new(ErrorCode::InvalidRequest, "`params` is missing"))?;
    call(node, caller, params).await
}

/// Calls what the parameters of an `execute` say.
pub(super) async fn call(node: &Handle, caller: &Caller, params: &RawValue) -> Result<Called, Refusal> {
    let params: Execute<'_> = body::parse(params.get().as_bytes()).map_err(as_request)?;
    check_rights(node, caller, &params).await?;
    let args = arguments(params.args_json)?;
    // Existing clients send an empty one where they know none.
    let identity = params.executor_public_key.filter(|key| !key.is_empty()).map(|key| Selector(key.into_owned()));
    let called = node.call(Selector(params.context_id.into_owned()), params.method.into_owned(), args, identity).await?;
    if serde_json::from_slice::<&RawValue>(&called.output).is_err() {
        return Err(Refusal::new(ErrorCode::FunctionCallError, "the app gave a result that is not JSON"));
    }
    Ok(called)
}

/// Who may execute calls everything, who may read calls views.
async fn check_rights(node: &Handle, caller: &Caller, params: &Execute<'_>) -> Result<(), Refusal> {
    let Err(refusal) = caller.may_in(Right::ContextExecute, &params.context_id) else { return Ok(()) };
    caller.may_in(Right::ContextRead, &params.context_id).map_err(|refusal| *refusal)?;
    if node.is_view(&Selector(params.context_id.to_string()), &params.method).await? { Ok(()) } else { Err(*refusal) }
}

/// The text of an object, given as one or as a string that holds one.
fn arguments(given: Option<&RawValue>) -> Result<Vec<u8>, Refusal> {
    let not_an_object = || Refusal::new(ErrorCode::InvalidRequest, "`argsJson` is not a JSON object");
    let Some(given) = given.map(|given| given.get().as_bytes()) else { return Ok(b"{}".to_vec()) };
    match given.first() {
        Some(b'{') => Ok(given.to_vec()),
        Some(b'"') => {
            let text: String = serde_json::from_slice(given).map_err(|_| not_an_object())?;
            let held: &RawValue = serde_json::from_str(&text).map_err(|_| not_an_object())?;
            if held.get().starts_with('{') { Ok(held.get().as_bytes().to_vec()) } else { Err(not_an_object()) }
        }
        _ => Err(not_an_object()),
    }
}

fn succeeded(id: Option<&RawValue>, called: &Called) -> Vec<u8> {
    let mut answer = Vec::with_capacity(called.output.len() + ANSWER_OVERHEAD);
    begin(&mut answer, id);
    answer.extend_from_slice(b",\"result\":");
    write_result(&mut answer, called);
    answer.push(b'}');
    answer
}

/// `{"output":…,"committed":…,"deltaId":…,"rootHash":…}`. The texts need no escaping: ids are base32.
pub(super) fn write_result(answer: &mut Vec<u8>, called: &Called) {
    answer.extend_from_slice(b"{\"output\":");
    answer.extend_from_slice(&called.output);
    answer.extend_from_slice(if called.committed { b",\"committed\":true" } else { b",\"committed\":false" });
    match &called.delta {
        Some(delta) => {
            answer.extend_from_slice(b",\"deltaId\":\"");
            answer.extend_from_slice(delta.to_string().as_bytes());
            answer.push(b'"');
        }
        None => answer.extend_from_slice(b",\"deltaId\":null"),
    }
    answer.extend_from_slice(b",\"rootHash\":\"");
    answer.extend_from_slice(to_text(&called.root).as_bytes());
    answer.extend_from_slice(b"\"}");
}

fn failed(id: Option<&RawValue>, refusal: Refusal) -> Vec<u8> {
    let mut answer = Vec::with_capacity(ANSWER_OVERHEAD);
    begin(&mut answer, id);
    answer.extend_from_slice(b",\"error\":");
    answer.extend(serde_json::to_vec(&refusal.rpc()).unwrap_or_default()); // texts and JSON always encode
    answer.push(b'}');
    answer
}

fn begin(answer: &mut Vec<u8>, id: Option<&RawValue>) {
    answer.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    answer.extend_from_slice(id.map_or("null", RawValue::get).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesto_oplog::EntryId;
    use serde_json::{Value, json};

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn arguments_are_an_object_or_a_string_that_holds_one() {
        assert_eq!(arguments(None).unwrap(), b"{}");
        assert_eq!(arguments(Some(&raw(r#"{"a": 1}"#))).unwrap(), br#"{"a": 1}"#);
        assert_eq!(arguments(Some(&raw(r#""{\"a\":1}""#))).unwrap(), br#"{"a":1}"#);
        for wrong in ["[1]", "5", r#""5""#, r#""{""#, r#""{} {}""#, "true"] {
            assert_eq!(arguments(Some(&raw(wrong))).unwrap_err().problem().code, ErrorCode::InvalidRequest, "{wrong}");
        }
    }

    #[test]
    fn a_result_is_in_the_shape_that_clients_know() {
        let delta = EntryId::from_bytes([1; 32]);
        let called = Called { output: br#"{"x":1}"#.to_vec(), committed: true, delta: Some(delta), root: [0; 32], events: vec![] };
        let answer: Value = serde_json::from_slice(&succeeded(Some(&raw("7")), &called)).unwrap();
        assert_eq!(
            answer,
            json!({"jsonrpc": "2.0", "id": 7, "result": {"output": {"x": 1}, "committed": true,
                "deltaId": delta.to_string(), "rootHash": "a".repeat(52)}})
        );
        let view = Called { output: b"null".to_vec(), committed: false, delta: None, root: [0; 32], events: vec![] };
        let answer: Value = serde_json::from_slice(&succeeded(None, &view)).unwrap();
        assert_eq!((&answer["id"], &answer["result"]["deltaId"], &answer["result"]["committed"]), (&Value::Null, &Value::Null, &json!(false)));
    }

    #[test]
    fn an_error_has_code_message_type_and_data() {
        let text = failed(Some(&raw("\"a\"")), Refusal::new(ErrorCode::ContextNotFound, "no \"such\" context"));
        let answer: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(answer["id"], "a");
        assert_eq!(
            answer["error"],
            json!({"code": -32004, "message": "no \"such\" context", "type": "ContextNotFound", "data": null})
        );
    }
}
