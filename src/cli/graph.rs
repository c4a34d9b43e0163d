//! `pidone graph`: who needs whom, as text that Graphviz or Mermaid draws.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::print::show;
use crate::cli::{Answer, Trouble, check, exit_code};
use crate::control::client::{Client, places};
use crate::control::protocol::{ServiceStatus, State};
use crate::diag::printable;
use crate::service::definition::{Kind, Service};

/// What `pidone graph` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Who draws it
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// Directories of services, read in place of asking the pidone that runs here
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,
}

/// The language of the drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// Mermaid, as GitHub and GitLab draw it in a page
    Mermaid,
    /// Graphviz: `pidone graph --format dot | dot -Tsvg`
    Dot,
}

/// A service as it is drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// It runs once.
    pub oneshot: bool,
    /// The container ends with it.
    pub main: bool,
    /// The boot does not start it.
    pub disabled: bool,
    /// How it is; `None` where nothing runs.
    pub state: Option<State>,
    /// What it needs.
    pub needs: Vec<String>,
    /// What it is started after.
    pub after: Vec<String>,
}

impl From<&Service> for Node {
    fn from(service: &Service) -> Self {
        let names = |names: &[crate::values::Name]| names.iter().map(ToString::to_string).collect();
        Self {
            name: service.name.to_string(),
            oneshot: service.kind == Kind::Oneshot,
            main: service.main,
            disabled: !service.enabled,
            state: None,
            needs: names(&service.needs),
            after: names(&service.after),
        }
    }
}

impl From<ServiceStatus> for Node {
    fn from(service: ServiceStatus) -> Self {
        let detail = service.detail.unwrap_or_default();
        Self {
            name: service.name,
            oneshot: detail.oneshot,
            main: detail.main,
            disabled: !service.enabled,
            state: Some(service.state),
            needs: detail.needs.into_iter().map(|need| need.name).collect(),
            after: detail.after,
        }
    }
}

/// Reads the directories, or asks PID 1, and prints the drawing.
pub fn run(args: &Args) -> ExitCode {
    if args.dirs.is_empty() {
        return exit_code(running().and_then(|nodes| {
            show(&draw(args.format, &nodes))?;
            Ok(Answer::Yes)
        }));
    }
    match check::read(&args.dirs) {
        Ok(services) => {
            let nodes: Vec<Node> = services.iter().map(Node::from).collect();
            exit_code(show(&draw(args.format, &nodes)).map(|()| Answer::Yes))
        }
        Err(screen) => {
            // The faults are not the data here.
            let _ = std::io::stderr().write_all(screen.text.as_bytes());
            ExitCode::from(screen.code)
        }
    }
}

fn running() -> Result<Vec<Node>, Trouble> {
    let status = Client::connect(&places())?.status(vec![], true)?;
    Ok(status.services.into_iter().map(Node::from).collect())
}

/// The drawing of these services. An arrow goes from a service to what is started before it.
pub fn draw(format: Format, nodes: &[Node]) -> String {
    match format {
        Format::Mermaid => mermaid(nodes),
        Format::Dot => dot(nodes),
    }
}

/// From which node to which, by their numbers; whether it is a need. Who needs a service is after
/// it too, and one arrow says so.
fn edges(nodes: &[Node]) -> Vec<(usize, usize, bool)> {
    let find = |name: &String| nodes.iter().position(|node| node.name == *name);
    let mut edges = Vec::new();
    for (from, node) in nodes.iter().enumerate() {
        let needs = node
            .needs
            .iter()
            .filter_map(find)
            .map(|to| (from, to, true));
        edges.extend(needs);
        let only = node.after.iter().filter(|name| !node.needs.contains(name));
        edges.extend(only.filter_map(find).map(|to| (from, to, false)));
    }
    edges
}

/// The colour of a state, by the name that it has in both languages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    Up,
    Moving,
    Down,
    Failed,
}

impl Class {
    const ALL: [Self; 4] = [Self::Up, Self::Moving, Self::Down, Self::Failed];

    fn of(state: State) -> Self {
        match state {
            State::Ready | State::Scheduled | State::Finished => Self::Up,
            State::Waiting
            | State::Starting
            | State::Stopping
            | State::Finishing
            | State::WaitingToRestart => Self::Moving,
            State::Down => Self::Down,
            State::Unready | State::Failed => Self::Failed,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Moving => "moving",
            Self::Down => "down",
            Self::Failed => "failed",
        }
    }

    /// Pale, so that black text is read on it.
    fn colour(self) -> &'static str {
        match self {
            Self::Up => "#c8e6c9",
            Self::Moving => "#fff3c4",
            Self::Down => "#e0e0e0",
            Self::Failed => "#ffcdd2",
        }
    }
}

/// The lines of a node's label.
fn label(node: &Node) -> [Option<String>; 2] {
    let state = node.state.map(|state| state.to_string());
    let disabled = node.disabled.then(|| "not enabled".to_owned());
    [Some(printable(&node.name)), state.or(disabled)]
}

fn mermaid(nodes: &[Node]) -> String {
    let mut text = String::from("flowchart LR\n");
    for (at, node) in nodes.iter().enumerate() {
        // What Mermaid would take for markup, as its own entities.
        let safe = |line: &String| {
            line.replace('#', "#35;")
                .replace('&', "#amp;")
                .replace('"', "#quot;")
                .replace('<', "#lt;")
        };
        let label: Vec<String> = label(node).iter().flatten().map(safe).collect();
        let label = label.join("<br>");
        let (open, close) = match (node.main, node.oneshot) {
            (true, _) => ("[[", "]]"),
            (false, true) => ("([", "])"),
            (false, false) => ("[", "]"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  s{at}{open}\"{label}\"{close}");
    }
    for (from, to, is_need) in edges(nodes) {
        let arrow = if is_need { "-->" } else { "-.->" };
        let _ = writeln!(text, "  s{from} {arrow} s{to}");
    }
    for class in Class::ALL {
        let of_class = |node: &Node| node.state.map(Class::of) == Some(class);
        let members = nodes.iter().enumerate().filter(|(_, node)| of_class(node));
        let members: Vec<String> = members.map(|(at, _)| format!("s{at}")).collect();
        if !members.is_empty() {
            let (name, colour) = (class.name(), class.colour());
            let _ = writeln!(
                text,
                "  classDef {name} fill:{colour},stroke:#555,color:#000"
            );
            let _ = writeln!(text, "  class {} {name}", members.join(","));
        }
    }
    text
}

fn dot(nodes: &[Node]) -> String {
    let mut text = String::from(
        "digraph services {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n",
    );
    for (at, node) in nodes.iter().enumerate() {
        let safe = |line: &String| {
            line.replace('&', "&amp;")
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
        };
        let label: Vec<String> = label(node).iter().flatten().map(safe).collect();
        let mut styles = Vec::new();
        let mut more = String::new();
        if node.oneshot {
            styles.push("rounded");
        }
        if node.main {
            more.push_str(", peripheries=2");
        }
        if let Some(state) = node.state {
            styles.push("filled");
            let _ = write!(more, ", fillcolor=\"{}\"", Class::of(state).colour());
        } else if node.disabled {
            styles.push("dashed");
        }
        if !styles.is_empty() {
            let _ = write!(more, ", style=\"{}\"", styles.join(","));
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  s{at} [label=\"{}\"{more}];", label.join("\\n"));
    }
    for (from, to, is_need) in edges(nodes) {
        let style = if is_need { "" } else { " [style=dashed]" };
        let _ = writeln!(text, "  s{from} -> s{to}{style};");
    }
    text.push_str("}\n");
    text
}
