//! The command line of `pidone agent`, which takes Serf's flags too, with one dash or two: those
//! that mean something here are laid over the file, the others are named and passed over. Pure.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::agent::config::parts::seed;
use crate::agent::config::{Config, Handler, PORT};
use crate::agent::handlers::words::unknown;
use crate::diag::{Diagnostic, Place};

/// What the command line says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--help`.
    pub help: bool,
    /// What is laid over the file, in its order.
    given: Vec<(Known, String)>,
    /// Flags of Serf that mean nothing here.
    pub ignored: Vec<String>,
}

/// The flags that mean something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Config,
    Node,
    Bind,
    Advertise,
    Seed,
    Tag,
    Role,
    Handler,
    KeyFile,
    Insecure,
    Help,
}

const KNOWN: [(&str, Known); 14] = [
    ("config", Known::Config),
    ("config-file", Known::Config),
    ("node", Known::Node),
    ("bind", Known::Bind),
    ("advertise", Known::Advertise),
    // Every seed is tried for ever: there is no other kind.
    ("join", Known::Seed),
    ("retry-join", Known::Seed),
    ("tag", Known::Tag),
    ("role", Known::Role),
    ("event-handler", Known::Handler),
    ("key-file", Known::KeyFile),
    ("insecure", Known::Insecure),
    ("help", Known::Help),
    ("h", Known::Help),
];

/// Serf's other flags that take a value.
const PASSED_OVER: [&str; 15] = [
    "log-level",
    "retry-interval",
    "retry-max",
    "rpc-addr",
    "rpc-auth",
    "profile",
    "snapshot",
    "iface",
    "discover",
    "protocol",
    "keyring-file",
    "tags-file",
    "broadcast-timeout",
    "mdns-iface",
    "config-dir",
];

/// Serf's other flags that take none.
const PASSED_OVER_ALONE: [&str; 4] = ["rejoin", "replay", "syslog", "enable-compression"];

/// For `pidone agent --help`.
pub const USAGE: &str = "\
usage: pidone agent [--config FILE] [OPTION]...

Tells the other members which services of this host are ready, and follows what they tell.

  --config FILE                  instead of /etc/pidone/agent.toml
  --node NAME                    what the member is called; default: the host's name
  --bind ADDRESS[:PORT]          where the agent listens
  --advertise ADDRESS[:PORT]     the address by which others reach it
  --join SEED, --retry-join SEED a member to ask first, for ever
  --tag NAME=VALUE               what others are told of it
  --event-handler [EVENT,...=]SCRIPT   what is run when members come and go
  --key-file FILE                the cluster's key
  --insecure                     without a key, listen on more than loopback all the same

These are laid over the file. Each may begin with one dash, as Serf's do.
";

impl Flags {
    /// Reads the arguments behind `agent`.
    ///
    /// # Errors
    /// The first that is no flag, or lacks its value.
    pub fn read(args: &[String]) -> Result<Self, Box<Diagnostic>> {
        let mut flags = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let bare = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'));
            let Some(bare) = bare else {
                let error = Diagnostic::error(format!("`{arg}` is no flag"));
                return Err(error.hint("pidone agent --help lists them").into());
            };
            let (name, value) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (bare, None),
            };
            let mut value = |what: &str| {
                let value = value.clone().or_else(|| rest.next().cloned());
                value.ok_or_else(|| Diagnostic::error(format!("`{arg}` needs {what}")))
            };
            let known = KNOWN.iter().find(|(known, _)| *known == name);
            match known.map(|(_, known)| *known) {
                Some(Known::Help) => flags.help = true,
                Some(Known::Config) => flags.config = Some(value("a file")?.into()),
                Some(Known::Insecure) => flags.given.push((Known::Insecure, String::new())),
                Some(known) => flags.given.push((known, value("a value")?)),
                None if PASSED_OVER_ALONE.contains(&name) => flags.ignored.push(name.to_owned()),
                None if PASSED_OVER.contains(&name) => {
                    value("a value")?;
                    flags.ignored.push(name.to_owned());
                }
                None => {
                    let names = KNOWN.iter().map(|(known, _)| *known);
                    let error = Diagnostic::error(format!("unknown flag `{arg}`"));
                    return Err(error.suggest(name, names).into());
                }
            }
        }
        Ok(flags)
    }

    /// Lays them over what the file says.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn overlay(&self, config: &mut Config) -> Result<(), Box<Diagnostic>> {
        for (flag, value) in &self.given {
            lay(*flag, value, config).map_err(Diagnostic::error)?;
        }
        Ok(())
    }
}

fn lay(flag: Known, value: &str, config: &mut Config) -> Result<(), String> {
    match flag {
        Known::Node => config.name = Some(value.parse()?),
        Known::Bind => config.bind = address(value)?,
        Known::Advertise => config.advertise = Some(address(value)?),
        Known::Seed => config.seeds.push(seed(value)?),
        Known::Tag => {
            let (name, text) = value
                .split_once('=')
                .ok_or_else(|| format!("`{value}` is no NAME=VALUE"))?;
            config.tags.set(name, text)?;
        }
        Known::Role => config.tags.set("role", value)?,
        Known::Handler => config.handlers.push(handler(value)?),
        Known::KeyFile => config.key_file = Some(value.into()),
        Known::Insecure => config.insecure = true,
        Known::Config | Known::Help => {}
    }
    Ok(())
}

/// An address with a port, or without: then it is ours.
fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = |text: &str| text.parse::<IpAddr>().ok();
    let bare = bare(text).map(|ip| SocketAddr::new(ip, PORT));
    bare.or_else(|| text.parse().ok())
        .ok_or_else(|| format!("`{text}` is not an address"))
}

/// `FILTER=SCRIPT`, or a script for every event; Serf runs it by `/bin/sh -c`.
fn handler(text: &str) -> Result<Handler, String> {
    let (on, script) = match text.split_once('=') {
        Some((filter, script)) => match unknown(filter) {
            None => (vec![filter.to_owned()], script),
            Some(word) => return Err(format!("`{word}` is no event")),
        },
        None => (Vec::new(), text),
    };
    Ok(Handler {
        on,
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        place: Place {
            path: "the command line".into(),
            spot: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn config(line: &str) -> Result<(Config, Vec<String>), String> {
        let mut config = Config::default();
        let flags = Flags::read(&words(line)).map_err(|fault| fault.to_string())?;
        let laid = flags.overlay(&mut config);
        laid.map_err(|fault| fault.to_string())?;
        Ok((config, flags.ignored))
    }

    #[test]
    fn the_labs_command_lines_are_understood() {
        let (config, ignored) = config(
            "-join ha -node=s1 -bind 0.0.0.0 --tag role=backend -tag=port=3000 \
             --retry-join=ha2:7000 -event-handler member-join=/serf/join.sh -replay \
             -event-handler=member-leave,member-failed=/serf/leave.sh -log-level=warn \
             -retry-interval 2s --event-handler /serf/all.sh",
        )
        .unwrap();
        assert_eq!(config.name, "s1".parse().ok());
        assert_eq!(config.bind, "0.0.0.0:7946".parse().unwrap());
        let seeds: Vec<_> = config
            .seeds
            .iter()
            .map(|seed| (&*seed.host, seed.port))
            .collect();
        assert_eq!(seeds, [("ha", 7946), ("ha2", 7000)]);
        assert_eq!(config.tags.get("port"), Some("3000"));
        let handlers: Vec<_> = config
            .handlers
            .iter()
            .map(|one| (one.on.join(""), one.command[2].as_str()))
            .collect();
        assert_eq!(
            handlers,
            [
                ("member-join".into(), "/serf/join.sh"),
                ("member-leave,member-failed".into(), "/serf/leave.sh"),
                (String::new(), "/serf/all.sh"),
            ]
        );
        assert_eq!(ignored, ["replay", "log-level", "retry-interval"]);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (line, told) in [
            ("-nod x", "unknown flag `-nod`\nhint: did you mean `node`?"),
            ("-node", "`-node` needs a value"),
            ("x", "`x` is no flag"),
            ("-node a/b", "a member's name cannot contain '/'"),
            ("-bind x", "`x` is not an address"),
            ("-tag x", "`x` is no NAME=VALUE"),
            ("-join a/b", "`a/b` is no seed"),
            ("-event-handler membr-join=x", "`membr-join` is no event"),
        ] {
            let fault = config(line).unwrap_err();
            assert!(fault.contains(told), "{line}: {fault}");
        }
        assert!(Flags::read(&words("-h")).unwrap().help);
    }
}
