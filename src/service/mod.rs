//! What a service is: its definition, and how it is read from a directory. Pure: values to values.

pub mod definition;

pub mod limits;

pub mod executable;

pub mod pace;

pub mod source;

pub mod scandir;

pub mod undo;

pub mod fields;

pub mod expand;

pub mod notice;

pub mod envfile;

pub mod environment;

mod resolver;

pub mod address;

pub(crate) mod faults;

pub(crate) mod table;

pub(crate) mod form;

mod draft;

pub mod zone;

pub mod schedule;

pub mod timetable;

mod timing;

mod names;

mod context;

mod policy;

mod probes;

pub mod permit;

pub mod elf;

pub mod program;

mod scripts;

mod foresight;

mod parse;

pub mod s6rc;

pub mod overlay;

pub mod order;

pub mod set;

pub mod difference;

pub mod settings;

pub mod import;
