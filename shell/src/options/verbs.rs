//! The verbs and their flags: one table, which the parser, the variables and the help are made from.

/// A flag: it takes a value unless its value has no name.
#[derive(Debug)]
pub struct Flag {
    /// Without its dashes.
    pub name: &'static str,
    /// What its value is called; empty for a switch.
    pub value: &'static str,
    /// For people.
    pub help: &'static str,
}

/// A verb.
#[derive(Debug)]
pub struct Verb {
    /// The word, or both of them.
    pub name: &'static str,
    /// What follows besides flags; it may be missing where it stands in brackets.
    pub operand: Option<&'static str>,
    /// For people.
    pub help: &'static str,
    /// Its flags, in groups that verbs share.
    pub flags: &'static [&'static [Flag]],
}

impl Verb {
    /// Its flags.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().copied().flatten()
    }
}

const fn flag(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, value, help }
}

const STATE_DIR: Flag =
    flag("state-dir", "DIR", "the node's records [/var/lib/bootstrapd as root, else the user's state directory]");
const PERSISTENT_PATH: Flag = flag("persistent-path", "DIR", "where data lives [persistent in the state directory]");

const ALLOW_PLAINTEXT: Flag = flag("allow-plaintext", "", "talk to other machines in plain HTTP");
const SETUP_TOKEN_FILE: Flag =
    flag("setup-token-file", "FILE", "a file with the token that a POST before a cluster needs");
const STORE: Flag = flag("store", "WHERE", "the cluster's record: embedded, or etcd=URL,… [embedded]");
const STORE_PREFIX: Flag = flag("store-prefix", "TEXT", "how its keys in etcd begin [/bootstrapd/]");
const STORE_USER: Flag = flag("store-user", "NAME", "who this node is to etcd [nobody]");
const STORE_PASSWORD_FILE: Flag = flag("store-password-file", "FILE", "a file with the password for that");
/// What it takes to use a store.
const STORING: &[Flag] = &[
    STORE_PREFIX,
    STORE_USER,
    STORE_PASSWORD_FILE,
    #[cfg(feature = "tls")]
    flag("store-ca", "FILE", "whose certificates etcd may show, PEM"),
];

/// `serve`
const SERVE: Verb = Verb {
    name: "serve",
    operand: None,
    help: "run this machine's node",
    flags: &[
        &[
            flag("listen", "ADDR:PORT", "where to answer; repeatable [127.0.0.1:8080]"),
            STATE_DIR,
            PERSISTENT_PATH,
            flag("ephemeral-path", "DIR", "where data lives that may be lost [ephemeral in the state directory]"),
            flag("bigstore-path", "DIR", "flash storage [bigstore in the state directory]"),
            flag(
                "advertise",
                "ADDR:PORT",
                "where other nodes reach this one [the node's address and the port of a listener]",
            ),
            ALLOW_PLAINTEXT,
            SETUP_TOKEN_FILE,
            flag(
                "bootstrap-window",
                "SECONDS",
                "before a cluster, take a POST only so long after the start [for ever]",
            ),
            flag("open-status", "", "in a cluster, say without credentials that the bootstrap is completed"),
            #[cfg(feature = "tls")]
            flag("tls-cert", "FILE", "the certificate that it shows, PEM; read again on SIGHUP [one of its own]"),
            #[cfg(feature = "tls")]
            flag("tls-key", "FILE", "the certificate's key, PEM"),
            #[cfg(feature = "tls")]
            flag(
                "client-ca",
                "FILE",
                "whose certificates joiners may show, not a password, PEM; SIGHUP likewise [nobody's]",
            ),
            flag("beat", "SECONDS", "how often members say that they are there [5]"),
            flag("max-clock-skew", "SECONDS", "how far the clock of a joiner may be off [5]"),
            STORE,
        ],
        STORING,
        &[
            flag("socket-dir", "DIR", "compared when a node joins [/run/bootstrapd]"),
            flag("config-dir", "DIR", "likewise [/etc/bootstrapd]"),
            flag("install-dir", "DIR", "likewise [/opt/bootstrapd]"),
            flag(
                "license-key",
                "KEY",
                "the public key of licences: 64 hex digits, base64, or a file that holds either",
            ),
        ],
    ],
};

/// `reset`
const RESET: Verb = Verb {
    name: "reset",
    operand: None,
    help: "forget this node's records, offline; asks first",
    flags: &[&[STATE_DIR, PERSISTENT_PATH, YES]],
};

/// `move`
#[cfg(feature = "etcd")]
const MOVE: Verb = Verb {
    name: "move",
    operand: None,
    help: "take the cluster's record to another store, offline, on the founder; asks first",
    flags: &[
        &[STATE_DIR, PERSISTENT_PATH, STORE, flag("to", "WHERE", "the store to take it to")],
        STORING,
        &[ALLOW_PLAINTEXT, YES],
    ],
};

const YES: Flag = flag("yes", "", "do not ask");
pub(super) const IN_PLACE: Flag = flag("in-place", "", "make this node its cluster's founder, offline; asks first");

/// `recover` where there is no client.
#[cfg(not(feature = "client"))]
const RECOVER: Verb = Verb {
    name: "recover",
    operand: None,
    help: "with --in-place: make this node its cluster's founder, offline; asks first",
    flags: &[&[IN_PLACE, STATE_DIR, PERSISTENT_PATH, STORE], STORING, &[ALLOW_PLAINTEXT, YES]],
};

#[cfg(feature = "client")]
mod client {
    use super::{
        ALLOW_PLAINTEXT, Flag, IN_PLACE, PERSISTENT_PATH, RESET, SERVE, SETUP_TOKEN_FILE, STATE_DIR, STORE, STORING,
        Verb, YES, flag,
    };

    const URL: Flag = flag("url", "URL", "the node [http://127.0.0.1:8080]");
    const USER: Flag = flag("user", "NAME", "the administrator, once the node is in a cluster");
    const PASSWORD_FILE: Flag = flag("password-file", "FILE", "a file with the password, or BOOTSTRAPD_PASSWORD");
    const JSON: Flag = flag("json", "", "print JSON");
    const TIMEOUT: Flag = flag("timeout", "SECONDS", "how long to wait [300]");
    const NO_WAIT: Flag = flag("no-wait", "", "return once the attempt is accepted");

    /// Whom to ask, as whom.
    const ASKING: &[Flag] = &[URL, USER, PASSWORD_FILE];
    /// Whose certificate is good.
    const TRUSTING: &[Flag] = &[
        #[cfg(feature = "tls")]
        flag("fingerprint", "SHA256", "the only certificate to trust, as the node's log shows it"),
        #[cfg(feature = "tls")]
        flag("cacert", "FILE", "whose certificates to trust, PEM; the system's are not"),
        #[cfg(feature = "tls")]
        flag("insecure", "", "trust any certificate [only on this machine]"),
    ];
    /// What goes with a bootstrap object.
    const ATTEMPTING: &[Flag] = &[SETUP_TOKEN_FILE, JSON, TIMEOUT, NO_WAIT];

    /// A verb that asks once.
    const fn question(name: &'static str, help: &'static str) -> Verb {
        Verb { name, operand: None, help, flags: &[ASKING, &[JSON], TRUSTING] }
    }

    /// A verb that asks how an attempt would end.
    const fn validation(name: &'static str, help: &'static str) -> Verb {
        Verb { name, operand: Some("[FILE]"), help, flags: &[ASKING, &[SETUP_TOKEN_FILE, JSON], TRUSTING] }
    }

    /// A verb that starts an attempt.
    const fn attempt(name: &'static str, help: &'static str) -> Verb {
        Verb { name, operand: Some("[FILE]"), help, flags: &[ASKING, ATTEMPTING, TRUSTING] }
    }

    const STATUS: Verb = question("status", "show a node's bootstrap status");
    const CREATE: Verb =
        attempt("create", "create a cluster from a bootstrap object in FILE (`-` or none: standard input), and wait");
    const JOIN: Verb = attempt("join", "the same, to join a cluster");
    const RECOVER: Verb = Verb {
        flags: &[
            ASKING,
            ATTEMPTING,
            TRUSTING,
            &[IN_PLACE, STATE_DIR, PERSISTENT_PATH, STORE],
            STORING,
            &[ALLOW_PLAINTEXT, YES],
        ],
        ..attempt("recover", "the same, to recover a cluster from its record")
    };
    const VALIDATE_CREATE: Verb = validation("validate create", "say how `create` would end, and change nothing");
    const VALIDATE_JOIN: Verb = validation("validate join", "the same of `join`");
    const VALIDATE_RECOVER: Verb = validation("validate recover", "the same of `recover`");
    const WAIT: Verb = Verb {
        name: "wait",
        operand: None,
        help: "wait until a node's bootstrap has ended",
        flags: &[ASKING, &[JSON, TIMEOUT], TRUSTING],
    };
    const NODES: Verb = question("nodes", "list the nodes of a node's cluster");

    const LICENSE_KEYGEN: Verb = Verb {
        name: "license keygen",
        operand: Some("FILE"),
        help: "make a private key in FILE, a new one, and print its public key",
        flags: &[],
    };
    const LICENSE_ISSUE: Verb = Verb {
        name: "license issue",
        operand: Some("FILE"),
        help: "print a licence, signed with the private key in FILE: PEM, 64 hex digits or base64",
        flags: &[&[
            flag("owner", "NAME", "whose it is [nobody's]"),
            flag("cluster-name", "NAME", "the only cluster that it is for [any]"),
            flag("activation-date", "TIME", "from when it is in force, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ [now]"),
            flag("expiration-date", "TIME", "the first moment when it is not; required"),
            flag("shards-limit", "COUNT", "shards in all; required"),
            flag("node-limit", "COUNT", "nodes [any number]"),
            flag("feature", "NAME", "what may be used, such as bigstore; repeatable [nothing]"),
        ]],
    };
    const LICENSE_SHOW: Verb = Verb {
        name: "license show",
        operand: Some("[FILE]"),
        help: "show what the licence in FILE grants (`-` or none: standard input)",
        flags: &[&[flag("license-key", "KEY", "the public key, as `serve` takes it: is the signature good?")]],
    };

    const COMPLETIONS: Verb = Verb {
        name: "completions",
        operand: Some("SHELL"),
        help: "print what completes command lines in a shell: bash, zsh or fish",
        flags: &[],
    };
    const MAN: Verb = Verb {
        name: "man",
        operand: Some("[VERB]"),
        help: "print the manual, or a verb's page, for `man -l`",
        flags: &[],
    };

    /// Every verb.
    pub(crate) const VERBS: &[&Verb] = &[
        &SERVE,
        &STATUS,
        &CREATE,
        &JOIN,
        &RECOVER,
        &VALIDATE_CREATE,
        &VALIDATE_JOIN,
        &VALIDATE_RECOVER,
        &WAIT,
        &NODES,
        &LICENSE_KEYGEN,
        &LICENSE_ISSUE,
        &LICENSE_SHOW,
        &COMPLETIONS,
        &MAN,
        &RESET,
        #[cfg(feature = "etcd")]
        &super::MOVE,
    ];
}
#[cfg(feature = "client")]
pub(crate) use client::VERBS;
#[cfg(not(feature = "client"))]
pub(crate) const VERBS: &[&Verb] = &[
    &SERVE,
    &RECOVER,
    &RESET,
    #[cfg(feature = "etcd")]
    &MOVE,
];
