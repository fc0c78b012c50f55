//! The verb `license`: makes keys, issues licences and shows what one grants. It asks nobody.

use std::ffi::OsStr;
use std::fmt::{Display, Write as _};
use std::fs;

use base64ct::{Base64, Encoding as _};
use bootstrapd_core::failure::Violation;
use bootstrapd_core::license::{self, SIGNATURE_BYTES, Terms};
use bootstrapd_core::limits::{FEATURES_MAX, LICENSE_BYTES_MAX};
use bootstrapd_core::time::Timestamp;
use bootstrapd_core::write::Writer;
use ed25519_dalek::{Signer as _, SigningKey};
use heapless::String as Short;

use super::{Ended, read_input, usage};
use crate::options::{self, Values};
use crate::secret::LicenseKey;
use crate::{exit, node};

mod key;

/// Runs one of its verbs.
pub(super) fn run(verb: &str, values: &Values) -> Result<(), Ended> {
    let file = values.operand.as_deref();
    match verb {
        "keygen" => keygen(file.unwrap_or_default()),
        "issue" => issue(file.unwrap_or_default(), values),
        _ => show(file, values),
    }
}

/// A file that is not what it should be.
fn bad_file(file: &OsStr, why: impl Display) -> Ended {
    (exit::CONFIG, format!("{}: {why}", file.display()))
}

fn keygen(file: &OsStr) -> Result<(), Ended> {
    let key = key::make(file).map_err(|error| bad_file(file, error))?;
    let mut line = String::new();
    for byte in key.verifying_key().as_bytes() {
        let _ = write!(line, "{byte:02x}");
    }
    options::print(&format!("{line}\n"));
    Ok(())
}

fn issue(file: &OsStr, values: &Values) -> Result<(), Ended> {
    let terms = terms(values).map_err(usage)?;
    let key = key::read(file)?;
    let license = signed(&terms, &key).ok_or_else(|| usage("a licence with these terms would be too long"))?;
    options::print(&license);
    Ok(())
}

/// The terms that the flags name.
fn terms(values: &Values) -> Result<Terms, String> {
    let needed = |name: &str| values.text(name)?.ok_or_else(|| format!("--{name} is missing"));
    let mut terms = Terms {
        owner: short("owner", &values.text("owner")?.unwrap_or_default())?,
        cluster_name: short("cluster-name", &values.text("cluster-name")?.unwrap_or_default())?,
        activation_date: match values.text("activation-date")? {
            Some(text) => date("activation-date", &text)?,
            None => node::now(),
        },
        expiration_date: date("expiration-date", &needed("expiration-date")?)?,
        shards_limit: count("shards-limit", &needed("shards-limit")?)?,
        node_limit: values.text("node-limit")?.map(|text| count("node-limit", &text)).transpose()?,
        ..Terms::default()
    };
    if terms.expiration_date <= terms.activation_date {
        return Err("--expiration-date must be later than --activation-date".to_owned());
    }
    for feature in values.all("feature") {
        let feature = feature.to_str().ok_or("--feature is not text")?;
        let feature = short("feature", feature)?;
        terms.features.push(feature).map_err(|_| format!("there are more than {FEATURES_MAX} features"))?;
    }
    Ok(terms)
}

fn short<const N: usize>(name: &str, text: &str) -> Result<Short<N>, String> {
    Short::try_from(text).map_err(|_| format!("--{name} takes at most {N} bytes"))
}

fn date(name: &str, text: &str) -> Result<Timestamp, String> {
    let moment = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
    moment.ok_or_else(|| format!("--{name} takes YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not {text:?}"))
}

fn count(name: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("--{name} takes a whole number, not {text:?}"))
}

/// The armoured licence; `None` where a configuration has no room for it.
fn signed(terms: &Terms, key: &SigningKey) -> Option<String> {
    let mut statement = [0; LICENSE_BYTES_MAX];
    let length = write(terms, &mut statement)?;
    let statement = statement.get(..length)?;
    let signature = key.sign(statement).to_bytes();
    let mut base64 = vec![0; 2 * (SIGNATURE_BYTES + LICENSE_BYTES_MAX)];
    let base64 = Base64::encode(&[&signature, statement].concat(), &mut base64).ok()?;
    let license = format!("----- LICENSE START -----\n{base64}\n----- LICENSE END -----\n");
    // Nothing leaves here that a node would not take.
    let verify = |statement: &[u8], signature: &[u8; SIGNATURE_BYTES]| {
        key.verifying_key().verify_strict(statement, &signature.into()).is_ok()
    };
    let is_good = license.len() <= LICENSE_BYTES_MAX && license::open(&license, verify).as_ref() == Ok(terms);
    is_good.then_some(license)
}

/// Writes a statement; its length.
fn write(terms: &Terms, statement: &mut [u8]) -> Option<usize> {
    let mut writer = Writer::new(statement);
    writer.open('{').name("owner").text(&terms.owner).name("cluster_name").text(&terms.cluster_name);
    writer.name("activation_date").time(terms.activation_date).name("expiration_date").time(terms.expiration_date);
    writer.name("shards_limit").number(u64::from(terms.shards_limit));
    if let Some(limit) = terms.node_limit {
        writer.name("node_limit").number(u64::from(limit));
    }
    writer.name("features").open('[');
    for feature in &terms.features {
        writer.text(feature);
    }
    writer.close(']').close('}');
    writer.finish().ok()
}

fn show(file: Option<&OsStr>, values: &Values) -> Result<(), Ended> {
    let key = public_key(values)?;
    let text = read_input(file)?;
    let mut is_good = None;
    let opened = license::open(std::str::from_utf8(&text).unwrap_or_default(), |statement, signature| {
        is_good = key.map(|key| key.verify(statement, signature));
        // People may read what nobody signed.
        true
    });
    let unusable = |violation: Violation| (exit::CONFIG, violation.message().to_owned());
    options::print(&for_people(&opened.map_err(unusable)?, is_good));
    if is_good == Some(false) { Err(unusable(Violation::BadSignature)) } else { Ok(()) }
}

/// The key that a node would trust with the same flags.
fn public_key(values: &Values) -> Result<Option<LicenseKey>, Ended> {
    let Some(text) = values.text("license-key").map_err(usage)? else { return Ok(LicenseKey::built_in()) };
    let in_file = || LicenseKey::parse(&fs::read_to_string(&text).ok()?);
    let key = LicenseKey::parse(&text).or_else(in_file);
    key.map(Some).ok_or_else(|| bad_file(text.as_ref(), "neither a public key nor a file that holds one"))
}

fn for_people(terms: &Terms, is_good: Option<bool>) -> String {
    let now = node::now();
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let signature = match is_good {
        Some(true) => "good",
        Some(false) => "bad",
        None => "not checked, for want of --license-key",
    };
    let active = if now < terms.activation_date { " (not yet)" } else { "" };
    let expired = if now >= terms.expiration_date { " (expired)" } else { "" };
    let nodes = terms.node_limit.map(|limit| limit.to_string());
    let lines = [
        ("owner", or(&terms.owner, "-")),
        ("cluster", or(&terms.cluster_name, "any")),
        ("active", format!("{}{active}", terms.activation_date)),
        ("expires", format!("{}{expired}", terms.expiration_date)),
        ("shards", terms.shards_limit.to_string()),
        ("nodes", or(&nodes.unwrap_or_default(), "any number")),
        ("features", or(&terms.features.join(", "), "-")),
        ("signature", signature.to_owned()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<10} {value}");
    }
    text
}
