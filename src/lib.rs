//! pidone: a container's init. The modules in reading order; a module may import from the floors
//! below its own, and on its own floor only from its own folder (`tests/tidy` holds this).
//!
//! | floor | modules | what they may know |
//! |---|---|---|
//! | 0 | [`values`], [`diag`] | nothing |
//! | 1 | [`service`], [`syslog`] | files and datagrams as text; pure |
//! | 2 | [`machine`] (pure), [`os`] (the kernel, all `unsafe`), `logs::{lines, ring}` (pure) | |
//! | 3 | [`logs`], [`control`] | pipes and sockets that they own |
//! | 4 | `supervisor`, `tools::{syslog, ship}` | the loop: wait → event → fleet → actions → perform; services of its own |
//! | 5 | [`cli`], [`tools`] | people and other inits' names |
//! | 6 | `main` | argv → role → exit code |

pub mod values;

pub mod diag;

pub mod service;

pub mod syslog;

pub mod machine;

pub mod os;

pub mod logs;

pub mod control;

pub mod supervisor;

pub mod cli;

pub mod tools;
