//! What the commands on files do: keys, signing in place, packing a folder, reports.

use crate::app::{altered, files, key, mpk, other_key, template, with_manifest};
use mesto_bundle::files::{
    FilesError, inspect_bundle, open_bundle, pack_folder, read_key, read_tree, replace_file, sign_manifest, write_key,
};
use mesto_bundle::{Bundle, BundleError, ManifestError, SignError, SignerKey, inspect};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with the sample app and a manifest as an author writes it.
fn app_folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let manifest = folder.path().join("manifest.json");
    write_json(
        &manifest,
        &json!({
            "version": "1.0", "package": "org.example.notes", "appVersion": "1.2.0", "minRuntimeVersion": "0.1.0",
            "wasm": {"path": "app.wasm"}, "abi": {"path": "abi.json"},
        }),
    );
    (folder, manifest)
}

fn write_json(path: &Path, json: &Value) {
    fs::write(path, serde_json::to_vec(json).unwrap()).unwrap();
}

#[test]
fn a_key_file_is_private_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    write_key(&path, &key()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(read_key(&path).unwrap().signer(), key().signer());
    assert!(matches!(write_key(&path, &other_key()), Err(FilesError::KeyExists { .. })));
    assert_eq!(read_key(&path).unwrap().signer(), key().signer());
    assert!(matches!(write_key(&folder.path().join("no/key.pem"), &key()), Err(FilesError::Io { .. })));
    assert!(matches!(read_key(&folder.path().join("none.pem")), Err(FilesError::Io { .. })));
    fs::write(&path, "not a key").unwrap();
    assert!(matches!(read_key(&path), Err(FilesError::Key { .. })));
}

#[cfg(unix)]
#[test]
fn a_key_is_not_written_through_a_dangling_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
    assert!(matches!(write_key(&path, &key()), Err(FilesError::KeyExists { .. })));
    assert!(!folder.path().join("elsewhere").exists());
}

#[test]
fn sign_and_pack_give_what_build_gives() {
    let (folder, manifest) = app_folder();
    let signed = sign_manifest(&manifest, &key()).unwrap();
    assert!(signed.verify().is_ok());
    let packed = pack_folder(folder.path()).unwrap();
    assert_eq!(packed, mpk());
    let out = folder.path().join("notes.mpk");
    replace_file(&out, &packed).unwrap();
    replace_file(&out, &packed).unwrap();
    assert_eq!(open_bundle(&out).unwrap(), Bundle::open(&mpk()).unwrap());
    assert!(inspect_bundle(&out).unwrap().valid);
    assert!(fs::read_dir(folder.path()).unwrap().all(|entry| !entry.unwrap().path().ends_with(".part")));
}

#[test]
fn signing_again_follows_the_files() {
    let (folder, manifest) = app_folder();
    sign_manifest(&manifest, &key()).unwrap();
    fs::write(folder.path().join("app.wasm"), b"rebuilt").unwrap();
    fs::remove_file(folder.path().join("web/app.js")).unwrap();
    assert!(pack_folder(folder.path()).is_err());
    sign_manifest(&manifest, &key()).unwrap();
    let bundle = Bundle::open(&pack_folder(folder.path()).unwrap()).unwrap();
    assert_eq!(bundle.wasm, b"rebuilt");
    assert!(!bundle.files.contains_key("web/app.js"));
    assert!(matches!(sign_manifest(&manifest, &other_key()), Err(FilesError::Sign(SignError::OtherSigner { .. }))));
}

#[test]
fn a_key_beside_the_manifest_is_never_packed() {
    let (folder, manifest) = app_folder();
    write_key(&folder.path().join("key.pem"), &key()).unwrap();
    sign_manifest(&manifest, &key()).unwrap();
    let bundle = Bundle::open(&pack_folder(folder.path()).unwrap()).unwrap();
    assert!(!bundle.files.contains_key("key.pem"));
}

#[test]
fn a_complete_manifest_is_signed_without_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.json");
    let mut described = template();
    described.describe_files(&files()).unwrap();
    let complete = described.sign(&key()).unwrap();
    let mut json = complete.as_json().clone();
    json.remove("signature");
    write_json(&path, &Value::Object(json));
    assert_eq!(sign_manifest(&path, &key()).unwrap(), complete);
    write_json(&path, &json!({"version": "1.0", "wasm": {"path": "app.wasm"}}));
    let error = sign_manifest(&path, &key()).unwrap_err();
    assert!(matches!(error, FilesError::Sign(SignError::Manifest(ManifestError::Missing { .. }))), "{error}");
}

#[test]
fn an_unsigned_or_incomplete_folder_is_not_packed() {
    let (folder, manifest) = app_folder();
    assert!(matches!(pack_folder(folder.path()), Err(FilesError::Manifest(ManifestError::Missing { .. }))));
    sign_manifest(&manifest, &key()).unwrap();
    fs::write(folder.path().join("web/new.js"), b"").unwrap();
    assert!(matches!(pack_folder(folder.path()), Err(FilesError::Bundle(BundleError::FileNotNamed { .. }))));
    fs::remove_file(folder.path().join("web/new.js")).unwrap();
    fs::remove_file(folder.path().join("abi.json")).unwrap();
    assert!(matches!(pack_folder(folder.path()), Err(FilesError::Io { .. })));
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_into_a_bundle() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();

    let (folder, manifest) = app_folder();
    symlink(outside.path().join("secret"), folder.path().join("web/page")).unwrap();
    assert!(matches!(sign_manifest(&manifest, &key()), Err(FilesError::NotPlain { .. })));

    let (folder, manifest) = app_folder();
    symlink(outside.path(), folder.path().join("dir")).unwrap();
    let mut json: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    json["files"] = json!([{"path": "dir/secret"}]);
    write_json(&manifest, &json);
    assert!(matches!(sign_manifest(&manifest, &key()), Err(FilesError::NotPlain { .. })));

    let (folder, _) = app_folder();
    fs::remove_dir_all(folder.path().join("web")).unwrap();
    symlink(outside.path(), folder.path().join("web")).unwrap();
    assert!(matches!(read_tree(folder.path(), "web"), Err(FilesError::NotPlain { .. })));
}

#[test]
fn paths_of_a_hostile_manifest_do_not_leave_the_folder() {
    let (_folder, manifest) = app_folder();
    for path in ["../../etc/passwd", "/etc/passwd"] {
        let mut json: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        json["files"] = json!([{"path": path}]);
        write_json(&manifest, &json);
        assert!(matches!(sign_manifest(&manifest, &key()), Err(FilesError::BadName { .. })));
        json["files"] = json!([]);
        json["wasm"]["path"] = path.into();
        write_json(&manifest, &json);
        assert!(matches!(sign_manifest(&manifest, &key()), Err(FilesError::Manifest(ManifestError::BadPath { .. }))));
        json["wasm"]["path"] = "app.wasm".into();
        write_json(&manifest, &json);
    }
}

#[test]
fn a_folder_of_pages_is_read_with_the_paths_of_the_bundle() {
    let (folder, _) = app_folder();
    let pages = read_tree(folder.path(), "web").unwrap();
    assert_eq!(pages.keys().collect::<Vec<_>>(), ["web/app.js", "web/index.html"]);
    assert!(read_tree(folder.path(), "none").unwrap().is_empty());
}

#[test]
fn the_report_on_a_valid_bundle_has_the_names_that_scripts_use() {
    let report = serde_json::to_value(inspect(&mpk())).unwrap();
    assert_eq!(report["valid"], true);
    assert_eq!(report["problem"], Value::Null);
    assert_eq!(report["signerId"], key().signer().to_string());
    assert_eq!(report["applicationId"].as_str().unwrap().len(), 52);
    assert_eq!(report["blobId"].as_str().unwrap().len(), 52);
    assert_eq!(report["package"], "org.example.notes");
    assert_eq!(report["version"], "1.2.0");
    assert_eq!(report["minRuntimeVersion"], "0.1.0");
    assert_eq!(report["size"], mpk().len());
    assert_eq!(report["unpackedSize"], files().values().map(Vec::len).sum::<usize>());
    assert_eq!(report["wasm"], "app.wasm");
    assert_eq!(report["abi"], "abi.json");
    assert_eq!(report["web"], "web/index.html");
    assert_eq!(report["files"].as_array().unwrap().len(), 4);
    assert_eq!(report["files"][0]["path"], "app.wasm");
    assert_eq!(report["files"][0]["hash"].as_str().unwrap().len(), 64);
}

#[test]
fn the_report_on_an_invalid_bundle_repeats_its_claims_but_gives_no_application() {
    let report = inspect(&with_manifest(|json| json["appVersion"] = "9.0.0".into()));
    assert!(!report.valid);
    assert!(report.problem.unwrap().contains("changed after signing"));
    assert_eq!(report.version.as_deref(), Some("9.0.0"));
    assert_eq!(report.application_id, None);
    let report = inspect(&altered(|files| drop(files.insert("app.wasm".to_owned(), vec![]))));
    assert!(!report.valid && report.application_id.is_none() && report.package.is_some());
    let report = inspect(b"junk");
    assert!(!report.valid && report.package.is_none() && report.files.is_empty());
}

#[test]
fn a_key_file_of_openssl_is_read() {
    // The form that `openssl genpkey -algorithm ed25519` writes, with the secret of RFC 8032, section 7.1, test 1.
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let key = SignerKey::from_pem(pem).unwrap();
    assert_eq!(
        hex::encode(key.signer().public_key()),
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );
}
