//! The program as its users meet it: real processes that talk over real sockets and keep their state on a real disk.
//!
//! Tests whose names begin with `f` and a number belong to the flow of that number.

#[path = "it/apps.rs"]
mod apps;
#[path = "it/blobs.rs"]
mod blobs;
#[path = "it/browsers.rs"]
mod browsers;
#[path = "it/bundles.rs"]
mod bundles;
#[path = "it/contexts.rs"]
mod contexts;
#[path = "it/contract.rs"]
mod contract;
#[path = "it/crashes.rs"]
mod crashes;
#[path = "it/events.rs"]
mod events;
#[path = "it/face.rs"]
mod face;
#[path = "it/generated.rs"]
mod generated;
#[path = "it/governance.rs"]
mod governance;
#[path = "it/http.rs"]
mod http;
#[path = "it/joining.rs"]
mod joining;
#[path = "it/life.rs"]
mod life;
#[path = "it/logins.rs"]
mod logins;
#[path = "it/network.rs"]
mod network;
#[path = "it/node.rs"]
mod node;
#[path = "it/pages.rs"]
mod pages;
#[path = "it/politics.rs"]
mod politics;
#[path = "it/replication.rs"]
mod replication;
#[path = "it/rpc.rs"]
mod rpc;
#[path = "it/secrets.rs"]
mod secrets;
#[path = "it/strangers.rs"]
mod strangers;
#[path = "it/subgroups.rs"]
mod subgroups;
#[path = "it/texts.rs"]
mod texts;
#[path = "it/websocket.rs"]
mod websocket;
