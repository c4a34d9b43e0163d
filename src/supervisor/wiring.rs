//! How a service's descriptors are connected: to its pipes, its logger, or the container's own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::control::grant::Grant;
use crate::control::server::Server;
use crate::logs::router::Router;
use crate::machine::slot::Ix;
use crate::os::reason::reason;
use crate::service::definition::{Format, Output, Service, StopBy};
use crate::supervisor::Supervisor;
use crate::supervisor::launch::{Launcher, Streams};

impl Supervisor {
    /// How a service's descriptors are to be connected.
    pub(super) fn wiring(&self, ix: Ix) -> Wiring {
        let service = self.fleet.slot(ix).map(|slot| &*slot.service);
        let logger = service
            .and_then(Service::logger)
            .and_then(|name| self.find(name.as_str()));
        Wiring {
            ix,
            logger,
            format: self.format_of(ix),
            keeps_stdin: self.cmd.is_none_or(|cmd| cmd == ix),
        }
    }

    /// The descriptor by which a service may ask us, made anew for each process.
    pub(super) fn control_of(&mut self, service: &Service) -> Result<Option<OwnedFd>, String> {
        if service.control.is_empty() {
            return Ok(None);
        }
        let server = self.server.get_or_insert_with(Server::without_socket);
        let grant = Grant {
            service: service.name.clone(),
            permits: service.control.clone(),
        };
        let made = server.admit(grant);
        made.map(Some)
            .map_err(|error| format!("cannot make its control descriptor: {}", reason(&error)))
    }

    /// The process is gone, and with it what it was handed.
    pub(super) fn revoke(&mut self, ix: Ix) {
        let service = self.fleet.slot(ix).map(|slot| &slot.service);
        if let Some(service) = service.filter(|service| !service.control.is_empty())
            && let Some(server) = &mut self.server
        {
            server.revoke(&service.name);
        }
    }

    fn format_of(&self, ix: Ix) -> Format {
        match self.fleet.slot(ix).map(|slot| &slot.service.output) {
            Some(Output::Container(Some(format))) => *format,
            Some(Output::Container(None) | Output::Logger(_) | Output::Both(_)) | None => {
                self.format
            }
        }
    }

    /// Whether a service whose logger this is has a process.
    pub(super) fn is_written_to(&self, ix: Ix) -> bool {
        let Some(logger) = self.fleet.slot(ix).map(|slot| &slot.service.name) else {
            return false;
        };
        self.fleet
            .slots()
            .iter()
            .any(|slot| slot.service.logger() == Some(logger) && slot.unit.state.pid().is_some())
    }
}

/// How a service's descriptors are to be connected.
#[derive(Clone, Copy)]
pub(super) struct Wiring {
    ix: Ix,
    /// The logger that its stdout goes to.
    logger: Option<Ix>,
    format: Format,
    /// CMD's input is the container's own; where there is no CMD, that is `/dev/null`.
    keeps_stdin: bool,
}

/// What is read from a pipe to a logger, and what is written to one: the middle of a pipeline has
/// both.
pub(super) type Hold = [Option<OwnedFd>; 2];

/// Connects them. The pipes are made at the first start and are the same ever after, so that a
/// restart makes no new ones and loses nothing. `hold` keeps what the router cannot lend twice.
pub(super) fn wire<'fd>(
    router: &'fd mut Router,
    launcher: &'fd Launcher,
    service: &Service,
    wiring: Wiring,
    owner: Option<(u32, u32)>,
    hold: &'fd mut Hold,
) -> Result<Streams<'fd>, String> {
    connect(router, launcher, service, wiring, owner, hold)
        .map_err(|error| format!("cannot make its pipes: {}", reason(&error)))
}

fn connect<'fd>(
    router: &'fd mut Router,
    launcher: &'fd Launcher,
    service: &Service,
    wiring: Wiring,
    owner: Option<(u32, u32)>,
    hold: &'fd mut Hold,
) -> io::Result<Streams<'fd>> {
    let Wiring {
        ix,
        logger,
        format,
        keeps_stdin,
    } = wiring;
    let stdin = (!keeps_stdin).then(|| launcher.null.as_fd());
    let mut streams = Streams {
        stdin,
        ..Streams::default()
    };
    let [held_input, held_output] = hold;
    if service.stop.by == StopBy::EndOfInput {
        let input = router.logger_pipe(ix, None)?.0.try_clone_to_owned()?;
        let input: &'fd OwnedFd = held_input.insert(input);
        streams.stdin = Some(input.as_fd());
    }
    if let Some(to) = logger {
        let output = router.logger_pipe(to, owner)?.1.try_clone_to_owned()?;
        let output: &'fd OwnedFd = held_output.insert(output);
        streams.stdout = Some(output.as_fd());
        if let Output::Both(_) = service.output {
            streams.stderr = streams.stdout;
            return Ok(streams);
        }
        streams.stderr = Some(router.stderr_pipe(ix, &service.name, format, owner)?);
        return Ok(streams);
    }
    if format != Format::Inherit {
        let (stdout, stderr) = router.pipes(ix, &service.name, format, owner)?;
        (streams.stdout, streams.stderr) = (Some(stdout), Some(stderr));
    }
    Ok(streams)
}
