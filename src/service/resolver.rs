//! The values of variables that refer to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use crate::service::environment::Environment;
use crate::service::expand::{self, Fault};
use crate::values::lists;

/// Variables may refer to variables this often in a row.
const CHAIN_MAX: usize = 64;

/// Finds the values of variables that refer to each other.
pub(super) struct Resolver<'a> {
    outer: &'a Environment,
    own: BTreeMap<&'a str, &'a str>,
    done: BTreeMap<&'a str, OsString>,
    /// The variables whose values are being put together, outermost first.
    open: Vec<&'a str>,
    /// Those in whose values a secret stands.
    secret: BTreeSet<&'a str>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(outer: &'a Environment, own: &'a [(String, String)]) -> Self {
        Self {
            outer,
            own: lists::filled(
                own.iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            ),
            done: BTreeMap::new(),
            open: Vec::new(),
            secret: BTreeSet::new(),
        }
    }

    /// Whether a secret stands in this variable's value, as far as that was put together.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        self.secret.contains(name)
    }

    /// The value of a variable. Within its own value a variable means the container's, so that
    /// `PATH = "/app/bin:${PATH}"` says what everybody expects.
    pub(super) fn value(&mut self, name: &str) -> Result<Option<OsString>, Fault> {
        let own = self.own.get_key_value(name).map(|(n, text)| (*n, *text));
        let Some((name, text)) = own.filter(|(own, _)| self.open.last() != Some(own)) else {
            if self.outer.is_secret(name) {
                self.secret.extend(self.open.iter().copied());
            }
            return Ok(self.outer.get(name).map(OsStr::to_os_string));
        };
        if let Some(value) = self.done.get(name) {
            if self.secret.contains(name) {
                self.secret.extend(self.open.iter().copied());
            }
            return Ok(Some(value.clone()));
        }
        if let Some(at) = self.open.iter().position(|open| *open == name) {
            let circle = self.open.iter().skip(at).chain([&name]);
            return Err(Fault::Circle(circle.map(|n| (*n).to_owned()).collect()));
        }
        if self.open.len() >= CHAIN_MAX {
            return Err(Fault::TooDeep);
        }
        let pieces = expand::pieces(text).map_err(Fault::Malformed)?;
        self.open.push(name);
        let value = expand::fill(&pieces, &mut |name| self.value(name));
        self.open.pop();
        let value = value?;
        self.done.insert(name, value.clone());
        Ok(Some(value))
    }
}
