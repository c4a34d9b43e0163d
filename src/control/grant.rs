//! What a client may ask that came by a descriptor which a service was handed (`control`).

use crate::control::protocol::{Refusal, RefusalKind, Request};
use crate::service::permit::{Of, Permit};
use crate::values::Name;

/// Who holds the descriptor, and what it may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The service.
    pub service: Name,
    /// Its `control`.
    pub permits: Box<[Permit]>,
}

impl Grant {
    /// Whether this may be asked; if not, what the client is told.
    ///
    /// # Errors
    /// No permit of this verb for all services that it names.
    pub fn allow(&self, request: &Request) -> Result<(), Refusal> {
        let verb = request.verb();
        let permits = || self.permits.iter().filter(|permit| permit.verb == verb);
        if permits().any(|permit| permit.of == Of::All) {
            return Ok(());
        }
        let of = |name: &String| {
            permits().any(|permit| matches!(&permit.of, Of::One(one) if one.as_str() == name))
        };
        let names = request.names();
        let missing = names.iter().find(|name| !of(name));
        match missing {
            None if !names.is_empty() => Ok(()),
            missing => Err(self.refusal(verb, missing.map(String::as_str))),
        }
    }

    fn refusal(&self, verb: &str, name: Option<&str>) -> Refusal {
        let own = &self.service;
        let what = name.map_or_else(|| format!("`{verb}`"), |name| format!("`{verb}` `{name}`"));
        let permits: Vec<String> = self.permits.iter().map(|it| format!("\"{it}\"")).collect();
        let only = permits.join(", ");
        let message = format!("service `{own}` may not {what}");
        Refusal::new(RefusalKind::NotAllowed, message).hint(format!(
            "its service.toml says `control = [{only}]`, and nothing else is allowed"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        let permit = |verb, of| Permit { verb, of };
        let one = |name: &str| Of::One(name.parse().unwrap());
        Grant {
            service: "agent".parse().unwrap(),
            permits: Box::new([
                permit("events", Of::All),
                permit("status", one("web")),
                permit("reload", one("haproxy")),
                permit("reload", one("web")),
            ]),
        }
    }

    #[test]
    fn what_is_named_may_be_asked_and_nothing_else() {
        let grant = grant();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let reload = |of: &[&str]| grant.allow(&Request::Reload { names: names(of) });
        let status = |of: &[&str]| {
            grant.allow(&Request::Status {
                names: names(of),
                detail: true,
            })
        };
        assert!(reload(&["haproxy"]).is_ok());
        assert!(reload(&["haproxy", "web"]).is_ok());
        assert!(reload(&["haproxy", "db"]).is_err());
        assert!(reload(&[]).is_err());
        assert!(status(&["web"]).is_ok());
        assert!(status(&[]).is_err(), "no name is all of them");
        let refusal = grant
            .allow(&Request::Stop {
                names: names(&["haproxy"]),
            })
            .unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::NotAllowed);
        assert_eq!(refusal.message, "service `agent` may not `stop` `haproxy`");
        assert_eq!(
            reload(&["db"]).unwrap_err().message,
            "service `agent` may not `reload` `db`"
        );
        assert!(
            refusal.hint.unwrap().contains(
                r#"`control = ["events", "status:web", "reload:haproxy", "reload:web"]`"#
            )
        );
    }
}
