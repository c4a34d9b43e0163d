//! The environment of a process, and how a service's own variables are laid over the container's.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::service::definition::Service;
use crate::service::expand::{self, Fault};
use crate::service::settings;

/// Variables may refer to variables this often in a row.
const CHAIN_MAX: usize = 64;

/// Variables and their values, in the order of their names. Values are bytes, as execve(2) has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl Environment {
    /// The value of a variable, if it is set.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) {
        self.0.remove(name.as_ref());
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// A text with its variables filled in from here.
    pub fn expand(&self, text: &str) -> Result<OsString, Fault> {
        expand::expand(text, |name| self.get(name))
    }

    /// The same, where text is needed.
    pub fn expand_text(&self, text: &str) -> Result<String, Fault> {
        self.expand(text)?.into_string().map_err(|_| Fault::NotText)
    }
}

/// The environment that a service starts with: the container's without our own settings, and over
/// it the service's `env`. The error is a sentence for the user.
///
/// HOME, USER and LOGNAME follow `user`, which may itself hold variables: expand `user` with the
/// result of a first call, set the three in a copy of the container's, and call again, so that
/// `workdir = "${HOME}"` means the home of that user and `env` still has the last word.
pub fn of_service(container: &Environment, service: &Service) -> Result<Environment, String> {
    let mut resolver = Resolver::new(container, &service.context.env);
    let mut environment = inherited(container);
    for (name, _) in &service.context.env {
        if let Some(value) = resolver
            .value(name)
            .map_err(|fault| format!("cannot expand `env.{name}`: {fault}"))?
        {
            environment.set(name, value);
        }
    }
    Ok(environment)
}

/// What a service without variables of its own starts with: the container's without our settings.
pub fn inherited(container: &Environment) -> Environment {
    let mut environment = container.clone();
    for name in settings::variables() {
        environment.remove(name);
    }
    environment
}

/// Finds the values of variables that refer to each other.
pub(super) struct Resolver<'a> {
    outer: &'a Environment,
    own: BTreeMap<&'a str, &'a str>,
    done: BTreeMap<&'a str, OsString>,
    /// The variables whose values are being put together, outermost first.
    open: Vec<&'a str>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(outer: &'a Environment, own: &'a [(String, String)]) -> Self {
        Self {
            outer,
            own: own
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            done: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// The value of a variable. Within its own value a variable means the container's, so that
    /// `PATH = "/app/bin:${PATH}"` says what everybody expects.
    pub(super) fn value(&mut self, name: &str) -> Result<Option<OsString>, Fault> {
        let own = self.own.get_key_value(name).map(|(n, text)| (*n, *text));
        let Some((name, text)) = own.filter(|(own, _)| self.open.last() != Some(own)) else {
            return Ok(self.outer.get(name).map(OsStr::to_os_string));
        };
        if let Some(value) = self.done.get(name) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn service(env: &[(&str, &str)]) -> Service {
        let mut service = Service::new("web".parse().unwrap(), vec!["true".into()]);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        service.context.env = env.iter().map(owned).collect();
        service
    }

    fn container(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect()
    }

    #[test]
    fn own_variables_are_laid_over_the_containers() {
        let container = container(&[
            ("PATH", "/bin"),
            ("PORT", "1"),
            ("PIDONE_LOG", "debug"),
            ("PIDONE_AGENT", "kept"),
        ]);
        let service = service(&[
            ("URL", "http://${HOST}:${PORT}"),
            ("HOST", "${NAME:-db}"),
            ("PORT", "80"),
            ("PATH", "/app:${PATH}"),
        ]);
        let environment = of_service(&container, &service).unwrap();
        let shown: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        assert_eq!(
            shown,
            [
                "HOST=db",
                "PATH=/app:/bin",
                "PIDONE_AGENT=kept",
                "PORT=80",
                "URL=http://db:80"
            ]
        );
    }

    #[test]
    fn circles_and_depth_are_faults() {
        let circle = service(&[("A", "${B}"), ("B", "x${C}"), ("C", "${A}")]);
        assert_eq!(
            of_service(&Environment::default(), &circle),
            Err("cannot expand `env.A`: variables need each other's value: A → B → C → A".into())
        );
        let long: Vec<(String, String)> = (0..100)
            .map(|n| (format!("V{n}"), format!("${{V{}}}", n + 1)))
            .collect();
        let mut deep = service(&[]);
        deep.context.env = long;
        assert!(of_service(&Environment::default(), &deep).is_err());
        let itself = service(&[("A", "${A}")]);
        assert!(of_service(&Environment::default(), &itself).is_err());
    }

    #[test]
    fn bytes_pass_unchanged() {
        use std::os::unix::ffi::OsStringExt;
        let mut container = Environment::default();
        container.set("RAW", OsString::from_vec(vec![0xff, b'a']));
        let environment = of_service(&container, &service(&[("COPY", "${RAW}!")])).unwrap();
        assert_eq!(
            environment.get("COPY").unwrap().as_encoded_bytes(),
            [0xff, b'a', b'!']
        );
        assert_eq!(environment.expand_text("${RAW}"), Err(Fault::NotText));
    }
}
