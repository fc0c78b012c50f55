//! What the machine wants done: the errand or the work that each effect takes.

use std::time::Duration;

use bootstrapd_core::limits::NODE_RECORD_BYTES_MAX;
use bootstrapd_core::machine::{Effect, PathRole};
use zeroize::Zeroizing;

use super::Agent;
use crate::peer::{Contact, Errand};
use crate::perform::{Who, Work, record_path};
use crate::store;

impl Agent {
    /// Has an effect done that needs other nodes, or only time; whether it is such a one.
    pub(super) fn go_out(&mut self, who: Who, effect: Effect) -> bool {
        match effect {
            Effect::Contact { node } => {
                let contact = self.contact(who, node);
                self.threads.errands.push(Errand::Contact(who, Box::new(contact)));
            }
            Effect::Wait { seconds } => {
                self.threads.errands.push(Errand::Wait(who, Duration::from_secs(u64::from(seconds))));
            }
            Effect::Confirm => self.confirm(),
            Effect::CheckStore => self.threads.errands.push(Errand::CheckStore(who)),
            Effect::Persist
            | Effect::CheckPaths
            | Effect::VerifyLicense
            | Effect::Found
            | Effect::ReadRecovery
            | Effect::Adopt
            | Effect::Discard => return false,
        }
        true
    }

    fn contact(&self, who: Who, node: u8) -> Contact {
        let machine = self.machine(who);
        let config = machine.config();
        let request = machine.join_request(&self.facts);
        Contact {
            node: machine.contact(node).unwrap_or_default().to_owned(),
            default_port: config.ports.cnm_https,
            allow_plaintext: self.others.habits.allow_plaintext,
            own: self.facts.own(),
            trusted_ca: config.credentials.trusted_ca.as_str().to_owned(),
            username: config.credentials.username.as_str().to_owned(),
            password: Zeroizing::new(config.credentials.password.expose().to_vec()),
            client_cert: config.credentials.client_cert.as_str().to_owned(),
            client_key: Zeroizing::new(config.credentials.client_key.expose().to_vec()),
            request,
        }
    }

    /// The work that an effect takes; `None` where a record does not fit into any.
    pub(super) fn work(&mut self, who: Who, effect: Effect) -> Option<Work> {
        let cluster_record = record_path(self.machine(who).path(PathRole::Ccs));
        Some(match effect {
            Effect::Persist => {
                let mut buffer = vec![0; NODE_RECORD_BYTES_MAX];
                let length = self.machine.encode(&mut buffer).ok()?;
                buffer.truncate(length);
                Work::Save(self.node_record.clone(), buffer)
            }
            Effect::CheckPaths => {
                let paths = self.machine(who).paths_to_check().map(|path| path.map(str::to_owned));
                Work::CheckPaths(paths, self.machine.node_id())
            }
            Effect::VerifyLicense => {
                Work::VerifyLicense(self.machine(who).config().license.as_str().to_owned(), self.license_key.clone())
            }
            Effect::Found => {
                let credentials = &self.machine.config().credentials;
                let password = Zeroizing::new(credentials.password.expose().to_vec());
                Work::Hash(credentials.username.as_str().to_owned(), password, self.facts.total_memory)
            }
            Effect::ReadRecovery => {
                let config = self.machine(who).config();
                let (file, credentials) = (config.recovery_filename.as_str(), &config.credentials);
                let password = Zeroizing::new(credentials.password.expose().to_vec());
                Work::ReadRecovery(file.into(), credentials.username.as_str().to_owned(), password)
            }
            Effect::Adopt => {
                let bytes = store::encode(self.founded.as_deref()?)?;
                Work::Save(cluster_record, bytes)
            }
            Effect::Discard => {
                let before = match self.machine.home().zip(self.cluster.as_deref()) {
                    Some((path, before)) => Some((record_path(path), store::encode(before)?)),
                    None => None,
                };
                Work::Discard(cluster_record, before)
            }
            Effect::Contact { .. } | Effect::Wait { .. } | Effect::Confirm | Effect::CheckStore => return None,
        })
    }
}
