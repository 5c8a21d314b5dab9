//! What people do: groups, invitations, joins, contexts and calls, each host at its own pace.

mod politics;
mod tree;

use std::collections::BTreeMap;

use mesto_governance::{ApplicationId, BlobId, Capabilities, Capability, ContextId, GroupId, Role as MemberRole};
use mesto_node::Ticket;
use mesto_node::command::{AppVersion, Command, CommandError, ContextInfo, GroupInfo, Policy, Reply, Selector};

use crate::executor::{App, POISON};
use crate::host::Role;
use crate::random::Random;
use crate::world::{Event, World};

/// Groups of one run.
const GROUPS_MAX: usize = 2;
/// Contexts of one run.
const CONTEXTS_MAX: usize = 3;
/// Keys that calls choose from, few, so that they meet.
const KEYS: u64 = 12;

/// The people, and what they know.
#[derive(Debug)]
pub(crate) struct Workload {
    random: Random,
    invitations: Vec<(GroupId, String)>,
    groups: Vec<GroupId>,
    contexts: usize,
    /// Contexts whose creation was asked for, so that they are not asked for again and again.
    asked: BTreeMap<Ticket, What>,
    politics: politics::Politics,
    tree: tree::Tree,
}

/// What a ticket was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Group,
    Child,
    Context,
    Invitation(GroupId),
    Closing(ContextId),
    Card,
    Act,
    Other,
}

impl Workload {
    /// People with nothing yet. Installs the app at some hosts.
    pub(crate) fn new(world: &mut World, seed: u64) -> Self {
        let mut random = Random::new(seed).split("workload", 0);
        let (app, bytes) = bundle(&mut random);
        world.bundles.insert(app.bundle, (app.clone(), bytes.clone()));
        for host in 0..world.hosts.len() {
            if world.hosts[host].role == Role::Outsider {
                continue;
            }
            if host == 0 || random.chance(250) {
                world.hosts[host].blobs.insert(app.bundle, bytes.clone());
            }
            world.after(0, Event::Start { host });
            let first = random.between(1_000, 200_000);
            world.after(first, Event::Agent { host });
        }
        let politics = politics::Politics::new(random.split("politics", 0));
        let tree = tree::Tree::new(random.split("tree", 0));
        Self {
            politics,
            tree,
            random,
            invitations: Vec::new(),
            groups: Vec::new(),
            contexts: 0,
            asked: BTreeMap::new(),
        }
    }

    /// A host's people do one thing, and the next in a while.
    pub(crate) fn act(&mut self, world: &mut World, host: usize) {
        let (low, high) = world.profile.pace;
        let wait = self.random.between(low, high);
        world.after(wait, Event::Agent { host });
        if world.hosts[host].node.is_none() {
            return;
        }
        let Some(Reply::Groups(groups)) = world.look(host, Command::GroupList) else { return };
        let ours: Vec<GroupInfo> = groups.into_iter().filter(|info| info.role.is_some()).collect();
        if host == 0 && self.groups.is_empty() {
            return self.create_group(world, host);
        }
        if world.profile.politics && self.politics.comes_up() {
            return self.govern(world, host, &ours);
        }
        if world.profile.subgroups && !ours.is_empty() && self.tree.comes_up(world.profile.deep) {
            return self.tend_tree(world, host, &ours);
        }
        match self.random.below(100) {
            0..=11 => self.join(world, host, &ours),
            12..=13 if self.groups.len() < GROUPS_MAX => self.create_group(world, host),
            14..=21 => self.invite(world, host, &ours),
            22..=27 => self.create_context(world, host, &ours),
            28..=36 => self.join_context(world, host),
            37..=41 => self.sync(world, host),
            _ if ours.is_empty() => self.join(world, host, &ours),
            _ => self.call(world, host),
        }
    }

    /// Looks at what the nodes answered.
    pub(crate) fn hear(&mut self, world: &mut World) -> Vec<String> {
        let mut complaints = Vec::new();
        while let Some((host, ticket, reply)) = world.answers.pop_front() {
            let what = self.asked.remove(&ticket).unwrap_or(What::Other);
            match (what, reply) {
                (What::Group, Ok(Reply::GroupCreated { group, .. })) => {
                    self.groups.push(group);
                    self.invite_all(world, host, group);
                }
                (What::Child, Ok(Reply::GroupCreated { group, .. })) => {
                    world.count("subgroups");
                    if self.tree.invites_all() {
                        self.invite_all(world, host, group);
                    }
                }
                (What::Child, Err(_)) => self.child_refused(),
                (What::Context, Err(_)) => self.contexts = self.contexts.saturating_sub(1),
                (What::Invitation(group), Ok(Reply::Invited { ticket, .. })) => {
                    self.invitations.push((group, ticket));
                    world.count("invitations");
                }
                // Whoever has no right to write any more is told so.
                (What::Closing(context), Err(CommandError::Denied(_)))
                    if !crate::invariants::may_write(world, host, context) =>
                {
                    world.count("denied");
                }
                (What::Closing(context), Err(error)) => {
                    complaints.push(format!("a call in {context:?} at host {host} when all was quiet: {error}"));
                }
                (What::Card, Ok(Reply::Card { card, .. })) => self.politics.cards.push(card),
                (What::Act, Ok(_)) => world.count("acts"),
                (What::Act, Err(_)) => world.count("refused acts"),
                (_, Ok(Reply::Called(_))) => world.count("calls"),
                (_, Err(CommandError::Call(_))) => world.count("failed calls"),
                (_, Err(_)) => world.count("refused commands"),
                (_, Ok(_)) => {}
            }
        }
        complaints
    }

    /// When all is quiet: each member that joined a context writes once more.
    pub(crate) fn closing_calls(&mut self, world: &mut World) {
        for host in 0..world.hosts.len() {
            if !world.is_honest(host) {
                continue;
            }
            for info in joined(world, host).into_iter().filter(|info| info.entries > 0) {
                let args = match world.profile.app {
                    App::Collections => format!(r#"{{"key":"closing {host}","value":"v","by":1}}"#),
                    App::Kv => format!(r#"{{"key":"closing {host}","value":"v"}}"#),
                };
                let ticket = self.ask(world, host, call_of(info.context, "set", args), What::Closing(info.context));
                world.called.insert(ticket, info.context);
            }
        }
    }

    fn ask(&mut self, world: &mut World, host: usize, command: Command, what: What) -> Ticket {
        // The ticket that `ask` will give: a reply can come within the step.
        self.asked.insert(world.last_ticket + 1, what);
        world.ask(host, command)
    }

    fn create_group(&mut self, world: &mut World, host: usize) {
        let application = world.hosts[host].blobs.keys().next().map(|bundle| Selector(bundle.to_string()));
        if application.is_none() || (host == 0 && !self.groups.is_empty()) {
            return;
        }
        let name = Some(format!("group {}", self.groups.len()));
        self.ask(
            world,
            host,
            Command::GroupCreate { name, application, parent: None, policy: Policy::Automatic },
            What::Group,
        );
    }

    /// The first invitations of a group: enough for everybody, so that most runs have members.
    fn invite_all(&mut self, world: &mut World, host: usize, group: GroupId) {
        let uses = u32::try_from(world.hosts.len()).unwrap_or(u32::MAX);
        let capabilities = Some(Capabilities::ALL);
        let command = Command::Invite {
            group: Selector(group.to_string()),
            role: MemberRole::Member,
            capabilities,
            expires_ms: 3_600_000,
            uses,
        };
        self.ask(world, host, command, What::Invitation(group));
    }

    fn invite(&mut self, world: &mut World, host: usize, ours: &[GroupInfo]) {
        let Some(info) = self.random.pick(ours).cloned() else { return };
        let role = match self.random.below(6) {
            0 => MemberRole::Admin,
            1 => MemberRole::ReadOnly,
            _ => MemberRole::Member,
        };
        let capabilities = match self.random.below(3) {
            0 => None,
            1 => Some(Capabilities::DEFAULT.with(Capability::InviteMembers)),
            _ => Some(Capabilities::DEFAULT.with(Capability::CreateContexts)),
        };
        let expires_ms = if self.random.chance(300) { self.random.between(200, 5_000) } else { 3_600_000 };
        let uses = u32::try_from(self.random.between(1, 3)).unwrap_or(1);
        let group = Selector(info.group.to_string());
        let command = Command::Invite { group, role, capabilities, expires_ms, uses };
        self.ask(world, host, command, What::Invitation(info.group));
    }

    fn join(&mut self, world: &mut World, host: usize, ours: &[GroupInfo]) {
        let invitations: Vec<&(GroupId, String)> =
            self.invitations.iter().filter(|(group, _)| !ours.iter().any(|info| info.group == *group)).collect();
        let Some((group, ticket)) = self.random.pick(&invitations).map(|found| (*found).clone()) else { return };
        if let Some(Reply::Joining(info)) = world.look(host, Command::JoinStatus(group))
            && info.refused.is_none()
            && self.random.chance(800)
        {
            return;
        }
        let contexts_all = self.random.chance(500);
        world.count("joins");
        self.ask(world, host, Command::Join { ticket, contexts_all }, What::Other);
    }

    fn create_context(&mut self, world: &mut World, host: usize, ours: &[GroupInfo]) {
        if self.contexts < CONTEXTS_MAX {
            self.context_in(world, host, ours);
        }
    }

    fn context_in(&mut self, world: &mut World, host: usize, ours: &[GroupInfo]) {
        let Some(info) = self.random.pick(ours).cloned() else { return };
        self.contexts += 1;
        let name = Some(format!("context {}", self.random.below(1000)));
        let command = Command::ContextCreate {
            group: Selector(info.group.to_string()),
            application: None,
            name,
            restricted: world.profile.politics.then(|| self.politics.restricts()),
            init: match world.profile.app {
                App::Collections => br#"{"title":"new"}"#.to_vec(),
                App::Kv => b"{}".to_vec(),
            },
        };
        self.ask(world, host, command, What::Context);
    }

    fn join_context(&mut self, world: &mut World, host: usize) {
        let Some(Reply::Contexts(contexts)) = world.look(host, Command::ContextList(None)) else { return };
        let Some(info) = self.random.pick(&contexts) else { return };
        self.ask(world, host, Command::ContextJoin(Selector(info.context.to_string())), What::Other);
    }

    fn sync(&mut self, world: &mut World, host: usize) {
        let contexts = joined(world, host);
        let Some(info) = self.random.pick(&contexts) else { return };
        self.ask(world, host, Command::Sync { context: Selector(info.context.to_string()), peer: None }, What::Other);
    }

    fn call(&mut self, world: &mut World, host: usize) {
        let contexts = joined(world, host);
        let contexts = self.callable(world, host, contexts);
        let Some(info) = self.random.pick(&contexts) else { return };
        let context = info.context;
        let bursts = if self.random.chance(60) { self.random.between(5, 40) } else { 1 };
        for _ in 0..bursts {
            let (method, args) = self.method(world);
            let ticket = self.ask(world, host, call_of(context, method, args), What::Other);
            world.called.insert(ticket, context);
        }
    }

    /// A method with its arguments; the value is a different one each time.
    fn method(&mut self, world: &World) -> (&'static str, String) {
        if world.profile.app == App::Kv {
            return self.method_of_kv();
        }
        let key = self.random.below(KEYS);
        let by = self.random.between(0, 5);
        let number = self.random.number();
        let failing = self.random.chance(world.profile.failing_calls);
        let method = if failing {
            self.random.pick(&["set", "nest", "refuse", "write", "fly"])
        } else {
            self.random.pick(&[
                "set", "set", "set", "remove", "clear", "incr", "incr", "add", "drop", "nest", "tally", "write", "idle",
            ])
        };
        let mark = if failing { POISON } else { "v" };
        (method.copied().unwrap_or("set"), format!(r#"{{"key":"k{key}","value":"{mark}{number}","by":{by}}}"#))
    }
}

impl Workload {
    fn method_of_kv(&mut self) -> (&'static str, String) {
        let (key, number) = (self.random.below(KEYS), self.random.number());
        match self.random.below(20) {
            0..=11 => ("set", format!(r#"{{"key":"k{key}","value":"v{number}"}}"#)),
            12..=15 => ("remove", format!(r#"{{"key":"k{key}"}}"#)),
            16 => ("clear", "{}".to_owned()),
            17 => ("get_or_error", format!(r#"{{"key":"k{key}"}}"#)),
            18 => ("set", format!(r#"{{"key":"k{key}"}}"#)),
            _ => ("fly", "{}".to_owned()),
        }
    }
}

fn call_of(context: ContextId, method: &str, args: String) -> Command {
    Command::Call {
        context: Selector(context.to_string()),
        method: method.to_owned(),
        args: args.into_bytes(),
        identity: None,
    }
}

/// The contexts that a host joined.
fn joined(world: &mut World, host: usize) -> Vec<ContextInfo> {
    match world.look(host, Command::ContextList(None)) {
        Some(Reply::Contexts(contexts)) => contexts.into_iter().filter(|info| info.joined).collect(),
        _ => Vec::new(),
    }
}

/// The app's bundle: bytes of some size, now and then of more than one chunk.
fn bundle(random: &mut Random) -> (AppVersion, Vec<u8>) {
    let len = if random.chance(150) { random.between(260_000, 600_000) } else { random.between(10, 2_000) };
    let bytes: Vec<u8> = (0..len).map(|n| n.to_le_bytes()[0]).chain(random.seed()).collect();
    let app = AppVersion {
        application: ApplicationId::from_bytes(*blake3::hash(b"collections").as_bytes()),
        bundle: BlobId::from_bytes(*blake3::hash(&bytes).as_bytes()),
        size: bytes.len() as u64,
        package: "collections".to_owned(),
        version: "1.0.0".to_owned(),
    };
    (app, bytes)
}
