//! Arrays of tables, as `[[template]]` writes them.

use std::ops::Range;

use toml::de::DeValue;

use crate::service::faults::Faults;
use crate::service::table::{Item, Table};

impl Table<'_> {
    /// A field that is an array of tables: `[[template]]`.
    pub(crate) fn tables(
        &self,
        name: &'static str,
        section: &'static str,
        faults: &mut Faults<'_>,
    ) -> Vec<(Self, Range<usize>)> {
        let Some(item) = self.get(name) else {
            return Vec::new();
        };
        let DeValue::Array(items) = item.value else {
            let hint = format!("write `[[{name}]]`");
            item.wrong_but::<()>(faults, Some(hint));
            return Vec::new();
        };
        let mut found = Vec::new();
        for value in items {
            match value.get_ref() {
                DeValue::Table(items) => {
                    let table = Self::open(self.fields, section, items, faults);
                    found.push((table, value.span()));
                }
                _ => {
                    let subject = format!("an item of {}", item.subject);
                    Item::new(subject, "a table", value).wrong::<()>(faults);
                }
            }
        }
        found
    }
}
