//! The properties of a log as a whole, against a model that is too simple to be wrong.

mod author;
mod convergence;
mod equivocation;
mod exchange;
mod refusal;
mod replica;
mod world;
