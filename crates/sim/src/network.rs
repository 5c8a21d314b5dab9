//! Links between hosts: lanes that keep order and lose nothing while they stand, and that are cut at any time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mesto_node::Lane;

use crate::world::Micros;

/// A message on a lane.
pub(crate) type Frame = Arc<[u8]>;

/// One connection of two hosts; each opening has a generation of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    generation: u64,
    is_open: bool,
    /// Whether each side, the lower host first, was told that it is open.
    told: [bool; 2],
    /// When each side is told, and so the earliest moment at which it can hear something.
    opens_at: [Micros; 2],
    /// Frames on their way to the lower and to the higher host, by lane.
    frames: [[VecDeque<Frame>; 2]; 2],
    /// How many of them were due while the way was cut.
    stalled: [[usize; 2]; 2],
    /// Until when it cannot be opened again.
    rests_until: Micros,
}

/// All links, and which ways are cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    links: BTreeMap<(usize, usize), Link>,
    /// Ways from a host to another on which nothing passes.
    cuts: BTreeSet<(usize, usize)>,
    last_generation: u64,
}

/// The two hosts of a link, the lower first.
#[must_use]
pub(crate) fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn side(a: usize, b: usize) -> usize {
    usize::from(a > b)
}

const fn lane_index(lane: Lane) -> usize {
    match lane {
        Lane::Sync => 0,
        Lane::Blob => 1,
    }
}

impl Network {
    /// Opens a link; each side is to be told at its time. Returns the generation.
    pub(crate) fn open(&mut self, a: usize, b: usize, at: [Micros; 2]) -> u64 {
        self.last_generation += 1;
        let link = self.links.entry(pair(a, b)).or_default();
        *link = Link { generation: self.last_generation, is_open: true, opens_at: at, ..Link::default() };
        self.last_generation
    }

    /// Whether a link may be opened now.
    #[must_use]
    pub(crate) fn may_open(&self, a: usize, b: usize, now: Micros) -> bool {
        let link = self.links.get(&pair(a, b));
        link.is_none_or(|link| !link.is_open && link.rests_until <= now) && !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    /// One side is being told that the link is open; false if that link is gone.
    pub(crate) fn tell(&mut self, to: usize, other: usize, generation: u64) -> bool {
        let Some(link) = self.current(to, other, generation) else { return false };
        link.told[side(to, other)] = true;
        true
    }

    /// Closes a link. Returns for each side, the lower host first, whether it was told of it before; none if there
    /// was no link.
    pub(crate) fn close(&mut self, a: usize, b: usize, rests_until: Micros) -> Option<[bool; 2]> {
        let link = self.links.get_mut(&pair(a, b)).filter(|link| link.is_open)?;
        let told = link.told;
        *link = Link { generation: link.generation, rests_until, ..Link::default() };
        Some(told)
    }

    /// Puts a frame on its way; gives the generation and the earliest moment at which it can arrive. Absent if the
    /// sender has no link.
    pub(crate) fn send(&mut self, from: usize, to: usize, lane: Lane, frame: Frame) -> Option<(u64, Micros)> {
        let link = self.links.get_mut(&pair(from, to)).filter(|link| link.is_open && link.told[side(from, to)])?;
        let towards = side(to, from);
        link.frames[towards][lane_index(lane)].push_back(frame);
        Some((link.generation, link.opens_at[towards]))
    }

    /// A frame is due: the first that is on its way there, unless the way is cut or the link gone.
    pub(crate) fn arrive(&mut self, from: usize, to: usize, lane: Lane, generation: u64) -> Option<Frame> {
        let is_cut = self.is_cut(from, to);
        let link = self.current(from, to, generation)?;
        let (towards, lane) = (side(to, from), lane_index(lane));
        if is_cut {
            link.stalled[towards][lane] += 1;
            return None;
        }
        link.frames[towards][lane].pop_front()
    }

    /// Cuts the way from a host to another.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    /// Mends a way; gives the generation and, by lane, how many frames are due at once.
    pub(crate) fn mend(&mut self, from: usize, to: usize) -> Option<(u64, [usize; 2])> {
        if !self.cuts.remove(&(from, to)) {
            return None;
        }
        let link = self.links.get_mut(&pair(from, to)).filter(|link| link.is_open)?;
        Some((link.generation, std::mem::take(&mut link.stalled[side(to, from)])))
    }

    /// All ways that are cut.
    #[must_use]
    pub(crate) fn cuts(&self) -> Vec<(usize, usize)> {
        self.cuts.iter().copied().collect()
    }

    /// Whether nothing passes from a host to another.
    #[must_use]
    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// Whether a link stands and both sides know it.
    #[must_use]
    pub(crate) fn is_linked(&self, a: usize, b: usize) -> bool {
        self.links.get(&pair(a, b)).is_some_and(|link| link.is_open && link.told == [true, true])
    }

    /// The generation of a link, if it is open.
    #[must_use]
    pub(crate) fn generation(&self, a: usize, b: usize) -> Option<u64> {
        self.links.get(&pair(a, b)).filter(|link| link.is_open).map(|link| link.generation)
    }

    /// All open links.
    #[must_use]
    pub(crate) fn open_links(&self) -> Vec<(usize, usize)> {
        self.links.iter().filter(|(_, link)| link.is_open).map(|(pair, _)| *pair).collect()
    }

    fn current(&mut self, a: usize, b: usize, generation: u64) -> Option<&mut Link> {
        self.links.get_mut(&pair(a, b)).filter(|link| link.is_open && link.generation == generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(n: u8) -> Frame {
        Arc::from([n].as_slice())
    }

    #[test]
    fn frames_arrive_in_order_over_a_cut_that_is_mended() {
        let mut network = Network::default();
        let generation = network.open(0, 1, [0, 0]);
        assert!(network.tell(0, 1, generation) && network.tell(1, 0, generation));
        network.send(0, 1, Lane::Sync, frame(1)).unwrap();
        network.send(0, 1, Lane::Sync, frame(2)).unwrap();
        network.cut(0, 1);
        assert_eq!(network.arrive(0, 1, Lane::Sync, generation), None);
        assert_eq!(network.mend(0, 1), Some((generation, [1, 0])));
        assert_eq!(network.arrive(0, 1, Lane::Sync, generation), Some(frame(1)));
        assert_eq!(network.arrive(0, 1, Lane::Sync, generation), Some(frame(2)));
    }

    #[test]
    fn nothing_of_a_closed_link_arrives_on_the_next() {
        let mut network = Network::default();
        let old = network.open(1, 0, [0, 0]);
        network.tell(0, 1, old);
        assert_eq!(network.send(1, 0, Lane::Blob, frame(1)), None, "host 1 does not know of the link yet");
        network.send(0, 1, Lane::Blob, frame(1)).unwrap();
        assert_eq!(network.close(0, 1, 5), Some([true, false]));
        assert!(!network.may_open(0, 1, 4) && network.may_open(0, 1, 5));
        network.open(0, 1, [5, 5]);
        assert_eq!(network.arrive(0, 1, Lane::Blob, old), None);
    }
}
