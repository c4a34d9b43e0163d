//! `pidone members` and `serf members`: who is in the cluster, as the agent of this host knows it;
//! and `pidone drain`.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde_json::json;

use crate::agent::config::SOCKET;
use crate::agent::desk::ask_agent;
use crate::agent::wire::{Reply, Request, WireMember};
use crate::cli::print::show;
use crate::cli::{Answer, Trouble, counters};
use crate::diag::{Diagnostic, printable};

/// What `pidone members` takes.
#[derive(clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Go on, and show the list again whenever it is another
    #[arg(long)]
    watch: bool,
    /// How the agent is: what it rendered, reloaded and refused
    #[arg(long, conflicts_with = "watch")]
    status: bool,
    #[command(flatten)]
    at: At,
}

/// What `pidone drain` takes.
#[derive(clap::Args)]
pub struct DrainArgs {
    /// The service that is about to stop
    #[arg(value_name = "SERVICE")]
    service: String,
    #[command(flatten)]
    at: At,
}

/// Where the agent is asked.
#[derive(clap::Args)]
pub struct At {
    /// The agent's socket; default: PIDONE_AGENT_SOCKET, or /run/pidone-agent/agent.sock
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

/// `pidone members`.
///
/// # Errors
/// The agent cannot be asked.
pub fn run(args: &Args) -> Result<Answer, Trouble> {
    if args.status {
        show(&counters::page(&args.at, args.json)?)?;
        return Ok(Answer::Yes);
    }
    let (mut listed, mut version) = listed(&args.at, None)?;
    loop {
        if let Some(members) = &listed {
            if args.json && args.watch {
                let text = serde_json::to_string(&json!({ "members": members }));
                show(&format!("{}\n", text.unwrap_or_default()))?;
            } else if args.json {
                let text = serde_json::to_string_pretty(&json!({ "members": members }));
                show(&format!("{}\n", text.unwrap_or_default()))?;
            } else {
                show(&table(members))?;
            }
        }
        if !args.watch {
            return Ok(Answer::Yes);
        }
        (listed, version) = self::listed(&args.at, Some(version))?;
    }
}

/// `pidone drain SERVICE`.
///
/// # Errors
/// The agent cannot be asked, or refuses.
pub fn drain(args: &DrainArgs) -> Result<Answer, Trouble> {
    let service = args.service.clone();
    ask(&args.at, &Request::Drain { service })?;
    Ok(Answer::Yes)
}

/// `serf members [-format=json]`, for scripts made for Serf; `args` are those behind `members`.
///
/// # Errors
/// The agent cannot be asked, or that is no flag of Serf.
pub fn serf(args: &[String]) -> Result<Answer, Trouble> {
    let mut is_json = false;
    for arg in args {
        match arg.trim_start_matches('-') {
            "format=json" => is_json = true,
            "format=text" | "detailed" => {}
            other if other.starts_with("rpc-addr=") => {}
            _ => {
                let error = Diagnostic::error(format!("`serf members` has no `{arg}` here"));
                let hint = "serf members [-format=json]; `pidone members` tells more";
                return Err(Trouble::Usage(Box::new(error.hint(hint))));
            }
        }
    }
    let members = members(&At { socket: None })?;
    show(&if is_json {
        serf_json(&members)
    } else {
        serf_text(&members)
    })?;
    Ok(Answer::Yes)
}

/// Asks the agent.
///
/// # Errors
/// It cannot be asked, or refuses.
pub fn ask(at: &At, request: &Request) -> Result<Reply, Trouble> {
    let given = || std::env::var_os("PIDONE_AGENT_SOCKET").map(PathBuf::from);
    let path = at.socket.clone().or_else(given);
    let path = path.unwrap_or_else(|| SOCKET.into());
    let reply = ask_agent(&path, request).map_err(|error| {
        let cause = match error.kind() {
            ErrorKind::NotFound => "there is no such socket".to_owned(),
            ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
            _other => error.to_string(),
        };
        let fault = format!("cannot reach the agent at {}: {cause}", path.display());
        let hint = "does `pidone agent` run here? --socket names a socket elsewhere";
        Trouble::Usage(Box::new(Diagnostic::error(fault).hint(hint)))
    })?;
    match reply {
        Reply::Error { message } => Err(Trouble::Usage(Box::new(Diagnostic::error(message)))),
        other => Ok(other),
    }
}

fn members(at: &At) -> Result<Vec<WireMember>, Trouble> {
    Ok(listed(at, None)?.0.unwrap_or_default())
}

/// The list and its version; none if it is still the one of `since`.
fn listed(at: &At, since: Option<u64>) -> Result<(Option<Vec<WireMember>>, u64), Trouble> {
    match ask(at, &Request::Members { since })? {
        Reply::Members { members, version } => Ok((Some(members), version)),
        Reply::Ok => Ok((None, since.unwrap_or(0))),
        Reply::Status { .. } | Reply::Data { .. } | Reply::Error { .. } => {
            let error = Diagnostic::error("the agent answered something else");
            Err(Trouble::Usage(Box::new(error)))
        }
    }
}

fn table(members: &[WireMember]) -> String {
    let head = ["MEMBER", "STATUS", "ADDRESS", "SERVICES", "TAGS"].map(str::to_owned);
    let rows = members.iter().map(|member| {
        let services = member.services.iter();
        let services = services.map(|one| format!("{} {}", one.name, one.state));
        let tags = member
            .tags
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        [
            member.name.clone(),
            member.status.clone(),
            member.ip.clone(),
            services.collect::<Vec<_>>().join(", "),
            printable(&tags.collect::<Vec<_>>().join(" ")),
        ]
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let here = members
        .iter()
        .filter(|member| member.status == "alive")
        .count();
    let gone = members.len() - here;
    let _ = writeln!(
        text,
        "\n{} members: {here} alive, {gone} not",
        members.len()
    );
    text
}

fn serf_json(members: &[WireMember]) -> String {
    let one = |member: &WireMember| {
        json!({
            "name": member.name,
            "addr": format!("{}:{}", bracketed(&member.ip), member.port),
            "port": member.port,
            "tags": member.tags,
            "status": member.status,
            "protocol": { "max": 5, "min": 2, "version": 5 },
        })
    };
    let members: Vec<_> = members.iter().map(one).collect();
    let text = serde_json::to_string_pretty(&json!({ "members": members }));
    format!("{}\n", text.unwrap_or_default())
}

fn serf_text(members: &[WireMember]) -> String {
    let width = |of: fn(&WireMember) -> usize| members.iter().map(of).max().unwrap_or(0) + 2;
    let name = width(|member| member.name.len());
    let address = width(|member| bracketed(&member.ip).len() + 5);
    let mut text = String::new();
    for member in members {
        let at = format!("{}:{}", bracketed(&member.ip), member.port);
        let tags = member
            .tags
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let tags = printable(&tags.collect::<Vec<_>>().join(","));
        let status = &member.status;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:name$}{at:address$}{status:9}{tags}", member.name);
    }
    text
}

fn bracketed(ip: &str) -> String {
    if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::wire::WireService;

    fn sample() -> Vec<WireMember> {
        let member = |name: &str, status: &str, state: &str| WireMember {
            name: name.into(),
            ip: "10.0.0.7".into(),
            port: 7946,
            status: status.into(),
            services: vec![WireService {
                name: "webapp".into(),
                port: 3000,
                state: state.into(),
            }],
            tags: [("role".to_owned(), "backend".to_owned())].into(),
            source: "gossip".into(),
        };
        vec![
            member("s1", "alive", "ready"),
            member("s10", "failed", "unready"),
        ]
    }

    #[test]
    fn a_table_reads_as_the_others_do() {
        assert_eq!(
            table(&sample()),
            "MEMBER  STATUS  ADDRESS   SERVICES        TAGS\n\
             s1      alive   10.0.0.7  webapp ready    role=backend\n\
             s10     failed  10.0.0.7  webapp unready  role=backend\n\n\
             2 members: 1 alive, 1 not\n"
        );
    }

    #[test]
    fn scripts_made_for_serf_read_what_serf_writes() {
        assert_eq!(
            serf_text(&sample()),
            "s1   10.0.0.7:7946  alive    role=backend\n\
             s10  10.0.0.7:7946  failed   role=backend\n"
        );
        let text = serf_json(&sample());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["members"][0],
            json!({
                "name": "s1", "addr": "10.0.0.7:7946", "port": 7946,
                "tags": { "role": "backend" }, "status": "alive",
                "protocol": { "max": 5, "min": 2, "version": 5 },
            })
        );
    }
}
