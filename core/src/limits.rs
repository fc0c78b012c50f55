//! Every capacity of the core: its reason, and how the capacities depend on each other.
//!
//! Units come last in a name, `MAX` at the end. Lengths are bytes of UTF-8 after unescaping.

/// A request body, and so a bootstrap object: what the HTTP side accepts at most.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Open arrays and objects of any JSON that is read here; the outermost one is level 1.
pub const NESTING_MAX: u32 = 16;

/// A cluster name: a DNS name that still leaves room for the prefixes put before it.
pub const CLUSTER_NAME_BYTES_MAX: usize = 64;
/// One DNS label (RFC 1123).
pub const LABEL_BYTES_MAX: usize = 63;
/// A whole DNS name (RFC 1035), and a node's own name.
pub const HOST_BYTES_MAX: usize = 255;
/// A host with brackets, a colon and a port behind it.
pub const NODE_ADDRESS_BYTES_MAX: usize = HOST_BYTES_MAX + "[]:65535".len();
/// Nodes that a joiner is told to try.
pub const CONTACTS_MAX: usize = 32;
/// External addresses of one node.
pub const EXTERNAL_ADDRESSES_MAX: usize = 16;
/// A rack id, like a DNS label.
pub const RACK_BYTES_MAX: usize = LABEL_BYTES_MAX;
/// A path in a configuration.
pub const PATH_BYTES_MAX: usize = 1024;
/// A user name.
pub const USERNAME_BYTES_MAX: usize = 256;
/// A password.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// One PEM text: a key or a certificate with a short chain.
pub const PEM_BYTES_MAX: usize = 8 * 1024;
/// An armoured licence.
pub const LICENSE_BYTES_MAX: usize = 4096;
/// A version text.
pub const VERSION_BYTES_MAX: usize = 32;
/// DNS suffixes of one cluster.
pub const SUFFIXES_MAX: usize = 8;
/// Replica servers of one DNS suffix.
pub const SUFFIX_SLAVES_MAX: usize = 8;
/// Members of one bootstrap object that this version does not know; each becomes a warning.
pub const UNKNOWN_MEMBERS_MAX: usize = 64;
/// Members that another action sets, and this one sets aside.
pub const SET_ASIDE_MAX: usize = 11;
/// Warnings of one configuration: unknown members, the three unused ones, and those that are set aside.
pub const WARNINGS_MAX: usize = UNKNOWN_MEMBERS_MAX + 3 + SET_ASIDE_MAX;
/// The pointer of a warning; a longer one is cut, it only serves a reader.
pub const WARNING_BYTES_MAX: usize = 96;
/// The written list of what is wrong with one configuration. The last entry says so when it is full.
pub const PROBLEMS_BYTES_MAX: usize = 32 * 1024;
/// A failure's message: a path and a sentence around it.
pub const MESSAGE_BYTES_MAX: usize = PATH_BYTES_MAX + 256;

/// What the system said when it refused something.
pub const TROUBLE_BYTES_MAX: usize = 160;

/// Settings that can differ from a cluster's.
pub const MISMATCHES_MAX: usize = 8;
/// Members of one cluster.
pub const MEMBERS_MAX: usize = 128;
/// Members that are being replaced at the same time: each replacement stands beside the dead one until it has confirmed.
pub const REPLACEMENTS_MAX: usize = 8;
/// Both of them, as a record lists them.
pub const MEMBER_SLOTS_MAX: usize = MEMBERS_MAX + REPLACEMENTS_MAX;
/// Nodes that are no more and whose keys a cluster still knows, the latest ones.
pub const RETIRED_MAX: usize = 64;
/// OPAQUE's keys of a cluster: a seed and two keys.
pub const OPAQUE_SETUP_BYTES: usize = 64 + 32 + 32;
/// OPAQUE's registration of one password.
pub const OPAQUE_FILE_BYTES: usize = 192;
/// Addresses that an agent listens on.
pub const LISTENERS_MAX: usize = 16;
/// A message between two agents, but for the cluster's record.
pub const PEER_MESSAGE_BYTES_MAX: usize = 48 * 1024;
/// Features named by a licence.
pub const FEATURES_MAX: usize = 16;
/// One feature's name.
pub const FEATURE_BYTES_MAX: usize = 32;
/// A licence's owner.
pub const OWNER_BYTES_MAX: usize = 128;
/// Addresses that a status document lists; a machine with more shows the first ones.
pub const ADDRESSES_MAX: usize = 128;
/// A Linux interface name (`IFNAMSIZ` without its NUL).
pub const INTERFACE_BYTES_MAX: usize = 15;
/// A fact such as the operating system's name.
pub const FACT_BYTES_MAX: usize = 128;

/// A node's own record, encoded.
pub const NODE_RECORD_BYTES_MAX: usize = 128 * 1024;
/// The cluster's record, encoded.
pub const CLUSTER_RECORD_BYTES_MAX: usize = 256 * 1024;
/// As much of it is left free by admissions, so that what follows from them fits: nodes that retire, longer numbers.
pub const CLUSTER_RECORD_BYTES_SPARE: usize = 12 * 1024;
/// What must be free where records are kept, in bytes: a save writes both new copies beside the old ones.
pub const RECORDS_FREE_BYTES_MIN: usize = 1024 * 1024;
/// A status document.
pub const STATUS_BYTES_MAX: usize = 128 * 1024;

// A retired node takes 142 bytes: two numbers in hexadecimal and one in decimal, with their names.
const _: () = assert!(RETIRED_MAX * 160 + 1024 < CLUSTER_RECORD_BYTES_SPARE);
// Both new copies of both records.
const _: () = assert!(2 * (CLUSTER_RECORD_BYTES_MAX + NODE_RECORD_BYTES_MAX) < RECORDS_FREE_BYTES_MIN);
// A problem quotes at most a path, six bytes for each escaped one, and must fit into the list.
const _: () = assert!(6 * MESSAGE_BYTES_MAX < PROBLEMS_BYTES_MAX);
// The list travels through a record as a JSON text in a JSON string: each quote doubles.
const _: () = assert!(3 * PROBLEMS_BYTES_MAX < NODE_RECORD_BYTES_MAX);
// A status shows the list, its first message again, and two lists of addresses.
const _: () = assert!(PROBLEMS_BYTES_MAX + 6 * MESSAGE_BYTES_MAX + 2 * 128 * ADDRESSES_MAX < STATUS_BYTES_MAX);
// A body has room for the longest licence, every newline of it escaped, and three PEM texts.
const _: () = assert!(BODY_BYTES_MAX > 2 * LICENSE_BYTES_MAX + 3 * PEM_BYTES_MAX);
