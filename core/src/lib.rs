//! The decisions of bootstrapd: bytes, facts and the time go in, decisions come out.
//!
//! No std, no allocator, no input or output, no clock, no randomness, no recursion, no unsafe code. Every buffer
//! has a fixed capacity that [`limits`] names. What comes from outside never makes anything here panic.
//!
//! To read in this order: [`machine`] is one attempt's whole life; [`config`] what an attempt is asked to do;
//! [`failure`] and [`problems`] how it can go wrong; [`status`] what callers see of it; [`cluster`] and [`license`]
//! what it makes, and [`manage`] what is changed of that and checked later; [`peer`] what the nodes of a cluster say to
//! each other; [`node`] which facts it needs; [`record`] what survives a restart; [`api`] who may ask for what, [`schema`]
//! and [`openapi`] say it to machines. Under them lie [`json`], [`mod@write`], its mirror
//! [`fields`], and [`time`].

#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::result_large_err, reason = "there is no heap to box a failure into; one exists at a time")]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic"))]

#[cfg(test)]
extern crate std;

/// All cases of a test; under miri, where each takes some thousand times as long, one of every `step`.
#[cfg(test)]
fn few<T>(cases: impl IntoIterator<Item = T>, step: usize) -> impl Iterator<Item = T> {
    cases.into_iter().step_by(if cfg!(miri) { step } else { 1 })
}

pub mod api;
pub mod cluster;
pub mod config;
pub mod failure;
pub mod fields;
pub mod json;
pub mod license;
pub mod limits;
pub mod machine;
pub mod manage;
pub mod node;
pub mod openapi;
pub mod peer;
pub mod problems;
pub mod record;
pub mod schema;
pub mod status;
pub mod time;
pub mod write;
