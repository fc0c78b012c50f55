//! Licences: the armour, the signed statement inside it, and the terms that it grants.
//!
//! `----- LICENSE START -----`, base64, `----- LICENSE END -----`. The base64 holds 64 bytes of Ed25519 signature
//! and behind them the JSON statement that they sign. The signature is the shell's to check; everything else is
//! decided here.

use base64ct::{Base64, Encoding as _};
use heapless::{String, Vec};

use crate::failure::Violation;
use crate::fields::Fields;
use crate::limits::*;
use crate::time::Timestamp;
use crate::write::Writer;

const START: &str = "----- LICENSE START -----";
const END: &str = "----- LICENSE END -----";
/// An Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;
/// The feature that flash storage needs.
pub const BIGSTORE: &str = "bigstore";

const TRIAL_DAYS: u32 = 30;
const TRIAL_SHARDS: u32 = 4;

/// What a licence grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whose it is.
    pub owner: String<OWNER_BYTES_MAX>,
    /// The only cluster that it is for; empty for any.
    pub cluster_name: String<CLUSTER_NAME_BYTES_MAX>,
    /// From when it is in force.
    pub activation_date: Timestamp,
    /// The first moment when it is not.
    pub expiration_date: Timestamp,
    /// Shards in all.
    pub shards_limit: u32,
    /// Nodes; no limit where absent.
    pub node_limit: Option<u32>,
    /// What may be used.
    pub features: Vec<String<FEATURE_BYTES_MAX>, FEATURES_MAX>,
}

/// The members of a signed statement, and whether each must be there.
const MEMBERS: [(&str, bool); 7] = [
    ("owner", false),
    ("cluster_name", false),
    ("activation_date", true),
    ("expiration_date", true),
    ("shards_limit", true),
    ("node_limit", false),
    ("features", true),
];

impl Terms {
    /// Nothing is granted; every byte is zero.
    pub(crate) const BLANK: Self = Self {
        owner: String::new(),
        cluster_name: String::new(),
        activation_date: Timestamp::from_seconds(0),
        expiration_date: Timestamp::from_seconds(0),
        shards_limit: 0,
        node_limit: None,
        features: Vec::new(),
    };

    /// What a cluster without a licence gets: 30 days from `created`, 4 shards, any number of nodes.
    #[must_use]
    pub fn trial(created: Timestamp) -> Self {
        let features = ["trial", BIGSTORE].into_iter().filter_map(|name| String::try_from(name).ok()).collect();
        Self {
            owner: String::new(),
            cluster_name: String::new(),
            activation_date: created,
            expiration_date: created.plus_days(TRIAL_DAYS),
            shards_limit: TRIAL_SHARDS,
            node_limit: None,
            features,
        }
    }

    /// Reads the value of one of [`MEMBERS`]. What may be missing may be null too.
    fn read_member(&mut self, name: &str, fields: &mut Fields<'_>) {
        match name {
            "owner" | "cluster_name" | "node_limit" if fields.null() => {}
            "owner" => _ = fields.text(&mut self.owner),
            "cluster_name" => _ = fields.text(&mut self.cluster_name),
            "activation_date" => _ = fields.time(&mut self.activation_date),
            "expiration_date" => _ = fields.time(&mut self.expiration_date),
            "shards_limit" => _ = fields.number(&mut self.shards_limit),
            "node_limit" => _ = fields.number(self.node_limit.insert(0)),
            _ => _ = fields.texts(&mut self.features),
        }
    }

    /// Writes them for a record.
    pub(crate) fn write_record(&self, writer: &mut Writer<'_>) {
        writer.open('{').name("owner").text(&self.owner).name("cluster_name").text(&self.cluster_name);
        writer.name("activation_date").time(self.activation_date).name("expiration_date").time(self.expiration_date);
        writer.name("shards_limit").number(u64::from(self.shards_limit));
        if let Some(limit) = self.node_limit {
            writer.name("node_limit").number(u64::from(limit));
        }
        writer.name("features").open('[');
        for feature in &self.features {
            writer.text(feature);
        }
        writer.close(']').close('}');
    }

    /// Reads what [`Terms::write_record`] wrote.
    pub(crate) fn read_record(&mut self, fields: &mut Fields<'_>) {
        fields.open('{').name("owner").text(&mut self.owner).name("cluster_name").text(&mut self.cluster_name);
        fields.name("activation_date").time(&mut self.activation_date);
        fields.name("expiration_date").time(&mut self.expiration_date);
        fields.name("shards_limit").number(&mut self.shards_limit);
        if let Some(limit) = fields.optional("node_limit", &mut self.node_limit) {
            fields.number(limit);
        }
        fields.name("features").texts(&mut self.features).close('}');
    }

    /// Whether a cluster called `name` of `nodes` nodes may exist now, with flash storage if `flash`.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn permit(&self, now: Timestamp, name: &str, nodes: u32, flash: bool) -> Result<(), Violation> {
        if now >= self.expiration_date {
            Err(Violation::Expired)
        } else if now < self.activation_date {
            Err(Violation::NotYetActive)
        } else if !self.cluster_name.is_empty() && !self.cluster_name.eq_ignore_ascii_case(name) {
            Err(Violation::ClusterNameMismatch)
        } else if self.node_limit.is_some_and(|limit| nodes > limit) {
            Err(Violation::NodeLimitExceeded)
        } else if flash && !self.features.iter().any(|feature| feature == BIGSTORE) {
            Err(Violation::FeatureMissing)
        } else {
            Ok(())
        }
    }
}

/// Whether a configuration's licence asks for the trial.
#[must_use]
pub fn is_trial(license: &str) -> bool {
    license.trim_ascii().is_empty()
}

/// Opens an armoured licence. `verify` is asked whether the signature over the statement is good.
///
/// # Errors
/// [`Violation::Malformed`] or [`Violation::BadSignature`].
pub fn open(license: &str, verify: impl FnOnce(&[u8], &[u8; SIGNATURE_BYTES]) -> bool) -> Result<Terms, Violation> {
    let mut buffer = [0; LICENSE_BYTES_MAX];
    let (signature, statement) = signed(license, &mut buffer).ok_or(Violation::Malformed)?;
    // Nothing of an unsigned statement is looked at.
    if !verify(statement, signature) {
        return Err(Violation::BadSignature);
    }
    read(statement).ok_or(Violation::Malformed)
}

fn signed<'a>(license: &str, buffer: &'a mut [u8; LICENSE_BYTES_MAX]) -> Option<(&'a [u8; SIGNATURE_BYTES], &'a [u8])> {
    let armoured = license.trim_ascii().strip_prefix(START)?.strip_suffix(END)?;
    let mut base64 = Vec::<u8, LICENSE_BYTES_MAX>::new();
    for byte in armoured.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        base64.push(byte).ok()?;
    }
    let decoded = Base64::decode(base64.as_slice(), buffer).ok()?;
    decoded.split_first_chunk()
}

/// Reads a statement: its members in any order, each at most once; those of a later version are passed over.
fn read(statement: &[u8]) -> Option<Terms> {
    let mut fields = Fields::new(statement).ok()?;
    let mut terms = Terms::default();
    let mut seen = [false; MEMBERS.len()];
    fields.open('{');
    while let Some(name) = fields.any_name() {
        match MEMBERS.iter().zip(&mut seen).find(|((known, _), _)| name.is(known)) {
            Some((_, true)) => return None,
            Some(((known, _), seen)) => {
                *seen = true;
                terms.read_member(known, &mut fields);
            }
            None => fields.skip(),
        }
    }
    fields.close('}');
    fields.finish().ok()?;
    MEMBERS.iter().zip(seen).all(|((_, required), seen)| seen || !required).then_some(terms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::few;
    use std::string::String;
    use std::{format, vec};

    fn armoured(statement: &str) -> String {
        let mut signed = vec![7; SIGNATURE_BYTES];
        signed.extend_from_slice(statement.as_bytes());
        let mut text = vec![0; 4096];
        format!("{START}\n{}\n{END}\n", Base64::encode(&signed, &mut text).unwrap())
    }

    const STATEMENT: &str = r#"{"owner":"A \"B\"","cluster_name":"My.Cluster","activation_date":"2020-01-01T00:00:00Z","expiration_date":"2030-01-01T00:00:00Z","shards_limit":9,"node_limit":3,"features":["bigstore"],"later":[{}]}"#;

    fn terms() -> Terms {
        open(&armoured(STATEMENT), |_, _| true).unwrap()
    }

    #[test]
    fn a_signed_statement_is_read() {
        let terms = terms();
        assert_eq!(terms.owner, "A \"B\"");
        assert_eq!(terms.node_limit, Some(3));
        assert_eq!(
            open(&armoured(STATEMENT), |text, signature| {
                assert_eq!((text, signature), (STATEMENT.as_bytes(), &[7; SIGNATURE_BYTES]));
                false
            }),
            Err(Violation::BadSignature)
        );
    }

    #[test]
    fn anything_else_is_malformed() {
        let good = armoured(STATEMENT);
        let short = format!("{START}\nAAAA\n{END}");
        let cut = good.replace("----- LICENSE END -----", "");
        let cases = [
            "----- LICENSE START -----\ndi+iK...KniI9\n----- LICENSE END -----\n",
            "x",
            START,
            &short,
            &cut,
            &armoured("{}"),
            &armoured("[]"),
            &armoured(&STATEMENT.replace("2030-01-01", "2030-13-01")),
            &armoured(&STATEMENT.replace(":9,", ":-9,")),
            &armoured(&format!("{STATEMENT}x")),
        ];
        for case in cases {
            assert_eq!(open(case, |_, _| true), Err(Violation::Malformed), "{case}");
        }
    }

    #[test]
    fn members_come_in_any_order_and_three_may_be_missing_or_null() {
        let read = |statement: &str| open(&armoured(statement), |_, _| true);
        let least = r#" {"later":{"owner":[[]]},"features":[],"shards_limit":0,"expiration_date":"2030-01-01T00:00:00Z","activation_date":"2020-01-01T00:00:00Z"} "#;
        let terms = read(least).unwrap();
        assert_eq!((&*terms.owner, &*terms.cluster_name, terms.node_limit), ("", "", None));
        assert_eq!(terms.activation_date, self::terms().activation_date);
        let nulls = least.replace("\"later\"", r#""node_limit":null,"owner":null,"cluster_name":null,"later""#);
        assert_eq!(read(&nulls), Ok(terms));
        let cases = [
            ("\"features\":[],", ""),
            ("\"shards_limit\":0,", ""),
            ("\"shards_limit\":0", "\"shards_limit\":null"),
            ("\"shards_limit\":0", "\"shards_limit\":\"0\""),
            ("\"shards_limit\":0", "\"shards_limit\":0,\"shards_limit\":0"),
            ("\"features\":[]", "\"features\":[],\"owner\":null,\"owner\":\"a\""),
            ("\"features\":[]", "\"features\":null"),
            ("\"features\":[]", "\"features\":[1]"),
            ("\"features\":[]", "\"features\":[],\"node_limit\":4294967296"),
            ("\"features\":[]", "\"features\":[],\"cluster_name\":{}"),
            ("[[]]", "[[]"),
        ];
        for (old, new) in few(cases, 3) {
            assert!(least.contains(old));
            assert_eq!(read(&least.replace(old, new)), Err(Violation::Malformed), "{old} {new}");
        }
    }

    #[test]
    fn terms_are_checked_at_their_edges() {
        let terms = terms();
        let [start, end] = [terms.activation_date, terms.expiration_date].map(Timestamp::seconds);
        let at = Timestamp::from_seconds;
        assert_eq!(terms.permit(at(start), "my.cluster", 3, true), Ok(()));
        assert_eq!(terms.permit(at(start - 1), "my.cluster", 3, true), Err(Violation::NotYetActive));
        assert_eq!(terms.permit(at(end - 1), "my.cluster", 3, true), Ok(()));
        assert_eq!(terms.permit(at(end), "my.cluster", 3, true), Err(Violation::Expired));
        assert_eq!(terms.permit(at(start), "other", 3, true), Err(Violation::ClusterNameMismatch));
        assert_eq!(terms.permit(at(start), "my.cluster", 4, true), Err(Violation::NodeLimitExceeded));
        let without = Terms { features: Vec::new(), ..terms };
        assert_eq!(without.permit(at(start), "my.cluster", 3, true), Err(Violation::FeatureMissing));
        assert_eq!(without.permit(at(start), "my.cluster", 3, false), Ok(()));
    }

    #[test]
    fn the_trial_is_thirty_days_for_anybody() {
        let trial = Terms::trial(Timestamp::from_seconds(1_000));
        assert!(is_trial("") && is_trial(" \n") && !is_trial("x"));
        assert_eq!(trial.shards_limit, 4);
        assert_eq!(trial.permit(Timestamp::from_seconds(1_000), "x", 128, true), Ok(()));
        let end = Timestamp::from_seconds(1_000 + 30 * 86_400);
        assert_eq!(trial.permit(end, "x", 1, false), Err(Violation::Expired));
    }
}
