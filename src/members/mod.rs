//! Who is in the cluster, whatever told us: members with their services, the record of one as it
//! travels, and the roster that makes one list of several sources. Pure: values to values.

pub mod words;

pub mod member;

pub mod record;

pub mod roster;
