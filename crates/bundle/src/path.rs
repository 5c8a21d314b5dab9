//! Which names a file in a bundle may have: those that mean the same file everywhere, inside the bundle.

use thiserror::Error;

/// Longest path of a file in a bundle, in bytes: what the two name fields of a ustar header hold
/// together, and what every file system in use accepts.
pub const PATH_BYTES_MAX: usize = 255;

/// Why a path may not name a file in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// The path is empty.
    #[error("is empty")]
    Empty,
    /// The path is longer than [`PATH_BYTES_MAX`] bytes.
    #[error("is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// The path is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// The path begins with `/`.
    #[error("is absolute; use a path relative to the bundle's folder")]
    Absolute,
    /// The path has a `..` or `.` segment.
    #[error("has a `.` or `..` segment; name the file directly")]
    Climbs,
    /// The path has an empty segment, as in `a//b` or `a/`.
    #[error("has an empty segment")]
    EmptySegment,
    /// The path has a character that some system reads as a separator, a drive or a control code.
    #[error("has a backslash, a colon or a control character")]
    ForbiddenCharacter,
}

/// Checks that `path` is a relative path of plain segments joined by `/`, and returns it as text.
///
/// # Errors
///
/// [`PathError`], by the first rule that is broken.
pub fn check_path(path: &[u8]) -> Result<&str, PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    let text = std::str::from_utf8(path).map_err(|_| PathError::NotUtf8)?;
    // `\` and `:` are separators and drives on Windows; refusing them everywhere keeps a bundle's
    // meaning independent of the machine that unpacks it.
    if text.chars().any(|c| c == '\\' || c == ':' || c.is_control()) {
        return Err(PathError::ForbiddenCharacter);
    }
    if text.starts_with('/') {
        return Err(PathError::Absolute);
    }
    for segment in text.split('/') {
        match segment {
            "" => return Err(PathError::EmptySegment),
            "." | ".." => return Err(PathError::Climbs),
            _ => {}
        }
    }
    Ok(text)
}

/// The folders above a path, innermost first: `a/b/c` gives `a/b`, `a`.
pub(crate) fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/'), |(folder, _)| folder.rsplit_once('/')).map(|(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_paths_are_accepted() {
        for path in ["a", "web/index.html", "web/.well-known/x", "web/ä b.txt", "a..b/c."] {
            assert_eq!(check_path(path.as_bytes()), Ok(path));
        }
        assert!(check_path(&[b'a'; PATH_BYTES_MAX]).is_ok());
    }

    #[test]
    fn paths_that_leave_the_bundle_or_differ_between_systems_are_refused() {
        let cases: [(&[u8], PathError); 14] = [
            (b"", PathError::Empty),
            (&[b'a'; PATH_BYTES_MAX + 1], PathError::TooLong),
            (b"web/\xff", PathError::NotUtf8),
            (b"/etc/passwd", PathError::Absolute),
            (b"..", PathError::Climbs),
            (b"../x", PathError::Climbs),
            (b"web/../../x", PathError::Climbs),
            (b"./app.wasm", PathError::Climbs),
            (b"web//x", PathError::EmptySegment),
            (b"web/", PathError::EmptySegment),
            (b"web\\x", PathError::ForbiddenCharacter),
            (b"C:x", PathError::ForbiddenCharacter),
            (b"a\0b", PathError::ForbiddenCharacter),
            ("a\u{85}b".as_bytes(), PathError::ForbiddenCharacter),
        ];
        for (path, rule) in cases {
            assert_eq!(check_path(path), Err(rule), "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn the_folders_of_a_path_are_listed_innermost_first() {
        assert_eq!(folders_of("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(folders_of("a").count(), 0);
    }
}
