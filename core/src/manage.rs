//! What clients change of a cluster once it is there: from the bytes of a PUT to a [`Change`] that has the right shape, or
//! to every problem; and how a change that cannot be made reads. Whether it can is decided in
//! [`Cluster::change`](crate::cluster::Cluster::change).

use core::net::IpAddr;

use heapless::{String, Vec};

use crate::config::table::Reason;
use crate::config::{Warning, WarningReason, address, rack};
use crate::json::{Fault, Reader, Text, Token};
use crate::license::{self, Terms};
use crate::limits::*;
use crate::problems::{Name, Place, Problems};

pub mod check;
mod refusal;
pub mod schema;
mod table;

pub use refusal::Refusal;
use table::{Kind, Member, members};

/// What a PUT is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/v1/nodes/{uid}`
    Node(u32),
    /// `/v1/license`
    License,
    /// `/v1/cluster/policy`
    Policy,
}

impl Target {
    /// A word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::License => "license",
            Self::Policy => "policy",
        }
    }
}

/// What is to be changed. What was not given stays as it is.
#[derive(Clone)]
pub struct Change {
    /// Of what.
    pub target: Target,
    /// Where clients reach the node.
    pub external_addr: Option<Vec<IpAddr, EXTERNAL_ADDRESSES_MAX>>,
    /// The node's rack.
    pub rack_id: Option<String<RACK_BYTES_MAX>>,
    /// Whether the node takes shards.
    pub accept_servers: Option<bool>,
    /// Whether every node must say its rack.
    pub rack_aware: Option<bool>,
    /// The licence, as given.
    pub license: String<LICENSE_BYTES_MAX>,
    /// What it grants: for whoever checks its signature to fill in.
    pub terms: Terms,
    /// Members that were read and will not be acted on.
    pub warnings: Vec<Warning, UNKNOWN_MEMBERS_MAX>,
}

impl Change {
    /// Nothing yet.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            external_addr: None,
            rack_id: None,
            accept_servers: None,
            rack_aware: None,
            license: String::new(),
            terms: Terms::default(),
            warnings: Vec::new(),
        }
    }

    /// Reads a PUT's body into what [`Change::new`] made. Every problem goes to `problems`, which must be empty; only if it
    /// stays empty is `self` a change.
    pub fn read(&mut self, body: &[u8], problems: &mut Problems) {
        if let Err(fault) = self.walk(body, problems) {
            // What was found before means little in a text that is not JSON.
            problems.clear();
            problems.add(Place::DOCUMENT, format_args!("is {fault}"));
        }
    }

    fn walk(&mut self, body: &[u8], problems: &mut Problems) -> Result<(), Fault> {
        let mut reader = Reader::new(body)?;
        match reader.token()? {
            Some(Token::ObjectStart) => self.object(&mut reader, problems)?,
            Some(token) => {
                problems.add(Place::DOCUMENT, "must be an object");
                reader.skip_rest(token)?;
            }
            None => {}
        }
        // Nothing may follow.
        reader.token().map(|_| ())
    }

    fn object(&mut self, reader: &mut Reader<'_>, problems: &mut Problems) -> Result<(), Fault> {
        let (mut known, mut unknown) = (0_u64, Vec::<Text<'_>, UNKNOWN_MEMBERS_MAX>::new());
        while let Some(name) = reader.next_name()? {
            if let Some((index, member)) = members(self.target).enumerate().find(|(_, member)| name.is(member.name)) {
                let bit = u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or_default();
                let is_first = known & bit == 0;
                known |= bit;
                self.member(&member, is_first, reader, problems)?;
                continue;
            }
            let place = Place { path: &[], element: None, name: Some(Name::Foreign(name)), index: None };
            if unknown.iter().any(|other| other.same(name)) {
                problems.add(place, "is given twice");
            } else if unknown.push(name).is_err() {
                problems.add(place, format_args!("is one unknown member too many (at most {UNKNOWN_MEMBERS_MAX})"));
            } else {
                // There is room: they are counted above.
                let _ = self.warnings.push(Warning::new(place, WarningReason::Unknown));
            }
            reader.skip_value()?;
        }
        if self.target == Target::License && known & 1 == 0 {
            problems.add(Place::member(&[], "license"), "is required");
        }
        Ok(())
    }

    fn member(
        &mut self,
        member: &Member,
        is_first: bool,
        reader: &mut Reader<'_>,
        problems: &mut Problems,
    ) -> Result<(), Fault> {
        let place = Place::member(&[], member.name);
        if !is_first {
            problems.add(place, "is given twice");
            return reader.skip_value();
        }
        let token = reader.next_value()?;
        match (member.kind, token) {
            // The same as if it were not there; but a licence is what a PUT of one is for.
            (Kind::License, Token::Null) => problems.add(place, "is required"),
            (_, Token::Null) => {}
            (Kind::AcceptServers, Token::Bool(value)) => self.accept_servers = Some(value),
            (Kind::RackAware, Token::Bool(true)) => self.rack_aware = Some(true),
            (Kind::RackAware, Token::Bool(false)) => {
                problems.add(place, "must be true: rack awareness cannot be turned off");
            }
            (Kind::RackId, Token::Text(text)) => add(problems, place, self.set_rack(text)),
            (Kind::License, Token::Text(text)) => add(problems, place, self.set_license(text)),
            (Kind::ExternalAddr, Token::Text(text)) => {
                self.external_addr = Some(Vec::new());
                self.add_address(text, place, problems);
            }
            (Kind::ExternalAddr, Token::ArrayStart) => return self.addresses(place, reader, problems),
            (Kind::Fixed, token) => {
                problems.add(place, "cannot be changed here");
                return reader.skip_rest(token);
            }
            (kind, token) => {
                problems.add(place, kind.expected());
                return reader.skip_rest(token);
            }
        }
        Ok(())
    }

    fn set_rack(&mut self, text: Text<'_>) -> Result<(), Reason> {
        let mut given = String::new();
        text.copy_to(&mut given).map_err(|_| Reason::TooLong(RACK_BYTES_MAX))?;
        rack(&given).map_err(Reason::Rule)?;
        self.rack_id = Some(given);
        Ok(())
    }

    fn set_license(&mut self, text: Text<'_>) -> Result<(), Reason> {
        self.license.clear();
        text.copy_to(&mut self.license).map_err(|_| Reason::TooLong(LICENSE_BYTES_MAX))?;
        if license::is_trial(&self.license) { Err(Reason::Rule("must not be empty")) } else { Ok(()) }
    }

    /// The strings of an array, to its end.
    fn addresses(&mut self, place: Place<'_>, reader: &mut Reader<'_>, problems: &mut Problems) -> Result<(), Fault> {
        self.external_addr = Some(Vec::new());
        let mut index = 0_usize;
        loop {
            let here = Place { index: Some(index), ..place };
            match reader.token()? {
                Some(Token::ArrayEnd) | None => return Ok(()),
                Some(token) if index >= EXTERNAL_ADDRESSES_MAX => {
                    if index == EXTERNAL_ADDRESSES_MAX {
                        problems.add(place, format_args!("must have at most {EXTERNAL_ADDRESSES_MAX} elements"));
                    }
                    reader.skip_rest(token)?;
                }
                Some(Token::Text(text)) => self.add_address(text, here, problems),
                Some(token) => {
                    problems.add(here, "must be a string");
                    reader.skip_rest(token)?;
                }
            }
            index = index.saturating_add(1);
        }
    }

    fn add_address(&mut self, text: Text<'_>, place: Place<'_>, problems: &mut Problems) {
        let mut given = String::<ADDRESS_BYTES_MAX>::new();
        // What does not fit leaves the text empty, which is no address either.
        let _ = text.copy_to(&mut given);
        let addresses = self.external_addr.get_or_insert_default();
        match address(&given) {
            Err(rule) => problems.add_quoted(place, text, rule),
            Ok(address) if addresses.contains(&address) => problems.add_quoted(place, text, "is given twice"),
            // The caller has counted.
            Ok(address) => _ = addresses.push(address),
        }
    }
}

/// The longest text that an address has; a longer one is none.
const ADDRESS_BYTES_MAX: usize = 64;

fn add(problems: &mut Problems, place: Place<'_>, kept: Result<(), Reason>) {
    match kept {
        Ok(()) => {}
        Err(Reason::TooLong(max)) => problems.add(place, format_args!("must be at most {max} bytes long")),
        Err(Reason::Rule(rule)) => problems.add(place, rule),
    }
}

#[cfg(test)]
mod tests;
