//! The rules of the crate, tried on random concurrent histories and on hand-made ones.

#[path = "it/fugue.rs"]
mod fugue;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/hostile_splices.rs"]
mod hostile_splices;
#[path = "it/laws.rs"]
mod laws;
#[path = "it/meaning.rs"]
mod meaning;
#[path = "it/model.rs"]
mod model;
#[path = "it/sequences.rs"]
mod sequences;
#[path = "it/traces.rs"]
mod traces;
#[path = "it/trail.rs"]
mod trail;
#[path = "it/tree.rs"]
mod tree;
