//! What takes the place of `tls` in a program that was built without it: nothing, and sessions of which there are none.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "it has the shape of `tls`, and none of it does anything"
)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::line::Way;
use crate::opaque::SessionKey;
use crate::options::Values;

/// Whether this program speaks TLS.
pub const IS_BUILT_IN: bool = false;

/// There are none.
#[derive(Clone, Debug)]
pub enum Files {}

/// There are none.
#[derive(Clone, Debug)]
pub enum Sources {}

/// Of none.
pub struct Read;

/// There is none.
pub enum Client {}

/// Likewise.
#[derive(Clone, Debug)]
pub enum Trust {}

impl Trust {
    pub const fn anybody() -> Option<Self> {
        None
    }

    pub const fn in_authorities(_: &[u8]) -> Option<Self> {
        None
    }

    pub fn mutual(_: &[u8], _: &[u8], _: &[u8]) -> Result<Self, String> {
        Err("this program has no TLS: it cannot show a client certificate".to_owned())
    }
}

impl Client {
    pub fn start(trust: &Trust, _: &str, _: &mut Way) -> io::Result<Self> {
        match *trust {}
    }

    pub const fn session_key(&self) -> Option<SessionKey> {
        match *self {}
    }

    pub fn send(&mut self, _: &[u8], _: &mut Way) -> io::Result<()> {
        match *self {}
    }

    pub fn receive(&mut self, _: &mut [u8], _: &mut Way) -> io::Result<usize> {
        match *self {}
    }
}

/// There are none.
pub enum Guests {}

/// Nothing is kept.
pub struct Keeper;

/// There is none.
pub enum Session {}

pub const fn is_spoken(_: &[u8]) -> bool {
    false
}

pub const fn named(_: &Values, _: &str, _: Option<&str>) -> Result<Option<Trust>, (u8, String)> {
    Ok(None)
}

pub const fn guests(_: &Values) -> Result<Option<(PathBuf, Guests)>, (u8, String)> {
    Ok(None)
}

pub const fn wanted(_: &Values) -> Result<Option<Files>, String> {
    Ok(None)
}

pub fn beside<T>(_: Option<Files>, _: &Path, boot: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Keeper)> {
    Ok((boot()?, Keeper))
}

pub fn read(sources: &Sources) -> Read {
    match *sources {}
}

impl Keeper {
    pub const fn sources(&self) -> Option<Sources> {
        None
    }

    pub fn invite(&mut self, _: (PathBuf, Guests)) {}

    pub fn replace(&mut self, _: Read) {}

    pub const fn session(&mut self) -> Option<Session> {
        None
    }
}

impl Session {
    pub fn begin(&mut self, _: &[u8], _: &mut dyn Write) -> io::Result<()> {
        match *self {}
    }

    pub fn take(&mut self, _: &mut dyn io::Read, _: &mut dyn Write) -> io::Result<()> {
        match *self {}
    }

    pub const fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub const fn guest_key(&mut self) -> Option<Box<SessionKey>> {
        match *self {}
    }

    pub fn read(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
        match *self {}
    }

    pub fn write(&mut self, _: &[u8], _: &mut dyn Write) -> io::Result<usize> {
        match *self {}
    }

    pub fn is_blocked(&self) -> bool {
        match *self {}
    }

    pub fn push(&mut self, _: &mut dyn Write) -> io::Result<()> {
        match *self {}
    }

    pub fn end(&mut self, _: &mut dyn Write) {
        match *self {}
    }
}
