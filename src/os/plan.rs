//! A child as it is planned: what runs, as whom, with which descriptors; and its texts as the
//! kernel wants them.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use crate::os::users::User;
use crate::service::limits::{Limit, Resource};

/// Where execvp(3) looks if the environment has no PATH: what Docker gives its containers.
pub(super) const PATH_DEFAULT: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// More directories than this in a PATH are not searched.
const CANDIDATES_MAX: usize = 256;
/// Descriptors that one child can be given.
const DESCRIPTORS_MAX: usize = 16;

/// Where a child stands towards the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Session {
    /// A session of its own, without a terminal: a service.
    New,
    /// Our session, in a process group of its own, in front of the terminal if fd 0 is one: CMD.
    Foreground,
}

/// A child before it is one. Descriptors 0, 1 and 2 that are not given are ours.
#[derive(Clone, Debug)]
pub struct Plan<'fd> {
    /// The program and its arguments. A name without a slash is looked up in the PATH of `env`;
    /// one with a slash is taken as it is, from `workdir`.
    pub argv: Vec<OsString>,
    /// What is executed under the name of the first word; `None`: what that names.
    pub program: Option<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The same, made before; then `env` is not looked at.
    pub variables: Option<Rc<Variables>>,
    /// chdir(2).
    pub workdir: Option<PathBuf>,
    /// Whom it becomes; `None` leaves ids and groups as they are.
    pub user: Option<User>,
    /// umask(2).
    pub umask: Option<u32>,
    /// setpriority(2), −20 to 19.
    pub nice: Option<i32>,
    /// −1000 to 1000, see proc_pid_oom_score_adj(5).
    pub oom_score_adj: Option<i32>,
    /// Soft and hard alike.
    pub limits: Vec<(Resource, Limit)>,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privileges: bool,
    /// The only capabilities that are left to it (numbers of capabilities(7)); `None` leaves them.
    pub capabilities: Option<Vec<u8>>,
    /// Session and terminal.
    pub session: Session,
    /// Our descriptor, its number there. Each number at most once.
    pub descriptors: Vec<(BorrowedFd<'fd>, RawFd)>,
}

impl Plan<'_> {
    /// Runs `argv` in `env`, everything else as we are, in a session of its own.
    pub fn new(argv: Vec<OsString>, env: Vec<(OsString, OsString)>) -> Self {
        Self {
            argv,
            program: None,
            env,
            variables: None,
            workdir: None,
            user: None,
            umask: None,
            nice: None,
            oom_score_adj: None,
            limits: Vec::new(),
            no_new_privileges: false,
            capabilities: None,
            session: Session::New,
            descriptors: Vec::new(),
        }
    }

    /// What is executed; `None`: nothing is said.
    pub(super) fn program(&self) -> Option<&OsStr> {
        let program = self.program.as_ref().or(self.argv.first());
        program.map(OsString::as_os_str)
    }
}

/// An environment as the kernel wants it, made once for many starts.
#[derive(Debug)]
pub struct Variables {
    texts: Vec<CString>,
    path: OsString,
}

impl Variables {
    /// `None`: a name or a value has a NUL byte inside.
    pub fn new<'a>(env: impl Iterator<Item = (&'a OsStr, &'a OsStr)>) -> Option<Self> {
        let mut path = OsString::from(PATH_DEFAULT);
        let variable = |(name, value): (&OsStr, &OsStr)| {
            if name == "PATH" {
                value.clone_into(&mut path);
            }
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
        };
        let texts = env.map(variable).collect::<Option<_>>()?;
        Some(Self { texts, path })
    }

    pub(super) fn texts(&self) -> &[CString] {
        &self.texts
    }
}

/// The plan's texts as C strings.
pub(super) struct Texts {
    pub(super) candidates: Vec<CString>,
    pub(super) argv: Vec<CString>,
    pub(super) variables: Rc<Variables>,
    pub(super) workdir: Option<CString>,
}

impl Texts {
    /// `None`: something has a NUL byte inside, there is no program, or a descriptor is no number.
    pub(super) fn of(plan: &Plan<'_>) -> Option<Self> {
        let c_string = |text: &OsStr| CString::new(text.as_bytes()).ok();
        let fits = plan.descriptors.len() <= DESCRIPTORS_MAX
            && plan.descriptors.iter().all(|(_, to)| *to >= 0);
        let workdir = match &plan.workdir {
            Some(path) => Some(c_string(path.as_os_str())?),
            None => None,
        };
        let variables = if let Some(made) = &plan.variables {
            Rc::clone(made)
        } else {
            let env = plan.env.iter();
            let texts = env.map(|(name, value)| (name.as_os_str(), value.as_os_str()));
            Rc::new(Variables::new(texts)?)
        };
        fits.then_some(Self {
            candidates: candidates(plan.program()?, &variables.path)?,
            argv: plan
                .argv
                .iter()
                .map(|text| c_string(text))
                .collect::<Option<_>>()?,
            variables,
            workdir,
        })
    }
}

/// An array as execve(2) reads it: pointers that live as long as `texts`, then a null one.
pub(super) fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

/// The files that execvp(3) would try, in its order: an empty directory of PATH is the current one.
pub(super) fn candidates(program: &OsStr, path: &OsStr) -> Option<Vec<CString>> {
    let program = program.as_bytes();
    if program.is_empty() || program.contains(&b'/') {
        return Some(vec![CString::new(program).ok()?]);
    }
    path.as_bytes()
        .split(|byte| *byte == b':')
        .take(CANDIDATES_MAX)
        .map(|dir| {
            let slash: &[u8] = if dir.is_empty() { b"" } else { b"/" };
            CString::new([dir, slash, program].concat()).ok()
        })
        .collect()
}

pub(super) fn capability_set(capabilities: &[u8]) -> u64 {
    capabilities
        .iter()
        .filter_map(|number| 1_u64.checked_shl(u32::from(*number)))
        .fold(0, |set, bit| set | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(program: &str, path: &str) -> Vec<String> {
        candidates(OsStr::new(program), OsStr::new(path))
            .unwrap()
            .into_iter()
            .map(|path| path.into_string().unwrap())
            .collect()
    }

    #[test]
    fn path_is_searched_as_execvp_does() {
        assert_eq!(found("node", "/a:/b/"), ["/a/node", "/b//node"]);
        assert_eq!(found("node", ":/b:"), ["node", "/b/node", "node"]);
        assert_eq!(found("node", ""), ["node"]);
        assert_eq!(found("./run", "/a"), ["./run"]);
        assert_eq!(found("/bin/sh", "/a"), ["/bin/sh"]);
        assert_eq!(found("", "/a"), [""]);
        assert!(candidates(OsStr::new("a\0b"), OsStr::new("/a")).is_none());
        let path_of = |env: &[(&'static str, &'static str)]| {
            let env = env
                .iter()
                .map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
            Variables::new(env).unwrap().path
        };
        assert_eq!(path_of(&[("PATH", "/x")]), "/x");
        assert_eq!(path_of(&[]), PATH_DEFAULT);
    }

    #[test]
    fn a_program_may_have_another_name() {
        let mut plan = Plan::new(vec!["./run".into(), "web".into()], Vec::new());
        let texts = |plan: &Plan<'_>| {
            let texts = Texts::of(plan).unwrap();
            let all = texts.candidates.into_iter().chain(texts.argv);
            all.map(|text| text.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&plan), ["./run", "./run", "web"]);
        plan.program = Some("/etc/web/run".into());
        assert_eq!(texts(&plan), ["/etc/web/run", "./run", "web"]);
    }

    #[test]
    fn capabilities_become_bits() {
        assert_eq!(capability_set(&[0, 10, 40, 200]), 1 | 1 << 10 | 1 << 40);
    }
}
