//! What is stored is whole, named by its hash, within the quota, and leaves nothing behind that is not.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use super::*;

const QUOTA_BYTES: u64 = 20 << 20;

fn new_blobs() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&folder.path().join("blobs"), QUOTA_BYTES).unwrap();
    (folder, blobs)
}

fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&len.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Names of all files, of temporary ones too.
fn names(blobs: &Blobs) -> Vec<String> {
    let files = fs::read_dir(&blobs.folder.path).unwrap();
    files.map(|file| file.unwrap().file_name().to_str().unwrap().to_owned()).collect()
}

async fn read_all(mut source: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn what_is_put_can_be_got_whole_and_in_ranges() {
    let (_folder, blobs) = new_blobs();
    for len in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 7] {
        let content = bytes(len);
        let stored = blobs.put(content.as_slice()).await.unwrap();
        assert_eq!(stored, Stored { id: BlobId::of_bytes(&content), len: len as u64 });
        assert_eq!(blobs.len(stored.id).unwrap(), Some(len as u64));
        for check in [Check::Nothing, Check::Hash] {
            let reader = blobs.get(stored.id, check).await.unwrap().unwrap();
            assert_eq!(reader.len(), len as u64);
            assert!(read_all(reader.into_read()).await == content);
        }
        assert!(blobs.read(stored.id, len as u64).unwrap().unwrap() == content);
    }
    let content = bytes(2 * CHUNK_BYTES + 7);
    let id = BlobId::of_bytes(&content);
    for (offset, len, expected) in [
        (0, 5, &content[..5]),
        (CHUNK_BYTES, 10, &content[CHUNK_BYTES..CHUNK_BYTES + 10]),
        (content.len() - 3, 10, &content[content.len() - 3..]),
        (content.len() + 3, 10, &[]),
    ] {
        let reader = blobs.get(id, Check::Nothing).await.unwrap().unwrap();
        let range = reader.into_range(offset as u64, len as u64).await.unwrap();
        assert_eq!(read_all(range).await, expected);
        assert_eq!(blobs.read_chunk(id, offset as u64, len).unwrap().unwrap(), expected);
    }
    let absent = BlobId::of_bytes(b"absent");
    assert!(blobs.get(absent, Check::Hash).await.unwrap().is_none());
    assert_eq!(blobs.len(absent).unwrap(), None);
    assert_eq!(blobs.read(absent, 1).unwrap(), None);
    assert_eq!(blobs.read_chunk(absent, 0, 1).unwrap(), None);
    assert!(matches!(blobs.read(id, 5), Err(BlobError::TooLarge { max: 5, .. })));
}

#[tokio::test]
async fn the_list_counts_each_blob_once_and_removal_frees_its_bytes() {
    let (_folder, blobs) = new_blobs();
    let one = blobs.put_bytes(b"one").unwrap();
    let two = blobs.put_bytes(b"second").unwrap();
    assert_eq!(blobs.put(b"one".as_slice()).await.unwrap(), one);
    let mut expected = [one, two];
    expected.sort();
    assert_eq!(blobs.list().unwrap(), expected);
    assert_eq!(blobs.used_bytes(), 9);
    assert!(blobs.remove(one.id).unwrap());
    assert!(!blobs.remove(one.id).unwrap());
    assert_eq!(blobs.used_bytes(), 6);
    assert_eq!(names(&blobs), [two.id.to_string()]);
}

#[tokio::test]
async fn the_quota_holds_and_a_refused_blob_leaves_nothing() {
    let (_folder, blobs) = new_blobs();
    blobs.put_bytes(&bytes(15 << 20)).unwrap();
    let error = blobs.put(bytes(6 << 20).as_slice()).await.unwrap_err();
    assert!(matches!(error, BlobError::QuotaExceeded { quota: QUOTA_BYTES, .. }), "{error}");
    assert!(matches!(blobs.put_bytes(&bytes(6 << 20)), Err(BlobError::QuotaExceeded { .. })));
    assert!(matches!(blobs.partial(BlobId::of_bytes(b""), 6 << 20), Err(BlobError::QuotaExceeded { .. })));
    assert_eq!(blobs.used_bytes(), 15 << 20);
    assert_eq!(names(&blobs).len(), 1);
    blobs.put_bytes(&bytes(5 << 20)).unwrap();
}

#[tokio::test]
async fn errors_and_cancellation_leave_no_file() {
    /// Gives some bytes, then fails or never gives more.
    struct Source {
        left: usize,
        fails: bool,
    }
    impl AsyncRead for Source {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.left == 0 {
                return if self.fails { Poll::Ready(Err(io::Error::other("gone"))) } else { Poll::Pending };
            }
            let len = self.left.min(buffer.remaining());
            buffer.put_slice(&vec![7; len]);
            self.left -= len;
            Poll::Ready(Ok(()))
        }
    }
    let (_folder, blobs) = new_blobs();
    let failed = blobs.put(Source { left: 3 << 20, fails: true }).await;
    assert!(matches!(failed, Err(BlobError::Source(_))));
    assert_eq!((names(&blobs).len(), blobs.used_bytes()), (0, 0));
    let pending = {
        let blobs = blobs.clone();
        tokio::spawn(async move { blobs.put(Source { left: 3 << 20, fails: false }).await })
    };
    while blobs.used_bytes() < 3 << 20 {
        tokio::task::yield_now().await;
    }
    pending.abort();
    assert!(pending.await.unwrap_err().is_cancelled());
    // A thread may still hold the file that the last write went to.
    while blobs.used_bytes() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(names(&blobs).len(), 0);
    let mut incoming = blobs.incoming().unwrap();
    incoming.write(b"abc").await.unwrap();
    drop(incoming);
    assert_eq!(names(&blobs).len(), 0);
}

#[test]
fn opening_removes_what_a_dead_process_left_and_nothing_else() {
    let (folder, blobs) = new_blobs();
    let stored = blobs.put_bytes(b"kept").unwrap();
    let path = blobs.folder.path.clone();
    drop(blobs);
    fs::write(path.join(".new-abc.part"), b"left").unwrap();
    fs::write(path.join("README"), b"somebody's").unwrap();
    let blobs = Blobs::open(&path, QUOTA_BYTES).unwrap();
    assert_eq!(blobs.list().unwrap(), [stored]);
    assert_eq!(blobs.used_bytes(), 4);
    let mut names = names(&blobs);
    names.sort();
    assert_eq!(names, ["README".to_owned(), stored.id.to_string()]);
    drop(folder);
}

#[cfg(unix)]
#[test]
fn blobs_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, blobs) = new_blobs();
    let stored = blobs.put_bytes(b"mine").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&blobs.folder.file(stored.id)), 0o600);
    assert_eq!(mode(&blobs.folder.path), 0o700);
}

#[tokio::test]
async fn damage_is_found_and_healed_by_storing_the_blob_again() {
    let (_folder, blobs) = new_blobs();
    let content = bytes(100_000);
    let id = blobs.put_bytes(&content).unwrap().id;
    let mut damaged = content.clone();
    damaged[99_999] ^= 1;
    fs::write(blobs.folder.file(id), &damaged).unwrap();
    assert!(matches!(blobs.get(id, Check::Hash).await, Err(BlobError::Damaged { id: found }) if found == id));
    assert!(matches!(blobs.read(id, 1 << 20), Err(BlobError::Damaged { .. })));
    assert!(blobs.get(id, Check::Nothing).await.unwrap().is_some());
    blobs.put_bytes(&content).unwrap();
    assert!(blobs.get(id, Check::Hash).await.unwrap().is_some());
    assert_eq!(blobs.used_bytes(), 100_000);
}

#[test]
fn pieces_in_any_order_become_the_blob() {
    let (_folder, blobs) = new_blobs();
    let content = bytes(1000);
    let id = BlobId::of_bytes(&content);
    let pieces: [&[(usize, usize)]; 5] = [
        &[(0, 400), (400, 1000)],
        &[(400, 1000), (0, 400)],
        &[(200, 300), (500, 600), (0, 1000)],
        &[(0, 100), (300, 400), (100, 300), (350, 1000)],
        &[(999, 1000), (0, 0), (0, 999)],
    ];
    for order in pieces {
        let mut partial = blobs.partial(id, 1000).unwrap();
        for (from, until) in order {
            partial.write(*from as u64, &content[*from..*until]).unwrap();
        }
        assert_eq!((partial.missing(), partial.received_bytes()), (None, 1000));
        assert_eq!(partial.finish().unwrap(), Stored { id, len: 1000 });
        assert_eq!(blobs.read(id, 1000).unwrap().unwrap(), content);
        assert_eq!(blobs.used_bytes(), 1000);
        assert!(blobs.remove(id).unwrap());
    }
    let empty = blobs.partial(BlobId::of_bytes(b""), 0).unwrap();
    assert_eq!(empty.finish().unwrap().len, 0);
}

#[test]
fn what_is_missing_is_told_in_order() {
    let (_folder, blobs) = new_blobs();
    let mut partial = blobs.partial(BlobId::of_bytes(b"abcdef"), 6).unwrap();
    assert_eq!(partial.missing(), Some((0, 6)));
    partial.write(4, b"e").unwrap();
    assert_eq!(partial.missing(), Some((0, 4)));
    partial.write(0, b"ab").unwrap();
    assert_eq!(partial.missing(), Some((2, 4)));
    partial.write(2, b"cd").unwrap();
    assert_eq!(partial.missing(), Some((5, 6)));
    partial.write(5, b"f").unwrap();
    assert_eq!(partial.missing(), None);
    partial.finish().unwrap();
}

#[test]
fn wrong_pieces_never_become_a_blob() {
    let (_folder, blobs) = new_blobs();
    let id = BlobId::of_bytes(b"abcdef");
    let mut partial = blobs.partial(id, 6).unwrap();
    assert!(matches!(partial.write(5, b"fg"), Err(PartialError::BeyondEnd { offset: 5, len: 6 })));
    assert!(matches!(partial.write(u64::MAX, b"x"), Err(PartialError::BeyondEnd { .. })));
    partial.write(0, b"abc").unwrap();
    assert!(matches!(partial.finish(), Err(PartialError::Incomplete { missing_from: 3 })));
    let mut partial = blobs.partial(id, 6).unwrap();
    partial.write(0, b"abcdeX").unwrap();
    assert!(matches!(partial.finish(), Err(PartialError::WrongHash { expected, .. }) if expected == id));
    let mut partial = blobs.partial(id, 2 * GAPS_MAX as u64 + 2).unwrap();
    for piece in 0..GAPS_MAX as u64 {
        partial.write(2 * piece + 1, b"x").unwrap();
    }
    assert!(matches!(partial.write(0, b"x"), Ok(())), "it touches another");
    assert!(matches!(partial.write(2 * GAPS_MAX as u64 + 1, b"x"), Err(PartialError::TooManyGaps)));
    drop(partial);
    assert_eq!(names(&blobs), Vec::<String>::new());
    assert_eq!(blobs.used_bytes(), 0);
}
