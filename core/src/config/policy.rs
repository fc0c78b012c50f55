//! Defaults for what a cluster will run.

/// `policy`: defaults for what the cluster will run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `default_fork_evict_ram`
    pub default_fork_evict_ram: bool,
    /// `default_non_sharded_proxy_policy`
    pub default_non_sharded_proxy_policy: ProxyPolicy,
    /// `default_sharded_proxy_policy`
    pub default_sharded_proxy_policy: ProxyPolicy,
    /// `default_shards_placement`
    pub default_shards_placement: Placement,
    /// `rack_aware`: every node must say its rack.
    pub rack_aware: bool,
    /// `shards_overbooking`
    pub shards_overbooking: bool,
}

impl Policy {
    /// Room for one, which means nothing yet: every byte is zero.
    pub(super) const BLANK: Self = Self {
        default_fork_evict_ram: false,
        default_non_sharded_proxy_policy: ProxyPolicy::Single,
        default_sharded_proxy_policy: ProxyPolicy::Single,
        default_shards_placement: Placement::Dense,
        rack_aware: false,
        shards_overbooking: false,
    };
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_fork_evict_ram: false,
            default_non_sharded_proxy_policy: ProxyPolicy::Single,
            default_sharded_proxy_policy: ProxyPolicy::AllMasterShards,
            default_shards_placement: Placement::Dense,
            rack_aware: false,
            shards_overbooking: true,
        }
    }
}

/// Which nodes answer for a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyPolicy {
    /// `single`
    Single,
    /// `all-master-shards`
    AllMasterShards,
    /// `all-nodes`
    AllNodes,
}

impl ProxyPolicy {
    /// All policies.
    pub const ALL: [Self; 3] = [Self::Single, Self::AllMasterShards, Self::AllNodes];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::AllMasterShards => "all-master-shards",
            Self::AllNodes => "all-nodes",
        }
    }
}

/// How shards are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// `dense`
    Dense,
    /// `sparse`
    Sparse,
}

impl Placement {
    /// All placements.
    pub const ALL: [Self; 2] = [Self::Dense, Self::Sparse];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
        }
    }
}
