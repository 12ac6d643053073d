//! Jobs: what a task does when its time has come.

pub mod command;
