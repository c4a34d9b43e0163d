//! Lists put in order, and maps filled. The standard library's ways are made anew for each type,
//! some KiB each time, and win nothing where hundreds are many.

use std::cmp::Ordering;

/// Sorts by this order; what is equal keeps its place.
pub fn sort<T>(list: &mut Vec<T>, order: impl Fn(&T, &T) -> Ordering) {
    let places = places(list.len(), &|a, b| match (list.get(a), list.get(b)) {
        (Some(a), Some(b)) => order(a, b),
        _ => Ordering::Equal,
    });
    let mut taken: Vec<Option<T>> = std::mem::take(list).into_iter().map(Some).collect();
    list.extend(
        places
            .into_iter()
            .filter_map(|at| taken.get_mut(at)?.take()),
    );
}

/// Sorts by this key; what is equal keeps its place.
pub fn sort_by_key<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    sort(list, |a, b| key(a).cmp(&key(b)));
}

/// Fills a map or a set with these, one after the other; of equal keys the last one's value stays.
pub fn filled<C: Default + Extend<T>, T>(items: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    all.extend(items);
    all
}

/// Where each of the sorted ones was before. The one sort for all types.
#[inline(never)]
fn places(count: usize, order: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|a, b| order(*a, *b));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_sort_is_that_of_the_standard_library() {
        let mut seed = 1_u32;
        for count in 0..200_usize {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed >> 28
            };
            let mut list: Vec<(u32, String)> = (0..count)
                .map(|nth| (next(), format!("{nth} of many")))
                .collect();
            let mut expected = list.clone();
            expected.sort_by_key(|(key, _)| *key);
            sort_by_key(&mut list, |(key, _)| *key);
            assert_eq!(list, expected);
            expected.reverse();
            expected.sort_by(|a, b| b.1.cmp(&a.1));
            sort(&mut list, |a, b| b.1.cmp(&a.1));
            assert_eq!(list, expected);
        }
    }

    #[test]
    fn a_map_keeps_the_last_value() {
        let map: BTreeMap<_, _> = filled([("b", 1), ("a", 2), ("b", 3)]);
        assert_eq!(map, BTreeMap::from([("a", 2), ("b", 3)]));
        let set: BTreeSet<_> = filled([2, 1, 2]);
        assert_eq!(set, BTreeSet::from([1, 2]));
    }
}
