//! Two nodes become a cluster by way of the crate `redis-enterprise`: `USER PASSWORD FOUNDER-URL JOINER-URL ADDRESS`,
//! where the joiner finds the founder at ADDRESS. Prints what works and what does not, one line each.

use std::time::Duration;

use redis_enterprise::{
    BootstrapConfig, BootstrapHandler, ClusterBootstrap, ClusterHandler, CredentialsBootstrap, EnterpriseClient,
    LicenseHandler, NodeHandler, RestError,
};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [user, password, founder, joiner, address] = words.try_into().expect("five arguments");
    let client = |url: &str| {
        EnterpriseClient::builder()
            .base_url(url)
            .username(&user)
            .password(&password)
            .insecure(true)
            .build()
            .expect("a client")
    };
    let credentials = || CredentialsBootstrap::builder().username(&user).password(&password).build();

    let node = client(&founder);
    let bootstrap = BootstrapHandler::new(node.clone());
    let status = bootstrap.status().await.expect("the status of an idle node");
    assert_eq!(status.bootstrap_status.state, "idle");
    let config = BootstrapConfig::builder()
        .action("create_cluster")
        .cluster(ClusterBootstrap::builder().name("crate.test").build())
        .credentials(credentials())
        .build();
    say("create", bootstrap.create(config.clone()).await.map(drop));
    completed(&bootstrap).await;
    say("create again", node.post_action("/v1/bootstrap/create_cluster", &config).await);

    let node = client(&joiner);
    let bootstrap = BootstrapHandler::new(node.clone());
    let mut config = json!({"cluster": {"nodes": [address]}, "credentials": {"username": user, "password": password}});
    config["action"] = "join_cluster".into();
    let typed = BootstrapConfig::builder()
        .action("join_cluster")
        .cluster(ClusterBootstrap::builder().name("crate.test").build())
        .credentials(credentials())
        .build();
    say("join", bootstrap.join(typed).await.map(drop));
    say("post_action join_cluster", node.post_action("/v1/bootstrap/join_cluster", &config).await);
    completed(&bootstrap).await;

    say("nodes", NodeHandler::new(node.clone()).list().await.map(|nodes| assert_eq!(nodes.len(), 2)));
    say(
        "cluster",
        ClusterHandler::new(node.clone()).info().await.map(|cluster| assert_eq!(cluster.name, "crate.test")),
    );
    say("license", LicenseHandler::new(node).get().await.map(drop));
}

fn say(what: &str, result: Result<(), RestError>) {
    match result {
        Ok(()) => println!("{what}: ok"),
        Err(error) => println!("{what}: {error}"),
    }
}

async fn completed(bootstrap: &BootstrapHandler) {
    loop {
        let status = bootstrap.status().await.expect("the status of a node that works").bootstrap_status;
        assert_ne!(status.state, "error", "{status:?}");
        if status.state == "completed" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
