//! What a service is: its definition, and how it is read from a directory. Pure: values to values.

pub mod definition;
