//! The tools of s6, execline, tini and dumb-init beside the real ones of Debian: the same words
//! to both, and the same comes of it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may stop where it stands, and starts processes"
)]

#[path = "../support/mod.rs"]
mod support;

mod desk;
mod install;
mod side;
mod table;

use side::{Given, Tools};
use table::{check, check_with, golden};

#[test]
fn execline_is_execline() {
    check(Tools::Skarnet, include_str!("tables/execline.txt"));
}

#[test]
fn conditions_hold_as_in_eltest() {
    check(Tools::Skarnet, include_str!("tables/eltest.txt"));
}

#[test]
fn environments_and_users_are_s6s() {
    check(Tools::Skarnet, include_str!("tables/environment.txt"));
}

#[test]
fn the_containers_environment_is_s6_overlays() {
    if support::can_contain() {
        golden(include_str!("tables/contenv.txt"));
    }
}

#[test]
fn tini_is_tini() {
    check_with(Tools::Tini, include_str!("tables/tini.txt"), without_pids);
}

#[test]
fn dumb_init_is_dumb_init() {
    check_with(
        Tools::DumbInit,
        include_str!("tables/dumb-init.txt"),
        without_pids,
    );
}

/// No two runs have the same pids.
fn without_pids(given: Given) -> Given {
    let even = |text: &str| {
        let mut rest = text;
        let mut done = String::new();
        while let Some(at) = ["tini (", "pid '", "pid: '", "pid=", "PID "]
            .iter()
            .filter_map(|before| rest.find(before).map(|at| at + before.len()))
            .min()
        {
            done.push_str(&rest[..at]);
            rest = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit());
            done.push('N');
        }
        done + rest
    };
    let Given { code, out, err } = given;
    Given {
        code,
        out: even(&out),
        err: even(&err),
    }
}

#[test]
fn services_are_asked_as_by_s6() {
    check_with(
        Tools::Skarnet,
        include_str!("tables/service.txt"),
        without_times,
    );
}

#[test]
fn a_directory_is_served_as_by_s6() {
    check_with(
        Tools::Skarnet,
        include_str!("tables/svscan.txt"),
        without_times,
    );
}

#[test]
fn lines_are_logged_as_by_s6() {
    check_with(
        Tools::Skarnet,
        include_str!("tables/log.txt"),
        without_stamps,
    );
}

/// No two runs have the same times.
fn without_stamps(given: Given) -> Given {
    let digits = |text: &str, count: usize| {
        text.len() >= count && text.bytes().take(count).all(|b| b.is_ascii_hexdigit())
    };
    let even = |text: &str| {
        let mut done = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '@' && digits(&rest[1..], 24) {
                done.push_str("@TIME");
                rest = &rest[25..];
            } else if first == '2' && rest.get(4..5) == Some("-") && rest.get(19..20) == Some(".") {
                done.push_str("DATE");
                rest = &rest[29..];
            } else {
                done.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        done
    };
    let Given { code, out, err } = given;
    Given {
        code,
        out: even(&out),
        err: even(&err),
    }
}

/// No two runs have the same times and pids; s6 2.13 added the process group, and 2.11 has a stray
/// colon in some messages.
fn without_times(given: Given) -> Given {
    let hex = |c: char| c.is_ascii_hexdigit();
    let even = |word: &str| match word {
        "(pid" => word.into(),
        stamp if stamp.starts_with("@4") && stamp[1..].trim_end().chars().all(hex) => {
            format!("@TIME{}", &stamp[stamp.trim_end().len()..])
        }
        word => word.to_string(),
    };
    let line = |line: &str| {
        let line = line.replace("fatal: : ", "fatal: ");
        let mut words: Vec<String> = line.split(' ').map(even).collect();
        for at in 1..words.len() {
            if words[at].trim_end_matches([',', '\n']) == "seconds" {
                words[at - 1] = "S".into();
            }
            if words[at - 1] == "(pid" {
                words[at] = "N".into();
            }
        }
        let pgid = words.iter().position(|word| word == "pgid");
        if let Some(at) = pgid {
            words.drain(at..at + 2);
        }
        words.join(" ")
    };
    let lines = |text: &str| text.split_inclusive('\n').map(line).collect();
    let Given { code, out, err } = given;
    Given {
        code,
        out: lines(&out),
        err: lines(&err),
    }
}
