//! From a definition to a process: the environment, the user, the directory and the descriptors of
//! a start, as a spawner's plan.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use crate::os::files;
use crate::os::heap::Wiping;
use crate::os::pid1;
use crate::os::plan::{Plan, Session, Variables};
use crate::os::probes::Target;
use crate::os::spawner::{Spawned, Spawner};
use crate::os::users::{self, User};
use crate::service::address;
use crate::service::definition::{Probe, Program, Service};
use crate::service::environment::{self, Environment};
use crate::service::executable::Executable;
use crate::service::permit;
use crate::values::{Exit, Pid};

/// What every start needs, whatever the service.
pub(super) struct Launcher {
    spawner: Spawner,
    /// The container's environment.
    environment: Environment,
    /// What most services start with, made once: all that comes from the container.
    inherited: Rc<Environment>,
    variables: Option<Rc<Variables>>,
    /// `/dev/null`.
    pub(super) null: OwnedFd,
}

/// What is made anew at each start of a service, because the environment, the users' database and
/// the file system may have changed since.
pub(super) struct Surroundings {
    env: Rc<Environment>,
    /// The same for the kernel, if it was made before.
    variables: Option<Rc<Variables>>,
    /// Whom it becomes.
    pub(super) user: Option<User>,
    workdir: Option<PathBuf>,
    /// Of secrets nothing is left when this is dropped. The last field, since it goes last.
    _wiping: Option<Wiping>,
}

/// What is executed, and with which words.
struct Call {
    /// If it is not the first word.
    program: Option<OsString>,
    argv: Vec<OsString>,
}

impl Call {
    fn of(command: &[String]) -> Self {
        Self {
            program: None,
            argv: command.iter().map(OsString::from).collect(),
        }
    }

    /// This file, by the name that s6 gives it; or the interpreter that is told where it is, as the
    /// kernel would.
    fn of_file(file: &Executable, name: &str, arguments: Vec<OsString>) -> Self {
        let path = OsString::from(&file.path);
        let (program, mut argv) = if file.by.is_empty() {
            (Some(path), vec![name.into()])
        } else {
            (None, [file.by.as_slice(), &[path]].concat())
        };
        argv.extend(arguments);
        Self { program, argv }
    }
}

/// Where a process's standard descriptors go; those that are absent are PID 1's own.
#[derive(Clone, Copy, Default)]
pub(super) struct Streams<'fd> {
    pub(super) stdin: Option<BorrowedFd<'fd>>,
    pub(super) stdout: Option<BorrowedFd<'fd>>,
    pub(super) stderr: Option<BorrowedFd<'fd>>,
    /// The notification pipe and its number there.
    pub(super) notify: Option<(BorrowedFd<'fd>, i32)>,
    /// The descriptor by which it may ask us, and its number there.
    pub(super) control: Option<(BorrowedFd<'fd>, i32)>,
}

impl Surroundings {
    /// One more variable of its process.
    pub(super) fn set(&mut self, name: &'static str, value: OsString) {
        Rc::make_mut(&mut self.env).set(name, value);
        self.variables = None;
    }
}

impl Launcher {
    /// A launcher of services in this container's environment.
    ///
    /// # Errors
    /// No descriptors left.
    pub(super) fn new(spawner: Spawner, environment: Environment) -> io::Result<Self> {
        let inherited = environment::inherited(&environment);
        Ok(Self {
            spawner,
            variables: Variables::new(inherited.iter()).map(Rc::new),
            inherited: Rc::new(inherited),
            environment,
            null: pid1::null()?,
        })
    }

    /// The container's environment.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Expands what a definition leaves to the moment of the start. The error is for people.
    pub(super) fn surroundings(&self, service: &Service) -> Result<Surroundings, String> {
        let context = &service.context;
        let has_secrets = !context.secrets.is_empty() || !context.env_files.is_empty();
        let wiping = has_secrets.then(Wiping::begin);
        let mut said = BTreeSet::new();
        let is_plain = service.context.leaves_variables();
        let mut env = if is_plain {
            Rc::clone(&self.inherited)
        } else {
            let laid = environment::of_service(&self.environment, service, &files::bounded)?;
            said = laid.said;
            Rc::new(laid.environment)
        };
        let expand = |env: &Environment, key: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| {
                    env.expand_text(text)
                        .map_err(|fault| format!("cannot expand `{key}`: {fault}"))
                })
                .transpose()
        };
        let user = expand(&env, "user", &service.context.user)?
            .map(|text| users::resolve(&text))
            .transpose()?;
        if let Some(user) = &user {
            follow_user(Rc::make_mut(&mut env), user, &said);
        }
        let workdir = expand(&env, "workdir", &service.context.workdir)?.map(PathBuf::from);
        let workdir = match &service.program {
            Program::Run(_) => Some(workdir.unwrap_or_else(|| service.dir.clone())),
            Program::Command(_) => workdir,
        };
        Ok(Surroundings {
            env,
            variables: self.variables.clone().filter(|_| is_plain),
            user,
            workdir,
            _wiping: wiping,
        })
    }

    /// Starts the service itself.
    pub(super) fn main(
        &self,
        service: &Service,
        around: &Surroundings,
        streams: Streams<'_>,
    ) -> Result<Spawned, String> {
        let call = match &service.program {
            Program::Command(command) => Call::of(command),
            Program::Run(file) => Call::of_file(file, "run", vec![service.name.as_str().into()]),
        };
        let is_cmd = service.dir.as_os_str().is_empty();
        let session = if is_cmd {
            Session::Foreground
        } else {
            Session::New
        };
        self.spawn(service, around, call, streams, session)
    }

    /// Starts s6's `finish`: `./finish EXIT|256 SIGNAL|0 NAME PGID`, in the service directory. What
    /// is left of the service is in that group, which its main process made of itself.
    pub(super) fn finish(
        &self,
        service: &Service,
        around: &Surroundings,
        (group, exit): (Pid, Exit),
        streams: Streams<'_>,
    ) -> Result<Spawned, String> {
        let Some(finish) = &service.finish else {
            return Err("it has no finish".into());
        };
        let (code, signal) = match exit {
            Exit::Code(code) => (i32::from(code), 0),
            Exit::Signal(signal) | Exit::Core(signal) => (256, signal.raw()),
        };
        let arguments = vec![
            code.to_string().into(),
            signal.to_string().into(),
            service.name.as_str().into(),
            group.to_string().into(),
        ];
        let call = Call::of_file(&finish.file, "finish", arguments);
        self.spawn(service, around, call, streams, Session::New)
    }

    /// Starts the command that undoes what a oneshot has done.
    pub(super) fn down(
        &self,
        service: &Service,
        around: &Surroundings,
        streams: Streams<'_>,
    ) -> Result<Spawned, String> {
        let Some(down) = &service.down else {
            return Err("it has no down".into());
        };
        let call = Call::of(&down.command);
        self.spawn(service, around, call, streams, Session::New)
    }

    /// Starts a command beside the service, in the same surroundings: a probe, a reload.
    pub(super) fn beside(
        &self,
        service: &Service,
        command: &[String],
        streams: Streams<'_>,
    ) -> Result<Spawned, String> {
        let around = self.surroundings(service)?;
        let call = Call::of(command);
        self.spawn(service, &around, call, streams, Session::New)
    }

    fn spawn(
        &self,
        service: &Service,
        around: &Surroundings,
        call: Call,
        streams: Streams<'_>,
        session: Session,
    ) -> Result<Spawned, String> {
        // Made before only for those that have no variable of their own.
        let made = around
            .variables
            .clone()
            .filter(|_| streams.control.is_none());
        let own = |(_, number): (BorrowedFd<'_>, i32)| {
            (permit::VARIABLE.into(), number.to_string().into())
        };
        let all = around.env.iter().filter(|_| made.is_none());
        let env: Vec<(OsString, OsString)> = all
            .filter(|(name, _)| *name != permit::VARIABLE)
            .map(|(name, value)| (name.into(), value.into()))
            .chain(streams.control.map(own))
            .collect();
        let standard = [(streams.stdin, 0), (streams.stdout, 1), (streams.stderr, 2)];
        let descriptors = standard
            .into_iter()
            .filter_map(|(fd, number)| fd.map(|fd| (fd, number)))
            .chain(streams.notify)
            .chain(streams.control)
            .collect();
        let plan = Plan {
            program: call.program,
            variables: made,
            workdir: around.workdir.clone(),
            user: around.user.clone(),
            umask: service.context.umask,
            nice: service.context.nice,
            oom_score_adj: service.context.oom_score_adj,
            limits: service.context.limits.clone(),
            no_new_privileges: service.context.no_new_privileges,
            capabilities: service.context.capabilities.clone(),
            session,
            descriptors,
            ..Plan::new(call.argv, env)
        };
        self.spawner
            .spawn(&plan)
            .map_err(|error| with_hint(&error.to_string(), error.hint()))
    }

    /// Null for all three.
    pub(super) fn silent(&self) -> Streams<'_> {
        let null = Some(self.null.as_fd());
        Streams {
            stdin: null,
            stdout: null,
            stderr: null,
            notify: None,
            control: None,
        }
    }
}

/// Where this probe dials, if it does.
pub(super) fn target(
    probe: Option<&Probe>,
    around: &Surroundings,
) -> Result<Option<Target>, String> {
    let expand = |text: &str| {
        let expanded = around.env.expand_text(text);
        expanded.map_err(|fault| format!("cannot expand the probe's address: {fault}"))
    };
    match probe {
        Some(Probe::Tcp(text)) => Ok(Some(Target::Tcp(address::tcp(&expand(text)?)?))),
        Some(Probe::Http(text)) => Ok(Some(Target::Http(address::http(&expand(text)?)?))),
        Some(Probe::Unix(text)) => Ok(Some(Target::Unix(address::socket(&expand(text)?)?))),
        Some(Probe::File(text)) => Ok(Some(Target::File(address::path(&expand(text)?)?))),
        Some(Probe::Exec(_) | Probe::Fd(_) | Probe::Notify) | None => Ok(None),
    }
}

/// `HOME`, `USER` and `LOGNAME` follow the user, unless the service says otherwise.
fn follow_user(env: &mut Environment, user: &User, said: &BTreeSet<String>) {
    for (name, value) in [
        ("HOME", user.home.as_str()),
        ("USER", user.name.as_str()),
        ("LOGNAME", user.name.as_str()),
    ] {
        if !said.contains(name) && !value.is_empty() {
            env.set(name, value);
        }
    }
}

/// A sentence and its next step in one line of the story.
pub(super) fn with_hint(text: &str, hint: Option<String>) -> String {
    hint.map_or_else(|| text.to_owned(), |hint| format!("{text} (hint: {hint})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_its_name_or_by_its_interpreter() {
        let mut file = Executable::from("/etc/s6-overlay/s6-rc.d/web/run");
        let called = |file: &Executable| {
            let Call { program, argv } = Call::of_file(file, "run", vec!["web".into()]);
            let words: Vec<_> = program.into_iter().chain(argv).collect();
            words.join(OsString::from(" ").as_os_str())
        };
        assert_eq!(called(&file), "/etc/s6-overlay/s6-rc.d/web/run run web");
        file.by = vec!["/bin/bash".into(), "-e".into()];
        assert_eq!(
            called(&file),
            "/bin/bash -e /etc/s6-overlay/s6-rc.d/web/run web"
        );
    }
}
