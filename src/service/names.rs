//! A list of other services' names: `needs`, `after`, `restart.with`.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::diag::Diagnostic;
use crate::service::faults::Faults;
use crate::service::table::Item;
use crate::values::Name;

/// Each name once, with its place. `verb` is what the service does to whom it names.
pub(super) fn read(
    list: Option<Item<'_>>,
    verb: &str,
    own: &Name,
    faults: &mut Faults<'_>,
) -> Vec<(Name, Range<usize>)> {
    let Some(list) = list else {
        return Vec::new();
    };
    let items = list.array("a service's name", faults).unwrap_or_default();
    let mut found: Vec<(Name, Range<usize>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for item in items {
        let Some(text) = item.text(faults) else {
            continue;
        };
        match text.parse::<Name>() {
            Err(why) => {
                item.bad::<()>(faults, Diagnostic::error(why));
            }
            Ok(name) if name == *own => {
                let fault = format!("`{name}` {verb} itself");
                item.bad::<()>(faults, Diagnostic::error(fault).hint("take it out"));
            }
            Ok(name) if !seen.insert(name.clone()) => {
                let fault = format!("{} names `{name}` twice", list.subject);
                item.bad::<()>(faults, Diagnostic::warning(fault).hint("once is enough"));
            }
            Ok(name) => found.push((name, item.span)),
        }
    }
    found
}
