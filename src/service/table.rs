//! Reading TOML values as what a field takes, with the fault at its place when they are not.

mod tables;

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diag::Diagnostic;
use crate::service::faults::Faults;
use crate::service::fields::{self, Field, others};
use crate::values::Signal;
use crate::values::span::{parse_size, parse_span};

/// A table of a file: its fields, and which of them are known.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    fields: &'static [Field],
    section: &'static str,
    items: &'a DeTable<'a>,
}

/// A value of a file.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    /// What it is called in messages, with its ticks: `` `stop.signal` ``.
    pub(crate) subject: String,
    /// What it takes.
    pub(crate) takes: &'static str,
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) span: Range<usize>,
}

impl<'a> Table<'a> {
    /// Looks at a table and notes every key that is not known.
    pub(crate) fn open(
        fields: &'static [Field],
        section: &'static str,
        items: &'a DeTable<'a>,
        faults: &mut Faults<'_>,
    ) -> Self {
        let table = Self {
            fields,
            section,
            items,
        };
        for (key, _) in items {
            if fields::find(fields, section, key.get_ref()).is_none() {
                faults.at(key.span(), table.unknown(key.get_ref()));
            }
        }
        table
    }

    /// What to say of a key that is not known: a slip, another supervisor's word, or a key of
    /// another table.
    fn unknown(&self, key: &str) -> Diagnostic {
        let fault = match self.section {
            "" => Diagnostic::error(format!("unknown key `{key}`")),
            section => Diagnostic::error(format!("unknown key `{key}` in `[{section}]`")),
        };
        let here = self.fields.iter().filter(|f| f.section == self.section);
        let fault = fault.suggest(key, here.map(|f| f.name));
        if fault.hint.is_some() {
            return fault;
        }
        let ours = others::translated(self.section, key);
        if let Some(ours) = ours.filter(|ours| self.has(ours)) {
            return fault.hint(format!("it is called `{ours}` here"));
        }
        let elsewhere: Vec<String> = self
            .fields
            .iter()
            .filter(|field| field.name == key)
            .map(|field| match field.section {
                "" => "at the top of the file".to_owned(),
                section => format!("in `[{section}]`"),
            })
            .collect();
        if elsewhere.is_empty() {
            fault
        } else {
            fault.hint(format!("`{key}` belongs {}", elsewhere.join(" or ")))
        }
    }

    /// Whether there is such a field, written with its section before it.
    fn has(&self, path: &str) -> bool {
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        fields::find(self.fields, section, name).is_some()
    }

    /// A field's value, if it is set.
    pub(crate) fn get(&self, name: &'static str) -> Option<Item<'a>> {
        let value = self.items.get(name)?;
        let takes = fields::find(self.fields, self.section, name).map_or("", |field| field.takes);
        let subject = match self.section {
            "" => format!("`{name}`"),
            section => format!("`{section}.{name}`"),
        };
        Some(Item {
            subject,
            takes,
            value: value.get_ref(),
            span: value.span(),
        })
    }

    /// A field that is a table.
    pub(crate) fn table(
        &self,
        name: &'static str,
        section: &'static str,
        faults: &mut Faults<'_>,
    ) -> Option<(Self, Range<usize>)> {
        let item = self.get(name)?;
        match item.value {
            DeValue::Table(items) => {
                Some((Self::open(self.fields, section, items, faults), item.span))
            }
            _ => item.wrong(faults),
        }
    }
}

/// What kind of value it is, for people.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

impl<'a> Item<'a> {
    /// An item of an array or table within this one.
    pub(crate) fn new(
        subject: String,
        takes: &'static str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Self {
        Self {
            subject,
            takes,
            value: value.get_ref(),
            span: value.span(),
        }
    }

    /// Notes that the value is of another kind.
    pub(crate) fn wrong<T>(&self, faults: &mut Faults<'_>) -> Option<T> {
        self.wrong_but(faults, None)
    }

    /// The same, with a hint.
    pub(crate) fn wrong_but<T>(&self, faults: &mut Faults<'_>, hint: Option<String>) -> Option<T> {
        let (subject, takes, kind) = (&self.subject, self.takes, kind(self.value));
        let fault = Diagnostic::error(format!("{subject} must be {takes}, not {kind}"));
        let hint = hint.into_iter().fold(fault, Diagnostic::hint);
        faults.at(self.span.clone(), hint);
        None
    }

    /// Notes a fault at the value.
    pub(crate) fn bad<T>(&self, faults: &mut Faults<'_>, fault: Diagnostic) -> Option<T> {
        faults.at(self.span.clone(), fault);
        None
    }

    /// A string; never with a NUL, which no system call could take.
    pub(crate) fn text(&self, faults: &mut Faults<'_>) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) if text.contains('\0') => {
                let fault = format!("{} cannot contain a NUL byte", self.subject);
                self.bad(faults, Diagnostic::error(fault))
            }
            DeValue::String(text) => Some(text),
            _ => self.wrong(faults),
        }
    }

    /// A number or boolean, as it would stand between quotes.
    pub(crate) fn plain(&self) -> Option<String> {
        match self.value {
            DeValue::Integer(number) => Some(number.as_str().to_owned()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            DeValue::String(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                None
            }
        }
    }

    /// A string, with the hint that a number or boolean lacks its quotes.
    pub(crate) fn quoted(&self, faults: &mut Faults<'_>) -> Option<&'a str> {
        match self.plain() {
            Some(plain) => self.wrong_but(faults, Some(format!("write it in quotes: \"{plain}\""))),
            None => self.text(faults),
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, faults: &mut Faults<'_>) -> Option<bool> {
        match self.value {
            DeValue::Boolean(flag) => Some(*flag),
            DeValue::String(text) if *text == "true" || *text == "false" => {
                self.wrong_but(faults, Some(format!("write `{text}` without the quotes")))
            }
            _ => self.wrong(faults),
        }
    }

    /// A whole number within a range.
    pub(crate) fn whole(&self, range: RangeInclusive<i64>, faults: &mut Faults<'_>) -> Option<i64> {
        let DeValue::Integer(number) = self.value else {
            let digits = self
                .value
                .as_str()
                .and_then(|text| text.parse::<i64>().ok());
            let hint = digits.map(|number| format!("write `{number}` without the quotes"));
            return self.wrong_but(faults, hint);
        };
        let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let inside = parsed.filter(|number| range.contains(number));
        inside.or_else(|| {
            let (subject, from, to) = (&self.subject, range.start(), range.end());
            let fault = Diagnostic::error(match *to {
                i64::MAX => format!("{subject} must be {from} or more"),
                _ => format!("{subject} must be from {from} to {to}"),
            });
            self.bad(faults, fault)
        })
    }

    /// A duration.
    pub(crate) fn span(&self, faults: &mut Faults<'_>) -> Option<Duration> {
        let text = match self.value {
            DeValue::Integer(_) | DeValue::Float(_) => {
                let unit =
                    |number| format!("write it with its unit: \"{number}s\", or \"{number}ms\"");
                return self.wrong_but(faults, self.plain().map(unit));
            }
            _ => self.text(faults)?,
        };
        parse_span(text).map_or_else(
            |why| self.bad(faults, span_hint(Diagnostic::error(why), text)),
            Some,
        )
    }

    /// A duration that is not zero.
    pub(crate) fn span_above_zero(&self, faults: &mut Faults<'_>) -> Option<Duration> {
        let span = self.span(faults)?;
        if span.is_zero() {
            let fault = format!("{} must be longer than zero", self.subject);
            return self.bad(faults, Diagnostic::error(fault));
        }
        Some(span)
    }

    /// A signal, by name or number.
    pub(crate) fn signal(&self, faults: &mut Faults<'_>) -> Option<Signal> {
        if let DeValue::Integer(_) = self.value {
            let number = self.whole(1..=64, faults)?;
            return i32::try_from(number).ok().and_then(Signal::new);
        }
        let text = self.text(faults)?;
        text.parse().map_or_else(
            |why: String| self.bad(faults, signal_fault(text, why)),
            Some,
        )
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &self,
        words: &[(&'static str, T)],
        faults: &mut Faults<'_>,
    ) -> Option<T> {
        let text = self.text(faults)?;
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meant);
        }
        let fault = format!("{} must be {}, not `{text}`", self.subject, self.takes);
        let fault = Diagnostic::error(fault).suggest(text, words.iter().map(|(word, _)| *word));
        self.bad(faults, fault)
    }

    /// The items of an array.
    pub(crate) fn array(
        &self,
        takes: &'static str,
        faults: &mut Faults<'_>,
    ) -> Option<Vec<Item<'a>>> {
        let DeValue::Array(items) = self.value else {
            let hint = self
                .value
                .as_str()
                .map(|text| format!("write `[\"{text}\"]`"));
            return self.wrong_but(faults, hint);
        };
        let subject = format!("an item of {}", self.subject);
        let inner = |item| Self::new(subject.clone(), takes, item);
        Some(items.iter().map(inner).collect())
    }

    /// A command: the exec form, or the shell form as `/bin/sh -c` takes it.
    pub(crate) fn command(&self, faults: &mut Faults<'_>) -> Option<Vec<String>> {
        let empty = || Diagnostic::error(format!("{} is empty", self.subject));
        if let DeValue::String(_) = self.value {
            let text = self.text(faults)?;
            if text.trim().is_empty() {
                return self.bad(faults, empty());
            }
            return Some(["/bin/sh", "-c", text].map(str::to_owned).to_vec());
        }
        let DeValue::Array(_) = self.value else {
            return self.wrong(faults);
        };
        let items = self.array("a string", faults)?;
        let words: Vec<Option<String>> = items
            .iter()
            .map(|item| item.text(faults).map(str::to_owned))
            .collect();
        let words: Vec<String> = words.into_iter().collect::<Option<_>>()?;
        match words.first() {
            None => self.bad(faults, empty()),
            Some(program) if program.is_empty() => {
                let fault = format!("the program of {} is empty", self.subject);
                self.bad(faults, Diagnostic::error(fault))
            }
            Some(_) => Some(words),
        }
    }

    /// A number of bytes, or a size such as `10MiB`.
    pub(crate) fn size(&self, faults: &mut Faults<'_>) -> Option<u64> {
        if let DeValue::Integer(_) = self.value {
            return self
                .whole(0..=i64::MAX, faults)
                .and_then(|n| u64::try_from(n).ok());
        }
        parse_size(self.text(faults)?).map_or_else(
            |why| {
                self.bad(
                    faults,
                    Diagnostic::error(why).hint("sizes are written `64KiB`, `10MiB`, `1GiB`"),
                )
            },
            Some,
        )
    }
}

/// A fault about a text that is no duration, with the next step.
pub(crate) fn span_hint(fault: Diagnostic, text: &str) -> Diagnostic {
    let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    fault.hint(if bare {
        format!("write it with its unit: `{text}s`, or `{text}ms`")
    } else {
        "durations are written `250ms`, `10s`, `2m`, `1h`".into()
    })
}

/// What to say of a text that is no signal.
pub(crate) fn signal_fault(text: &str, why: String) -> Diagnostic {
    let names: Vec<String> = Signal::names().collect();
    let upper = text.to_uppercase();
    let full = if upper.starts_with("SIG") {
        upper
    } else {
        format!("SIG{upper}")
    };
    Diagnostic::error(why).suggest(&full, names.iter().map(String::as_str))
}
