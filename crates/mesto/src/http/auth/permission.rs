//! What a login may do.
//!
//! A permission is `admin`, or a right such as `context:execute`, or a right in one context such as
//! `context:execute[ID]`. Rights imply what they make no sense without: who may execute may read.

use std::fmt;
use std::str::FromStr;

use mesto_governance::ContextId;

/// Permissions of one login. More than a person would ever name one by one.
pub(crate) const PERMISSIONS_MAX: usize = 64;

/// Something that a route can ask for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Right {
    /// How the node is: status, peers, usage, events of every group.
    NodeRead,
    /// What is counted.
    MetricsRead,
    /// Installed applications and their schemas.
    ApplicationRead,
    /// Install and remove applications.
    ApplicationInstall,
    /// Groups, their members and logs.
    GroupRead,
    /// Everything that changes a group, invitations and joins included.
    GroupManage,
    /// Make contexts.
    ContextCreate,
    /// Join, leave, compare, update.
    ContextManage,
    /// A context's description, log, state, schema and events, and calls of its views.
    ContextRead,
    /// Calls of every method.
    ContextExecute,
    /// The bytes of a blob whose whole id is known.
    BlobRead,
    /// Store blobs.
    BlobWrite,
    /// List and remove blobs.
    BlobManage,
}

/// Every right with its name, and whether it can be had in one context alone.
const RIGHTS: [(Right, &str, bool); 13] = [
    (Right::NodeRead, "node:read", false),
    (Right::MetricsRead, "metrics:read", false),
    (Right::ApplicationRead, "application:read", false),
    (Right::ApplicationInstall, "application:install", false),
    (Right::GroupRead, "group:read", false),
    (Right::GroupManage, "group:manage", false),
    (Right::ContextCreate, "context:create", false),
    (Right::ContextManage, "context:manage", true),
    (Right::ContextRead, "context:read", true),
    (Right::ContextExecute, "context:execute", true),
    (Right::BlobRead, "blob:read", false),
    (Right::BlobWrite, "blob:write", false),
    (Right::BlobManage, "blob:manage", false),
];

/// What existing clients of such nodes call some of them.
const OTHER_NAMES: [(&str, Right); 4] = [
    ("application:list", Right::ApplicationRead),
    ("context:list", Right::ContextRead),
    ("context:subscribe", Right::ContextRead),
    ("blob:add", Right::BlobWrite),
];

impl Right {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        RIGHTS.iter().find(|(right, ..)| *right == self).map_or("", |(_, name, _)| name)
    }

    /// Whether who has `self` has `other` too.
    fn implies(self, other: Self) -> bool {
        self == other
            || matches!(
                (self, other),
                (Self::ContextExecute | Self::ContextManage, Self::ContextRead)
                    | (Self::GroupManage, Self::GroupRead)
                    | (Self::ApplicationInstall, Self::ApplicationRead)
                    | (Self::BlobManage, Self::BlobRead | Self::BlobWrite)
            )
    }
}

/// One permission.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Permission {
    /// Everything.
    Admin,
    /// A right, in one context or wherever it applies.
    Right(Right, Option<ContextId>),
}

/// Why a text is no permission.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum PermissionError {
    #[error("there is no permission `{0}`; there are admin, {names}", names = RIGHTS.map(|(_, name, _)| name).join(", "))]
    Unknown(String),
    #[error("`{0}` cannot be had in one context alone")]
    NotScoped(String),
    #[error("`{0}` does not name its context by the whole id")]
    BadContext(String),
    #[error("a login has at most {PERMISSIONS_MAX} permissions")]
    TooMany,
    #[error("name at least one permission")]
    NoneNamed,
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        if text == "admin" {
            return Ok(Self::Admin);
        }
        let (name, context) = match text.split_once('[') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(']').unwrap_or_default())),
            None => (text, None),
        };
        let unknown = || PermissionError::Unknown(name.to_owned());
        let canonical = OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name, |(_, right)| right.name());
        let (right, _, scoped) = RIGHTS.iter().find(|(_, known, _)| *known == canonical).ok_or_else(unknown)?;
        let Some(context) = context else { return Ok(Self::Right(*right, None)) };
        if !scoped {
            return Err(PermissionError::NotScoped(name.to_owned()));
        }
        let context = context.parse().map_err(|_| PermissionError::BadContext(text.to_owned()))?;
        Ok(Self::Right(*right, Some(context)))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Right(right, None) => f.write_str(right.name()),
            Self::Right(right, Some(context)) => write!(f, "{}[{context}]", right.name()),
        }
    }
}

impl Permission {
    /// Whether who has `self` may do all that `other` allows.
    fn includes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Admin, _) => true,
            (Self::Right(..), Self::Admin) => false,
            (Self::Right(mine, here), Self::Right(theirs, there)) => mine.implies(theirs) && (here.is_none() || here == there),
        }
    }
}

/// What a login may do: sorted, each once, at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Permissions(Vec<Permission>);

impl Permissions {
    /// Everything.
    pub(crate) fn admin() -> Self {
        Self(vec![Permission::Admin])
    }

    /// These.
    pub(crate) fn of(permissions: impl IntoIterator<Item = Permission>) -> Result<Self, PermissionError> {
        let mut permissions: Vec<_> = permissions.into_iter().take(PERMISSIONS_MAX + 1).collect();
        permissions.sort_unstable();
        permissions.dedup();
        match permissions.len() {
            0 => Err(PermissionError::NoneNamed),
            1..=PERMISSIONS_MAX => Ok(Self(permissions)),
            _ => Err(PermissionError::TooMany),
        }
    }

    /// Those that texts name.
    pub(crate) fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, PermissionError> {
        if texts.len() > PERMISSIONS_MAX {
            return Err(PermissionError::TooMany);
        }
        let parsed: Vec<Permission> = texts.iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?;
        Self::of(parsed)
    }

    /// As texts.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.0.contains(&Permission::Admin)
    }

    /// Whether they give `right`: in `context`, or everywhere if that is none.
    pub(crate) fn allow(&self, right: Right, context: Option<ContextId>) -> bool {
        self.0.iter().any(|held| held.includes(Permission::Right(right, context)))
    }

    /// Whether `other` allows nothing that these do not.
    pub(crate) fn include(&self, other: &Self) -> bool {
        other.0.iter().all(|wanted| self.0.iter().any(|held| held.includes(*wanted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(n: u8) -> ContextId {
        ContextId::from_bytes([n; 32])
    }

    fn permissions(texts: &[&str]) -> Permissions {
        Permissions::parse(texts).unwrap()
    }

    #[test]
    fn every_permission_reads_back() {
        let mut all = vec![Permission::Admin];
        for (right, _, scoped) in RIGHTS {
            all.push(Permission::Right(right, None));
            if scoped {
                all.push(Permission::Right(right, Some(context(3))));
            }
        }
        for permission in all {
            assert_eq!(permission.to_string().parse(), Ok(permission));
        }
    }

    #[test]
    fn what_is_no_permission_is_refused_by_the_broken_rule() {
        let whole = context(1).to_string();
        let cases: [(&str, fn(&PermissionError) -> bool); 7] = [
            ("", |e| matches!(e, PermissionError::Unknown(_))),
            ("Admin", |e| matches!(e, PermissionError::Unknown(_))),
            ("context:everything", |e| matches!(e, PermissionError::Unknown(_))),
            ("context:execute[]", |e| matches!(e, PermissionError::BadContext(_))),
            ("context:execute[abcd]", |e| matches!(e, PermissionError::BadContext(_))),
            ("blob:read[abcd]", |e| matches!(e, PermissionError::NotScoped(_))),
            ("admin[abcd]", |e| matches!(e, PermissionError::Unknown(_))),
        ];
        for (text, wanted) in cases {
            let error = text.parse::<Permission>().unwrap_err();
            assert!(wanted(&error), "{text}: {error:?}");
        }
        assert!(format!("context:execute[{whole}").parse::<Permission>().is_err(), "the bracket is not closed");
        assert_eq!(Permissions::parse::<&str>(&[]), Err(PermissionError::NoneNamed));
        assert_eq!(Permissions::parse(&vec!["admin"; PERMISSIONS_MAX + 1]), Err(PermissionError::TooMany));
    }

    #[test]
    fn a_scope_ends_at_its_context() {
        let mine = permissions(&[&format!("context:execute[{}]", context(1))]);
        assert!(mine.allow(Right::ContextExecute, Some(context(1))));
        assert!(mine.allow(Right::ContextRead, Some(context(1))), "who may execute may read");
        assert!(!mine.allow(Right::ContextExecute, Some(context(2))));
        assert!(!mine.allow(Right::ContextExecute, None), "everywhere is more than in one place");
        assert!(!mine.allow(Right::ContextManage, Some(context(1))));
        assert!(!mine.allow(Right::NodeRead, None));
        assert!(permissions(&["context:execute"]).allow(Right::ContextExecute, Some(context(2))));
        assert!(Permissions::admin().allow(Right::GroupManage, None));
    }

    #[test]
    fn nobody_hands_on_more_than_they_have() {
        let one = permissions(&[&format!("context:execute[{}]", context(1)), "blob:read"]);
        assert!(one.include(&one));
        assert!(one.include(&permissions(&[&format!("context:read[{}]", context(1))])));
        for more in ["admin", "context:execute", "context:read", "blob:write", &format!("context:execute[{}]", context(2))] {
            assert!(!one.include(&permissions(&[more])), "{more}");
        }
        assert!(Permissions::admin().include(&one));
        assert!(!permissions(&["node:read", "group:manage"]).include(&Permissions::admin()));
    }

    #[test]
    fn the_words_of_existing_clients_are_understood() {
        assert_eq!(permissions(&["context:list"]), permissions(&["context:read"]));
        assert_eq!("blob:add".parse(), Ok(Permission::Right(Right::BlobWrite, None)));
    }
}
