//! Writing JSON: as much of it as a trace needs.

use std::{
    fmt::{Arguments, Display, Write as _},
    time::Duration,
};

/// An object on one line, in the making.
#[derive(Debug)]
pub(super) struct Object {
    text: String,
}

impl Object {
    /// Something of a kind that happened so long after the start.
    pub(super) fn new(at: Duration, kind: &str) -> Self {
        let mut object = Self { text: "{".to_owned() };
        object.seconds("at", at).text("kind", kind);
        object
    }

    fn key(&mut self, key: &str) -> &mut String {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        push_text(&mut self.text, key);
        self.text.push(':');
        &mut self.text
    }

    pub(super) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        push_text(self.key(key), value);
        self
    }

    pub(super) fn texts(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> &mut Self {
        push_list(self.key(key), values, |text, value| push_text(text, value.as_ref()));
        self
    }

    pub(super) fn number(&mut self, key: &str, value: impl Display) -> &mut Self {
        push(self.key(key), format_args!("{value}"));
        self
    }

    pub(super) fn numbers(&mut self, key: &str, values: impl IntoIterator<Item = impl Display>) -> &mut Self {
        push_list(self.key(key), values, |text, value| push(text, format_args!("{value}")));
        self
    }

    /// A time, in seconds, to the microsecond, as in the lines of text.
    pub(super) fn seconds(&mut self, key: &str, value: Duration) -> &mut Self {
        push(self.key(key), format_args!("{:.6}", value.as_secs_f64()));
        self
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.number(key, value)
    }

    pub(super) fn null(&mut self, key: &str) -> &mut Self {
        self.key(key).push_str("null");
        self
    }

    /// The whole object.
    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

fn push(into: &mut String, what: Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = into.write_fmt(what);
}

fn push_list<T>(into: &mut String, values: impl IntoIterator<Item = T>, push: impl Fn(&mut String, T)) {
    into.push('[');
    for (n, value) in values.into_iter().enumerate() {
        if n > 0 {
            into.push(',');
        }
        push(into, value);
    }
    into.push(']');
}

fn push_text(into: &mut String, value: &str) {
    into.push('"');
    for char in value.chars() {
        match char {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\t' => into.push_str("\\t"),
            '\r' => into.push_str("\\r"),
            control if control < ' ' => push(into, format_args!("\\u{:04x}", u32::from(control))),
            other => into.push(other),
        }
    }
    into.push('"');
}
