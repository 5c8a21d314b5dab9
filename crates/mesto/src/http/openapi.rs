//! `GET /admin-api/openapi.json`: the interface as OpenAPI 3.1, made from the routes and the types that they use.

use axum::extract::State;
use axum::response::Response;
use mesto_api::Problem;
use mesto_api::problem::MEDIA_TYPE;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Serving;
use super::body;
use super::gate::Need;
use super::routes::{Answer, Listed, Takes};

pub(super) async fn show(State(shared): Serving) -> Response {
    body::raw_json(shared.openapi.as_bytes().to_vec())
}

/// The description of these routes.
pub(super) fn describe(routes: &[Listed]) -> String {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operation = operation(route, &mut generator);
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.verb.name()] = operation;
    }
    let failure = json!({
        "description": "A problem document (RFC 9457). `code` is what programs switch on.",
        "content": { MEDIA_TYPE: { "schema": problem } },
    });
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mesto",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The interface of a Mesto node. Ids may be given as unique prefixes or names by callers whose token is not limited to one context.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": { "Problem": failure },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
        },
    });
    document.to_string()
}

fn operation(route: &Listed, generator: &mut schemars::SchemaGenerator) -> Value {
    let about = &route.about;
    let mut operation = json!({
        "summary": about.summary,
        "operationId": operation_id(route),
        "tags": [tag(route.path)],
        "responses": { "200": success(&about.answer, generator), "default": { "$ref": "#/components/responses/Problem" } },
    });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    match &about.takes {
        Takes::Nothing => {}
        Takes::Json(schema) => {
            operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema(generator) } } });
        }
        Takes::Bytes(media_type) => operation["requestBody"] = json!({ "required": true, "content": { *media_type: {} } }),
    }
    match route.need {
        Need::Nothing => operation["security"] = json!([]),
        Need::Login => operation["security"] = json!([{ "token": [] }]),
        Need::Right(right) | Need::Context(right) => operation["security"] = json!([{ "token": [right.name()] }]),
    }
    operation
}

fn success(answer: &Answer, generator: &mut schemars::SchemaGenerator) -> Value {
    let object = |schema: Value| json!({ "description": "Done.", "content": { "application/json": { "schema": schema } } });
    match answer {
        Answer::Data(schema) => {
            object(json!({ "type": "object", "required": ["data"], "properties": { "data": schema(generator) } }))
        }
        Answer::List(schema) => object(json!({
            "type": "object",
            "required": ["data", "nextCursor"],
            "properties": { "data": { "type": "array", "items": schema(generator) }, "nextCursor": { "type": ["string", "null"] } },
        })),
        Answer::Json(schema) => object(json!(schema(generator))),
        Answer::Other(media_type) => json!({ "description": "Done.", "content": { *media_type: {} } }),
    }
}

fn parameters(route: &Listed) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let in_path = path_parameters(route.path)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }));
    let in_query = route.about.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": text })
    });
    let key = route.about.creates.then(|| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A request that is sent again under the same key gets the answer of the first.",
            "schema": text,
        })
    });
    in_path.chain(in_query).chain(key).collect()
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| name.trim_start_matches('*'))
}

/// `get_admin-api_groups_group`: unique, because the method and the path are. A path that ends in a slash is an index.
fn operation_id(route: &Listed) -> String {
    let parts = route.path.split('/').filter(|part| !part.is_empty()).map(|part| part.trim_matches(['{', '}', '*']));
    let index = route.path.ends_with('/').then_some("index");
    std::iter::once(route.verb.name()).chain(parts).chain(index).collect::<Vec<_>>().join("_")
}

fn tag(path: &str) -> &str {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next() {
        Some("admin-api") => parts.next().unwrap_or("node"),
        Some(first) => first,
        None => "node",
    }
}

#[cfg(test)]
mod tests;
