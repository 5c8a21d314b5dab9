//! What contexts run: releases of applications, and when contexts follow.

use borsh::{BorshDeserialize, BorshSerialize};

use super::check_text;
use crate::id::{ApplicationId, BlobId};
use crate::op::OpError;

/// Longest package name or version, in bytes.
pub const PACKAGE_LEN_MAX: usize = 128;
/// Longest name of a migration method, in bytes.
pub const METHOD_LEN_MAX: usize = 128;

/// One version of an application: all that a node needs to fetch and check its bundle.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct Release {
    /// The application line.
    pub application: ApplicationId,
    /// The bundle; its id is the version.
    pub version: BlobId,
    /// Size of the bundle, in bytes.
    pub size: u64,
    /// The package name, at most [`PACKAGE_LEN_MAX`] bytes.
    pub package: String,
    /// The version that people read, at most [`PACKAGE_LEN_MAX`] bytes.
    pub app_version: String,
}

impl Release {
    pub(super) fn check(&self) -> Result<(), OpError> {
        check_text("package", &self.package, PACKAGE_LEN_MAX)?;
        check_text("app_version", &self.app_version, PACKAGE_LEN_MAX)
    }
}

pub(super) fn check_method(method: Option<&str>) -> Result<(), OpError> {
    method.map_or(Ok(()), |method| check_text("migrate", method, METHOD_LEN_MAX))
}

/// Sets the application that the group's contexts run.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct TargetApplicationSet {
    /// The release.
    pub release: Release,
    /// The method that migrates the state, if one is needed.
    pub migrate: Option<String>,
}

impl TargetApplicationSet {
    pub(super) fn check(&self) -> Result<(), OpError> {
        self.release.check()?;
        check_method(self.migrate.as_deref())
    }
}

/// When contexts follow the group's target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum UpgradePolicy {
    /// At once.
    #[default]
    Automatic = 1,
    /// When an admin starts it, all contexts together.
    Coordinated = 2,
    /// At the next call of each context.
    LazyOnAccess = 3,
}

/// Sets when contexts follow the target.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct UpgradePolicySet {
    /// The policy.
    pub policy: UpgradePolicy,
}
