//! The configuration as the source: a list that stays what it is.

use crate::agent::sources::nodes::one;
use crate::agent::sources::{Report, unique};
use crate::members::member::Origin;

/// What a list of `HOST IP[:PORT]` says.
pub fn report(lines: &[String]) -> Report {
    let members = lines.iter().map(|line| one(line, 0, Origin::Static));
    let members: Result<Vec<_>, String> = members.collect();
    Report {
        origin: Origin::Static,
        answer: members.map(unique),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_an_answer_or_a_fault() {
        let lines = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            report(&words).answer
        };
        assert_eq!(
            lines(&["s1 10.0.0.1:80", "s1 10.0.0.2:80"]).unwrap().len(),
            1
        );
        assert!(lines(&["s1"]).is_err());
    }
}
