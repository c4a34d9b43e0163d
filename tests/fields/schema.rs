//! A JSON Schema (draft 7) of `service.toml`, and as much of a reader of such schemas as it needs.

use pidone::service::fields::{Field, SERVICE, Shape};
use serde_json::{Map, Value, json};

/// Durations as definitions write them.
const SPAN: &str = "^(0|([0-9]+(\\.[0-9]+)?(ms|s|m|min|h|d))+)$";

/// The schema of a whole file.
pub(crate) fn of_services() -> Value {
    let mut schema = section("");
    let head = schema.as_object_mut().expect("an object");
    head.insert(
        "$schema".into(),
        json!("http://json-schema.org/draft-07/schema#"),
    );
    head.insert("title".into(), json!("service.toml of pidone"));
    schema
}

/// A table, whose keys are the fields of a section.
fn section(name: &str) -> Value {
    let fields = || SERVICE.iter().filter(|field| field.section == name);
    let properties: Map<String, Value> = fields()
        .map(|field| (field.name.to_owned(), property(field)))
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    // What has no default must be said: one of several, or all of them.
    let must: Vec<&str> = fields()
        .filter(|field| field.default.is_empty())
        .map(|field| field.name)
        .collect();
    let (key, value) = match name {
        "ready" | "health" | "reload" => {
            let one = |name: &&str| json!({ "required": [name] });
            ("oneOf", must.iter().map(one).collect())
        }
        _ => ("required", json!(must)),
    };
    if !must.is_empty() {
        schema
            .as_object_mut()
            .expect("an object")
            .insert(key.into(), value);
    }
    schema
}

fn property(field: &Field) -> Value {
    let mut schema = of_shape(field);
    let description = match field.default {
        "" => field.meaning.to_owned(),
        default => format!("{}; default: {default}", field.meaning),
    };
    let inner = schema.as_object_mut().expect("an object");
    inner.insert("description".into(), json!(description));
    schema
}

fn of_shape(field: &Field) -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let inner = match field.section {
        "" => field.name.to_owned(),
        section => format!("{section}.{}", field.name),
    };
    match field.shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::FlagOrText => json!({ "type": ["boolean", "string"] }),
        Shape::Text => json!({ "type": "string" }),
        Shape::Texts => texts,
        Shape::TextOrTexts => json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] }),
        Shape::Octal => json!({ "type": "string", "pattern": "^0*[0-7]{1,3}$" }),
        Shape::Span => json!({ "type": "string", "pattern": SPAN }),
        Shape::Signal => json!({ "anyOf": [
            { "type": "string" },
            { "type": "integer", "minimum": 1, "maximum": 64 },
        ] }),
        Shape::Whole(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        Shape::Part => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Shape::Words(words) => json!({ "enum": words }),
        Shape::Variables => json!({
            "type": "object",
            "additionalProperties": { "type": "string" },
        }),
        Shape::Limits(names) => {
            let limit = json!({ "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string" },
            ] });
            let limits = names.iter().map(|name| ((*name).to_owned(), limit.clone()));
            json!({
                "type": "object",
                "properties": limits.collect::<Map<_, _>>(),
                "additionalProperties": false,
            })
        }
        Shape::Table => section(&inner),
        Shape::TableOr(words) => json!({ "anyOf": [{ "enum": words }, section(&inner)] }),
    }
}

/// What a schema has against a value, in short; empty if nothing.
pub(crate) fn faults(schema: &Value, value: &Value) -> String {
    let mut found = Vec::new();
    for (word, wanted) in schema.as_object().expect("a schema") {
        if !holds(word, wanted, schema, value) {
            found.push(format!("{word} {wanted} is not met by {value}"));
        }
    }
    found.join("\n")
}

/// Whether one keyword of a schema is met.
fn holds(word: &str, wanted: &Value, schema: &Value, value: &Value) -> bool {
    let fits = |schema: &Value, value: &Value| faults(schema, value).is_empty();
    let parts = || wanted.as_array().into_iter().flatten();
    let object = || value.as_object().into_iter().flatten();
    match word {
        "$schema" | "title" | "description" => true,
        "type" => match wanted {
            Value::Array(kinds) => kinds.iter().any(|kind| is_kind(kind, value)),
            kind => is_kind(kind, value),
        },
        "enum" => parts().any(|one| one == value),
        "anyOf" => parts().any(|one| fits(one, value)),
        "oneOf" => parts().filter(|one| fits(one, value)).count() == 1,
        "required" => parts().all(|name| value.get(name.as_str().unwrap_or("")).is_some()),
        "properties" => object().all(|(key, value)| wanted.get(key).is_none_or(|s| fits(s, value))),
        "additionalProperties" => object()
            .filter(|(key, _)| {
                schema
                    .get("properties")
                    .is_none_or(|p| p.get(key).is_none())
            })
            .all(|(_, value)| wanted.is_object() && fits(wanted, value)),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| fits(wanted, item))),
        "minItems" => value
            .as_array()
            .is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap_or(0)),
        "minimum" => value.as_f64() >= wanted.as_f64(),
        "maximum" => value.as_f64() <= wanted.as_f64(),
        "pattern" => value.as_str().is_some_and(|text| is_like(wanted, text)),
        other => unreachable!("the keyword {other} is not used here"),
    }
}

fn is_kind(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        other => unreachable!("the type {other:?} is not used here"),
    }
}

/// The two patterns there are, by what they mean.
fn is_like(pattern: &Value, text: &str) -> bool {
    if pattern == SPAN {
        return pidone::values::span::parse_span(text).is_ok();
    }
    u32::from_str_radix(text, 8).is_ok_and(|mask| mask <= 0o777)
}
