//! Manifests: each rule is checked, and an error names the field.

use crate::app::{files, json_of, key, signed, template};
use mesto_bundle::{Manifest, ManifestError, Migration, PathError, SignError, Template};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn parse(json: &Map<String, Value>) -> Result<Manifest, ManifestError> {
    Manifest::parse(&serde_json::to_vec(json).unwrap())
}

/// The error of the sample manifest after one change.
fn after(change: impl FnOnce(&mut Value)) -> ManifestError {
    let mut json = Value::Object(json_of(&signed()));
    change(&mut json);
    parse(json.as_object().unwrap()).unwrap_err()
}

#[test]
fn all_fields_are_read() {
    let mut template = template().with_web("web/app.js").with_migrations(&[
        Migration { method: "from_v1".to_owned(), from: Some("1.0.0".parse().unwrap()) },
        Migration { method: "from_any".to_owned(), from: None },
    ]);
    template.describe_files(&files()).unwrap();
    let manifest = template.sign(&key()).unwrap();
    assert_eq!(manifest.package(), "org.example.notes");
    assert_eq!(manifest.app_version().to_string(), "1.2.0");
    assert_eq!(manifest.min_runtime_version().to_string(), "0.1.0");
    assert_eq!(manifest.signer(), key().signer());
    assert_eq!(manifest.wasm().path, "app.wasm");
    assert_eq!(manifest.wasm().size, files()["app.wasm"].len() as u64);
    assert_eq!(manifest.abi().unwrap().path, "abi.json");
    assert_eq!(manifest.web(), Some("web/app.js"));
    assert_eq!(manifest.migrations().len(), 2);
    assert_eq!(manifest.migrations()[0].from.as_ref().unwrap().to_string(), "1.0.0");
    let paths: Vec<_> = manifest.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["web/app.js", "web/index.html"]);
    assert_eq!(manifest.all_files().count(), 4);
    let again = Manifest::parse(&manifest.to_canonical_json().unwrap()).unwrap();
    assert_eq!(again, manifest);
}

#[test]
fn an_index_page_is_the_web_page_unless_the_manifest_says_otherwise() {
    assert_eq!(signed().web(), Some("web/index.html"));
    let mut without = template().with("web", Value::Null);
    without.describe_files(&files()).unwrap();
    assert_eq!(without.sign(&key()).unwrap().web(), None);
}

#[test]
fn each_required_field_is_missed_by_name() {
    for field in ["version", "package", "appVersion", "minRuntimeVersion", "signerId", "wasm", "signature"] {
        let error = after(|json| drop(json.as_object_mut().unwrap().remove(field)));
        assert!(matches!(&error, ManifestError::Missing { field: named } if named == field), "{error}");
        let error = after(|json| json[field] = json!([1]));
        assert!(matches!(&error, ManifestError::WrongType { field: named, .. } if named == field), "{error}");
    }
    for (block, keys) in [
        ("wasm", ["path", "size", "hash"]),
        ("abi", ["path", "size", "hash"]),
        ("signature", ["algorithm", "publicKey", "signature"]),
    ] {
        for key in keys {
            let error = after(|json| drop(json[block].as_object_mut().unwrap().remove(key)));
            let field = format!("{block}.{key}");
            assert!(matches!(&error, ManifestError::Missing { field: named } if *named == field), "{error}");
        }
    }
    let error = after(|json| drop(json["files"][1].as_object_mut().unwrap().remove("hash")));
    assert!(matches!(&error, ManifestError::Missing { field } if field == "files[1].hash"), "{error}");
    assert!(error.to_string().contains("`files[1].hash`"));
}

#[test]
fn each_broken_rule_has_its_error() {
    use ManifestError as E;
    assert!(matches!(after(|j| j["version"] = "2.0".into()), E::UnknownVersion { found } if found == "2.0"));
    assert!(matches!(after(|j| j["version"] = "1.x".into()), E::UnknownVersion { .. }));
    assert!(matches!(after(|j| j["version"] = 1.into()), E::WrongType { .. }));
    assert!(matches!(after(|j| j["package"] = "Notes".into()), E::BadPackage { .. }));
    assert!(matches!(after(|j| j["appVersion"] = "1.2".into()), E::BadVersion { field } if field == "appVersion"));
    assert!(matches!(after(|j| j["appVersion"] = format!("1.0.0-{}", "a".repeat(200)).into()), E::BadVersion { .. }));
    assert!(matches!(after(|j| j["signerId"] = "did:web:x".into()), E::BadSigner(_)));
    let climb = after(|j| j["wasm"]["path"] = "../app.wasm".into());
    assert!(matches!(climb, E::BadPath { field, rule: PathError::Climbs } if field == "wasm.path"));
    assert!(matches!(after(|j| j["files"][0]["path"] = "manifest.json".into()), E::NamesItself { .. }));
    for size in [json!(-1), json!(1.5), json!("1"), Value::Null] {
        assert!(matches!(after(|j| j["wasm"]["size"] = size), E::WrongType { field, .. } if field == "wasm.size"));
    }
    for hash in ["", "zz", &"AB".repeat(32), &"ab".repeat(33)] {
        assert!(matches!(after(|j| j["wasm"]["hash"] = hash.into()), E::BadHash { field } if field == "wasm.hash"));
    }
    let twice = after(|j| j["files"][0]["path"] = "abi.json".into());
    assert!(matches!(twice, E::DuplicatePath { field, path } if field == "files[0].path" && path == "abi.json"));
    assert!(matches!(after(|j| j["web"] = "abi.json".into()), E::BadWebPage { .. }));
    assert!(matches!(after(|j| j["web"] = "web/none.html".into()), E::BadWebPage { .. }));
    assert!(matches!(after(|j| j["files"] = json!({})), E::WrongType { .. }));
    assert!(matches!(after(|j| j["files"] = vec![Value::Null; 4097].into()), E::TooMany { max: 4096, .. }));
    assert!(matches!(after(|j| j["migrations"] = vec![Value::Null; 65].into()), E::TooMany { max: 64, .. }));
    assert!(matches!(after(|j| j["migrations"] = json!([{"method": "a b"}])), E::BadMethod { .. }));
    let version = after(|j| j["migrations"] = json!([{"method": "m", "from": "1"}]));
    assert!(matches!(version, E::BadVersion { field } if field == "migrations[0].from"));
    assert!(matches!(after(|j| j["signature"]["algorithm"] = "none".into()), E::UnknownAlgorithm));
    assert!(matches!(after(|j| j["signature"]["note"] = "x".into()), E::UnsignedKey { key } if key == "note"));
    for text in ["", "AA", "====", &"A".repeat(1000)] {
        assert!(matches!(after(|j| j["signature"]["signature"] = text.into()), E::BadBase64 { bytes: 64, .. }));
        assert!(matches!(after(|j| j["signature"]["publicKey"] = text.into()), E::BadBase64 { bytes: 32, .. }));
    }
    let padded = after(|j| {
        let text = format!("{}=", j["signature"]["publicKey"].as_str().unwrap());
        j["signature"]["publicKey"] = text.into();
    });
    assert!(matches!(padded, E::BadBase64 { .. }));
    assert!(matches!(Manifest::parse(&vec![b' '; 2_000_000]), Err(E::TooLong)));
    assert!(matches!(Manifest::parse(b"{\"a\":1,\"a\":1}"), Err(E::NotJson(_))));
}

#[test]
fn a_later_minor_version_is_read() {
    for version in ["1", "1.0", "1.7"] {
        let template = template().with("version", version.into());
        let mut template = template;
        template.describe_files(&files()).unwrap();
        assert!(template.sign(&key()).is_ok(), "{version}");
    }
}

#[test]
fn a_manifest_of_undescribed_files_is_not_signed() {
    let error = template().sign(&key()).unwrap_err();
    assert!(matches!(error, SignError::Manifest(ManifestError::Missing { field }) if field == "wasm.size"));
    let error = template().describe_files(&Default::default()).unwrap_err();
    assert!(matches!(error, ManifestError::NoSuchFile { field, .. } if field == "wasm.path"));
}

#[test]
fn numbers_that_lose_digits_are_not_signed() {
    let mut template = template().with("large", json!(9_007_199_254_740_993_u64));
    template.describe_files(&files()).unwrap();
    assert!(matches!(template.sign(&key()), Err(SignError::Manifest(ManifestError::NotJson(_)))));
}

#[test]
fn describing_again_keeps_what_the_author_wrote_and_drops_files_that_are_gone() {
    let json = json!({
        "version": "1.0", "package": "a", "appVersion": "1.0.0", "minRuntimeVersion": "0.1.0",
        "wasm": {"path": "app.wasm", "size": 1, "note": "kept"},
        "abi": {"path": "abi.json"},
        "files": [{"path": "web/app.js", "hash": "old", "role": "script"}, {"path": "web/gone.js"}],
    });
    let mut template = Template::parse(&serde_json::to_vec(&json).unwrap()).unwrap();
    template.describe_files(&files()).unwrap();
    let manifest = template.sign(&key()).unwrap();
    assert_eq!(manifest.as_json()["wasm"]["note"], "kept");
    assert_eq!(manifest.as_json()["files"][0]["role"], "script");
    assert!(manifest.all_files().all(|file| file.path != "web/gone.js"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Manifest::parse(&bytes);
    }

    #[test]
    fn any_value_in_any_place_gives_an_error_or_a_manifest(
        field in prop::sample::select(vec![
            "version", "package", "appVersion", "minRuntimeVersion", "signerId", "wasm", "abi", "web", "migrations",
            "files", "signature", "unknown", "_note",
        ]),
        value in prop_oneof![
            Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from), ".{0,20}".prop_map(Value::from),
            Just(json!([{}])), Just(json!({"path": 1})), Just(json!([[1]])),
        ],
    ) {
        let mut json = json_of(&signed());
        json.insert(field.to_owned(), value);
        if let Ok(manifest) = parse(&json) {
            let _ = manifest.verify();
        }
    }
}
