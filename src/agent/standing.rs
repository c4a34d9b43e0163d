//! How the agent is, in words: for `pidone status`, for events and for the log.

use crate::agent::bulletin::Standing;
use crate::agent::publish::status::Status;
use crate::agent::serve::Agent;
use crate::members::member::Member;
use crate::members::roster::{Change, Event};
use crate::values::stamp::{rfc3339, time};

/// `member-update s1: web draining`
pub(super) fn line(event: &Event) -> String {
    let (word, name) = (event.change.word(), &event.member.name);
    match event.change {
        Change::Join | Change::Update if !event.member.services.is_empty() => {
            let services = event.member.services.iter();
            let services = services.map(|one| format!("{} {}", one.name, one.readiness));
            let services: Vec<String> = services.collect();
            format!("{word} {name}: {}", services.join(", "))
        }
        Change::Join | Change::Update | Change::Leave | Change::Failed | Change::Reap => {
            format!("{word} {name}")
        }
    }
}

/// `5 members, 3 ready`
fn count<'a>(members: impl Iterator<Item = &'a Member>) -> String {
    let (mut here, mut ready) = (0, 0);
    for member in members.filter(|member| member.status.is_here()) {
        here += 1;
        // One that announces nothing has nothing that could be ready.
        ready += u32::from(!member.services.is_empty() && member.is_ready());
    }
    let plural = if here == 1 { "" } else { "s" };
    format!("{here} member{plural}, {ready} ready")
}

/// `haproxy.cfg: 12 renders, the last 06:01:12, 2 reloads, 31 API calls, 1 rejected`
fn counters(status: &Status) -> String {
    let name = file_name(status);
    let last = status.rendered_at.map(rfc3339);
    let last = last.map_or(String::new(), |at| format!(", the last {}", time(&at)));
    format!(
        "{name}: {} renders{last}, {} reloads, {} API calls, {} rejected",
        status.renders, status.reloads, status.api_calls, status.rejected
    )
}

fn file_name(status: &Status) -> String {
    let name = status.to.file_name().unwrap_or(status.to.as_os_str());
    name.to_string_lossy().into_owned()
}

/// `haproxy.cfg is not in effect: …`, its first line.
fn fault(status: &Status) -> Option<String> {
    let why = status.why.as_deref()?;
    let first = why.lines().next().unwrap_or_default();
    Some(format!("{} is not in effect: {first}", file_name(status)))
}

impl Agent {
    /// How it is. What is wrong comes first, for a line has an end.
    pub(super) fn standing(&self) -> Standing {
        let mut parts = Vec::new();
        let refused = self.refused.as_ref();
        parts.extend(refused.map(|why| format!("the configuration is refused: {why}")));
        parts.extend(self.publisher.status().filter_map(fault));
        parts.extend(self.silent.values().cloned());
        match self.roster.held() {
            0 => {}
            held => parts.push(format!("{held} kept only by min-members")),
        }
        parts.push(count(self.roster.members()));
        let note = parts.join("; ");
        parts.extend(self.publisher.status().map(counters));
        Standing {
            note,
            status: parts.join("; "),
        }
    }
}
