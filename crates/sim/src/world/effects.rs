//! Doing what a node wants done.

use std::sync::Arc;

use mesto_governance::BlobId;
use mesto_node::{Call, ContextState, Effect, Input, Lane, MachineId, Report, Step, Verdict};
use mesto_sync::message::BLOB_CHUNK_LEN_MAX;
use mesto_sync::{Message, Peer};

use super::{Event, World};
use crate::host::Role;
use crate::invariants::{self, Violation};

impl World {
    /// Hands batches to the disk and carries out effects, in order.
    pub(crate) fn carry_out(&mut self, index: usize, step: Step) {
        for (machine, seq, batch) in &step.batches {
            let detail = [seq.to_le_bytes(), (batch.byte_len() as u64).to_le_bytes()].concat();
            self.trace.note(self.now, index, "batch", &detail, || format!("{machine:?} {seq}"));
        }
        if step.batches.iter().any(|(machine, ..)| matches!(machine, MachineId::Group(_))) {
            // Who is a member may be known otherwise from here on.
            self.heard_before.retain(|(from, ..)| *from != index);
        }
        if self.hosts[index].disk.submit(step.batches) {
            self.begin_commit(index);
        }
        for effect in step.effects {
            self.effect(index, effect);
        }
    }

    fn effect(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::Reply(ticket, reply) => {
                if self.looking != Some(ticket) {
                    let text = format!("{ticket}: {reply:?}");
                    self.trace.note(self.now, index, "reply", text.as_bytes(), || text.clone());
                }
                invariants::replied(self, index, ticket, &reply);
                self.answers.push_back((index, ticket, *reply));
            }
            Effect::Execute { execution, call, state } => self.execute(index, execution, &call, state),
            // Views here load what they need.
            Effect::Keep(..) | Effect::Settled(..) | Effect::Cooled(_) => {}
            Effect::Send(peer, lane, message) => self.send(index, peer, lane, message),
            Effect::Publish(topic, gossip) => {
                invariants::published(self, index, &gossip);
                if let Some(gossip) = self.tamper_with_gossip(index, gossip) {
                    self.publish(index, &topic, &gossip);
                }
            }
            Effect::Subscribe(topic) => self.subscribe(index, topic),
            Effect::Judge(token, verdict) => {
                let Some(pending) = self.hosts[index].pending.remove(&token) else { return };
                invariants::judged(self, index, &pending, verdict);
                if verdict == Verdict::Accept && pending.is_new {
                    self.spread(index, Some(pending.from), &pending.topic, &pending.bytes);
                }
            }
            Effect::KeepConnected(peer, addresses) => {
                self.hosts[index].wanted.insert(peer, addresses);
            }
            Effect::ServeBlob { peer, blob, offset } => self.serve(index, peer, blob, offset),
            Effect::StoreChunk { blob, size, offset, bytes } => self.store_chunk(index, blob, size, offset, &bytes),
            Effect::Emit(notice) => {
                let text = format!("{notice:?}");
                self.trace.note(self.now, index, "emit", text.as_bytes(), || text.clone());
            }
            Effect::Wake { at_ms } => self.set_alarm(index, at_ms),
            Effect::Report(report) => self.report(index, report),
            Effect::Halt(reason) => self.violated(Violation::Halted { host: index, reason }),
        }
    }

    fn report(&mut self, index: usize, report: Report) {
        let text = format!("{report:?}");
        self.trace.note(self.now, index, "report", text.as_bytes(), || text.clone());
        invariants::reported(self, index, &report);
    }

    /// Runs a call at once; its result comes when its time is over.
    fn execute(&mut self, index: usize, execution: u64, call: &Call, state: ContextState) {
        let result = self.executor.0.execute(call, Arc::new(state));
        let delay = self.execution_time();
        let life = self.hosts[index].life;
        let input = Box::new(Input::Executed { context: call.context, execution, result });
        self.after(delay, Event::Input { host: index, life, input });
    }

    fn send(&mut self, index: usize, peer: Peer, lane: Lane, message: Message) {
        let Some(to) = self.host_of(&peer) else { return };
        invariants::sent(self, index, to, &message);
        if self.hosts[index].role == Role::Liar {
            for bytes in self.tamper(message) {
                self.send_bytes(index, to, lane, bytes);
            }
        } else {
            self.send_bytes(index, to, lane, message.encode());
        }
    }

    fn serve(&mut self, index: usize, peer: Peer, blob: BlobId, offset: u64) {
        let held = self.hosts[index].blobs.get(&blob);
        let rest = held.and_then(|bytes| Some((bytes.len(), bytes.get(usize::try_from(offset).ok()?..)?)));
        let message = match rest {
            Some((size, rest)) if !rest.is_empty() => {
                let bytes = rest.get(..rest.len().min(BLOB_CHUNK_LEN_MAX)).unwrap_or_default().to_vec();
                Message::BlobChunk { blob, size: size as u64, offset, bytes }
            }
            Some(_) | None => Message::BlobAbsent { blob },
        };
        self.send(index, peer, Lane::Blob, message);
    }

    fn store_chunk(&mut self, index: usize, blob: BlobId, size: u64, offset: u64, bytes: &[u8]) {
        let host = &mut self.hosts[index];
        let part = host.parts.entry(blob).or_default();
        part.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
        part.extend_from_slice(bytes);
        let life = host.life;
        let received = part.len() as u64;
        let input = if received < size {
            Input::BlobReceived { blob, received }
        } else {
            let whole = host.parts.remove(&blob).unwrap_or_default();
            let is_it = BlobId::from_bytes(*blake3::hash(&whole).as_bytes()) == blob;
            match self.bundles.get(&blob).filter(|_| is_it) {
                Some((app, _)) => {
                    host.blobs.insert(blob, whole);
                    Input::Installed(app.clone())
                }
                None => Input::BlobRefused { blob, reason: "the hash is another".to_owned() },
            }
        };
        let delay = self.random.between(500, 20_000);
        self.after(delay, Event::Input { host: index, life, input: Box::new(input) });
    }
}
