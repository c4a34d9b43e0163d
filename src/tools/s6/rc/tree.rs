//! What s6-rc's database knows and PID 1 does not: bundles, who is essential, who stands on whom as
//! it was written. A small file of lines, made when the container starts. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// The file, in the live directory.
pub(in crate::tools::s6) const FILE: &str = "pidone-tree";

/// As it is read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tree {
    /// Bundles, and what each of them holds.
    bundles: BTreeMap<String, Vec<String>>,
    /// Longruns and oneshots.
    pub(super) atomics: BTreeSet<String>,
    essential: BTreeSet<String>,
    needs: BTreeMap<String, Vec<String>>,
}

impl Tree {
    /// Reads its lines: `longrun NAME`, `oneshot NAME`, `essential NAME`, `bundle NAME MEMBER…`,
    /// `needs NAME OTHER…`; `None` if a line is none of these.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut tree = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            let (kind, name) = (words.next()?, words.next()?);
            match kind.as_str() {
                "longrun" | "oneshot" => {
                    tree.atomics.insert(name);
                }
                "essential" => {
                    tree.essential.insert(name);
                }
                "bundle" => tree.bundles.entry(name).or_default().extend(words),
                "needs" => tree.needs.entry(name).or_default().extend(words),
                _unknown => return None,
            }
        }
        Some(tree)
    }

    /// Where there is no file, PID 1's services are all there is.
    pub(super) fn of_services(names: impl IntoIterator<Item = String>) -> Self {
        Self {
            atomics: names.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether only `-D` stops it.
    pub(super) fn is_essential(&self, name: &str) -> bool {
        self.essential.contains(name)
    }

    /// The essential ones among these, and all that those stand on.
    pub(super) fn kept(&self, among: &BTreeSet<String>) -> BTreeSet<String> {
        let essential = among.iter().filter(|name| self.is_essential(name));
        self.with_needs(&essential.cloned().collect())
    }

    /// The services that these names mean, bundles taken apart, each once.
    ///
    /// # Errors
    /// The first name that means nothing.
    pub(super) fn expand(&self, names: &[String]) -> Result<BTreeSet<String>, String> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut todo: Vec<String> = names.to_vec();
        while let Some(name) = todo.pop() {
            if self.atomics.contains(&name) {
                found.insert(name);
            } else if let Some(members) = self.bundles.get(&name) {
                // A bundle may hold itself, through others.
                if seen.insert(name) {
                    todo.extend(members.iter().cloned());
                }
            } else {
                return Err(name);
            }
        }
        Ok(found)
    }

    /// These, and all that they stand on.
    pub(super) fn with_needs(&self, of: &BTreeSet<String>) -> BTreeSet<String> {
        let needs = |name: &String| {
            let written = self.needs.get(name).map(Vec::as_slice).unwrap_or_default();
            self.expand(written).unwrap_or_default()
        };
        closure(of, needs)
    }

    /// These, and all that stand on them.
    pub(super) fn with_dependents(&self, of: &BTreeSet<String>) -> BTreeSet<String> {
        let stand_on = |name: &String| {
            let direct = self.needs.iter().filter(|(_, written)| {
                self.expand(written).is_ok_and(|below| below.contains(name))
            });
            direct.map(|(above, _)| above.clone()).collect()
        };
        closure(of, stand_on)
    }
}

/// These, and whoever `next` leads to.
fn closure(of: &BTreeSet<String>, next: impl Fn(&String) -> BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo: Vec<String> = of.iter().cloned().collect();
    while let Some(name) = todo.pop() {
        if found.insert(name.clone()) {
            todo.extend(next(&name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_taken_apart() {
        let tree = Tree::read(
            "longrun web\nlongrun db\noneshot init\nbundle user web all\nbundle all user db\n\
             essential db\nneeds web db\nneeds db init\n",
        );
        let tree = tree.unwrap();
        for bad in ["nonsense", "needs", "longrun a\nwhat b\n"] {
            assert_eq!(Tree::read(bad), None, "{bad}");
        }
        let set = |names: &str| names.split_whitespace().map(String::from).collect();
        let expand = |name: &str| tree.expand(&[name.to_owned()]);
        assert_eq!(expand("user"), Ok(set("web db")));
        assert_eq!(expand("init"), Ok(set("init")));
        assert_eq!(expand("nobody"), Err("nobody".into()));
        assert_eq!(tree.with_needs(&set("web")), set("web db init"));
        assert_eq!(tree.with_dependents(&set("init")), set("web db init"));
        assert!(tree.is_essential("db") && !tree.is_essential("web"));
    }
}
