//! What other supervisors and Compose call our fields.

/// Their word in small letters, ours.
const OTHERS: &[(&str, &str)] = &[
    ("cmd", "command"),
    ("cron", "schedule"),
    ("depends-on", "needs"),
    ("depends_on", "needs"),
    ("entrypoint", "command"),
    ("env_file", "env-file"),
    ("environment", "env"),
    ("environmentfile", "env-file"),
    ("exec-start", "command"),
    ("healthcheck", "health"),
    ("kill-signal", "stop.signal"),
    ("logs", "log"),
    ("oncalendar", "schedule"),
    ("oom_score_adj", "oom-score-adj"),
    ("oomscoreadjust", "oom-score-adj"),
    ("partof", "restart.with"),
    ("passenvironment", "env-pass"),
    ("priority", "nice"),
    ("randomizeddelaysec", "spread"),
    ("requires", "needs"),
    ("prestop", "stop.before"),
    ("start", "command"),
    ("stop-signal", "stop.signal"),
    ("stop-timeout", "stop.timeout"),
    ("timeout", "stop.timeout"),
    ("tz", "timezone"),
    ("ulimits", "limits"),
    ("wants", "after"),
    ("working-directory", "workdir"),
    ("working_dir", "workdir"),
];

/// The field that somebody means who writes `name` here, by what others call it.
pub fn translated(section: &str, name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let found = OTHERS.iter().find(|(other, _)| *other == name);
    found.filter(|_| section.is_empty()).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::fields::{SERVICE, find};

    #[test]
    fn every_translation_leads_to_a_field() {
        for (_, ours) in OTHERS {
            let (section, name) = ours.split_once('.').unwrap_or(("", ours));
            assert!(find(SERVICE, section, name).is_some(), "{ours}");
        }
    }
}
