//! What a template can name, as a tree of values in which no text holds a line break.

use serde_json::Value;

use crate::values::lists;

/// What stands for a character that a value must not carry into a file.
const REPLACED: char = '\u{fffd}';

/// The data of one rendering. Made from the network's words, so each text is one line: whatever a
/// member calls itself, it cannot write a second line into a configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct Data(Value);

impl Data {
    /// The data as it stands in a JSON text.
    ///
    /// # Errors
    /// The parser's words, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text) {
            Ok(value) => Ok(Self::new(value)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The same tree, cleaned.
    pub fn new(value: Value) -> Self {
        Self(clean(value))
    }

    /// The tree.
    pub fn into_value(self) -> Value {
        self.0
    }

    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    /// Every name that stands anywhere in the tree, for a hint.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        gather(&self.0, &mut names);
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(one_line(text)),
        Value::Array(all) => Value::Array(all.into_iter().map(clean).collect()),
        Value::Object(all) => {
            let pairs = all
                .into_iter()
                .map(|(key, value)| (one_line(key), clean(value)));
            Value::Object(lists::filled(pairs))
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

/// The text without characters that end a line somewhere, or control a terminal.
pub fn one_line(text: String) -> String {
    let is_foreign = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(is_foreign) {
        text.replace(is_foreign, REPLACED.encode_utf8(&mut [0; 4]))
    } else {
        text
    }
}

fn gather<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| gather(one, names)),
        Value::Object(all) => {
            for (key, value) in all {
                names.push(key);
                gather(value, names);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_holds_a_line_break() {
        let wild = r#"{"a\nb": ["x\r\n server evil 6.6.6.6:80",
            {"\u0000": "\u2028\u0085\u007f\t"}], "n": 1}"#;
        let Data(value) = Data::parse(wild).unwrap();
        let text = value.to_string();
        assert_eq!(
            text,
            "{\"a\u{fffd}b\":[\"x\u{fffd}\u{fffd} server evil 6.6.6.6:80\",\
             {\"\u{fffd}\":\"\u{fffd}\u{fffd}\u{fffd}\u{fffd}\"}],\"n\":1}"
        );
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        assert_eq!(
            Data::parse("{\"a\": }"),
            Err("expected value at line 1 column 7".into())
        );
    }
}
