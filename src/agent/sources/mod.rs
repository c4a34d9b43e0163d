//! Who else tells of members: a Serf agent, the DNS, files, the configuration. Each source is a
//! task that sends whole answers, and says why it has none; what was true last stays true then.

pub mod msgpack;

pub mod serf;

pub mod rpc;

pub mod message;

pub mod dns;

pub mod nodes;

pub mod file;

pub mod listed;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::agent::config::Config;
use crate::members::member::{Announced, Member, Origin, Readiness, Status};
use crate::members::words::{ServiceName, Tags};
use crate::os::files;

/// The largest file with a key, bytes.
const KEY_BYTES_MAX: u64 = 4096;

/// What a source has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Which source.
    pub origin: Origin,
    /// Everybody that it knows; or why it cannot tell.
    pub answer: Result<Vec<Member>, String>,
}

/// The tasks of every source that this configuration names, but gossip. They end when they are
/// dropped. `own` are the services that this node announces, for sources that carry them.
///
/// # Errors
/// A key that cannot be read.
pub fn start(
    config: &Config,
    own: &watch::Receiver<Option<Vec<Announced>>>,
    reports: &mpsc::Sender<Report>,
) -> Result<JoinSet<()>, String> {
    let mut tasks = JoinSet::new();
    let places = &config.places;
    for origin in &config.sources {
        let reports = reports.clone();
        match origin {
            Origin::Gossip => {}
            Origin::Serf => {
                let settings = serf::Settings {
                    rpc: places.serf,
                    auth: places.serf_auth.as_deref().map(key).transpose()?,
                };
                tasks.spawn(serf::follow(settings, own.clone(), reports));
            }
            Origin::Dns => {
                tasks.spawn(dns::follow(places.dns.clone(), reports));
            }
            Origin::File => {
                let settings = places.file.clone();
                tasks.spawn(async move {
                    if let Some(settings) = settings {
                        file::follow(settings, reports).await;
                    }
                });
            }
            Origin::Static => {
                let report = listed::report(&places.listed);
                tasks.spawn(async move {
                    // Nobody listens any more: then there is nobody to tell.
                    let _ = reports.send(report).await;
                });
            }
        }
    }
    Ok(tasks)
}

/// The key in a file of one line.
fn key(path: &Path) -> Result<String, String> {
    let fault = |why: String| format!("cannot read {}: {why}", path.display());
    let bytes = files::bounded(path, KEY_BYTES_MAX).map_err(fault)?;
    let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8".to_owned()))?;
    Ok(text.trim().to_owned())
}

/// What a service is called that a source knows only the port of.
const SERVICE: &str = "service";

/// Gives such services the name that the configuration has for them.
pub(crate) fn name_services(members: &mut [Member], name: &ServiceName) {
    let services = members.iter_mut().flat_map(|member| &mut member.services);
    for service in services.filter(|service| service.name.as_str() == SERVICE) {
        service.name.clone_from(name);
    }
}

/// A member of a source that knows a name and an address, and nothing else: it is ready by being
/// there. A port that is known is that of the one service that it offers.
pub(crate) fn simple(origin: Origin, name: &str, at: SocketAddr) -> Result<Member, String> {
    let service = SERVICE.parse().map(|name| Announced {
        name,
        port: at.port(),
        readiness: Readiness::Ready,
    });
    Ok(Member {
        name: name.parse()?,
        address: at.ip(),
        port: 0,
        tags: Tags::default(),
        services: service.into_iter().filter(|one| one.port > 0).collect(),
        status: Status::Alive,
        incarnation: 0,
        origin,
    })
}

/// One member a name: of two that say they are the same, the first one is.
pub(crate) fn unique(members: Vec<Member>) -> Vec<Member> {
    let mut by_name = BTreeMap::new();
    for member in members {
        by_name.entry(member.name.clone()).or_insert(member);
    }
    by_name.into_values().collect()
}
