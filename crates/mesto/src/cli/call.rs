//! `mesto call`.

use mesto_api::Client;
use serde_json::Value;

use super::arguments;
use super::failure::Failure;
use super::output::Output;
use super::session::Session;

#[derive(clap::Args, Debug)]
pub(crate) struct Call {
    /// Id, prefix or name of the context
    context: String,
    /// The method
    method: String,
    /// Its arguments: one JSON object, @FILE, - for standard input, or KEY=VALUE pairs
    #[arg(value_name = "JSON or KEY=VALUE")]
    pub(super) args: Vec<String>,
    /// As which of this node's identities
    #[arg(long = "as", value_name = "IDENTITY")]
    pub(super) identity: Option<String>,
}

impl Call {
    pub(crate) fn run(self, session: &Session, output: &Output) -> Result<(), Failure> {
        let client = session.client()?;
        let args = arguments::read(&self.args, || text_names(&client, &self.context, &self.method))?;
        let called = client.call(&self.context, &self.method, &args, self.identity.as_deref())?;
        if !called.committed && output.verbose() {
            output.note("nothing changed");
        }
        output.object(&called, |called| called.output.get().to_owned())
    }
}

/// Which of the method's arguments are text, by the schema of the app that the context runs.
fn text_names(client: &Client, context: &str, method: &str) -> Result<Box<dyn Fn(&str) -> bool>, Failure> {
    let schema = client.context_schema(context)?;
    let schema: Value = serde_json::from_str(schema.get()).unwrap_or_default();
    let method = method.to_owned();
    Ok(Box::new(move |key| arguments::takes_text(&schema, &method, key)))
}
