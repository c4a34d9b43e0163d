//! `S6_LOGGING`: everybody's output goes to one logger, and no more to the container's.

use std::path::PathBuf;
use std::time::Duration;

use crate::service::definition::{Format, Output, Probe, Ready, Service, Stop, StopBy};
use crate::service::environment::Environment;
use crate::service::overlay::{INIT, Image, variable};
use crate::values::Name;

/// The catch-all logger, by the name that it has in s6-overlay.
const LOGGER: &str = "s6-svscan-log";
/// Where it writes.
pub const LOG_DIR: &str = "/run/uncaught-logs";
/// What it does with a line, unless `S6_LOGGING_SCRIPT` says otherwise.
const SCRIPT: &str = "n20 s1000000 T";
/// It tells by this descriptor that it has its directory.
const TELLS: i32 = 3;
/// Those who start after it need not wait longer for it.
const READY: Duration = Duration::from_secs(10);
/// What it has read it writes; whoever still writes by then is somebody's stray.
const STOP: Duration = Duration::from_secs(1);

/// Whose output is caught.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Caught {
    /// Nobody's.
    None,
    /// Everybody's but CMD's.
    Services,
    /// CMD's, too.
    All,
}

/// What `S6_LOGGING` says.
pub fn caught(environment: &Environment) -> Caught {
    let said = variable(environment, "S6_LOGGING");
    match said.and_then(|value| value.trim().parse::<i64>().ok()) {
        None | Some(..=0) => Caught::None,
        Some(1) => Caught::Services,
        Some(2..) => Caught::All,
    }
}

/// Who the logger runs as.
pub fn catcher(environment: &Environment) -> &str {
    variable(environment, "S6_CATCHALL_USER").unwrap_or("root")
}

impl Image<'_> {
    /// Sends the output of all of them to the logger, and adds it. What has a logger of its own
    /// keeps that; the first stage, which makes the logger's directory, keeps the container's.
    pub(super) fn log_all(&self, services: &mut Vec<Service>) -> Result<(), String> {
        if caught(self.environment) == Caught::None {
            return Ok(());
        }
        let logger = self.logger()?;
        for service in services.iter_mut() {
            if let (Output::Container(_), true) = (&service.output, service.name.as_str() != INIT) {
                to(&logger.name, service);
            }
        }
        services.push(logger);
        Ok(())
    }

    /// CMD keeps the container's output, unless that is to be caught, too; and even then with
    /// `S6_CMD_USE_TERMINAL`.
    pub(super) fn log_cmd(&self, cmd: &mut Service) {
        let keeps = super::is_on(self.environment, "S6_CMD_USE_TERMINAL");
        if caught(self.environment) == Caught::All
            && !keeps
            && let Ok(logger) = LOGGER.parse()
        {
            to(&logger, cmd);
        }
    }

    fn logger(&self) -> Result<Service, String> {
        let script = variable(self.environment, "S6_LOGGING_SCRIPT").unwrap_or(SCRIPT);
        let tells = format!("-bd{TELLS}");
        let own = [self.program, "s6", "s6-log", &tells, "--"];
        let words = own.into_iter().chain(script.split_whitespace());
        let words = words.chain([LOG_DIR]).map(str::to_owned);
        let mut logger = Service::new(LOGGER.parse()?, words.collect());
        logger.dir = PathBuf::from(LOG_DIR);
        logger.file_name = LOGGER;
        logger.needs.push(INIT.parse()?);
        self.set_environment(&mut logger);
        let user = catcher(self.environment);
        logger.context.user = (user != "root").then(|| user.replace('$', "$$"));
        logger.ready = Some(Box::new(Ready {
            probe: Probe::Fd(TELLS),
            interval: Duration::from_millis(100),
            within: Some(READY),
        }));
        logger.stop = Stop {
            by: StopBy::EndOfInput,
            timeout: Some(STOP),
            ..Stop::default()
        };
        // What is wrong with it must be seen by somebody.
        logger.output = Output::Container(Some(Format::Raw));
        Ok(logger)
    }
}

/// It starts after the logger, but not only if there is one: a container that cannot log still
/// does its work.
fn to(logger: &Name, service: &mut Service) {
    service.output = Output::Both(logger.clone());
    service.after.push(logger.clone());
}
