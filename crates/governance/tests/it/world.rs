//! People with keys, and entries that they sign.

use mesto_governance::action::{
    AliasSet, ContextAllowed, ContextDisallowed, ContextJoined, ContextRef, ContextRegistered, ContextVisibilitySet,
    Domain, GroupCreated, InvitationCreated, KeyEpochStarted, MemberAdded, MemberRemoved, PeerHint, Release,
    Visibility, Wraps, recipients_digest,
};
use mesto_governance::{
    Action, ApplicationId, Applied, BlobId, Capabilities, ContextId, EpochKey, Governance, GroupId, Op, Rejected, Role,
    SealingKey,
};
use mesto_oplog::entry::{Draft, Header, Kind, Stamp};
use mesto_oplog::{EntryId, Incarnation, LogId, PublicKey, SigningKey, Verified};

/// Milliseconds at which the tests begin.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

pub(crate) fn key(who: u8) -> SigningKey {
    SigningKey::from_seed(&[who; 32])
}

pub(crate) fn id(who: u8) -> PublicKey {
    key(who).public()
}

pub(crate) fn sealing(who: u8) -> SealingKey {
    SealingKey::from_seed(&[who ^ 0x80; 32])
}

/// Signs one op. `nonce` makes otherwise equal entries different.
pub(crate) fn entry(log: LogId, who: u8, parents: &[EntryId], nonce: u64, at_ms: u64, op: &Op) -> Verified {
    let mut parents = parents.to_vec();
    parents.sort();
    let header = Header {
        kind: Kind::Governance,
        log,
        author: id(who),
        incarnation: Incarnation(nonce),
        seq: 1,
        prev: None,
        parents,
        stamp: Stamp(at_ms << 16),
    };
    Draft { header, body: op.encode().unwrap() }.sign(&key(who)).unwrap()
}

pub(crate) fn genesis(owner: u8) -> Verified {
    let created = GroupCreated {
        nonce: [owner; 32],
        parent: None,
        sealing_key: sealing(owner).public(),
        peer: PeerHint::default(),
    };
    entry(LogId::default(), owner, &[], 0, START_MS, &Op::new(vec![Action::GroupCreated(created)]))
}

/// One node's view of a group, and a way to act in it as anybody.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) governance: Governance,
    pub(crate) entries: Vec<Verified>,
    pub(crate) now_ms: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let genesis = genesis(0);
        Self { governance: Governance::genesis(&genesis).unwrap(), entries: vec![genesis], now_ms: START_MS }
    }

    /// With admins 1 and 2, manager 3, member 4 and reader 5.
    pub(crate) fn peopled() -> Self {
        let mut world = Self::new();
        let manager = Capabilities::from_bits(0b01100).unwrap();
        for (who, role, capabilities) in [
            (1, Role::Admin, Capabilities::NONE),
            (2, Role::Admin, Capabilities::NONE),
            (3, Role::Member, manager),
            (4, Role::Member, Capabilities::DEFAULT),
            (5, Role::ReadOnly, Capabilities::DEFAULT),
        ] {
            world.act(0, vec![add(who, role, capabilities)]);
        }
        world
    }

    pub(crate) fn group(&self) -> GroupId {
        self.governance.group()
    }

    /// Signs and applies an op on top of all heads.
    pub(crate) fn act(&mut self, who: u8, actions: Vec<Action>) -> EntryId {
        let heads = self.governance.heads();
        self.act_after(who, &heads, actions)
    }

    pub(crate) fn act_after(&mut self, who: u8, parents: &[EntryId], actions: Vec<Action>) -> EntryId {
        let entry = self.sign(who, parents, actions);
        let applied = self.governance.apply(&entry);
        assert!(applied.is_ok(), "{applied:?}");
        self.entries.push(entry.clone());
        entry.id()
    }

    pub(crate) fn applied(&mut self, who: u8, actions: Vec<Action>) -> Applied {
        let heads = self.governance.heads();
        self.applied_after(who, &heads, actions)
    }

    pub(crate) fn applied_after(&mut self, who: u8, parents: &[EntryId], actions: Vec<Action>) -> Applied {
        let entry = self.sign(who, parents, actions);
        let applied = self.governance.apply(&entry).unwrap();
        self.entries.push(entry);
        applied
    }

    pub(crate) fn refused(&mut self, who: u8, actions: Vec<Action>) -> Rejected {
        let heads = self.governance.heads();
        self.refused_after(who, &heads, actions)
    }

    pub(crate) fn refused_after(&mut self, who: u8, parents: &[EntryId], actions: Vec<Action>) -> Rejected {
        let entry = self.sign(who, parents, actions);
        self.governance.apply(&entry).expect_err("refused")
    }

    pub(crate) fn sign(&self, who: u8, parents: &[EntryId], actions: Vec<Action>) -> Verified {
        let log = self.group().log();
        entry(log, who, parents, self.entries.len() as u64, self.now_ms, &Op::new(actions))
    }

    /// Registers a context as `who`, and joins it with identity `who + 100`.
    pub(crate) fn context(&mut self, who: u8, mut more: Vec<Action>) -> ContextId {
        let mut actions = vec![register(7)];
        actions.append(&mut more);
        actions.push(join(ContextRef::Here(0), &[7; 32], self.group(), who));
        let op = self.act(who, actions);
        ContextId::of_action(op, 0)
    }

    pub(crate) fn join(&self, context: ContextId, who: u8) -> Action {
        let nonce = self.governance.state().context(&context).unwrap().nonce;
        join(ContextRef::Id(context), &nonce, self.group(), who)
    }
}

pub(crate) fn identity(who: u8) -> PublicKey {
    id(who + 100)
}

pub(crate) fn join(context: ContextRef, nonce: &[u8; 32], group: GroupId, who: u8) -> Action {
    Action::ContextJoined(ContextJoined::new(context, nonce, group, id(who), &key(who + 100)))
}

pub(crate) fn add(who: u8, role: Role, capabilities: Capabilities) -> Action {
    Action::MemberAdded(MemberAdded {
        member: id(who),
        sealing_key: sealing(who).public(),
        role,
        capabilities,
        peer: PeerHint(vec![who]),
    })
}

pub(crate) fn remove(who: u8) -> Action {
    Action::MemberRemoved(MemberRemoved { member: id(who), keep: vec![], descendants: vec![] })
}

pub(crate) fn name(subject: mesto_governance::action::Alias, name: &str) -> Action {
    Action::AliasSet(AliasSet { subject, name: name.into() })
}

/// An invitation as a plain member, under key 50, for so many and for a second.
pub(crate) fn invitation(uses: u32) -> Action {
    Action::InvitationCreated(InvitationCreated {
        key: id(50),
        role: Role::Member,
        capabilities: Capabilities::DEFAULT,
        expires_at_ms: START_MS + 1000,
        uses,
    })
}

pub(crate) fn release(version: u8) -> Release {
    Release {
        application: ApplicationId::from_bytes([1; 32]),
        version: BlobId::from_bytes([version; 32]),
        size: 1000,
        package: "org.example.kv".into(),
        app_version: format!("{version}.0.0"),
    }
}

pub(crate) fn register(nonce: u8) -> Action {
    Action::ContextRegistered(ContextRegistered { nonce: [nonce; 32], release: release(1) })
}

/// An epoch whose key is `[key; 32]`, sealed to these people.
pub(crate) fn epoch(domain: Domain, nonce: &[u8; 32], key: u8, to: &[u8]) -> Action {
    let key = EpochKey::new(*nonce, [key; 32]);
    let mut wraps: Vec<_> =
        to.iter().map(|&who| key.seal(id(who), sealing(who).public(), &[who; 32]).unwrap()).collect();
    wraps.sort();
    Action::KeyEpochStarted(KeyEpochStarted {
        domain,
        key: key.id(),
        recipients: recipients_digest(wraps.iter().map(|wrap| wrap.recipient)),
        wraps: Wraps::Inline(wraps),
        parent: None,
        history: vec![],
    })
}

pub(crate) fn show(context: ContextRef, visibility: Visibility) -> Action {
    Action::ContextVisibilitySet(ContextVisibilitySet { context, visibility, keep: vec![] })
}

pub(crate) fn restrict(context: ContextRef) -> Action {
    show(context, Visibility::Restricted)
}

pub(crate) fn allow(context: ContextId, who: u8) -> Action {
    Action::ContextAllowed(ContextAllowed { context: ContextRef::Id(context), member: id(who) })
}

pub(crate) fn disallow(context: ContextId, who: u8) -> Action {
    Action::ContextDisallowed(ContextDisallowed { context: ContextRef::Id(context), member: id(who), keep: vec![] })
}
