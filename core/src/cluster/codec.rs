//! The cluster's record on disk: what is written, and below each the mirror that reads it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use heapless::{String, Vec};

use super::{Cluster, HashCost, Key, Member, MemberStatus, PasswordHash, Registration, Retired, write_suffix};
use crate::config::{BigstoreDriver, DnsSuffix, Limits, Placement, Policy, Ports, ProxyPolicy};
use crate::fields::Fields;
use crate::record::{Hex, Id, Kind, Record};
use crate::write::Writer;

/// The store that all members share.
const SHARED: &str = "etcd";

impl Record for Cluster {
    const KIND: Kind = Kind::Cluster;

    fn write(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("cluster_id").display(self.cluster_id).name("epoch").number(u64::from(self.epoch));
        writer.name("epoch_tag").display(self.epoch_tag).name("revision").number(self.revision);
        writer.name("next_uid").number(u64::from(self.next_uid));
        writer.name("founder_uid").number(u64::from(self.founder_uid));
        if self.is_shared {
            writer.name("store").text(SHARED);
        }
        writer.name("name").text(&self.name).name("created_time").time(self.created_time);
        writer.name("wait_command").bool(self.wait_command).name("use_internal_ipv6").bool(self.use_internal_ipv6);
        write_policy(&self.policy, writer.name("policy"));
        writer.name("dns_suffixes").open('[');
        for suffix in &self.dns_suffixes {
            write_suffix(suffix, writer);
        }
        writer.close(']').name("ports").open('{');
        for (name, port) in self.ports.named() {
            writer.name(name).number(u64::from(port));
        }
        writer.close('}').name("license").text(&self.license);
        self.terms.write_record(writer.name("terms"));
        let PasswordHash { cost, salt, hash } = &self.password;
        writer.name("username").text(&self.username).name("password").open('{').name("cost").text(cost.name());
        writer.name("salt").display(Hex(salt)).name("hash").display(Hex(hash)).close('}');
        let Registration { setup, file } = &self.registration;
        writer.name("registration").open('{').name("setup").display(Hex(setup));
        writer.name("file").display(Hex(file)).close('}');
        self.settings.write(writer.name("settings"));
        writer.name("members").open('[');
        for member in &self.members {
            member.write_record(writer);
        }
        writer.close(']').name("retired").open('[');
        for Retired { uid, node_id, key } in &self.retired {
            writer.open('{').name("uid").number(u64::from(*uid)).name("node_id").display(*node_id);
            writer.name("key").display(Hex(&key.0)).close('}');
        }
        writer.close(']').close('}');
    }

    fn read(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("cluster_id").hex(&mut self.cluster_id.0).name("epoch").number(&mut self.epoch);
        fields.name("epoch_tag").hex(&mut self.epoch_tag.0).name("revision").number(&mut self.revision);
        fields.name("next_uid").number(&mut self.next_uid).name("founder_uid").number(&mut self.founder_uid);
        // Left out where it is not so.
        if fields.has("store") {
            fields.word(&mut self.is_shared, &[true], |_| SHARED);
        }
        fields.name("name").text(&mut self.name).name("created_time").time(&mut self.created_time);
        fields.name("wait_command").bool(&mut self.wait_command);
        fields.name("use_internal_ipv6").bool(&mut self.use_internal_ipv6);
        read_policy(&mut self.policy, fields.name("policy"));
        fields.name("dns_suffixes").list(&mut self.dns_suffixes, read_suffix);
        read_ports(&mut self.ports, fields.name("ports"));
        fields.name("license").text(&mut self.license);
        self.terms.read_record(fields.name("terms"));
        let PasswordHash { cost, salt, hash } = &mut self.password;
        fields.name("username").text(&mut self.username).name("password").open('{');
        fields.name("cost").word(cost, &HashCost::ALL, HashCost::name);
        fields.name("salt").hex(salt).name("hash").hex(hash).close('}');
        let Registration { setup, file } = &mut self.registration;
        fields.name("registration").open('{').name("setup").hex(setup).name("file").hex(file).close('}');
        self.settings.read(fields.name("settings"));
        fields.name("members").list(&mut self.members, Member::read_record);
        fields.name("retired").list(&mut self.retired, read_retired).close('}');
    }
}

/// Also for `GET /v1/cluster/policy`.
pub(super) fn write_policy(policy: &Policy, writer: &mut Writer<'_>) {
    writer.open('{').name("default_fork_evict_ram").bool(policy.default_fork_evict_ram);
    writer.name("default_non_sharded_proxy_policy").text(policy.default_non_sharded_proxy_policy.name());
    writer.name("default_sharded_proxy_policy").text(policy.default_sharded_proxy_policy.name());
    writer.name("default_shards_placement").text(policy.default_shards_placement.name());
    writer.name("rack_aware").bool(policy.rack_aware);
    writer.name("shards_overbooking").bool(policy.shards_overbooking).close('}');
}

fn read_policy(policy: &mut Policy, fields: &mut Fields<'_>) {
    let [non_sharded, sharded] =
        [&mut policy.default_non_sharded_proxy_policy, &mut policy.default_sharded_proxy_policy];
    let placement = &mut policy.default_shards_placement;
    fields.open('{').name("default_fork_evict_ram").bool(&mut policy.default_fork_evict_ram);
    fields.name("default_non_sharded_proxy_policy").word(non_sharded, &ProxyPolicy::ALL, ProxyPolicy::name);
    fields.name("default_sharded_proxy_policy").word(sharded, &ProxyPolicy::ALL, ProxyPolicy::name);
    fields.name("default_shards_placement").word(placement, &Placement::ALL, Placement::name);
    fields.name("rack_aware").bool(&mut policy.rack_aware);
    fields.name("shards_overbooking").bool(&mut policy.shards_overbooking).close('}');
}

/// Reads what [`Ports::named`] named.
fn read_ports(ports: &mut Ports, fields: &mut Fields<'_>) {
    fields.open('{').name("cnm_https_port").number(&mut ports.cnm_https);
    fields.name("crdb_coordinator_port").number(&mut ports.crdb_coordinator);
    fields.name("envoy_admin_port").number(&mut ports.envoy_admin);
    fields.name("envoy_mgmt_server_port").number(&mut ports.envoy_mgmt_server);
    fields.name("gossip_envoy_admin_port").number(&mut ports.gossip_envoy_admin).close('}');
}

/// Reads what [`write_suffix`] wrote.
fn read_suffix(fields: &mut Fields<'_>) -> DnsSuffix {
    let mut suffix = DnsSuffix::default();
    fields.open('{').name("name").text(&mut suffix.name);
    fields.name("cluster_default").bool(&mut suffix.cluster_default);
    fields.name("use_aaaa_ns").bool(&mut suffix.use_aaaa_ns);
    fields.name("use_internal_addr").bool(&mut suffix.use_internal_addr);
    fields.name("slaves").addresses(&mut suffix.slaves).close('}');
    suffix
}

fn read_retired(fields: &mut Fields<'_>) -> Retired {
    let mut retired = Retired::default();
    fields.open('{').name("uid").number(&mut retired.uid).name("node_id").hex(&mut retired.node_id.0);
    fields.name("key").hex(&mut retired.key.0).close('}');
    retired
}

/// What a character of a text can become in a record.
const ESCAPE_BYTES: usize = 6;
/// An address, with its quotes and comma.
const ADDRESS_BYTES: usize = 48;
/// Everything in a record but texts and lists: names, numbers, keys.
const FIXED_BYTES: usize = 4096;
/// The same of a member.
const MEMBER_BYTES: usize = 768;
/// The same of a DNS suffix; a retired node has nothing else.
const ENTRY_BYTES: usize = 160;

fn texts_at_most(texts: &[&str]) -> usize {
    texts.iter().map(|text| text.len()).sum::<usize>().saturating_mul(ESCAPE_BYTES)
}

impl Cluster {
    /// No record of this is longer, in bytes.
    pub(super) fn length_at_most(&self) -> usize {
        let Self { name, license, terms, username, settings, .. } = self;
        let texts = [
            &**name,
            license,
            &terms.owner,
            &terms.cluster_name,
            username,
            &settings.socket_dir,
            &settings.config_dir,
            &settings.install_dir,
            &settings.user,
        ];
        let features = terms.features.iter().map(|feature| texts_at_most(&[feature]).saturating_add(ENTRY_BYTES));
        let suffixes = self.dns_suffixes.iter().map(|suffix| {
            let slaves = suffix.slaves.len().saturating_mul(ADDRESS_BYTES);
            texts_at_most(&[&suffix.name]).saturating_add(slaves).saturating_add(ENTRY_BYTES)
        });
        let lists = features.chain(suffixes).chain(self.members.iter().map(Member::length_at_most));
        let retired = self.retired.len().saturating_mul(ENTRY_BYTES);
        FIXED_BYTES.saturating_add(texts_at_most(&texts)).saturating_add(lists.sum()).saturating_add(retired)
    }
}

impl Member {
    /// No record of this is longer, in bytes.
    pub(super) fn length_at_most(&self) -> usize {
        let texts = texts_at_most(&[&self.name, &self.rack_id, &self.second_rack_id, &self.software_version]);
        let addresses = self.external_addr.len().saturating_mul(ADDRESS_BYTES);
        MEMBER_BYTES.saturating_add(texts).saturating_add(addresses)
    }

    pub(super) fn write_record(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("uid").number(u64::from(self.uid)).name("node_id").display(self.node_id);
        writer.name("key").display(Hex(&self.key.0)).name("status").text(self.status.name());
        writer.name("addr").display(self.addr).name("endpoint").display(self.endpoint).name("external_addr").open('[');
        for address in &self.external_addr {
            writer.display(address);
        }
        writer.close(']').name("name").text(&self.name).name("rack_id").text(&self.rack_id);
        writer.name("second_rack_id").text(&self.second_rack_id).name("accept_servers").bool(self.accept_servers);
        writer.name("max_listeners").number(u64::from(self.limits.max_listeners));
        writer.name("max_redis_servers").number(u64::from(self.limits.max_redis_servers));
        if let Some(driver) = self.bigstore_driver {
            writer.name("bigstore_driver").text(driver.name());
        }
        writer.name("bigstore_enabled").bool(self.bigstore_enabled);
        if let Some(flash) = self.flash {
            writer.name("flash").number(flash);
        }
        if let Some(memory) = self.total_memory {
            writer.name("total_memory").number(memory);
        }
        if let Some(cores) = self.cores {
            writer.name("cores").number(u64::from(cores));
        }
        writer.name("software_version").text(&self.software_version).close('}');
    }

    pub(super) fn read_record(fields: &mut Fields<'_>) -> Self {
        let mut member = Self::unknown();
        fields.open('{').name("uid").number(&mut member.uid).name("node_id").hex(&mut member.node_id.0);
        fields.name("key").hex(&mut member.key.0);
        fields.name("status").word(&mut member.status, &MemberStatus::ALL, MemberStatus::name);
        fields.name("addr").address(&mut member.addr);
        fields
            .name("endpoint")
            .parsed(&mut member.endpoint, |text| text.parse().ok())
            .name("external_addr")
            .addresses(&mut member.external_addr);
        fields.name("name").text(&mut member.name).name("rack_id").text(&mut member.rack_id);
        fields.name("second_rack_id").text(&mut member.second_rack_id);
        fields.name("accept_servers").bool(&mut member.accept_servers);
        fields.name("max_listeners").number(&mut member.limits.max_listeners);
        fields.name("max_redis_servers").number(&mut member.limits.max_redis_servers);
        if fields.has("bigstore_driver") {
            let driver = member.bigstore_driver.insert(BigstoreDriver::Speedb);
            fields.word(driver, &BigstoreDriver::ALL, BigstoreDriver::name);
        }
        fields.name("bigstore_enabled").bool(&mut member.bigstore_enabled);
        if let Some(flash) = fields.optional("flash", &mut member.flash) {
            fields.number(flash);
        }
        if let Some(memory) = fields.optional("total_memory", &mut member.total_memory) {
            fields.number(memory);
        }
        if let Some(cores) = fields.optional("cores", &mut member.cores) {
            fields.number(cores);
        }
        fields.name("software_version").text(&mut member.software_version).close('}');
        member
    }

    /// One of whom nothing is known yet.
    pub(super) fn unknown() -> Self {
        Self {
            uid: 0,
            node_id: Id::default(),
            key: Key::default(),
            status: MemberStatus::Active,
            addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            endpoint: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            external_addr: Vec::new(),
            name: String::new(),
            rack_id: String::new(),
            second_rack_id: String::new(),
            accept_servers: false,
            limits: Limits::default(),
            bigstore_driver: None,
            bigstore_enabled: false,
            flash: None,
            total_memory: None,
            cores: None,
            software_version: String::new(),
        }
    }
}
