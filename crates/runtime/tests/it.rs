//! The runtime as the node sees it: an executor, apps that behave, and apps that do not.

#[path = "it/cache.rs"]
mod cache;
#[path = "it/guest.rs"]
mod guest;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/kv.rs"]
mod kv;
#[path = "it/loading.rs"]
mod loading;
