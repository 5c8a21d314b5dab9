use std::path::PathBuf;
use std::process::Command;

use super::*;

const KV: &str = include_str!("../../../../../apps/kv/tests/golden/schema.json");
const EVERYTHING: &str = include_str!("golden/everything.json");

fn schema(text: &str) -> Schema {
    Schema::parse(text).unwrap()
}

#[test]
fn the_same_schema_gives_the_same_code() {
    for (found, wanted) in [
        (typescript::client(&schema(KV)), include_str!("golden/kv.ts")),
        (rust::client(&schema(KV)), include_str!("golden/kv.rs")),
        (typescript::client(&schema(EVERYTHING)), include_str!("golden/everything.ts")),
        (rust::client(&schema(EVERYTHING)), include_str!("golden/everything.rs")),
    ] {
        assert_eq!(found, wanted);
    }
}

#[test]
fn what_is_no_schema_or_a_later_one_is_refused() {
    for (text, part) in [("", "no schema"), ("{}", "no schema"), (r#"{"schema": 2}"#, "version 2")] {
        let error = Schema::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

/// TypeScript's compiler, as the client's tests pin it; `None` without npm, or where npm cannot get it.
fn tsc() -> Option<PathBuf> {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/js").canonicalize().unwrap();
    let tsc = client.join("node_modules/.bin/tsc");
    if !tsc.exists() {
        let mut install = Command::new("npm");
        install.args(["ci", "--no-audit", "--no-fund", "--prefix"]).arg(&client);
        install.output().ok().filter(|ran| ran.status.success())?;
    }
    Some(tsc)
}

/// Where TypeScript cannot be had that is said, and nothing is checked.
#[test]
fn the_typescript_holds_for_its_compiler() {
    let Some(tsc) = tsc() else {
        eprintln!("SKIPPED: npm is needed, and what clients/js/package.json names");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("node_modules/@mesto");
    fs::create_dir_all(&package).unwrap();
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/js").canonicalize().unwrap();
    std::os::unix::fs::symlink(client, package.join("client")).unwrap();
    fs::write(folder.path().join("kv.ts"), typescript::client(&schema(KV))).unwrap();
    fs::write(folder.path().join("everything.ts"), typescript::client(&schema(EVERYTHING))).unwrap();
    let used = "import { Mesto } from '@mesto/client';\nimport { KvClient } from './kv.js';\n\
        const kv = new KvClient(new Mesto('http://x').context('c'));\n\
        export const got: Promise<string | null> = kv.get({ key: 'tea' });\n\
        kv.subscribe({ event: (event) => { if (event.kind === 'Set') event.data.value.length; } });\n\
        // @ts-expect-error a key is text\nkv.get({ key: 1 });\n";
    fs::write(folder.path().join("used.ts"), used).unwrap();
    let mut check = Command::new(tsc);
    check.args([
        "--strict",
        "--noEmit",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--lib",
        "es2022,dom",
        "--types",
        "",
    ]);
    let checked = check.args(["kv.ts", "everything.ts", "used.ts"]).current_dir(folder.path()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
