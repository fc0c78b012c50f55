//! The shell of bootstrapd: it reads the world, carries out what the core decided, and decides nothing itself.
//!
//! To read in this order: [`server`] is the loop; [`connection`] one connection; [`http`] its framing; [`agent`] the
//! node's mind; [`perform`] the slow work; [`boot`] what a start finds; [`store`] records on disk; [`node`] facts of
//! the machine; [`gate`] what stands before an open node, [`logins`] and [`secret`] credentials; [`peer`] and [`exchange`]
//! what a node asks of others, [`opaque`] and [`seal`] how they trust each other. [`tls`] is what may be around the bytes of
//! a connection. [`options`] and [`serve`] start a node, [`client`] asks one.

#![forbid(unsafe_code)]
#![allow(clippy::result_large_err, reason = "a failure is large because core has no heap; one exists at a time")]

pub mod agent;
pub mod boot;
#[cfg(any(feature = "client", feature = "etcd"))]
pub mod call;
#[cfg(feature = "client")]
pub mod client;
pub mod connection;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod exchange;
pub mod exit;
pub mod gate;
pub mod http;
pub mod line;
pub mod log;
pub mod logins;
pub mod node;
pub mod offline;
pub mod opaque;
pub mod options;
pub mod peer;
pub mod perform;
pub mod seal;
pub mod secret;
pub mod serve;
pub mod server;
#[cfg_attr(not(feature = "etcd"), path = "embedded.rs")]
pub mod shared;
pub mod store;
#[cfg_attr(not(feature = "tls"), path = "plain.rs")]
pub mod tls;
