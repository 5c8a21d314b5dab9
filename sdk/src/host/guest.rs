//! The exports of the WIT world, over an [`App`](crate::App).

use super::bindings::exports::mesto::app::methods;
use super::output;
use crate::method::{AppError, Refusal};

impl<A: crate::App> methods::Guest for A {
    fn describe() -> String {
        answer_panics();
        crate::method::answer(&A::schema()).unwrap_or_default()
    }

    fn invoke(method: String, args: String) -> Result<String, methods::Refusal> {
        answer_panics();
        A::invoke(&method, &args).map_err(|refusal| match refusal {
            Refusal::UnknownMethod => methods::Refusal::UnknownMethod,
            Refusal::BadArguments(text) => methods::Refusal::BadArguments(text),
            Refusal::App(AppError { message, data }) => methods::Refusal::App(methods::AppError { message, data }),
        })
    }
}

/// A panic becomes a trap without a text; the node shall have the text first. An instance lives for one call, so this
/// is set anew each time.
fn answer_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("a panic without a text");
        match panic.location() {
            Some(place) => output::panicked(&format!("{text} ({}:{})", place.file(), place.line())),
            None => output::panicked(text),
        }
    }));
}
