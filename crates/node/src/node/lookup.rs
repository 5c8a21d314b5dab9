//! Finding what people name: by id, by name, or by a unique prefix of an id.

use mesto_governance::{ContextId, GroupState};
use mesto_oplog::PublicKey;
use mesto_oplog::id::{CANDIDATES_MAX, ID_PREFIX_LEN_MIN};

use super::Node;
use crate::command::{AppVersion, CommandError, Noun, Selector};
use crate::context::Context;
use crate::group::Group;

impl Node {
    /// The group that a selector names.
    pub(crate) fn group(&self, selector: &Selector) -> Result<&Group, CommandError> {
        let named = |groups: Vec<&Group>| {
            find(Noun::Group, selector, groups.into_iter().map(|group| (group.id, group.state().map(GroupState::name))))
        };
        let id = or_among_all(named(self.live_groups().collect()), || named(self.groups.values().collect()))?;
        self.groups.get(&id).ok_or_else(|| unknown(Noun::Group, &selector.0))
    }

    /// The same, if we are a member.
    pub(crate) fn member_group(&self, selector: &Selector) -> Result<&Group, CommandError> {
        let group = self.group(selector)?;
        if group.we_are_member() {
            return Ok(group);
        }
        Err(CommandError::Denied(format!("this node is not a member of group {}", group.id)))
    }

    /// The context that a selector names, joined or not.
    pub(crate) fn context_id(&self, selector: &Selector) -> Result<ContextId, CommandError> {
        let named = |groups: Vec<&Group>| {
            let known = groups.into_iter().filter_map(Group::state).flat_map(GroupState::contexts);
            find(Noun::Context, selector, known.map(|row| (row.id, Some(row.name()))))
        };
        or_among_all(named(self.live_groups().collect()), || named(self.groups.values().collect()))
    }

    /// The groups that we are in and that have not ended: what these and their contexts are named is meant before what others
    /// were.
    fn live_groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values().filter(|group| group.we_are_member() && !group.is_over())
    }

    /// The context that a selector names, if we joined it.
    pub(crate) fn context(&self, selector: &Selector) -> Result<&Context, CommandError> {
        // A whole id needs no search: this is the way of every call.
        let joined = |id: &ContextId| self.contexts.get(id).filter(|context| !context.is_left);
        let whole = selector.0.parse::<ContextId>().ok().and_then(|id| joined(&id));
        if let Some(context) = whole {
            return Ok(context);
        }
        let id = self.context_id(selector)?;
        joined(&id).ok_or(CommandError::NotJoined(id))
    }

    pub(crate) fn application(&self, selector: &Selector) -> Result<AppVersion, CommandError> {
        // A version by its bundle, or an application by its id or package: then the newest that was installed.
        if let Ok(bundle) = find(Noun::Application, selector, self.installed.keys().map(|bundle| (*bundle, None))) {
            return self.installed.get(&bundle).cloned().ok_or_else(|| CommandError::NotInstalled(selector.0.clone()));
        }
        let mut named: Vec<_> =
            self.installed.values().map(|app| (app.application, Some(app.package.as_str()))).collect();
        named.dedup();
        let id = find(Noun::Application, selector, named)?;
        let newest =
            self.installed.values().filter(|app| app.application == id).max_by_key(|app| version_key(&app.version));
        newest.cloned().ok_or_else(|| CommandError::NotInstalled(selector.0.clone()))
    }
}

/// The member that a selector names, also one by an ancestor: by key, prefix or alias.
pub(crate) fn member(state: &GroupState, selector: &Selector) -> Result<PublicKey, CommandError> {
    let rows = state.everybody();
    find(Noun::Member, selector, rows.iter().map(|row| (row.member, Some(row.alias.as_str()))))
}

/// What was found among what is live, or else among all.
fn or_among_all<T>(
    found: Result<T, CommandError>,
    all: impl FnOnce() -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    if let Err(CommandError::Unknown { .. }) = found { all() } else { found }
}

/// Numbers in a version compare as numbers.
pub(crate) fn version_key(version: &str) -> Vec<(u64, String)> {
    version.split(['.', '-', '+']).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

pub(crate) fn unknown(noun: Noun, selector: &str) -> CommandError {
    CommandError::Unknown { noun, selector: selector.to_owned() }
}

/// The one thing that a selector names: by id, by name, or by a prefix of its id.
///
/// # Errors
/// If nothing is named so, or several things are.
pub fn find<'a, T: Copy + Eq + std::fmt::Display>(
    noun: Noun,
    selector: &Selector,
    named: impl IntoIterator<Item = (T, Option<&'a str>)>,
) -> Result<T, CommandError> {
    let text = selector.0.as_str();
    let mut by_name: Vec<T> = Vec::new();
    let mut by_prefix: Vec<T> = Vec::new();
    let mut by_few: Vec<T> = Vec::new();
    for (id, name) in named {
        let id_text = id.to_string();
        if id_text == text {
            return Ok(id);
        }
        if name == Some(text) && !by_name.contains(&id) {
            by_name.push(id);
        }
        let by_start = if text.len() >= ID_PREFIX_LEN_MIN { &mut by_prefix } else { &mut by_few };
        if !text.is_empty() && id_text.starts_with(text) && !by_start.contains(&id) {
            by_start.push(id);
        }
    }
    // A few characters never name a thing, not even one that they fit alone today; but whoever gives too few is shown
    // which they fit.
    if by_few.len() == 1 {
        by_few.clear();
    }
    let found = [by_name, by_prefix, by_few].into_iter().find(|found| !found.is_empty()).unwrap_or_default();
    match found.as_slice() {
        [] => Err(unknown(noun, text)),
        [one] => Ok(*one),
        many => Err(CommandError::Ambiguous {
            noun,
            selector: text.to_owned(),
            candidates: many.iter().take(CANDIDATES_MAX).map(ToString::to_string).collect(),
        }),
    }
}
