//! `mesto app build`: compile, describe, sign, pack.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mesto_api::ErrorCode;
use mesto_bundle::{Bundle, BundleError, SignerKey, Template, files};
use mesto_governance::BlobId;
use mesto_runtime::{Runtime, RuntimeConfig};
use serde::Serialize;
use toml_edit::DocumentMut;

use super::app::default_bundle_path;
use super::bundle::of_files;
use super::failure::Failure;
use super::key;
use super::output::{Output, bytes, fields};
use super::progress::Progress;
use super::session::Session;
use crate::home::files::make_private_folder;

/// Where the component is in a bundle.
const WASM_PATH: &str = "app.wasm";

/// Where the schema is in a bundle.
const SCHEMA_PATH: &str = "schema.json";

/// The folder of an app's pages.
const WEB_FOLDER: &str = "web";

/// The oldest node that can run what this version builds.
const RUNTIME_VERSION_MIN: &str = "0.1.0";

/// The developer's own key, made at the first build.
const DEVELOPER_KEY: &str = "developer.pem";

#[derive(clap::Args, Debug)]
pub(crate) struct Build {
    /// The folder of the app's crate
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The bundle to write [default: PACKAGE-VERSION.mpk]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The key to sign with [default: a key of your own in the home, made at the first build]
    #[arg(short, long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Built {
    package: String,
    version: String,
    application_id: String,
    blob_id: String,
    signer_id: String,
    size: u64,
    path: String,
}

impl Build {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let about = About::read(&self.dir)?;
        let key = match &self.key {
            Some(path) => files::read_key(path).map_err(of_files)?,
            None => developer_key(session, output)?,
        };
        let progress = Progress::work(output, &format!("building {}", about.package));
        let wasm = compile(&self.dir)?;
        let schema = describe(&wasm)?;
        let mut contents = files::read_tree(&self.dir, WEB_FOLDER).map_err(of_files)?;
        contents.insert(WASM_PATH.to_owned(), wasm);
        contents.insert(SCHEMA_PATH.to_owned(), schema);
        let template =
            Template::new(&about.package, &about.version, RUNTIME_VERSION_MIN, WASM_PATH).with_abi(SCHEMA_PATH);
        let packed = pack(template, &contents, &key)?;
        let bundle = Bundle::open(&packed).map_err(of_bundle)?;
        let path = self.output.unwrap_or_else(|| default_bundle_path(&about.package, &about.version));
        files::replace_file(&path, &packed).map_err(of_files)?;
        drop(progress);
        let built = Built {
            package: about.package,
            version: about.version,
            application_id: mesto_bundle::id_text(&bundle.application_id),
            blob_id: mesto_bundle::id_text(&bundle.blob_id),
            signer_id: bundle.manifest.signer().to_string(),
            size: packed.len() as u64,
            path: path.display().to_string(),
        };
        output.object(&built, |built| {
            fields([
                ("package", format!("{} {}", built.package, built.version)),
                ("app", built.application_id.clone()),
                ("blob", built.blob_id.clone()),
                ("size", bytes(built.size)),
                ("path", built.path.clone()),
            ])
        })
    }
}

fn compile(dir: &Path) -> Result<Vec<u8>, Failure> {
    let toolchain = mesto_guests::ensure_toolchain().map_err(|error| {
        Failure::new(ErrorCode::BuildFailed, error.to_string()).hint("`mesto doctor` tells what is missing")
    })?;
    let module = mesto_guests::build(&toolchain, dir)
        .map_err(|error| Failure::new(ErrorCode::BuildFailed, error.to_string()))?;
    mesto_runtime::componentize(&module).map_err(|error| Failure::new(ErrorCode::BuildFailed, error.to_string()))
}

/// The app's schema, as it tells it itself.
fn describe(wasm: &[u8]) -> Result<Vec<u8>, Failure> {
    let failed = |error: String| Failure::new(ErrorCode::BuildFailed, format!("the app does not run: {error}"));
    let config = RuntimeConfig { cache_dir: None, ..RuntimeConfig::default() };
    let runtime = Runtime::new(config).map_err(|error| failed(error.to_string()))?;
    let schema = runtime.load(BlobId::of_bytes(wasm), wasm).map_err(|error| failed(error.to_string()))?;
    Ok(schema.into_bytes())
}

fn pack(template: Template, contents: &BTreeMap<String, Vec<u8>>, key: &SignerKey) -> Result<Vec<u8>, Failure> {
    mesto_bundle::build(template, contents, key).map_err(of_bundle)
}

fn of_bundle(error: BundleError) -> Failure {
    Failure::new(ErrorCode::BuildFailed, error.to_string())
}

/// What the crate says about itself.
struct About {
    package: String,
    version: String,
}

impl About {
    /// From `Cargo.toml`: `package.metadata.mesto.package`, else the crate's name; and its version.
    fn read(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join("Cargo.toml");
        let document = read_toml(&path)?;
        let missing =
            |key: &str| Failure::new(ErrorCode::BuildFailed, format!("{}: there is no `{key}`", path.display()));
        let package = document.get("package").ok_or_else(|| missing("package"))?;
        let text = |value: Option<&toml_edit::Item>| value.and_then(|value| value.as_str()).map(str::to_owned);
        let own =
            package.get("metadata").and_then(|metadata| metadata.get("mesto")).and_then(|ours| ours.get("package"));
        let name = text(own)
            .or_else(|| text(package.get("name")).map(|name| name.replace('_', "-").to_lowercase()))
            .ok_or_else(|| missing("package.name"))?;
        let version = match package.get("version") {
            Some(value) if value.is_str() => text(Some(value)),
            Some(value) if value.get("workspace").is_some() => workspace_version(dir)?,
            _ => None,
        };
        Ok(Self { package: name, version: version.ok_or_else(|| missing("package.version"))? })
    }
}

/// The version that crates of the workspace around `dir` share.
fn workspace_version(dir: &Path) -> Result<Option<String>, Failure> {
    let dir = dir.canonicalize().map_err(|error| Failure::file(dir, &error))?;
    for folder in dir.ancestors().skip(1) {
        let path = folder.join("Cargo.toml");
        if !path.is_file() {
            continue;
        }
        let document = read_toml(&path)?;
        if let Some(workspace) = document.get("workspace") {
            let version = workspace.get("package").and_then(|package| package.get("version"));
            return Ok(version.and_then(|version| version.as_str()).map(str::to_owned));
        }
    }
    Ok(None)
}

fn read_toml(path: &Path) -> Result<DocumentMut, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::file(path, &error).hint("name the folder of the app's crate: `mesto app build DIR`")
    })?;
    text.parse().map_err(|error| Failure::new(ErrorCode::BuildFailed, format!("{}: {error}", path.display())))
}

/// The key in the home that signs what its owner builds. It is made here if there is none, even before the home
/// itself is: apps can be built on a machine that runs no node.
fn developer_key(session: &Session, output: &Output) -> Result<SignerKey, Failure> {
    let keys = session.folder()?.join("keys");
    let path = keys.join(DEVELOPER_KEY);
    if path.exists() {
        return files::read_key(&path).map_err(of_files);
    }
    let home_is_new = !keys.exists();
    make_private_folder(&keys).map_err(|error| Failure::file(&keys, &error))?;
    if home_is_new && let Some(home) = keys.parent() {
        make_private_folder(home).map_err(|error| Failure::file(home, &error))?;
    }
    let key = key::generate()?;
    files::write_key(&path, &key).map_err(of_files)?;
    output.note(&format!(
        "made {} to sign your apps with: keep a copy, other versions need the same key",
        path.display()
    ));
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(toml: &str) -> Result<About, Failure> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Cargo.toml"), "[workspace.package]\nversion = \"3.2.1\"\n").unwrap();
        let app = folder.path().join("app");
        fs::create_dir(&app).unwrap();
        fs::write(app.join("Cargo.toml"), toml).unwrap();
        About::read(&app)
    }

    #[test]
    fn a_crate_says_what_its_app_is_called() {
        let plain = about("[package]\nname = \"my_App\"\nversion = \"1.0.0\"\n").unwrap();
        assert_eq!((plain.package.as_str(), plain.version.as_str()), ("my-app", "1.0.0"));
        let named =
            about("[package]\nname = \"x\"\nversion.workspace = true\n[package.metadata.mesto]\npackage = \"org.x\"\n");
        let named = named.unwrap();
        assert_eq!((named.package.as_str(), named.version.as_str()), ("org.x", "3.2.1"));
    }

    #[test]
    fn what_is_no_crate_is_told_so() {
        assert!(about("").is_err());
        assert!(about("[package]\nname = \"x\"\n").is_err());
        assert!(About::read(Path::new("/nowhere/at/all")).is_err());
    }
}
