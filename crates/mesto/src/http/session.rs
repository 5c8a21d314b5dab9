//! One subscriber: what it wants, and the last of what it was to be told.
//!
//! Messages wait in a ring of bounded size. A reader that falls behind the ring is told so and cut off. A reader
//! whose connection broke can come back for a while and finds what it missed there.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mesto_governance::{ContextId, GroupId};
use tokio::sync::Notify;

use super::auth::GrantId;
use super::told::Told;

/// Messages that wait for one subscriber: some seconds of a busy context.
const WAITING_MAX: usize = 1024;

/// Bytes of messages that wait for one subscriber. Messages are shared between subscribers.
const WAITING_LEN_MAX: usize = 8 * 1024 * 1024;

/// Contexts and groups that one subscriber may name.
const TOPICS_MAX: usize = 4096;

/// How long a subscriber without a connection is kept, so that it can come back.
const ABSENT_MAX: Duration = Duration::from_secs(60);

/// What a subscriber wants to be told.
#[derive(Default)]
pub(super) struct Topics {
    pub(super) contexts: BTreeSet<ContextId>,
    pub(super) groups: BTreeSet<GroupId>,
    /// Every group, now and later.
    pub(super) everything: bool,
}

impl Topics {
    fn want(&self, told: &Told) -> bool {
        self.everything || told.context().is_some_and(|context| self.contexts.contains(&context)) || self.groups.contains(&told.group())
    }
}

/// A subscriber.
pub(super) struct Session {
    id: String,
    /// By which login it was opened; none for the home's token.
    grant: Option<GrantId>,
    inside: Mutex<Inside>,
    news: Notify,
}

#[derive(Default)]
struct Inside {
    topics: Topics,
    waiting: VecDeque<Arc<Told>>,
    waiting_len: usize,
    /// The number of the first of `waiting`.
    first: u64,
    closed: bool,
    /// Of readers; the newest is the one that counts.
    generation: u64,
    absent_since: Option<Instant>,
}

/// What a reader gets.
pub(super) enum Next {
    /// A message and its number.
    Told(u64, Arc<Told>),
    /// The reader was too slow: messages are gone that it has not read.
    Missed,
    /// The node ends, or another connection has taken over.
    Closed,
}

impl Session {
    /// A session that waits for its reader.
    pub(super) fn new(id: String, grant: Option<GrantId>) -> Self {
        let inside = Inside { first: 1, absent_since: Some(Instant::now()), ..Inside::default() };
        Self { id, grant, inside: Mutex::new(inside), news: Notify::new() }
    }

    /// Its name; without hyphens, because event ids are `{name}-{number}`.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn grant(&self) -> Option<GrantId> {
        self.grant
    }

    /// Adds topics or takes them away; false, and nothing added, if there would be too many.
    pub(super) fn subscribe(&self, topics: Topics, on: bool) -> bool {
        let mut inside = self.inside();
        if on {
            let held = inside.topics.contexts.len() + inside.topics.groups.len();
            if held + topics.contexts.len() + topics.groups.len() > TOPICS_MAX {
                return false;
            }
            inside.topics.contexts.extend(topics.contexts);
            inside.topics.groups.extend(topics.groups);
            inside.topics.everything |= topics.everything;
            true
        } else {
            inside.topics.contexts.retain(|context| !topics.contexts.contains(context));
            inside.topics.groups.retain(|group| !topics.groups.contains(group));
            inside.topics.everything &= !topics.everything;
            true
        }
    }

    /// Queues a message if the subscriber wants it.
    pub(super) fn tell(&self, told: &Arc<Told>) {
        let mut inside = self.inside();
        if !inside.topics.want(told) {
            return;
        }
        inside.waiting_len += told.len();
        inside.waiting.push_back(Arc::clone(told));
        while inside.waiting.len() > WAITING_MAX || inside.waiting_len > WAITING_LEN_MAX {
            let Some(gone) = inside.waiting.pop_front() else { break };
            inside.waiting_len -= gone.len();
            inside.first += 1;
        }
        drop(inside);
        self.news.notify_one();
    }

    /// Drops all that waits: the node itself missed something, so nobody has the whole.
    pub(super) fn miss(&self) {
        let mut inside = self.inside();
        inside.first += inside.waiting.len() as u64 + 1;
        inside.waiting.clear();
        inside.waiting_len = 0;
        drop(inside);
        self.news.notify_one();
    }

    /// No more messages.
    pub(super) fn close(&self) {
        self.inside().closed = true;
        self.news.notify_one();
    }

    /// Whether its reader has been gone for too long.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let inside = self.inside();
        inside.closed || inside.absent_since.is_some_and(|since| now.saturating_duration_since(since) > ABSENT_MAX)
    }

    /// Since when it has no reader.
    pub(super) fn absent_since(&self) -> Option<Instant> {
        self.inside().absent_since
    }

    /// A reader that begins after message `last`; a reader that was there before ends.
    pub(super) fn attach(self: &Arc<Self>, last: u64) -> Reader {
        let mut inside = self.inside();
        inside.generation += 1;
        inside.absent_since = None;
        let generation = inside.generation;
        drop(inside);
        self.news.notify_one();
        Reader { session: Arc::clone(self), next: last.saturating_add(1), generation }
    }

    /// Whether message `last` and all after it are still known.
    pub(super) fn covers(&self, last: u64) -> bool {
        let inside = self.inside();
        let end = inside.first + inside.waiting.len() as u64;
        (inside.first..=end).contains(&last.saturating_add(1))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a session; when it is dropped, the session is without a reader.
pub(super) struct Reader {
    session: Arc<Session>,
    next: u64,
    generation: u64,
}

impl Reader {
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Waits for the next message. May be dropped at any time without losing one.
    pub(super) async fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.look() {
                return next;
            }
            self.session.news.notified().await;
        }
    }

    fn look(&mut self) -> Option<Next> {
        let inside = self.session.inside();
        if inside.generation != self.generation {
            self.session.news.notify_one(); // the wake-up was the newer reader's
            return Some(Next::Closed);
        }
        if self.next < inside.first {
            return Some(Next::Missed);
        }
        let index = usize::try_from(self.next - inside.first).unwrap_or(usize::MAX);
        if let Some(told) = inside.waiting.get(index) {
            let number = self.next;
            self.next += 1;
            return Some(Next::Told(number, Arc::clone(told)));
        }
        inside.closed.then_some(Next::Closed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut inside = self.session.inside();
        if inside.generation == self.generation {
            inside.absent_since = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{ContextEvent, ContextEventKind};

    fn told(context: u8, group: u8) -> Arc<Told> {
        let event = ContextEvent {
            seq: 1,
            context: Some(ContextId::from_bytes([context; 32])),
            group: GroupId::from_bytes([group; 32]),
            kind: ContextEventKind::SyncStatus { root: [0; 32] },
        };
        Arc::new(Told::new(Arc::new(event)))
    }

    fn session_of(context: u8) -> Arc<Session> {
        let session = Arc::new(Session::new("s".to_owned(), None));
        let topics = Topics { contexts: [ContextId::from_bytes([context; 32])].into(), ..Topics::default() };
        assert!(session.subscribe(topics, true));
        session
    }

    async fn number(reader: &mut Reader) -> Option<u64> {
        match reader.next().await {
            Next::Told(number, _) => Some(number),
            Next::Missed | Next::Closed => None,
        }
    }

    #[tokio::test]
    async fn a_subscriber_is_told_what_it_wants_in_order() {
        let session = session_of(1);
        let mut reader = session.attach(0);
        session.tell(&told(1, 9));
        session.tell(&told(2, 9));
        session.tell(&told(1, 9));
        assert_eq!((number(&mut reader).await, number(&mut reader).await), (Some(1), Some(2)));
        let group = Topics { groups: [GroupId::from_bytes([9; 32])].into(), ..Topics::default() };
        session.subscribe(group, true);
        session.tell(&told(2, 9));
        assert_eq!(number(&mut reader).await, Some(3), "a group stands for all of its contexts");
        session.close();
        assert_eq!(number(&mut reader).await, None);
    }

    #[tokio::test]
    async fn who_comes_back_finds_what_it_missed() {
        let session = session_of(1);
        let mut reader = session.attach(0);
        session.tell(&told(1, 9));
        assert_eq!(number(&mut reader).await, Some(1));
        drop(reader);
        assert!(session.absent_since().is_some());
        session.tell(&told(1, 9));
        session.tell(&told(1, 9));
        assert!(session.covers(1) && session.covers(3) && !session.covers(4));
        let mut reader = session.attach(1);
        assert_eq!((number(&mut reader).await, number(&mut reader).await), (Some(2), Some(3)));
        let mut newer = session.attach(3);
        assert_eq!(number(&mut reader).await, None, "another connection has taken over");
        session.tell(&told(1, 9));
        assert_eq!(number(&mut newer).await, Some(4));
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_so_and_takes_no_more_memory() {
        let session = session_of(1);
        let mut reader = session.attach(0);
        let message = told(1, 9);
        for _ in 0..=WAITING_MAX {
            session.tell(&message);
        }
        assert_eq!(session.inside().waiting.len(), WAITING_MAX);
        assert!(!session.covers(0));
        assert!(matches!(reader.next().await, Next::Missed));
    }

    #[test]
    fn topics_are_bounded_and_can_be_taken_back() {
        let session = session_of(1);
        let many = (0..=TOPICS_MAX).map(|n| {
            let mut id = [7; 32];
            id[..8].copy_from_slice(&(n as u64).to_be_bytes());
            ContextId::from_bytes(id)
        });
        assert!(!session.subscribe(Topics { contexts: many.collect(), ..Topics::default() }, true));
        let one = Topics { contexts: [ContextId::from_bytes([1; 32])].into(), ..Topics::default() };
        session.subscribe(one, false);
        session.tell(&told(1, 9));
        assert!(session.inside().waiting.is_empty());
    }

    #[test]
    fn an_absent_subscriber_is_forgotten_in_the_end() {
        let session = session_of(1);
        let now = Instant::now();
        assert!(!session.is_over(now));
        assert!(session.is_over(now + ABSENT_MAX + Duration::from_secs(1)));
        let _reader = session.attach(0);
        assert!(!session.is_over(now + ABSENT_MAX * 2));
    }
}
