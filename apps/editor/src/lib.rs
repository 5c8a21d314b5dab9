//! A text that its members write together.

use mesto_sdk::app;

/// What subscribers hear of.
#[app::event]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The text has a new title.
    TitleSet {
        /// The title.
        title: String,
    },
}

/// The text.
#[app::state(emits = Event)]
#[derive(Debug)]
pub struct Editor {
    title: app::Register<String>,
}

#[app::logic]
impl Editor {
    /// The title; empty until it is set.
    pub fn title(&self) -> String {
        self.title.get().unwrap_or_default()
    }

    /// Sets the title.
    pub fn set_title(&mut self, title: String) {
        self.title.set(&title);
        app::emit!(Event::TitleSet { title });
    }
}
