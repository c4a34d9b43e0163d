//! What a service may ask of pidone over the descriptor that it is handed: its field `control`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::diag::Diagnostic;
use crate::service::draft::{Draft, Places};
use crate::service::faults::Faults;
use crate::service::table::Table;
use crate::values::Name;

/// One item of `control`: a verb, and whom it may be about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permit {
    /// The verb, as the protocol has it.
    pub verb: &'static str,
    /// Whom.
    pub of: Of,
}

/// Whom a permit is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Of {
    /// The container as a whole, or every service in it.
    All,
    /// This service.
    One(Name),
}

impl fmt::Display for Permit {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.of, takes(self.verb)) {
            (Of::One(name), _) => write!(f, "{}:{name}", self.verb),
            (Of::All, Some(Takes::Named)) => write!(f, "{}:*", self.verb),
            (Of::All, Some(Takes::Both | Takes::Whole) | None) => f.write_str(self.verb),
        }
    }
}

/// How a verb is permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    /// Alone, for all services, or with a name.
    Both,
    /// Alone only: it is about the container.
    Whole,
    /// With a name, or `*` for every service: what changes services is never permitted for all of
    /// them by a word left out.
    Named,
}

/// Every verb that can be permitted.
const VERBS: [(&str, Takes); 11] = [
    ("status", Takes::Both),
    ("logs", Takes::Both),
    ("events", Takes::Whole),
    ("start", Takes::Named),
    ("stop", Takes::Named),
    ("restart", Takes::Named),
    ("once", Takes::Named),
    ("reload", Takes::Named),
    ("signal", Takes::Named),
    ("rescan", Takes::Whole),
    ("shutdown", Takes::Whole),
];

/// Verbs of the client that ask by another verb of the protocol.
const CLIENTS: [(&str, &str); 3] = [
    ("health", "status"),
    ("wait", "events"),
    ("explain", "status"),
];

fn takes(verb: &str) -> Option<Takes> {
    let found = VERBS.iter().find(|(word, _)| *word == verb);
    found.map(|(_, takes)| *takes)
}

/// Services that are named, with the bytes of the file that name them.
type Named = Vec<(Name, Range<usize>)>;

/// The field `control`, and where it names services.
pub(super) fn permits(top: &Table<'_>, faults: &mut Faults<'_>) -> (Box<[Permit]>, Named) {
    let items = top
        .get("control")
        .and_then(|item| item.array("a verb, or VERB:NAME", faults));
    let mut found: Vec<Permit> = Vec::new();
    let mut names = Vec::new();
    for item in items.unwrap_or_default() {
        let Some(text) = item.text(faults) else {
            continue;
        };
        match permit(text) {
            Err(fault) => {
                item.bad::<()>(faults, fault);
            }
            Ok(permit) if found.contains(&permit) => {}
            Ok(permit) => {
                if let Of::One(name) = &permit.of {
                    names.push((name.clone(), item.span));
                }
                found.push(permit);
            }
        }
    }
    (found.into(), names)
}

/// Reads one item.
fn permit(text: &str) -> Result<Permit, Diagnostic> {
    let (word, name) = match text.split_once(':') {
        Some((word, name)) => (word, Some(name)),
        None => (text, None),
    };
    let Some((verb, takes)) = VERBS.iter().find(|(verb, _)| *verb == word) else {
        return Err(unknown(word));
    };
    let of = match (takes, name) {
        (Takes::Named, None) => {
            let fault = Diagnostic::error(format!("`{verb}` must say of which service"));
            return Err(fault.hint(format!(
                "write `{verb}:NAME`, or `{verb}:*` for every service"
            )));
        }
        (Takes::Whole, Some(_)) => {
            let fault = Diagnostic::error(format!("`{verb}` is not about one service"));
            return Err(fault.hint(format!("write `{verb}` alone")));
        }
        (Takes::Both | Takes::Whole, None) | (Takes::Both | Takes::Named, Some("*")) => Of::All,
        (Takes::Both | Takes::Named, Some(name)) => {
            Of::One(name.parse().map_err(|why: String| Diagnostic::error(why))?)
        }
    };
    Ok(Permit { verb, of })
}

fn unknown(word: &str) -> Diagnostic {
    let fault = Diagnostic::error(format!("there is no verb `{word}` to permit"));
    if let Some((_, asked)) = CLIENTS.iter().find(|(client, _)| *client == word) {
        return fault.hint(format!("`pidone {word}` asks by `{asked}`"));
    }
    let verbs = VERBS.map(|(verb, _)| verb);
    let fault = fault.suggest(word, verbs);
    if fault.hint.is_some() {
        return fault;
    }
    fault.hint(format!("the verbs are {}", verbs.join(", ")))
}

/// Permits about services that are not there, and reloads of what has no `[reload]`.
pub(super) fn check(by_name: &BTreeMap<&Name, &Draft>) -> Vec<Diagnostic> {
    let all = by_name.iter();
    let named = all.flat_map(|(own, draft)| draft.places.control.iter().map(move |it| (own, it)));
    let fault = |(own, (name, span)): (&&Name, &(Name, Range<usize>))| {
        let places: &Places = &by_name.get(*own)?.places;
        let fault = match by_name.get(name) {
            None => Diagnostic::error(format!(
                "`control` of `{own}` names `{name}`, which is not defined"
            ))
            .suggest(name.as_str(), by_name.keys().map(|known| known.as_str())),
            Some(other) if other.service.reload.is_none() && reloads(by_name.get(*own)?, name) => {
                Diagnostic::warning(format!(
                    "`{own}` may reload `{name}`, which has no `[reload]`"
                ))
                .hint("write `[reload]` with `signal = \"SIGHUP\"`, or what it takes, there")
            }
            Some(_) => return None,
        };
        Some(Diagnostic {
            place: Some(places.place(span)),
            ..fault
        })
    };
    named.filter_map(fault).take(FAULTS_MAX).collect()
}

/// So many faults are told.
const FAULTS_MAX: usize = 100;

fn reloads(draft: &Draft, name: &Name) -> bool {
    let of = Of::One(name.clone());
    let mut permits = draft.service.control.iter();
    permits.any(|permit| permit.verb == "reload" && permit.of == of)
}

/// The number of the descriptor in the service: the first that it does not use otherwise.
pub fn descriptor(notification: Option<i32>) -> i32 {
    if notification == Some(3) { 4 } else { 3 }
}

/// The variable that tells it.
pub const VARIABLE: &str = "PIDONE_CONTROL_FD";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same() {
        for text in [
            "status",
            "status:web",
            "logs",
            "events",
            "reload:haproxy",
            "restart:*",
            "shutdown",
        ] {
            assert_eq!(permit(text).unwrap().to_string(), text);
        }
        assert_eq!(permit("status:*").unwrap().to_string(), "status");
    }

    #[test]
    fn slips_get_their_next_step() {
        let hint = |text| permit(text).unwrap_err().hint.unwrap_or_default();
        assert_eq!(
            hint("reload"),
            "write `reload:NAME`, or `reload:*` for every service"
        );
        assert_eq!(hint("events:web"), "write `events` alone");
        assert_eq!(hint("relod:web"), "did you mean `reload`?");
        assert_eq!(hint("health"), "`pidone health` asks by `status`");
        assert!(hint("chown").starts_with("the verbs are status, logs"));
        assert!(permit("reload:").is_err());
        assert!(permit("reload:a b").is_err());
    }
}
