//! pidone: a container's init. `main` blocks all signals and picks a role; `cli::init` reads the
//! definitions and hands them to `supervisor`, which waits, tells the machine what happened, and
//! does what it orders. To learn how a service lives, read [`machine`]; how a process starts, `os`.
//!
//! The modules in reading order. A module imports from the floors below its own, and on its own
//! floor only from its own folder (`tests/tidy` reads this table).
//!
//! | floor | modules | what they are |
//! |---|---|---|
//! | 0 | [`values`], [`diag`] | signals, times, names; faults with their place. Pure |
//! | 1 | [`service`], [`syslog`] | services and datagrams as text, and every fault in them. Pure |
//! | 2 | [`machine`], [`members`], [`os`], `logs::{lines, ring}` | what comes next, and who is there, pure; the kernel; lines and memory of them |
//! | 3 | [`logs`], [`control`], [`template`] | from pipes to the container's output; the socket, its server and client; members as a file |
//! | 4 | `supervisor`, [`agent`], `tools::{syslog, ship}` | the loop: wait → event → fleet → orders → perform; the membership agent; roles beside it |
//! | 5 | [`cli`], [`tools`] | one screen a file, and the boot; `pidone exec`, and the tools of s6 by name |
//! | 6 | `main` | argv → role → exit code |
//!
//! What is absent, and stays so:
//!
//! - **The pure floors never touch the world**: no file, socket, process or clock. Time comes in
//!   as an argument, orders go out as data; so a test can be the world.
//! - **`machine` has no arm for the rest**: a `match` on a state or an event names every variant.
//! - **`machine` and `service` know no wire format**: `control::protocol` has types of its own.
//! - **No pid without a process**: a state holds one exactly while a process lives.
//! - **No `unsafe` outside [`os`]**, and a reason beside each.
//! - **No lock, no shared state**: one thread owns everything. A thread that writes to a terminal
//!   or a file shares a pipe with it and nothing else.
//! - **PID 1 never waits in two places**: the loop waits, nothing else blocks. Descriptors 0 to 2
//!   are shared with others and never become non-blocking.
//! - **PID 1 never resolves a name, loads a module or listens on a network.**
//! - **PID 1 never writes a file**: output goes to its own stdout and stderr.
//! - **Nobody but `os::spawner` starts a process, nobody but `os::reaper` waits for one**, but for
//!   the tools, which `os::inplace` serves; the signal to everybody stands in one place, behind
//!   `getpid() == 1`.
//! - **No way to give up**: what ships never unwraps or panics; after the boot an error is a value.
//! - **Nothing without a limit**: files, lines, clients, requests and memory have one.

pub mod values;

pub mod diag;

pub mod service;

pub mod syslog;

pub mod machine;

pub mod members;

pub mod os;

pub mod logs;

pub mod control;

pub mod template;

pub mod supervisor;

pub mod agent;

pub mod cli;

pub mod tools;
