//! Everybody who wants to be told what happens, and the last of what happened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mesto_api::ErrorCode;
use tokio::sync::broadcast::error::RecvError;

use super::auth::{Auth, GrantId, now_s};
use super::refusal::Refusal;
use super::session::Session;
use super::told::Told;
use crate::driver::Handle;

/// Subscribers at once, those included that lost their connection a moment ago.
const SESSIONS_MAX: usize = 256;

/// What happened lately, for lists: some seconds of a busy node.
const RECENT_MAX: usize = 1024;

/// Bytes of what happened lately.
const RECENT_LEN_MAX: usize = 8 * 1024 * 1024;

/// How often subscribers are looked for that do not come back, or whose login was revoked.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Random bytes of a session's name: it is guessed by nobody.
const SESSION_ID_LEN: usize = 15;

/// Subscribers and recent messages.
pub(super) struct Hub {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    sessions: BTreeMap<String, Arc<Session>>,
    recent: VecDeque<Arc<Told>>,
    recent_len: usize,
    closed: bool,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self { inside: Mutex::default() }
    }

    /// A new session of a login, wanting nothing yet.
    pub(super) fn open(&self, grant: Option<GrantId>) -> Result<Arc<Session>, Refusal> {
        let mut random = [0; SESSION_ID_LEN];
        getrandom::fill(&mut random).map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))?;
        let id = mesto_oplog::id::to_text(&random);
        let mut inside = self.inside();
        if inside.closed {
            return Err(Refusal::new(ErrorCode::Stopping, "the node is stopping"));
        }
        if inside.sessions.len() >= SESSIONS_MAX && !inside.drop_longest_absent() {
            return Err(Refusal::new(
                ErrorCode::LimitExceeded,
                format!("{SESSIONS_MAX} streams of events are open already"),
            ));
        }
        let session = Arc::new(Session::new(id.clone(), grant));
        inside.sessions.insert(id, Arc::clone(&session));
        Ok(session)
    }

    /// The session of this name, if it is that login's.
    pub(super) fn session(&self, id: &str, grant: Option<GrantId>) -> Option<Arc<Session>> {
        self.inside().sessions.get(id).filter(|session| session.grant() == grant).cloned()
    }

    /// Ends one session.
    pub(super) fn remove(&self, id: &str) {
        if let Some(session) = self.inside().sessions.remove(id) {
            session.close();
        }
    }

    /// How many sessions there are.
    pub(super) fn sessions(&self) -> usize {
        self.inside().sessions.len()
    }

    /// What happened lately, oldest first.
    pub(super) fn recent(&self) -> Vec<Arc<Told>> {
        self.inside().recent.iter().cloned().collect()
    }

    /// Ends all sessions, now and for good.
    pub(super) fn close(&self) {
        let mut inside = self.inside();
        inside.closed = true;
        for session in std::mem::take(&mut inside.sessions).into_values() {
            session.close();
        }
    }

    fn tell(&self, told: Told) {
        let told = Arc::new(told);
        let mut inside = self.inside();
        if !told.is_passing() {
            inside.recent_len += told.len();
            inside.recent.push_back(Arc::clone(&told));
        }
        while inside.recent.len() > RECENT_MAX || inside.recent_len > RECENT_LEN_MAX {
            let Some(gone) = inside.recent.pop_front() else { break };
            inside.recent_len -= gone.len();
        }
        for session in inside.sessions.values() {
            session.tell(&told);
        }
    }

    fn miss(&self) {
        for session in self.inside().sessions.values() {
            session.miss();
        }
    }

    /// Forgets who does not come back, and ends the sessions of logins that have ended.
    fn sweep(&self, is_live: impl Fn(Option<GrantId>) -> bool) {
        let now = Instant::now();
        self.inside().sessions.retain(|_, session| {
            let stays = !session.is_over(now) && is_live(session.grant());
            if !stays {
                session.close();
            }
            stays
        });
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Makes room; false if every session has a reader.
    fn drop_longest_absent(&mut self) -> bool {
        let absent = self.sessions.iter().filter_map(|(id, session)| Some((session.absent_since()?, id.clone())));
        let Some((_, id)) = absent.min() else { return false };
        self.sessions.remove(&id).is_some()
    }
}

/// Passes what the node tells to the sessions, until the node ends.
pub(super) async fn dispatch(hub: Arc<Hub>, node: Handle, auth: Arc<Auth>) {
    let mut events = node.events();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => hub.tell(Told::new(event)),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "events came faster than they could be passed on");
                    hub.miss();
                }
                Err(RecvError::Closed) => break,
            },
            _ = sweep.tick() => hub.sweep(|grant| auth.is_live(grant, now_s())),
        }
    }
    hub.close();
}
