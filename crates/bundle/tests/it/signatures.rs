//! Signatures: everything that matters is covered, and nobody else can make one.

use crate::app::{altered, files, json_of, key, mpk, other_key, signed, template, with_manifest};
use mesto_bundle::{Bundle, BundleError, Manifest, SignError, SignatureError, application_id, build, id_text};
use proptest::prelude::*;
use serde_json::{Value, json};

macro_rules! assert_refused {
    ($bytes:expr, $rule:pat) => {
        let result = Bundle::open(&$bytes);
        assert!(matches!(&result, Err($rule)), "{:?}", result.map(|_| "opened"));
    };
}

#[test]
fn a_built_bundle_opens_with_all_that_went_in() {
    let bundle = Bundle::open(&mpk()).unwrap();
    let mut all = bundle.files.clone();
    all.insert("app.wasm".to_owned(), bundle.wasm.clone());
    assert_eq!(all, files());
    assert_eq!(bundle.abi(), Some(files()["abi.json"].as_slice()));
    assert_eq!(bundle.blob_id, *blake3::hash(&mpk()).as_bytes());
}

#[test]
fn building_twice_gives_the_same_bytes() {
    assert_eq!(mpk(), mpk());
}

#[test]
fn a_changed_file_is_refused() {
    assert_refused!(altered(|f| f.get_mut("app.wasm").unwrap()[5] ^= 1), BundleError::HashDiffers { .. });
    assert_refused!(altered(|f| f.get_mut("web/app.js").unwrap()[0] ^= 1), BundleError::HashDiffers { .. });
    assert_refused!(altered(|f| f.get_mut("abi.json").unwrap().push(b' ')), BundleError::SizeDiffers { .. });
    assert_refused!(altered(|f| drop(f.remove("app.wasm"))), BundleError::FileMissing { .. });
    assert_refused!(altered(|f| drop(f.remove("web/app.js"))), BundleError::FileMissing { .. });
    assert_refused!(altered(|f| drop(f.insert("web/x".to_owned(), vec![]))), BundleError::FileNotNamed { .. });
}

#[test]
fn a_changed_manifest_is_refused() {
    for (field, value) in [
        ("package", json!("org.example.other")),
        ("appVersion", json!("1.2.1")),
        ("minRuntimeVersion", json!("0.0.1")),
        ("version", json!("1.1")),
        ("web", json!("web/app.js")),
        ("migrations", json!([{"method": "m"}])),
        ("unknown", json!(1)),
    ] {
        assert_refused!(
            with_manifest(|json| drop(json.insert(field.to_owned(), value))),
            BundleError::Signature(SignatureError::Forged)
        );
    }
    let rehashed = altered(|files| {
        files.insert("app.wasm".to_owned(), b"evil".to_vec());
        let mut described = template();
        described.describe_files(files).unwrap();
        let mut json = json_of(&described.sign(&other_key()).unwrap());
        let original = json_of(&signed());
        json.insert("signerId".to_owned(), original["signerId"].clone());
        json.insert("signature".to_owned(), original["signature"].clone());
        files.insert("manifest.json".to_owned(), serde_json::to_vec(&json).unwrap());
    });
    assert_refused!(rehashed, BundleError::Signature(SignatureError::Forged));
}

#[test]
fn a_changed_signature_is_refused() {
    let flipped = |key: &'static str| {
        with_manifest(|json| {
            let text = json["signature"][key].as_str().unwrap();
            let first = if text.starts_with('A') { 'B' } else { 'A' };
            json["signature"][key] = format!("{first}{}", &text[1..]).into();
        })
    };
    assert_refused!(flipped("signature"), BundleError::Signature(SignatureError::Forged));
    assert_refused!(flipped("publicKey"), BundleError::Signature(SignatureError::SignerMismatch));
    let dropped = with_manifest(|json| drop(json.remove("signature")));
    assert_refused!(dropped, BundleError::Manifest(_));
}

#[test]
fn another_signer_cannot_speak_for_the_first() {
    let mut described = template();
    described.describe_files(&files()).unwrap();
    let theirs = json_of(&described.sign(&other_key()).unwrap());
    // Their signature under our name, and their key in the block under our name.
    let swapped = with_manifest(|json| json["signature"]["signature"] = theirs["signature"]["signature"].clone());
    assert_refused!(swapped, BundleError::Signature(SignatureError::Forged));
    let swapped = with_manifest(|json| json["signature"] = theirs["signature"].clone());
    assert_refused!(swapped, BundleError::Signature(SignatureError::SignerMismatch));
    // Honestly signed by them, it is another application.
    let theirs = Bundle::open(&build(template(), &files(), &other_key()).unwrap()).unwrap();
    assert_ne!(theirs.application_id, Bundle::open(&mpk()).unwrap().application_id);
}

#[test]
fn all_versions_of_an_app_share_its_application_id() {
    let next = template().with("appVersion", "2.0.0".into());
    let next = Bundle::open(&build(next, &files(), &key()).unwrap()).unwrap();
    let first = Bundle::open(&mpk()).unwrap();
    assert_eq!(next.application_id, first.application_id);
    assert_ne!(next.blob_id, first.blob_id);
    assert_eq!(first.application_id, application_id("org.example.notes", &key().signer()));
    assert_ne!(first.application_id, application_id("org.example.note", &key().signer()));
    assert_eq!(id_text(&first.application_id).len(), 52);
}

#[test]
fn unknown_keys_are_kept_and_signed_and_underscored_ones_only_kept() {
    let template = template().with("colour", json!({"b": 1, "a": [1.5, "ü"]})).with("_note", "draft".into());
    let bundle = Bundle::open(&build(template, &files(), &key()).unwrap()).unwrap();
    assert_eq!(bundle.manifest.as_json()["colour"], json!({"b": 1, "a": [1.5, "ü"]}));
    assert_eq!(bundle.manifest.as_json()["_note"], "draft");

    let verified = |change: fn(&mut serde_json::Map<String, Value>)| {
        let mut json = json_of(&bundle.manifest);
        change(&mut json);
        Manifest::parse(&serde_json::to_vec(&json).unwrap()).unwrap().verify()
    };
    assert!(verified(|_| {}).is_ok());
    assert!(verified(|json| json["_note"] = "final".into()).is_ok());
    assert!(verified(|json| drop(json.remove("_note"))).is_ok());
    assert!(verified(|json| json["colour"]["a"] = json!([])).is_err());
    assert!(verified(|json| drop(json.remove("colour"))).is_err());
    // Only at the top: below it, an underscore is an ordinary character.
    assert!(verified(|json| json["colour"]["_x"] = 1.into()).is_err());
}

#[test]
fn order_and_white_space_of_the_manifest_do_not_matter() {
    let manifest = signed();
    let pretty = serde_json::to_vec_pretty(manifest.as_json()).unwrap();
    assert!(Manifest::parse(&pretty).unwrap().verify().is_ok());
    let reversed: Vec<String> =
        manifest.as_json().iter().rev().map(|(key, value)| format!("{}: {value}", Value::from(key.as_str()))).collect();
    let reversed = format!("{{ {} }}", reversed.join(" ,\n"));
    assert!(Manifest::parse(reversed.as_bytes()).unwrap().verify().is_ok());
}

#[test]
fn a_manifest_of_another_signer_is_not_signed_by_mistake() {
    let named = template().with("signerId", other_key().signer().to_string().into());
    assert!(matches!(build(named, &files(), &key()), Err(BundleError::Sign(SignError::OtherSigner { .. }))));
    let mut again = template().with("signerId", key().signer().to_string().into());
    again.describe_files(&files()).unwrap();
    assert_eq!(again.sign(&key()).unwrap(), signed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_flipped_bit_never_changes_what_a_bundle_says(place in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = mpk();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(bundle) = Bundle::open(&bytes) {
            let original = Bundle::open(&mpk()).unwrap();
            prop_assert_eq!(bundle.manifest, original.manifest);
            prop_assert_eq!(bundle.wasm, original.wasm);
            prop_assert_eq!(bundle.files, original.files);
            prop_assert_ne!(bundle.blob_id, original.blob_id);
        }
    }
}
