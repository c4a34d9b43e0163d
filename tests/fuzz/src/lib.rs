//! The bodies of the fuzz targets; `targets/` has a main function for each.
pub mod bodies;
