//! How routes are registered: each with what it needs of its caller and what there is to say about it.
//!
//! A route exists only by [`Routes::on`], so none is without a [`Need`] and none is missing from the description of
//! the interface.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::Shared;
use super::auth::Auth;
use super::gate::{self, Gate, Need};
use super::idempotency::{self, Answers};

/// How a route is asked. `GET` routes answer `HEAD` too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    /// As OpenAPI writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// Makes the schema of a type, once its parts are known.
pub(super) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a route answers.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// `{"data": …}`.
    Data(MakeSchema),
    /// `{"data": […], "nextCursor": …}`.
    List(MakeSchema),
    /// JSON in a shape of its own.
    Json(MakeSchema),
    /// Something else, by media type.
    Other(&'static str),
}

/// What a route takes.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    Nothing,
    Json(MakeSchema),
    /// Raw bytes, by media type.
    Bytes(&'static str),
}

/// What there is to say about a route.
#[derive(Clone)]
pub(super) struct About {
    pub(super) summary: &'static str,
    pub(super) takes: Takes,
    pub(super) answer: Answer,
    /// Parameters of the query, with what they mean.
    pub(super) query: Vec<(&'static str, &'static str)>,
    /// Whether it makes something, and so takes an `Idempotency-Key`.
    pub(super) creates: bool,
}

impl About {
    fn new(summary: &'static str, answer: Answer) -> Self {
        Self { summary, takes: Takes::Nothing, answer, query: Vec::new(), creates: false }
    }

    /// It takes JSON of this type.
    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Takes::Json(schema_of::<T>);
        self
    }

    /// It takes raw bytes.
    pub(super) fn takes_bytes(mut self, media_type: &'static str) -> Self {
        self.takes = Takes::Bytes(media_type);
        self
    }

    /// It reads this from the query.
    pub(super) fn query(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.query.push((name, meaning));
        self
    }

    /// A lost answer must not make it happen twice.
    pub(super) fn creates(mut self) -> Self {
        self.creates = true;
        self
    }
}

/// A route that answers `{"data": T}`.
pub(super) fn data<T: JsonSchema>(summary: &'static str) -> About {
    About::new(summary, Answer::Data(schema_of::<T>))
}

/// A route that answers a list of `T`.
pub(super) fn list<T: JsonSchema>(summary: &'static str) -> About {
    About::new(summary, Answer::List(schema_of::<T>))
}

/// A route that answers a `T` without a wrapping.
pub(super) fn json<T: JsonSchema>(summary: &'static str) -> About {
    About::new(summary, Answer::Json(schema_of::<T>))
}

/// A route that answers something else than JSON.
pub(super) fn other(media_type: &'static str, summary: &'static str) -> About {
    About::new(summary, Answer::Other(media_type))
}

/// A route as it is described.
pub(super) struct Listed {
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    pub(super) need: Need,
    pub(super) about: About,
}

/// The routes so far.
pub(super) struct Routes {
    router: Router<Arc<Shared>>,
    auth: Arc<Auth>,
    answers: Arc<Answers>,
    listed: Vec<Listed>,
}

impl Routes {
    pub(super) fn new(auth: Arc<Auth>) -> Self {
        Self { router: Router::new(), auth, answers: Arc::default(), listed: Vec::new() }
    }

    /// Adds a route.
    pub(super) fn on<H, T>(mut self, verb: Verb, path: &'static str, need: Need, handler: H, about: About) -> Self
    where
        H: Handler<T, Arc<Shared>>,
        T: 'static,
    {
        let mut method = on(verb.filter(), handler);
        if about.creates {
            method = method.route_layer(from_fn_with_state(Arc::clone(&self.answers), idempotency::once));
        }
        // Added last, so it comes first.
        let method = method.route_layer(from_fn_with_state(Gate { auth: Arc::clone(&self.auth), need }, gate::pass));
        self.router = self.router.route(path, method);
        self.listed.push(Listed { verb, path, need, about });
        self
    }

    /// The router, and what is to be said about its routes.
    pub(super) fn finish(self) -> (Router<Arc<Shared>>, Vec<Listed>) {
        (self.router, self.listed)
    }
}
