//! What a joiner says of itself.

use heapless::String;

use super::Member;
use crate::fields::Fields;
use crate::limits::*;
use crate::node::Settings;
use crate::write::Writer;

/// What a node that has proved the password says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// Only whether it could join.
    pub validate: bool,
    /// Its clock when it sent this, in milliseconds since 1970.
    pub clock_ms: u64,
    /// How long an exchange with the cluster took just before, in milliseconds.
    pub round_trip_ms: u64,
    /// The oldest version that it wants to live with; may be empty.
    pub required_version: String<VERSION_BYTES_MAX>,
    /// The cluster that it wants to join; may be empty.
    pub cluster_name: String<CLUSTER_NAME_BYTES_MAX>,
    /// The dead node that it wants to replace.
    pub uid: Option<u32>,
    /// Whether it may replace a node of another rack.
    pub override_rack_id: bool,
    /// Whether it has its record in a store that all members share.
    pub is_shared: bool,
    /// Its settings.
    pub settings: Settings,
    /// What it would be as a member; number, key and status are the cluster's to give.
    pub member: Member,
}

impl Default for JoinRequest {
    fn default() -> Self {
        Self {
            validate: false,
            clock_ms: 0,
            round_trip_ms: 0,
            required_version: String::new(),
            cluster_name: String::new(),
            uid: None,
            override_rack_id: false,
            is_shared: false,
            settings: Settings::default(),
            member: Member::unknown(),
        }
    }
}

impl JoinRequest {
    /// Writes it for the wire.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("validate").bool(self.validate).name("clock_ms").number(self.clock_ms);
        writer.name("round_trip_ms").number(self.round_trip_ms);
        writer.name("required_version").text(&self.required_version).name("cluster_name").text(&self.cluster_name);
        if let Some(uid) = self.uid {
            writer.name("uid").number(u64::from(uid));
        }
        writer.name("override_rack_id").bool(self.override_rack_id).name("is_shared").bool(self.is_shared);
        self.settings.write(writer.name("settings"));
        self.member.write_record(writer.name("member"));
        writer.close('}');
    }

    /// Reads what [`JoinRequest::write`] wrote.
    pub fn read(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("validate").bool(&mut self.validate).name("clock_ms").number(&mut self.clock_ms);
        fields.name("round_trip_ms").number(&mut self.round_trip_ms);
        fields.name("required_version").text(&mut self.required_version);
        fields.name("cluster_name").text(&mut self.cluster_name);
        if let Some(uid) = fields.optional("uid", &mut self.uid) {
            fields.number(uid);
        }
        fields.name("override_rack_id").bool(&mut self.override_rack_id);
        fields.name("is_shared").bool(&mut self.is_shared);
        self.settings.read(fields.name("settings"));
        self.member = Member::read_record(fields.name("member"));
        fields.close('}');
    }
}
