//! `/admin-api/applications`.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use mesto_api::application::InstallFromUrl;
use mesto_api::client::{Reach, download};
use mesto_api::{ClientError, ErrorCode};
use mesto_node::command::{Noun, Selector};

use super::body::{self, Json};
use super::refusal::{Refusal, unknown};
use super::{Shared, Serving, contexts, convert};
use crate::driver::{InstallError, InstalledApp};

/// Shortest prefix of an id that names an application, as everywhere.
const PREFIX_LEN_MIN: usize = mesto_oplog::id::ID_PREFIX_LEN_MIN;

/// Takes the raw bytes of a bundle.
pub(super) async fn install(State(shared): Serving, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let len_max = usize::try_from(mesto_bundle::Limits::DEFAULT.packed_bytes_max).unwrap_or(usize::MAX);
    let mpk = body::read(&parts.headers, body, len_max).await?;
    if mpk.is_empty() {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "the body is empty").hint("send the bytes of a .mpk file"));
    }
    keep(&shared, mpk.to_vec()).await
}

/// Fetches a bundle and installs it. The request may come from anywhere, so only public addresses are asked.
pub(super) async fn install_from_url(State(shared): Serving, Json(request): Json<InstallFromUrl>) -> Result<Response, Refusal> {
    let InstallFromUrl { url, blob_id } = request;
    let len_max = mesto_bundle::Limits::DEFAULT.packed_bytes_max;
    let fetched = tokio::task::spawn_blocking(move || download(&url, len_max, Reach::Public)).await;
    let fetched = fetched.map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))?;
    let mpk = fetched.map_err(|error| {
        let code = if matches!(error, ClientError::NotHttp(_)) { ErrorCode::InvalidArgument } else { ErrorCode::DownloadFailed };
        Refusal::new(code, error.to_string()).hint("only public addresses are asked; `mesto app install FILE` takes a file")
    })?;
    if let Some(wanted) = blob_id
        && wanted != mesto_bundle::id_text(&mesto_bundle::blob_id(&mpk))
    {
        return Err(Refusal::new(ErrorCode::InvalidBundle, format!("what is there is not the bundle {wanted}")));
    }
    keep(&shared, mpk).await
}

async fn keep(shared: &Shared, mpk: Vec<u8>) -> Result<Response, Refusal> {
    let version = shared.node.install(mpk).await.map_err(refused)?;
    let signer = shared.node.installed().into_iter().find(|app| app.version.bundle == version.bundle).map(|app| app.signer);
    body::data(convert::application(&version, signer))
}

fn refused(error: InstallError) -> Refusal {
    let detail = error.to_string();
    match error {
        InstallError::Blob(error) => error.into(),
        InstallError::Interrupted(_) => Refusal::new(ErrorCode::InternalError, detail),
        InstallError::Bundle(_) | InstallError::Load(_) | InstallError::TooNew { .. } => {
            Refusal::new(ErrorCode::InvalidBundle, detail).hint("`mesto bundle inspect FILE` tells what is in it")
        }
    }
}

pub(super) async fn list(State(shared): Serving) -> Result<Response, Refusal> {
    body::list(shared.node.installed().iter().map(show_one).collect())
}

pub(super) async fn show(State(shared): Serving, Path(app): Path<String>) -> Result<Response, Refusal> {
    let versions = find(&shared, &app)?;
    // Installed later means wanted now.
    let newest = versions.last().ok_or_else(|| unknown(Noun::Application, &app))?;
    body::data(show_one(newest))
}

pub(super) async fn versions(State(shared): Serving, Path(app): Path<String>) -> Result<Response, Refusal> {
    body::list(find(&shared, &app)?.iter().map(show_one).collect())
}

pub(super) async fn schema(State(shared): Serving, Path(app): Path<String>) -> Result<Response, Refusal> {
    Ok(contexts::schema_answer(&shared.node.schema(Selector(app)).await?))
}

fn show_one(app: &InstalledApp) -> mesto_api::application::Application {
    convert::application(&app.version, Some(app.signer.clone()))
}

/// All installed versions of the one application that has this package name, or whose id, or the blob id of one
/// of whose bundles, begins so.
fn find(shared: &Shared, selector: &str) -> Result<Vec<InstalledApp>, Refusal> {
    let fits = |app: &InstalledApp| {
        let prefixed = selector.len() >= PREFIX_LEN_MIN
            && (app.version.application.to_string().starts_with(selector) || app.version.bundle.to_string().starts_with(selector));
        app.version.package == selector || prefixed
    };
    let installed = shared.node.installed();
    let mut found: Vec<_> = installed.iter().filter(|app| fits(app)).map(|app| app.version.application).collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [] => Err(unknown(Noun::Application, selector)),
        [one] => Ok(installed.into_iter().filter(|app| app.version.application == *one).collect()),
        many => Err(mesto_node::command::CommandError::Ambiguous {
            noun: Noun::Application,
            selector: selector.to_owned(),
            candidates: many.iter().map(ToString::to_string).collect(),
        }
        .into()),
    }
}
