//! From members to a file's text, pure: a Handlebars template, strict and without HTML escapes;
//! what it may name; the helpers. Templates made for handlebars-cmd work as they are.

pub mod data;

pub mod engine;

pub mod view;

mod helpers;

mod output;
