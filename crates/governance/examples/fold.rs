//! Folds a scenario: `cargo run -p mesto-governance --example fold -- FILE`.
//!
//! Each line of the file is one op of one group, in any order:
//! `{"id":"x1","author":"A","parents":["g"],"action":"setrole","target":"B","role":"member"}` with action
//! `genesis`, `setrole`, `remove`, `leave` or `name`, and role `readonly`, `member`, `manager` or `admin`.
//! Prints `{"rejected":[…],"dead":[…],"members":{…}}`. A line that makes no sense (an action or a role that there is
//! not, no target, parents that are missing or were rejected, a second beginning) is rejected. The same line twice is
//! one op; of different lines with one id, the least in the order of their fields is the op.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{ErrorKind, Write as _};

use mesto_governance::fold::levels::{LevelAction, Levels};
use mesto_governance::{Capabilities, Capability, Role, Standing};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Line {
    id: String,
    author: String,
    #[serde(default)]
    parents: Vec<String>,
    action: String,
    target: Option<String>,
    role: Option<String>,
}

#[derive(Serialize)]
struct Outcome {
    rejected: Vec<String>,
    dead: Vec<String>,
    members: BTreeMap<String, &'static str>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: fold FILE")?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))?;
        if lines.get(&line.id).is_none_or(|known| line < *known) {
            lines.insert(line.id.clone(), line);
        }
    }
    let outcome = serde_json::to_string(&fold(lines)?)?;
    // Whoever reads it may have read enough.
    writeln!(std::io::stdout(), "{outcome}")
        .or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
    Ok(())
}

fn fold(mut lines: BTreeMap<String, Line>) -> Result<Outcome, Box<dyn Error>> {
    let is_beginning = |line: &&Line| line.action == "genesis" && line.parents.is_empty();
    let genesis = lines.values().find(is_beginning).cloned().ok_or("no genesis")?;
    lines.remove(&genesis.id);
    let mut levels = Levels::genesis(genesis.id.clone(), genesis.author);
    let mut rejected = BTreeSet::new();
    // Each line after its parents, whatever became of these.
    let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut undecided: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines.values() {
        let parents: BTreeSet<&String> = line.parents.iter().collect();
        undecided.insert(line.id.clone(), parents.len());
        for parent in parents {
            children.entry(parent.clone()).or_default().push(line.id.clone());
        }
    }
    let mut ready: BTreeSet<String> =
        undecided.iter().filter(|(_, left)| **left == 0).map(|(id, _)| id.clone()).collect();
    let mut decided = Some(genesis.id);
    while let Some(id) = decided {
        for child in children.remove(&id).into_iter().flatten() {
            let left = undecided.entry(child.clone()).or_default();
            *left -= 1;
            if *left == 0 {
                ready.insert(child);
            }
        }
        decided = ready.pop_first();
        let Some(line) = decided.as_ref().and_then(|id| lines.remove(id)) else { continue };
        let is_admitted = action(&line)
            .is_some_and(|action| levels.apply(line.id.clone(), line.author, &line.parents, action).is_ok());
        if !is_admitted {
            rejected.insert(line.id);
        }
    }
    // What is left waits for parents that never come: it is in nobody's past, so it is no part of the history.
    rejected.extend(lines.into_keys());
    let roster = levels.roster();
    let members = roster.members().map(|(member, standing)| (member.clone(), standing.level().name())).collect();
    Ok(Outcome { rejected: rejected.into_iter().collect(), dead: levels.dead(), members })
}

/// The action of a line; none if it makes no sense, or is a second beginning.
fn action(line: &Line) -> Option<LevelAction<String>> {
    match line.action.as_str() {
        "setrole" => Some(LevelAction::Set(line.target.clone()?, standing(line.role.as_deref()?)?)),
        "remove" => Some(LevelAction::Remove(line.target.clone()?)),
        "leave" => Some(LevelAction::Leave),
        "name" => Some(LevelAction::Settings),
        _ => None,
    }
}

fn standing(role: &str) -> Option<Standing> {
    match role {
        "manager" => Some(Standing::new(Role::Member, Capabilities::NONE.with(Capability::ManageMembers))),
        role => Some(Standing::new(role.parse().ok()?, Capabilities::NONE)),
    }
}
