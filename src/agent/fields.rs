//! The fields of `agent.toml`: one table, from which the parser knows what there is and what to
//! suggest, and help and documentation what to say.

use crate::service::fields::{
    BOOL, COMMAND, Field, SPAN, Shape, TABLE, TEXT, Takes, VARIABLES, table,
};

const PATH: Takes = Takes("a path", Shape::Text);
const ADDRESS: Takes = Takes("a string like \"0.0.0.0:7946\"", Shape::Text);
const ANNOUNCE: Takes = Takes(
    "an array of tables like { service = \"web\", port = 3000 }",
    Shape::Table,
);
const PORT: Takes = Takes("a whole number", Shape::Whole(1, 65_535));
const SEEDS: Takes = Takes("an array of names and addresses", Shape::Texts);
const PROFILE: Takes = Takes(
    "\"default\" or \"fast\"",
    Shape::Words(&["default", "fast"]),
);
const SOURCES: Takes = Takes(
    "an array of \"gossip\", \"serf\", \"dns\", \"file\", \"static\"",
    Shape::Texts,
);
const COUNT: Takes = Takes("a whole number", Shape::Whole(0, 10_000));
const TABLES: Takes = Takes("an array of tables", Shape::Table);
const RPC: Takes = Takes("a string like \"127.0.0.1:7373\"", Shape::Text);
const NAMES: Takes = Takes("an array of names", Shape::Texts);
const MEMBERS: Takes = Takes("an array of strings like \"s1 10.0.0.1:80\"", Shape::Texts);
const EVENTS: Takes = Takes(
    "an array of events like \"member-join\", several in one string separated by commas",
    Shape::Texts,
);

/// Every field of `agent.toml`, in the order in which people should read them.
pub const AGENT: &[Field] = table! {
    "" "name": TEXT, "the host's name", "what the member is called; unique in the cluster";
    "" "tags": VARIABLES, "none", "what others are told of it";
    "" "announce": ANNOUNCE, "none", "services of pidone that others may use while they are ready";
    "" "seeds": SEEDS, "none",
        "members to ask first, for ever: NAME, NAME:PORT, ADDRESS, dns:NAME";
    "" "bind": ADDRESS, "127.0.0.1:7946", "where the agent listens, UDP and TCP";
    "" "advertise": ADDRESS, "found out", "the address by which others reach it";
    "" "key-file": PATH, "none", "the cluster's key: 32 bytes, or 64 hexadecimal digits";
    "" "insecure": BOOL, "false", "without a key, listen on more than loopback all the same";
    "" "profile": PROFILE, "default",
        "how soon silence is a failure: 1.2s, or 0.5s";
    "" "sources": SOURCES, "gossip", "who tells of members, the most trusted first";
    "" "min-members": COUNT, "0", "never believe silence below so many members";
    "" "first-sync": SPAN, "2s", "wait so long for a first answer before the first render";
    "" "watch": BOOL, "with a template or handler", "hold a session to each member";
    "" "state-dir": PATH, "none", "where known members are kept for the next start";
    "" "socket": PATH, "/run/pidone-agent/agent.sock", "where `pidone members` asks";
    "" "serf": TABLE, "127.0.0.1:7373", "the Serf agent of the source `serf`";
    "" "dns": TABLE, "none", "the names of the source `dns`";
    "" "file": TABLE, "none", "the directory or file of the source `file`";
    "" "static": TABLE, "none", "the members of the source `static`";
    "" "template": TABLES, "none", "files made from the list of members";
    "" "handler": TABLES, "none", "commands run when members come and go, as Serf runs them";
    "announce" "service": TEXT, "", "the service";
    "announce" "port": PORT, "", "where it listens";
    "serf" "rpc": RPC, "127.0.0.1:7373", "where its RPC listens";
    "serf" "auth-file": PATH, "none", "the file with its `rpc_auth`";
    "dns" "names": NAMES, "", "NAME:PORT for all addresses, or a service like _http._tcp.NAME";
    "dns" "service": TEXT, "service", "what the service at that port is called";
    "file" "path": PATH, "",
        "a directory of files with lines `HOST IP`, or one such file, or a .json";
    "file" "port": PORT, "none", "the port of an address without one";
    "file" "service": TEXT, "service", "what the service at that port is called";
    "static" "members": MEMBERS, "", "lines `HOST IP:PORT`";
    "static" "service": TEXT, "service", "what the service at that port is called";
    "template" "from": PATH, "", "the template, Handlebars";
    "template" "to": PATH, "", "the file made from it";
    "template" "check": COMMAND, "none", "what approves of it first; {{file}} is its path";
    "template" "settle": SPAN, "20ms", "wait so long for more changes";
    "template" "apply": TABLE, "none", "how it takes effect";
    "template.apply" "haproxy": PATH, "none", "haproxy's admin socket, for changes of servers only";
    "template.apply" "backend": TEXT, "none", "the backend whose servers these are";
    "template.apply" "reload": TEXT, "none", "the service of pidone to reload";
    "template.apply" "command": COMMAND, "none", "a command to run";
    "handler" "on": EVENTS, "every event", "after which events";
    "handler" "command": COMMAND, "", "what is run";
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::fields::find;

    #[test]
    fn every_section_is_a_field_and_no_field_is_there_twice() {
        for (at, field) in AGENT.iter().enumerate() {
            let (above, name) = field
                .section
                .rsplit_once('.')
                .unwrap_or(("", field.section));
            assert!(name.is_empty() || find(AGENT, above, name).is_some());
            let first = AGENT
                .iter()
                .position(|f| (f.section, f.name) == (field.section, field.name));
            assert_eq!(first, Some(at));
        }
    }
}
