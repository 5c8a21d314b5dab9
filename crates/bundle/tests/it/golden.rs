//! A bundle that was made once and must open, with the same ids, for as long as format 1 is read.

use crate::app::{mpk, signed};
use mesto_bundle::{Bundle, Limits, MANIFEST_PATH, archive, id_text};

const MPK: &[u8] = include_bytes!("../golden/notes-1.2.0.mpk");
const MANIFEST: &str = include_str!("../golden/notes-1.2.0.manifest.json");

#[test]
fn the_committed_bundle_opens_with_its_ids() {
    let bundle = Bundle::open(MPK).unwrap();
    assert_eq!(id_text(&bundle.application_id), "pjl2pg5xhndcsxyevnul5732bad4oha3rst7zqr4uyr72wemsb6q");
    // Spelled out: the lengths 17 and 56 as u32, little-endian, before each text.
    let preimage = format!("\x11\0\0\0org.example.notes\x38\0\0\0{}", bundle.manifest.signer());
    let application = blake3::derive_key("mesto 2026 application id v1", preimage.as_bytes());
    assert_eq!(bundle.application_id, application);
    assert_eq!(id_text(&bundle.blob_id), "qlbhiiae3lgdiud2jqap6z4qhtwdd2r6atarle6oypormcohrdda");
    assert_eq!(bundle.manifest.signer().to_string(), "did:key:z6MkvDqGT54cXesYGvABpF1UapVNwjCqRcafi4Px6Thv5T3Z");
}

#[test]
fn the_signed_bytes_and_the_signature_are_as_committed() {
    assert_eq!(signed().to_canonical_json().unwrap(), MANIFEST.trim_end().as_bytes());
}

/// The compressor may improve; what it compresses stays.
#[test]
fn building_gives_the_content_of_the_committed_bundle() {
    let committed = archive::unpack(MPK, &Limits::DEFAULT).unwrap();
    assert_eq!(archive::unpack(&mpk(), &Limits::DEFAULT).unwrap(), committed);
    assert_eq!(committed[MANIFEST_PATH], MANIFEST.trim_end().as_bytes());
    assert_eq!(tar_of(&mpk()), tar_of(MPK));
}

fn tar_of(mpk: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(mpk), &mut tar).unwrap();
    tar
}
