//! Any body gives a configuration that cannot be wrong, or problems that are valid JSON. The first byte picks the
//! action.

#![no_main]

use std::cell::RefCell;

use bootstrapd_core::config::{Action, Config};
use bootstrapd_core::json;
use bootstrapd_core::problems::Problems;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

thread_local! {
    // Used again and again, as the agent does: nothing may be left of the body before.
    static STATE: RefCell<(Box<Config>, Box<Problems>)> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    let Some((first, body)) = input.split_first() else { return };
    let action = Action::ALL[usize::from(*first) % Action::ALL.len()];
    STATE.with_borrow_mut(|(config, problems)| {
        problems.clear();
        config.read(body, action, problems);
        if problems.is_empty() {
            json::check(body).unwrap();
            holds(config, action);
        } else {
            problems_are_whole(problems);
        }
    });
});

fn problems_are_whole(problems: &Problems) {
    let list: Vec<Value> = serde_json::from_str(&format!("[{}]", problems.json())).unwrap();
    let first: Value = serde_json::from_str(&format!("\"{}\"", problems.first_message())).unwrap();
    assert_eq!(list[0]["message"], first);
    for problem in list {
        let pointer = problem["pointer"].as_str().unwrap();
        assert!(pointer.is_empty() || pointer.starts_with('/'));
        assert!(!problem["message"].as_str().unwrap().is_empty());
    }
}

fn holds(config: &Config, action: Action) {
    let credentials = &config.credentials;
    let password = std::str::from_utf8(credentials.password.expose()).unwrap();
    assert!(!password.contains(char::is_control));
    assert!(!credentials.username.contains(|character: char| character.is_control() || ":&<>\"".contains(character)));
    assert_eq!(credentials.username.is_empty(), password.is_empty());
    let certificate = !credentials.client_cert.is_empty();
    assert_eq!(certificate, !credentials.client_key.is_empty());
    match action {
        Action::CreateCluster => {
            assert!(!config.cluster.name.is_empty() && config.cluster.nodes.is_empty());
            assert!(!credentials.username.is_empty() && !certificate && credentials.trusted_ca.is_empty());
            assert!(!config.policy.rack_aware || !config.node.identity.rack_id.is_empty());
        }
        Action::JoinCluster => assert_ne!(credentials.username.is_empty(), !certificate),
        Action::RecoverCluster => assert!(!config.recovery_filename.is_empty() && !certificate),
    }
    let mut ports = config.ports.named().map(|(_, port)| port).to_vec();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 5);
    assert!(ports[0] > 0);
    let paths = &config.node.paths;
    for path in [&paths.persistent, &paths.ephemeral, &paths.bigstore, &paths.ccs] {
        assert!(path.is_empty() || path.starts_with('/'));
        assert!(!path.contains('\0') && !path.split('/').any(|part| part == ".."));
    }
    assert!(config.dns_suffixes.iter().all(|suffix| !suffix.name.is_empty()));
    assert!(config.dns_suffixes.iter().filter(|suffix| suffix.cluster_default).count() <= 1);
    assert!((1..=3600).contains(&config.retry.seconds));
    assert!(config.node.limits.max_listeners > 0 && config.node.limits.max_redis_servers > 0);
    let external = &config.node.identity.external_addr;
    assert!((1..external.len()).all(|end| !external[..end].contains(&external[end])));
}
