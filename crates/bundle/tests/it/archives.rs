//! Archives: nothing gets out of its bounds or its folder, and what is packed comes back.

use crate::app::Files;
use crate::tar_bytes::{Tar, gzip, pax};
use mesto_bundle::{ArchiveError, Limits, PathError, archive};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn unpack(bytes: &[u8]) -> Result<Files, ArchiveError> {
    archive::unpack(bytes, &Limits::DEFAULT)
}

macro_rules! assert_refused {
    ($bytes:expr, $rule:pat $(if $guard:expr)?) => {
        let result = unpack(&$bytes);
        assert!(matches!(&result, Err($rule) $(if $guard)?), "{result:?}");
    };
}

#[test]
fn a_plain_archive_of_another_tool_is_accepted() {
    let tar = Tar::default().member(b'5', b"web/", b"").file("web/a", b"A").manifest().end().raw(&[0; 8192]);
    let files = unpack(&tar.gzip()).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["manifest.json", "web/a"]);
    assert_eq!(files["web/a"], b"A");
}

#[test]
fn names_that_climb_out_are_refused() {
    let cases: [(&[u8], PathError); 9] = [
        (b"../x", PathError::Climbs),
        (b"web/../../x", PathError::Climbs),
        (b"./x", PathError::Climbs),
        (b"/etc/passwd", PathError::Absolute),
        (b"web//x", PathError::EmptySegment),
        (b"web\\..\\x", PathError::ForbiddenCharacter),
        (b"C:x", PathError::ForbiddenCharacter),
        (b"a\nb", PathError::ForbiddenCharacter),
        (b"\xff\xfe", PathError::NotUtf8),
    ];
    for (name, rule) in cases {
        for kind in [b'0', b'5', 0] {
            let bytes = Tar::default().manifest().member(kind, name, b"").end().gzip();
            assert_refused!(bytes, ArchiveError::BadPath { rule: found, .. } if *found == rule);
        }
    }
    assert_refused!(Tar::default().manifest().file("", b"").end().gzip(), ArchiveError::BadPath { .. });
}

#[test]
fn links_and_special_files_are_refused() {
    for kind in [b'1', b'2'] {
        assert_refused!(Tar::default().manifest().member(kind, b"a", b"").end().gzip(), ArchiveError::Link { .. });
    }
    // Character and block device, pipe, contiguous, GNU sparse, GNU multi-volume, unknown.
    for kind in [b'3', b'4', b'6', b'7', b'S', b'M', b'Z'] {
        let bytes = Tar::default().manifest().member(kind, b"a", b"").end().gzip();
        assert_refused!(bytes, ArchiveError::SpecialFile { .. });
    }
}

#[test]
fn a_path_is_there_once_and_is_a_file_or_a_folder() {
    let twice = Tar::default().manifest().file("a", b"1").file("a", b"1").end().gzip();
    assert_refused!(twice, ArchiveError::Duplicate { path } if path == "a");
    let twice = Tar::default().manifest().manifest().end().gzip();
    assert_refused!(twice, ArchiveError::Duplicate { .. });
    let both = Tar::default().manifest().file("a", b"").file("a/b/c", b"").end().gzip();
    assert_refused!(both, ArchiveError::FileAndFolder { path } if path == "a");
    let both = Tar::default().manifest().file("a", b"").member(b'5', b"a/", b"").end().gzip();
    assert_refused!(both, ArchiveError::FileAndFolder { .. });
    let full = Tar::default().manifest().member(b'5', b"a/", b"content").end().gzip();
    assert_refused!(full, ArchiveError::FileAndFolder { .. });
}

#[test]
fn long_names_of_gnu_and_pax_are_understood() {
    let name = format!("web/{}", "n".repeat(200));
    let zero_ended = [name.as_bytes(), b"\0"].concat();
    let gnu = Tar::default().manifest().member(b'L', b"././@LongLink", &zero_ended).file("web/cut", b"G").end();
    assert_eq!(unpack(&gnu.gzip()).unwrap()[&name], b"G");
    let records = pax(&[("mtime", "1.5"), ("path", &name)]);
    let posix = Tar::default().manifest().member(b'x', b"PaxHeaders/x", &records).file("web/cut", b"P").end();
    assert_eq!(unpack(&posix.gzip()).unwrap()[&name], b"P");
}

#[test]
fn long_names_obey_the_rules_for_names() {
    let climb = Tar::default().manifest().member(b'L', b"l", b"../../x\0").file("a", b"").end().gzip();
    assert_refused!(climb, ArchiveError::BadPath { rule: PathError::Climbs, .. });
    let climb = Tar::default().manifest().member(b'x', b"x", &pax(&[("path", "/x")])).file("a", b"").end().gzip();
    assert_refused!(climb, ArchiveError::BadPath { rule: PathError::Absolute, .. });
    let hidden_tail = Tar::default().manifest().member(b'L', b"l", b"a\0b\0").file("a", b"").end().gzip();
    assert_refused!(hidden_tail, ArchiveError::BadPath { rule: PathError::ForbiddenCharacter, .. });
    let long = "n".repeat(256);
    let long = Tar::default().manifest().member(b'L', b"l", long.as_bytes()).file("a", b"").end().gzip();
    assert_refused!(long, ArchiveError::PathTooLong { .. });
    let duplicate = Tar::default().manifest().file("a", b"").member(b'L', b"l", b"a\0").file("b", b"").end().gzip();
    assert_refused!(duplicate, ArchiveError::Duplicate { .. });
}

#[test]
fn extensions_that_readers_understand_differently_are_refused() {
    let member = |kind, content: &[u8]| Tar::default().manifest().member(kind, b"x", content);
    let long = || pax(&[("path", "a")]);
    for records in [
        pax(&[("size", "1")]),
        pax(&[("linkpath", "/etc/passwd")]),
        pax(&[("GNU.sparse.major", "1")]),
        pax(&[("SCHILY.xattr.user.x", "1")]),
    ] {
        assert_refused!(member(b'x', &records).file("a", b"").end().gzip(), ArchiveError::UnsupportedExtension { .. });
    }
    assert_refused!(member(b'g', &long()).file("a", b"").end().gzip(), ArchiveError::UnsupportedExtension { .. });
    assert_refused!(member(b'K', b"x\0").file("a", b"").end().gzip(), ArchiveError::UnsupportedExtension { .. });
    assert_refused!(member(b'x', &vec![b'1'; 20_000]).end().gzip(), ArchiveError::UnsupportedExtension { .. });
    assert_refused!(member(b'x', b"nonsense").file("a", b"").end().gzip(), ArchiveError::Damaged(_));
    for bytes in [
        member(b'L', b"a\0").member(b'L', b"l", b"b\0").file("c", b"").end().gzip(),
        member(b'x', &long()).member(b'x', b"x", &long()).file("c", b"").end().gzip(),
        member(b'x', &pax(&[("path", "a"), ("path", "b")])).file("c", b"").end().gzip(),
        member(b'L', b"a\0").member(b'x', b"x", &long()).file("c", b"").end().gzip(),
        member(b'L', b"a\0").end().gzip(),
        member(b'x', &long()).end().gzip(),
    ] {
        assert_refused!(bytes, ArchiveError::AmbiguousName);
    }
}

#[test]
fn a_decompression_bomb_is_refused_by_its_ratio() {
    let zeros = vec![0; 8 * 1024 * 1024];
    assert_refused!(Tar::default().manifest().file("a", &zeros).end().gzip(), ArchiveError::RatioTooHigh { max: 100 });
    // Zeros behind the end of the tar count as well.
    assert_refused!(Tar::default().manifest().end().raw(&zeros).gzip(), ArchiveError::RatioTooHigh { max: 100 });
    // A promise of bytes that never come costs nothing.
    for size in [1 << 30, 1 << 40, u64::MAX - 1] {
        let result = unpack(&Tar::default().manifest().promise("a", size).gzip());
        assert!(matches!(result, Err(ArchiveError::RatioTooHigh { .. } | ArchiveError::Damaged(_))), "{result:?}");
    }
    // Below the floor, a high ratio is an ordinary small bundle.
    assert!(unpack(&Tar::default().manifest().file("a", &[0; 900_000]).end().gzip()).is_ok());
}

#[test]
fn every_limit_holds() {
    let bytes = Tar::default().manifest().file("abc", &[1; 5000]).end().gzip();
    assert!(archive::unpack(&bytes, &Limits::DEFAULT).is_ok());
    let under = |change: fn(&mut Limits)| {
        let mut limits = Limits::DEFAULT;
        change(&mut limits);
        archive::unpack(&bytes, &limits).unwrap_err()
    };
    assert!(matches!(under(|l| l.packed_bytes_max = 20), ArchiveError::PackedTooLarge { max: 20 }));
    assert!(matches!(under(|l| l.unpacked_bytes_max = 4000), ArchiveError::UnpackedTooLarge { max: 4000 }));
    assert!(matches!(under(|l| l.unpacked_bytes_max = 6000), ArchiveError::UnpackedTooLarge { max: 6000 }));
    assert!(matches!(under(|l| l.files_max = 1), ArchiveError::TooManyFiles { max: 1 }));
    assert!(matches!(under(|l| l.path_bytes_max = 2), ArchiveError::PathTooLong { max: 2, .. }));
    assert!(matches!(under(|l| l.manifest_bytes_max = 1), ArchiveError::ManifestTooLarge { max: 1 }));
    let mut folders = Tar::default().manifest();
    for i in 0..Limits::DEFAULT.files_max {
        folders = folders.member(b'5', format!("d{i}/").as_bytes(), b"");
    }
    let limits = Limits { ratio_max: 1000, ratio_floor_bytes: 1 << 30, ..Limits::DEFAULT };
    assert!(matches!(archive::unpack(&folders.end().gzip(), &limits), Err(ArchiveError::TooManyFiles { .. })));
}

#[test]
fn a_stream_is_read_up_to_its_limit() {
    let limits = Limits { packed_bytes_max: 10, ..Limits::DEFAULT };
    assert_eq!(archive::read_packed([1; 10].as_slice(), &limits).unwrap(), [1; 10]);
    let endless = std::io::repeat(0);
    assert!(matches!(archive::read_packed(endless, &limits), Err(ArchiveError::PackedTooLarge { max: 10 })));
}

#[test]
fn damage_and_additions_are_refused() {
    let bytes = Tar::default().manifest().file("a", &[3; 3000]).end().gzip();
    for length in 0..bytes.len() {
        assert!(unpack(&bytes[..length]).is_err(), "cut to {length} bytes");
    }
    assert_refused!([bytes.as_slice(), b"x"].concat(), ArchiveError::TrailingBytes);
    assert_refused!([bytes.as_slice(), &bytes].concat(), ArchiveError::TrailingBytes);
    assert_refused!(Tar::default().manifest().end().raw(b"hidden").gzip(), ArchiveError::TrailingBytes);
    assert_refused!(gzip(b"not a tar at all"), ArchiveError::Damaged(_));
    assert_refused!(*b"not a gzip", ArchiveError::Damaged(_));
    assert_refused!(Tar::default().manifest().promise("a", 600).raw(&[1; 512]).gzip(), ArchiveError::Damaged(_));
    assert_refused!(Tar::default().file("a", b"").end().gzip(), ArchiveError::ManifestMissing);
    assert_refused!(Tar::default().file("web/manifest.json", b"").end().gzip(), ArchiveError::ManifestMissing);
}

#[test]
fn what_cannot_be_opened_is_not_packed() {
    let files = |entries: &[(&str, usize)]| -> Files {
        entries.iter().map(|(path, size)| ((*path).to_owned(), vec![0; *size])).collect()
    };
    assert!(matches!(archive::pack(&files(&[("a", 1)])), Err(ArchiveError::ManifestMissing)));
    let climbs = archive::pack(&files(&[("manifest.json", 1), ("../a", 1)]));
    assert!(matches!(climbs, Err(ArchiveError::BadPath { .. })));
    let large = archive::pack(&files(&[("manifest.json", 2_000_000)]));
    assert!(matches!(large, Err(ArchiveError::ManifestTooLarge { .. })));
}

/// Paths with and without a place where ustar can split them.
fn path() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9._-]{1,20}(/[a-zäß]{1,30}){0,4}", "[a-z]{90,110}(/[a-z]{90,110}){0,1}",]
        .prop_filter("a path of a bundle", |path| mesto_bundle::check_path(path.as_bytes()).is_ok())
}

fn contents() -> impl Strategy<Value = Files> {
    prop::collection::btree_map(path(), prop::collection::vec(any::<u8>(), 0..1500), 0..12).prop_map(|files| {
        let mut kept: Files = BTreeMap::from([("manifest.json".to_owned(), b"{}".to_vec())]);
        for (path, content) in files {
            let clash =
                |other: &String| other.starts_with(&format!("{path}/")) || path.starts_with(&format!("{other}/"));
            if !kept.keys().any(clash) {
                kept.insert(path, content);
            }
        }
        kept
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_packed_comes_back_and_packs_to_the_same_bytes(files in contents()) {
        let packed = archive::pack(&files).unwrap();
        prop_assert_eq!(&unpack(&packed).unwrap(), &files);
        prop_assert_eq!(archive::pack(&files).unwrap(), packed);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = unpack(&bytes);
        let _ = unpack(&gzip(&bytes));
    }

    #[test]
    fn arbitrary_members_never_panic(
        members in prop::collection::vec(
            (prop::sample::select(b"0125LKxgS7\0".to_vec()), prop::collection::vec(any::<u8>(), 0..100),
             prop::collection::vec(any::<u8>(), 0..100)),
            0..6,
        ),
    ) {
        let tar = members.iter().fold(Tar::default().manifest(), |tar, (kind, name, content)| tar.member(*kind, name, content));
        if let Ok(files) = unpack(&tar.end().gzip()) {
            for path in files.keys() {
                prop_assert!(mesto_bundle::check_path(path.as_bytes()).is_ok());
            }
        }
    }
}
