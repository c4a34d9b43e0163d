//! argv → role → exit code. The first two words decide; nothing heavy is touched before that.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use pidone::cli;
use pidone::os::heap::Heap;
use pidone::os::signals;
use pidone::tools::{dumb_init, exec, s6, tini};

#[global_allocator]
static HEAP: Heap = Heap;

/// What this process is to be.
#[derive(PartialEq, Eq, Debug)]
enum Role {
    /// The supervisor, with these arguments.
    Init(Vec<OsString>),
    /// The supervisor of a directory, as `s6-svscan` is one, with these arguments.
    Scan(Vec<OsString>),
    /// The init of one command, with these arguments.
    Exec(Vec<OsString>),
    /// A tool of s6's, by its name, with the whole command line.
    Tool,
    /// tini, by its name, with the whole command line.
    Tini,
    /// dumb-init, by its name, with the whole command line.
    DumbInit,
    /// The verb `s6`, with these arguments.
    S6(Vec<OsString>),
    /// A verb of the client, with the whole command line.
    Client,
    /// What scripts made for Serf call, with the whole command line.
    Serf,
    /// Nobody said what.
    Help,
}

/// Decides the role. `pid` is our own: a bare `pidone` is init only where it is PID 1.
fn role(args: &[OsString], pid: u32) -> Role {
    let called = args.first().and_then(|path| Path::new(path).file_name());
    let after = |count: usize| args.iter().skip(count).cloned().collect();
    if called.is_some_and(|name| name == "init") {
        return Role::Init(after(1));
    }
    match called {
        Some(name) if name == "tini" || name == "tini-static" => return Role::Tini,
        Some(name) if name == "dumb-init" => return Role::DumbInit,
        Some(name) if name == "s6-svscan" => return Role::Scan(after(1)),
        Some(name) if s6::is_tool(name) => return Role::Tool,
        Some(name) if name == "serf" => return Role::Serf,
        Some(_) | None => {}
    }
    match args.get(1) {
        None if pid == 1 => Role::Init(Vec::new()),
        None => Role::Help,
        Some(verb) if verb == "init" => Role::Init(after(2)),
        Some(verb) if verb == "exec" => Role::Exec(after(2)),
        Some(verb) if verb == "s6" => match args.get(2) {
            Some(tool) if tool == "s6-svscan" => Role::Scan(after(3)),
            _other => Role::S6(after(2)),
        },
        Some(_) => Role::Client,
    }
}

fn main() -> ExitCode {
    // First of all, so that an order to stop that comes during the boot waits and is not lost: the
    // kernel drops a signal for which PID 1 has no handler yet.
    let born_with = signals::block_all();
    let args: Vec<OsString> = std::env::args_os().collect();
    match role(&args, std::process::id()) {
        Role::Init(args) => cli::init::run(args),
        Role::Scan(args) => cli::scan::run(&args),
        Role::Exec(args) => ExitCode::from(exec::run(&args)),
        Role::Tool => ExitCode::from(s6::run(&args, born_with)),
        Role::Tini => ExitCode::from(tini::run(&args, born_with)),
        Role::DumbInit => ExitCode::from(dumb_init::run(&args, born_with)),
        Role::S6(args) => ExitCode::from(s6::install::verb(&args, born_with)),
        Role::Client => {
            signals::unblock_all();
            cli::run(&args)
        }
        Role::Serf => {
            signals::unblock_all();
            cli::serf(&args)
        }
        Role::Help => cli::help(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str, pid: u32) -> Role {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        role(&words, pid)
    }

    #[test]
    fn the_first_words_decide() {
        let words = |line: &str| line.split_whitespace().map(OsString::from).collect();
        assert_eq!(of("/init -- sh", 1), Role::Init(words("-- sh")));
        assert_eq!(of("init", 7), Role::Init(vec![]));
        assert_eq!(of("pidone init -- sh", 7), Role::Init(words("-- sh")));
        assert_eq!(of("pidone exec -g -- sh", 1), Role::Exec(words("-g -- sh")));
        // A command may be called status: only the first word is ours.
        assert_eq!(of("/init status", 1), Role::Init(words("status")));
        assert_eq!(of("/command/with-contenv init", 1), Role::Tool);
        assert_eq!(of("/sbin/tini -- sh", 1), Role::Tini);
        assert_eq!(of("dumb-init sh", 1), Role::DumbInit);
        assert_eq!(of("pidone s6 install", 7), Role::S6(words("install")));
        assert_eq!(
            of("/bin/s6-svscan /etc/s6", 1),
            Role::Scan(words("/etc/s6"))
        );
        assert_eq!(of("pidone s6 s6-svscan x", 7), Role::Scan(words("x")));
    }

    #[test]
    fn a_verb_is_a_verb_even_as_pid_1() {
        assert_eq!(of("pidone check", 1), Role::Client);
        assert_eq!(of("/usr/bin/serf members", 7), Role::Serf);
        assert_eq!(of("pidone sh", 1), Role::Client);
        assert_eq!(of("pidone", 1), Role::Init(vec![]));
        assert_eq!(of("pidone", 7), Role::Help);
        assert_eq!(of("", 7), Role::Help);
    }
}
