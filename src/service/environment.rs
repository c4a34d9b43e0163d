//! The environment of a process, and how a service's own variables are laid over the container's.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::service::definition::{Context, Service};
use crate::service::envfile::{self, Entry};
use crate::service::expand::{self, Fault};
use crate::service::permit;
use crate::service::resolver::Resolver;
use crate::service::settings;
use crate::values::lists;

/// A secret has at most so many bytes: keys and certificates are far below that.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Reads a file of at most so many bytes; else says why not, for the user.
pub type ReadFile<'a> = dyn Fn(&Path, u64) -> Result<Vec<u8>, String> + 'a;

/// Variables and their values, in the order of their names. Values are bytes, as execve(2) has.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Environment {
    values: BTreeMap<OsString, OsString>,
    /// Those whose value no screen, log or command line may show.
    secret: BTreeSet<OsString>,
}

/// Names only: whatever prints an environment by mistake must not print a password.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self {
            values: lists::filled(variables),
            secret: BTreeSet::new(),
        }
    }
}

/// A service's environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Laid {
    /// All of it.
    pub environment: Environment,
    /// The names to which the service itself gives a value: `HOME`, `USER` and `LOGNAME` follow
    /// its user unless they are among these.
    pub said: BTreeSet<String>,
}

impl Environment {
    /// The value of a variable, if it is set.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.values.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        self.secret.remove(&name);
        self.values.insert(name, value.into());
    }

    /// Sets a variable whose value only processes may see.
    pub fn set_secret(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        self.secret.insert(name.clone());
        self.values.insert(name, value.into());
    }

    /// Whether only processes may see its value.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        self.secret.contains(OsStr::new(name))
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) {
        self.values.remove(name.as_ref());
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// A text with its variables filled in from here, for user, directory and addresses: messages
    /// and screens show those, so that secrets are refused.
    pub fn expand(&self, text: &str) -> Result<OsString, Fault> {
        let pieces = expand::pieces(text).map_err(Fault::Malformed)?;
        expand::fill(&pieces, &mut |name| {
            if self.is_secret(name) {
                return Err(Fault::Secret(name.to_owned()));
            }
            Ok(self.get(name).map(OsStr::to_os_string))
        })
    }

    /// The same, where text is needed.
    pub fn expand_text(&self, text: &str) -> Result<String, Fault> {
        self.expand(text)?.into_string().map_err(|_| Fault::NotText)
    }
}

/// The environment that a service starts with: of the container's what `env-pass` lets through,
/// without our own settings; over it the env-files, the secrets and `env`. References in `env` see
/// all of the container's, passed on or not. The error is a sentence for the user, which never
/// shows what is in a file.
pub fn of_service(
    container: &Environment,
    service: &Service,
    read: &ReadFile<'_>,
) -> Result<Laid, String> {
    let context = &service.context;
    let mut environment = passed(container, context.env_pass.as_deref());
    let mut outer = container.clone();
    let own = context.env.iter().map(|(name, _)| name);
    let mut said: BTreeSet<String> = lists::filled(own.chain(&context.secrets).cloned());
    for path in &context.env_files {
        for (name, value) in env_file(path, container, service, read)? {
            said.insert(name.clone());
            environment.set(name.clone(), value.clone());
            outer.set(name, value);
        }
    }
    let secrets: Vec<(&String, OsString)> = context
        .secrets
        .iter()
        .map(|name| Ok((name, secret(name, &outer, &context.env, read)?)))
        .collect::<Result<_, String>>()?;
    for (name, value) in secrets {
        environment.set_secret(name, value.clone());
        outer.set_secret(name, value);
    }
    lay_own(&mut environment, &outer, &context.env)?;
    for name in &context.secrets {
        environment.remove(file_variable(name));
    }
    Ok(Laid { environment, said })
}

/// The container's environment with the secrets that a start will find, their values not yet known.
pub(super) fn with_secrets(container: &Environment, secrets: &[String]) -> Environment {
    let mut outer = container.clone();
    for name in secrets {
        outer.set_secret(name, "");
    }
    outer
}

/// What a start will find, as far as that can be told with no file read.
pub(super) fn foreseen(container: &Environment, context: &Context) -> Result<Environment, String> {
    let outer = with_secrets(container, &context.secrets);
    let mut environment = outer.clone();
    lay_own(&mut environment, &outer, &context.env)?;
    Ok(environment)
}

/// What a service without a word on its variables starts with: the container's without our
/// settings.
pub fn inherited(container: &Environment) -> Environment {
    passed(container, None)
}

/// What of the container's environment a service gets.
fn passed(container: &Environment, patterns: Option<&[String]>) -> Environment {
    let ours: Vec<String> = settings::variables().collect();
    let is_passed = |name: &OsStr| {
        let name = name.as_bytes();
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start.as_bytes()),
            None => name == pattern.as_bytes(),
        };
        patterns.is_none_or(|patterns| patterns.iter().any(matches))
            && !ours.iter().any(|ours| name == ours.as_bytes())
            && name != permit::VARIABLE.as_bytes()
    };
    container
        .iter()
        .filter(|(name, _)| is_passed(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The variables of one env-file. Its path is expanded with the container's environment, and
/// begins at the service directory.
fn env_file(
    text: &str,
    container: &Environment,
    service: &Service,
    read: &ReadFile<'_>,
) -> Result<Vec<(String, OsString)>, String> {
    let path = container
        .expand(text)
        .map_err(|fault| format!("cannot expand `env-file`: {fault}"))?;
    let path = service.dir.join(path);
    let fault = |why: String| format!("cannot use the env-file `{}`{why}", path.display());
    let bytes = read(&path, envfile::BYTES_MAX).map_err(|why| fault(format!(": {why}")))?;
    let entries =
        envfile::parse(&bytes).map_err(|bad| fault(format!(", line {}: {}", bad.line, bad.why)))?;
    let value = |entry| match entry {
        Entry::Set(name, value) => Some((name, value)),
        Entry::Pass(name) => container.get(&name).map(|v| (name.clone(), v.to_owned())),
    };
    Ok(entries.into_iter().filter_map(value).collect())
}

/// The variable that names a secret's file.
fn file_variable(secret: &str) -> String {
    format!("{secret}_FILE")
}

/// A secret: what is in the file that `NAME_FILE` names, without the line end after it. Where that
/// is not set, a plain variable of the secret's name will do, as in Docker's own images.
fn secret(
    name: &str,
    outer: &Environment,
    own: &[(String, String)],
    read: &ReadFile<'_>,
) -> Result<OsString, String> {
    let variable = file_variable(name);
    let path = Resolver::new(outer, own)
        .value(&variable)
        .map_err(|fault| format!("cannot expand `env.{variable}`: {fault}"))?;
    let Some(path) = path else {
        return outer.get(name).map(OsStr::to_owned).ok_or_else(|| {
            format!(
                "the secret `{name}` is not there: `{variable}` is not set, nor `{name}` itself"
            )
        });
    };
    let path = Path::new(&path);
    let fault = |why: String| {
        let path = path.display();
        format!("cannot use `{path}` for the secret `{name}`: {why}")
    };
    if !path.is_absolute() {
        return Err(fault(format!("`{variable}` must be an absolute path")));
    }
    let mut bytes = read(path, SECRET_BYTES_MAX).map_err(fault)?;
    if bytes.contains(&0) {
        return Err(fault("it holds a NUL byte, which no variable can".into()));
    }
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        } else {
            break;
        }
    }
    Ok(OsString::from_vec(bytes))
}

/// Lays `env` over an environment; its references see `outer`.
fn lay_own(
    environment: &mut Environment,
    outer: &Environment,
    own: &[(String, String)],
) -> Result<(), String> {
    let mut resolver = Resolver::new(outer, own);
    for (name, _) in own {
        let value = resolver
            .value(name)
            .map_err(|fault| format!("cannot expand `env.{name}`: {fault}"))?;
        match value {
            Some(value) if resolver.is_secret(name) => environment.set_secret(name, value),
            Some(value) => environment.set(name, value),
            None => {}
        }
    }
    Ok(())
}

/// Why this cannot be a variable of execve(2) or of a shell's `env`.
pub(super) fn bad_variable(name: &str) -> Option<String> {
    let bad = |c: char| c == '=' || c.is_whitespace() || c.is_control();
    match name.chars().find(|c| bad(*c)) {
        _ if name.is_empty() => Some("a variable's name cannot be empty".into()),
        Some(c) => Some(format!("a variable's name cannot contain {c:?}")),
        None => None,
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

    fn no_files(path: &Path, _bytes_max: u64) -> Result<Vec<u8>, String> {
        Err(format!("{}?", path.display()))
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
        let laid = of_service(&container, &service, &no_files).unwrap();
        let environment = laid.environment;
        assert_eq!(
            shown(&environment),
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
            of_service(&Environment::default(), &circle, &no_files),
            Err("cannot expand `env.A`: variables need each other's value: A → B → C → A".into())
        );
        let long: Vec<(String, String)> = (0..100)
            .map(|n| (format!("V{n}"), format!("${{V{}}}", n + 1)))
            .collect();
        let mut deep = service(&[]);
        deep.context.env = long;
        assert!(of_service(&Environment::default(), &deep, &no_files).is_err());
        let itself = service(&[("A", "${A}")]);
        assert!(of_service(&Environment::default(), &itself, &no_files).is_err());
    }

    fn shown(environment: &Environment) -> Vec<String> {
        environment
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn bytes_pass_unchanged() {
        use std::os::unix::ffi::OsStringExt;
        let mut container = Environment::default();
        container.set("RAW", OsString::from_vec(vec![0xff, b'a']));
        let copy = service(&[("COPY", "${RAW}!")]);
        let environment = of_service(&container, &copy, &no_files)
            .unwrap()
            .environment;
        assert_eq!(
            environment.get("COPY").unwrap().as_encoded_bytes(),
            [0xff, b'a', b'!']
        );
        assert_eq!(environment.expand_text("${RAW}"), Err(Fault::NotText));
    }
}
