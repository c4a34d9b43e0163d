//! A service as it stands in its file, with the places of what concerns other services.

use std::ops::Range;
use std::path::PathBuf;

use crate::diag::{Place, Spot};
use crate::service::definition::Service;
use crate::values::Name;

/// Where a definition says what concerns other services, for faults that only the set shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Places {
    /// The file and its text; both empty if nothing points into them.
    pub(super) path: PathBuf,
    pub(super) source: String,
    /// Each name in `needs`, with its bytes in the text.
    pub(super) needs: Vec<(Name, Range<usize>)>,
    /// Each name in `after`.
    pub(super) after: Vec<(Name, Range<usize>)>,
    /// Each name in `restart.with`.
    pub(super) with: Vec<(Name, Range<usize>)>,
    /// Each name in `control`.
    pub(super) control: Vec<(Name, Range<usize>)>,
    /// `main`.
    pub(super) main: Option<Place>,
    /// `log.format`.
    pub(super) format: Option<Place>,
    /// `stop.timeout`, if the file sets it.
    pub(super) stop_timeout: Option<Place>,
}

impl Places {
    /// These bytes of the file as a place. It is made only for a fault, because it carries its
    /// line, and a line may hold thousands of names.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        Place {
            path: self.path.clone(),
            spot: Some(Spot::of(&self.source, span.clone())),
        }
    }
}

/// What a directory defines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Draft {
    pub(super) service: Service,
    pub(super) places: Places,
}

impl Draft {
    /// A service that says nothing about others.
    pub(super) fn plain(service: Service) -> Self {
        Self {
            service,
            places: Places::default(),
        }
    }
}
