//! The helpers beside Handlebars' own: `eq`, `sort`, `default` and `json`.

use std::cmp::Ordering;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, RenderErrorReason,
    ScopedJson,
};
use serde_json::Value;

use crate::values::lists;

/// The names, for hints: Handlebars' own too.
pub(super) const NAMES: [&str; 12] = [
    "if", "unless", "each", "with", "lookup", "eq", "sort", "default", "json", "and", "or", "not",
];

/// A helper that makes a value from values, also within a tag: `{{#each (sort backends "host")}}`.
struct Made {
    name: &'static str,
    /// What it is called with, shown when it was called otherwise.
    usage: &'static str,
    make: fn(&[Option<&Value>]) -> Option<Value>,
}

impl HelperDef for Made {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let given = helper.params().iter();
        let given = given.map(|one| (!one.is_value_missing()).then(|| one.value()));
        match (self.make)(&given.collect::<Vec<_>>()) {
            Some(value) => Ok(ScopedJson::Derived(value)),
            None => {
                let absent = helper.params().iter().find(|one| one.is_value_missing());
                // `default` exists for what may be absent; the others are strict.
                match absent.and_then(|one| one.relative_path()) {
                    Some(path) if self.name != "default" => {
                        Err(RenderError::strict_error(Some(path)))
                    }
                    _ => Err(RenderErrorReason::Other(format!(
                        "`{}` is called as `{}`",
                        self.name, self.usage
                    ))
                    .into()),
                }
            }
        }
    }
}

/// Makes them known to the engine.
pub(super) fn register(engine: &mut Handlebars<'_>) {
    let all = [
        Made {
            name: "eq",
            usage: "(eq A B)",
            make: |given| match given {
                [Some(a), Some(b)] => Some(Value::Bool(a == b || text(a) == text(b))),
                _ => None,
            },
        },
        Made {
            name: "sort",
            usage: "(sort LIST) or (sort LIST \"FIELD\")",
            make: |given| match given {
                [Some(Value::Array(all))] => Some(sorted(all, None)),
                [Some(Value::Array(all)), Some(Value::String(key))] => Some(sorted(all, Some(key))),
                _ => None,
            },
        },
        Made {
            name: "default",
            usage: "(default VALUE FALLBACK)",
            make: |given| match given {
                [value, Some(fallback)] => Some(
                    value
                        .filter(|value| !value.is_null() && value.as_str() != Some(""))
                        .map_or_else(|| (*fallback).clone(), Clone::clone),
                ),
                _ => None,
            },
        },
        Made {
            name: "json",
            usage: "(json VALUE)",
            make: |given| match given {
                [Some(value)] => Some(Value::String(value.to_string())),
                _ => None,
            },
        },
    ];
    for made in all {
        engine.register_helper(made.name, Box::new(made));
    }
}

/// A single value as it would be written; `None` for a list or an object.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn sorted(all: &[Value], key: Option<&str>) -> Value {
    let of = |value: &Value| key.map_or_else(|| text(value), |key| text(value.get(key)?));
    let mut all = all.to_vec();
    lists::sort(&mut all, |a, b| {
        natural(&of(a).unwrap_or_default(), &of(b).unwrap_or_default())
    });
    Value::Array(all)
}

/// The order that people expect: `s2` before `s10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (x, y) = (run(a), run(b));
        if x.is_empty() || y.is_empty() {
            return a.len().cmp(&b.len());
        }
        let order = match (x.parse::<u64>(), y.parse::<u64>()) {
            (Ok(x), Ok(y)) => x.cmp(&y),
            (Ok(_) | Err(_), Ok(_) | Err(_)) => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (
            a.get(x.len()..).unwrap_or_default(),
            b.get(y.len()..).unwrap_or_default(),
        );
    }
}

/// The text's first characters that are all digits, or all none.
fn run(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits);
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_count_in_names() {
        let mut names = vec!["s10", "s2", "db", "s2b", "", "s1", "s02"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "db", "s1", "s2", "s02", "s2b", "s10"]);
    }
}
