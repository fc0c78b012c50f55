use super::*;
use crate::config::Action;

#[test]
fn aliases_and_nothing_else() {
    for path in ["/v1/bootstrap", "/bootstrap", "/v1/boostrap", "/v1/bootstrap/", "/bootstrap/", "/v1/boostrap/"] {
        assert_eq!(Resource::from_path(path), Resource::Status, "{path}");
    }
    for action in Action::ALL {
        for prefix in ["/v1/bootstrap/", "/bootstrap/"] {
            let path = std::format!("{prefix}{}", action.name());
            assert_eq!(Resource::from_path(&path), Resource::Bootstrap(action));
            assert_eq!(Resource::from_path(&std::format!("{path}/")), Resource::Bootstrap(action));
            let path = std::format!("{prefix}validate/{}", action.name());
            assert_eq!(Resource::from_path(&path), Resource::Validate(action));
        }
    }
    assert_eq!(Resource::from_path("/v1/nodes/7"), Resource::Node(7));
    assert_eq!([Resource::from_path("/ui"), Resource::from_path("/ui/")], [Resource::Page; 2]);
    for path in [
        "/v1/bootstrap//",
        "/v1/Bootstrap",
        "/v1/%62ootstrap",
        "/v1/boostrap/create_cluster",
        "/v1/nodes/+1",
        "/v1/nodes/4294967296",
        "/v1/nodes//",
        "/v1",
        "/v1/",
        "/v1/bootstrap/validate",
        "/v1/bootstrap/create",
    ] {
        assert_eq!(Resource::from_path(path), Resource::UnknownV1, "{path}");
    }
    for path in ["///", "/bootstrap/x", "/bootstrap//", "", "/healthz//", "/v1x", "**"] {
        assert_eq!(Resource::from_path(path), Resource::Unknown, "{path}");
    }
    assert_eq!(Resource::from_path("*"), Resource::Server);
    assert!(Resource::Server.takes(Method::Options, true) && !Resource::Server.takes(Method::Get, true));
}

#[test]
fn what_only_a_program_has_that_was_built_to_be_managed() {
    for (path, expected) in [
        ("/v1/cluster/check", Managed::ClusterCheck),
        ("/v1/nodes/check/7", Managed::NodeCheck(7)),
        ("/v1/cluster/policy/", Managed::Policy),
        ("/v1/bdbs", Managed::Databases),
        ("/v1/modules", Managed::Modules),
        ("/v1/users", Managed::Users),
    ] {
        assert_eq!(Resource::from_managed_path(path), Resource::Managed(expected), "{path}");
        assert_eq!(Resource::from_path(path), Resource::UnknownV1, "{path}");
    }
    for path in ["/v1/nodes/check", "/v1/nodes/check/", "/v1/nodes/check/x", "/v1/cluster/", "/v1/users/1", "/bdbs"] {
        let found = Resource::from_managed_path(path);
        assert!(!matches!(found, Resource::Managed(_)), "{path}: {found:?}");
    }
}

#[test]
fn allow_names_what_is_taken() {
    let resources = [
        "/v1/bootstrap",
        "/v1/bootstrap/progress",
        "/v1/bootstrap/create_cluster",
        "/v1/bootstrap/validate/create_cluster",
        "/v1/cluster",
        "/v1/nodes",
        "/v1/nodes/1",
        "/v1/license",
        "/v1/cluster/policy",
        "/v1/cluster/check",
        "/v1/users",
        "/internal/v1/login/certificate",
        "/internal/v1/challenge",
        "/internal/v1/ask",
        "/",
        "/healthz",
        "/v1/x",
        "/x",
    ];
    for resource in resources.map(Resource::from_managed_path) {
        for is_managed in [true, false] {
            let allowed = resource.allow(is_managed).split(", ");
            for name in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
                let taken = resource.takes(Method::from_name(name), is_managed);
                assert_eq!(taken, allowed.clone().any(|allowed| allowed == name), "{resource:?} {name}");
            }
        }
        assert_eq!(resource.takes(Method::Put, true), resource.target().is_some());
        assert!(!resource.takes(Method::Put, false) && !resource.takes(Method::Other, true));
    }
}

#[test]
fn which_schema_is_asked_for() {
    for (query, asked) in [
        ("", Described::Missing),
        ("object", Described::Missing),
        ("object=", Described::Missing),
        ("objects=bootstrap", Described::Missing),
        ("object=bootstrap", Described::Bootstrap),
        ("x=y&object=bootstrap&z", Described::Bootstrap),
        ("object=bdb", Described::Unknown),
        ("object=Bootstrap", Described::Unknown),
        ("object=bootstrap%20", Described::Unknown),
    ] {
        assert_eq!(Described::from_query(query), asked, "{query}");
    }
}

#[test]
fn who_may_call_what() {
    let closed = Standing::Closed { expelled: false };
    let expelled = Standing::Closed { expelled: true };
    let create = Resource::Bootstrap(Action::CreateCluster);
    let cases = [
        (Resource::Status, Method::Get, [Access::Open, Access::Credentials, Access::Credentials, Access::Broken]),
        (create, Method::Post, [Access::Open, Access::CheckIfGiven, Access::Credentials, Access::Broken]),
        (Resource::Nodes, Method::Get, [Access::NoCluster, Access::Credentials, Access::Credentials, Access::Broken]),
        (Resource::Root, Method::Get, [Access::NoCluster, Access::Credentials, Access::Credentials, Access::Broken]),
        (Resource::Nodes, Method::Other, [Access::Open, Access::Credentials, Access::Credentials, Access::Broken]),
        (Resource::Nodes, Method::Put, [Access::Open, Access::Credentials, Access::Credentials, Access::Broken]),
        (Resource::Node(1), Method::Put, [Access::NoCluster, Access::Credentials, Access::Credentials, Access::Broken]),
        (
            Resource::Managed(Managed::Users),
            Method::Get,
            [Access::NoCluster, Access::Credentials, Access::Credentials, Access::Broken],
        ),
        (Resource::Health, Method::Get, [Access::Open; 4]),
        (Resource::Page, Method::Get, [Access::Open; 4]),
        (Resource::Ready, Method::Get, [Access::Open, Access::Open, Access::Open, Access::Broken]),
        (
            Resource::Schema(Described::Bootstrap),
            Method::Get,
            [Access::Open, Access::Open, Access::Open, Access::Broken],
        ),
        (Resource::OpenApi, Method::Get, [Access::Open; 4]),
        (Resource::UnknownV1, Method::Get, [Access::Open, Access::Credentials, Access::Credentials, Access::Broken]),
        (Resource::Unknown, Method::Get, [Access::Open; 4]),
    ];
    for (resource, method, expected) in cases {
        let found = [Standing::Open, closed, expelled, Standing::Broken]
            .map(|standing| access(resource, method, standing, true));
        assert_eq!(found, expected, "{resource:?}");
    }
}

#[test]
fn rules_are_for_posts_before_a_cluster_and_for_the_status_in_one() {
    let posts = Action::ALL.into_iter().flat_map(|action| [Resource::Bootstrap(action), Resource::Validate(action)]);
    let others = [Resource::Status, Resource::Progress, Resource::Nodes, Resource::Root, Resource::Health];
    let [closed, expelled] = [false, true].map(|expelled| Standing::Closed { expelled });
    for resource in posts.chain(others) {
        for method in [Method::Get, Method::Head, Method::Post, Method::Options, Method::Other] {
            for standing in [Standing::Open, closed, expelled, Standing::Broken] {
                let of = |needs_token, is_shut, says_completed| {
                    ruling(resource, method, standing, Rules { needs_token, is_shut, says_completed })
                };
                let (mut token, mut shut, mut says) = (Ruling::None, Ruling::None, Ruling::None);
                if method == Method::Post && standing == Standing::Open && !others.contains(&resource) {
                    (token, shut) = (Ruling::SetupToken, Ruling::Shut);
                }
                if matches!(method, Method::Get | Method::Head) && standing == closed && resource == Resource::Status {
                    says = Ruling::OnlyCompleted;
                }
                assert_eq!(of(false, false, false), Ruling::None);
                let found = [of(true, false, false), of(false, true, false), of(true, true, false)];
                assert_eq!(found, [token, shut, shut], "{resource:?} {method:?} {standing:?}");
                assert_eq!(of(false, false, true), says, "{resource:?} {method:?} {standing:?}");
            }
        }
    }
}

#[test]
fn every_branch_of_the_origin_rule() {
    fn refused(origin: Option<&str>, host: &str, site: Option<&str>) -> bool {
        foreign_origin(origin, host, site, "http", |name| name == "node-1").is_some()
    }
    // What is no browser's request passes whatever the host.
    assert!(!refused(None, "evil.example", None));
    assert!(!refused(None, "", Some("none")));
    assert!(!refused(None, "a", Some("same-origin")));
    assert!(refused(None, "127.0.0.1", Some("cross-site")));
    assert!(refused(None, "127.0.0.1", Some("same-site")));
    assert!(refused(None, "127.0.0.1", Some("")));
    for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "[::1]", "node-1:8080", "10.0.0.1"] {
        let origin = std::format!("http://{host}");
        assert!(!refused(Some(&origin), host, None), "{host}");
        assert!(!refused(Some(&origin), host, Some("same-origin")), "{host}");
        assert!(refused(Some(&origin), host, Some("cross-site")), "{host}");
        assert!(refused(Some(&std::format!("https://{host}")), host, None), "{host}");
    }
    assert!(refused(Some("null"), "127.0.0.1", None));
    assert!(refused(Some(""), "", None));
    assert!(refused(Some("http://127.0.0.1"), "127.0.0.1:8080", None));
    assert!(refused(Some("http://evil.example"), "127.0.0.1:8080", None));
    // A name that an attacker points here.
    assert!(refused(Some("http://evil.example"), "evil.example", None));
    assert!(refused(Some("http://::1"), "::1", None));
}

#[test]
fn content_types() {
    assert_eq!(content_type(None, false), Ok(()));
    assert_eq!(content_type(Some("Application/JSON; charset=x"), true), Ok(()));
    assert_eq!(content_type(Some("application/x-www-form-urlencoded"), false), Ok(()));
    assert_eq!(content_type(Some("application/x-www-form-urlencoded"), true), Err(403));
    assert_eq!(content_type(None, true), Err(403));
    assert_eq!(content_type(Some("text/plain"), true), Err(403));
    assert_eq!(content_type(Some("text/plain"), false), Err(415));
    assert_eq!(content_type(Some(""), false), Err(415));
    assert_eq!(content_type(Some("application/jsonx"), false), Err(415));
}

#[test]
fn who_asks_for_events() {
    for good in [
        "text/event-stream",
        "Text/Event-Stream;q=0.1",
        "text/event-stream, */*",
        "*/*;q=0.1,text/event-stream",
        "text/html, text/event-stream",
        "text/*",
        "application/json;q=0, text/event-stream",
    ] {
        assert!(prefers_events(good), "{good}");
    }
    for bad in [
        "",
        "*/*",
        "text/event-stream;q=0",
        "text/event-streams",
        "text/event-stream;q=0, text/*",
        "application/json, text/event-stream",
        "application/json",
    ] {
        assert!(!prefers_events(bad), "{bad}");
    }
}

#[test]
fn which_revision_a_stream_goes_on_from() {
    let stream = |query: &str, last: Option<&str>| Watch::from_query(query).as_stream(last);
    assert!(stream("after=7", None).has(7) && stream("", Some("7")).has(7) && stream("after=6", Some("7")).has(7));
    assert!(stream("after=7", Some("")).has(7) && stream("after=7", Some("x")).has(7));
    assert!(!stream("", None).has(0) && !stream("", Some("")).has(0) && !stream("after=6", Some("7")).has(6));
    assert!(stream("", None).is_stream() && !Watch::from_query("after=7&wait=1").is_stream());
    assert!(stream("after=x", None).is_malformed());
}

#[test]
fn accept_ranges() {
    for good in [
        "",
        "*/*",
        "application/json",
        "application/*",
        "text/html, */*;q=0.1",
        "APPLICATION/JSON",
        "*",
        "text/html,application/json;q=0.5",
        "application/json;q=0.001",
        ", application/json",
    ] {
        assert!(accepts(good, "application/json"), "{good}");
    }
    for bad in [
        "text/html",
        "application/xml",
        "application/json;q=0",
        "*/*;q=0.0",
        "application/json;q=0, */*",
        "text/*",
        "application/*;q=0, */*;q=1",
    ] {
        assert!(!accepts(bad, "application/json"), "{bad}");
    }
}
