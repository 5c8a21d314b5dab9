use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use zeroize::Zeroizing;

use crate::http::auth::{Auth, Settings};
use crate::http::table;

fn listed() -> Vec<Listed> {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        token: Zeroizing::new("t".to_owned()),
        secret: Zeroizing::new([0; 32]),
        book: folder.path().join("auth.json"),
        issuer: "node".to_owned(),
    };
    table::routes(Arc::new(Auth::open(settings).unwrap())).finish().1
}

fn described() -> Value {
    serde_json::from_str(&describe(&listed())).unwrap()
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(to) if name == "$ref" => {
                        found.insert(to.clone());
                    }
                    other => references(other, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = described();
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| operations.as_object().unwrap().keys().map(|verb| (path.clone(), verb.clone())))
        .collect();
    let routes = listed();
    let registered: BTreeSet<_> = routes.iter().map(|route| (route.path.replace("{*", "{"), route.verb.name().to_owned())).collect();
    assert_eq!(described, registered);
    assert_eq!(registered.len(), routes.len(), "no route is there twice");
    assert!(registered.len() > 40);
}

#[test]
fn the_description_is_whole() {
    let document = described();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Context"), "{found:?}");
    for reference in &found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
    }
    let context = &document["components"]["schemas"]["Context"]["properties"];
    assert_eq!(context["contextId"]["type"], "string", "names are as they are sent");
    let show = &document["paths"]["/admin-api/contexts/{context}"]["get"];
    assert_eq!(show["parameters"][0]["name"], "context");
    assert_eq!(show["security"], json!([{ "token": ["context:read"] }]));
    assert_eq!(document["paths"]["/healthz"]["get"]["security"], json!([]));
    let ids: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|operations| operations.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), listed().len(), "every operation has a name of its own");
}
