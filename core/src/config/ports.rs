//! The five ports of a cluster.

/// The five ports, with the vendor's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// `cnm_https_port`: also where a joiner looks by default.
    pub cnm_https: u16,
    /// `crdb_coordinator_port`
    pub crdb_coordinator: u16,
    /// `envoy_admin_port`
    pub envoy_admin: u16,
    /// `envoy_mgmt_server_port`
    pub envoy_mgmt_server: u16,
    /// `gossip_envoy_admin_port`
    pub gossip_envoy_admin: u16,
}

impl Ports {
    /// Room for one, which means nothing yet: every byte is zero.
    pub(super) const BLANK: Self =
        Self { cnm_https: 0, crdb_coordinator: 0, envoy_admin: 0, envoy_mgmt_server: 0, gossip_envoy_admin: 0 };

    /// Each port with its member's name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u16); 5] {
        [
            ("cnm_https_port", self.cnm_https),
            ("crdb_coordinator_port", self.crdb_coordinator),
            ("envoy_admin_port", self.envoy_admin),
            ("envoy_mgmt_server_port", self.envoy_mgmt_server),
            ("gossip_envoy_admin_port", self.gossip_envoy_admin),
        ]
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            cnm_https: 9443,
            crdb_coordinator: 9081,
            envoy_admin: 8002,
            envoy_mgmt_server: 8004,
            gossip_envoy_admin: 8006,
        }
    }
}
