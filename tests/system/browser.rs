//! The page in a real browser: by keyboard, with problems at their fields, in the light and in the dark; and pages of
//! other origins, which get nowhere.

use bootstrapd_tests::body::{PASSWORD, USER};
use bootstrapd_tests::cluster::{founder, node};
use bootstrapd_tests::fake::{Asked, document, fake, http};
use bootstrapd_tests::{Node, Request, basic};
use serde_json::{Value, json};

mod driver;

use driver::{Browser, DOWN, ENTER, SPACE, TAB};

const STATE: &str = "document.querySelector('#state').textContent";

fn page(browser: &Browser, node: &Node) {
    browser.open(&format!("{}/ui", node.url()));
    browser.wait(&format!("!{STATE}.startsWith('Asking')"));
}

/// Goes on with the tabulator until the field with this id has the focus.
fn tab_to(browser: &Browser, id: &str) {
    for _ in 0..40 {
        browser.press(TAB);
        if browser.focus() == id {
            return;
        }
    }
    panic!("{id} cannot be reached by keyboard");
}

fn fill(browser: &Browser, fields: &[(&str, &str)]) {
    for (id, text) in fields {
        tab_to(browser, id);
        browser.press(text);
    }
}

/// What everybody needs who does not see the page, or not well.
fn is_accessible(browser: &Browser) {
    let found = browser.run(
        r"
        const found = [], all = selector => [...document.querySelectorAll(selector)]
        for (const field of all('input, select, textarea'))
            if (!field.labels.length || !field.labels[0].textContent.trim()) found.push('no label: ' + field.id)
        for (const button of all('button')) if (!button.textContent.trim()) found.push('no text: ' + button.id)
        for (const part of all('[aria-describedby], [aria-labelledby]'))
            for (const name of ['aria-describedby', 'aria-labelledby'])
                for (const id of (part.getAttribute(name) ?? '').split(' ').filter(id => id))
                    if (!document.getElementById(id)) found.push('nothing is called ' + id)
        const ids = all('[id]').map(part => part.id)
        if (new Set(ids).size != ids.length) found.push('an id is there twice')
        if (all('h1').length != 1 || all('main').length != 1 || document.documentElement.lang != 'en' || !document.title) found.push('outline')
        if (!document.querySelector('[role=status]')) found.push('nothing is announced')
        const levels = all('h1, h2, h3').filter(head => head.offsetParent).map(head => +head.tagName[1])
        if (levels.some((level, at) => at && level > levels[at - 1] + 1)) found.push('a heading is skipped')
        const light = colour => {
            const part = value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
            const [red, green, blue] = colour.match(/[\d.]+/g).map(value => part(value / 255))
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue
        }
        const behind = part => {
            for (; part; part = part.parentElement) {
                const colour = getComputedStyle(part).backgroundColor
                if (!/, 0\)$/.test(colour)) return colour
            }
            return 'rgb(255, 255, 255)'
        }
        for (const part of all('body *')) {
            const text = [...part.childNodes].some(node => node.nodeType == 3 && node.data.trim())
            if ((!text && !part.matches('input, textarea')) || !part.offsetParent || part.disabled) continue
            const [one, two] = [light(getComputedStyle(part).color), light(behind(part))]
            const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05)
            if (ratio < 4.5) found.push(`${part.tagName} ${part.id} ${part.textContent.slice(0, 20)}: contrast ${ratio}`)
        }
        if (document.documentElement.scrollWidth > innerWidth) found.push('wider than the window')
        return found",
    );
    assert_eq!(found, json!([]));
}

/// What a problem's field says of it.
fn problem(browser: &Browser, id: &str) -> String {
    browser.text(&format!(
        "const field = document.getElementById('{id}')
         return field.getAttribute('aria-invalid') == 'true' && field.getAttribute('aria-describedby').split(' ')
             .map(id => document.getElementById(id).textContent)[0]"
    ))
}

#[test]
fn a_cluster_is_created_by_keyboard_alone_and_nothing_secret_stays() {
    let (browser, node) = (Browser::start(), node());
    page(&browser, &node);
    browser.wait("document.querySelector('#boot').offsetParent");
    is_accessible(&browser);
    browser.picture("idle");
    let address = browser.text("return [...document.querySelector('#addr').options].map(one => one.value).join()");
    let known = node.get("/v1/bootstrap").json()["local_node_info"]["available_addrs"].clone();
    for one in known.as_array().unwrap() {
        assert!(address.split(',').any(|shown| one["address"] == shown), "{address}");
    }
    assert!(address.starts_with(','), "the default is not to choose: {address}");
    let facts = browser.text("return document.querySelector('#facts').textContent");
    assert!(facts.contains("0.1.0") && facts.contains("Memory"), "{facts}");

    fill(&browser, &[("name", "test.cluster"), ("username", USER), ("password", PASSWORD)]);
    browser.press(ENTER);
    browser.wait(&format!("{STATE} == 'In the cluster test.cluster'"));
    assert_eq!(node.state_name(), "completed");
    // It has logged in by itself, and forgets what it was told.
    assert_eq!(browser.text("return document.querySelector('#rows').textContent").get(..1), Some("1"));
    assert_eq!(browser.focus(), "h-status");
    assert_eq!(browser.run("return document.querySelector('#boot').offsetParent"), Value::Null);
    assert_eq!(browser.text("return document.querySelector('#password').value"), "");
    assert_eq!(browser.url(), format!("{}/ui", node.url()));
    assert_eq!(browser.run("return localStorage.length + sessionStorage.length + document.cookie.length"), json!(0));
    is_accessible(&browser);
    browser.picture("created");
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|text| text.contains("401")), "{complaints:?}");
}

#[test]
fn every_problem_stands_at_its_field_and_the_first_has_the_focus() {
    let (browser, node) = (Browser::start(), node());
    page(&browser, &node);
    fill(&browser, &[("name", "-"), ("username", "a:b")]);
    // A field that is hidden in what is not open comes to light with its problem.
    browser.run("document.querySelector('details').open = true");
    fill(&browser, &[("rack", "1rack"), ("persistent", "nowhere")]);
    browser.run("document.querySelector('details').open = false");
    tab_to(&browser, "go");
    browser.press(ENTER);
    browser.wait("document.querySelectorAll('[aria-invalid]').length == 5");
    assert_eq!(browser.focus(), "name");
    assert!(problem(&browser, "name").contains("DNS name"));
    assert!(problem(&browser, "username").contains("username"));
    assert!(problem(&browser, "password").contains("required"));
    assert!(problem(&browser, "rack").contains("rack_id"));
    assert!(problem(&browser, "persistent").contains("nowhere"));
    let failure = browser.text("return document.querySelector('#failure').textContent");
    assert!(failure.contains("config_error") && failure.contains("Fix"), "{failure}");
    is_accessible(&browser);
    browser.picture("problems");
    browser.resize(420, 900);
    is_accessible(&browser);
    browser.picture("problems-narrow");
    browser.resize(1000, 900);

    // The other form has the same fields, and none of the problems any more.
    browser.run("document.querySelector('[value=create_cluster]').focus()");
    browser.press(DOWN);
    browser.wait("document.querySelector('#nodes').offsetParent && !document.querySelector('#name').offsetParent");
    assert_eq!(browser.run("return document.querySelectorAll('[aria-invalid]').length"), json!(0));
    fill(&browser, &[("nodes", "10.0.0.1:x, 10.0.0.2")]);
    browser.run("document.querySelector('#uid').value = 'two'");
    tab_to(&browser, "check");
    browser.press(SPACE);
    browser.wait("document.querySelector('#nodes').matches('[aria-invalid]')");
    assert!(problem(&browser, "nodes").contains("nodes") && problem(&browser, "uid").contains("uid"));
    is_accessible(&browser);
}

#[test]
fn a_check_changes_nothing_and_a_machine_that_does_not_fit_is_shown_at_its_field() {
    let (browser, node) = (Browser::start(), node());
    page(&browser, &node);
    fill(&browser, &[("name", "test.cluster"), ("username", USER), ("password", PASSWORD)]);
    tab_to(&browser, "check");
    browser.press(ENTER);
    browser.wait(&format!("{STATE}.startsWith('This would succeed')"));
    assert_eq!((node.state_name().as_str(), browser.focus().as_str()), ("idle", "check"));
    browser.run("document.querySelector('details').open = true; document.querySelector('h1').focus()");
    browser
        .run("document.querySelector('#persistent').value = '/nowhere/at/all'; document.querySelector('#go').focus()");
    browser.press(ENTER);
    browser.wait("document.querySelector('#persistent').matches('[aria-invalid]')");
    assert_eq!(browser.focus(), "persistent");
    assert!(problem(&browser, "persistent").contains("/nowhere/at/all"));
    let failure = browser.text("return document.querySelector('#failure').textContent");
    assert!(failure.contains("path_error"), "{failure}");
    browser.picture("path");
}

#[test]
fn a_join_that_fails_says_why_and_one_that_goes_well_shows_the_cluster() {
    let (browser, node, founder) = (Browser::start(), node(), founder());
    page(&browser, &node);
    browser.run("document.querySelector('[value=create_cluster]').focus()");
    browser.press(DOWN);
    let through = founder.address().to_string();
    fill(&browser, &[("nodes", &through), ("username", USER), ("password", "wrong")]);
    assert_eq!(browser.text("return document.querySelector('#password').autocomplete"), "current-password");
    browser.press(ENTER);
    browser.wait("document.querySelector('#failure').textContent.includes('access_denied')");
    let failure = browser.text("return document.querySelector('#failure').textContent");
    assert!(failure.contains("Cause") && failure.contains("Correct the credentials"), "{failure}");
    assert_eq!(browser.focus(), "h-status");
    is_accessible(&browser);
    browser.picture("denied");
    // What was typed is still there, but for what is to be corrected.
    browser.run("document.querySelector('#password').value = ''; document.querySelector('#password').focus()");
    browser.press(PASSWORD);
    browser.press(ENTER);
    browser.wait(&format!("{STATE} == 'In the cluster test.cluster'"));
    browser.wait("document.querySelectorAll('#rows tr').length == 2");
    browser.picture("joined");
}

#[test]
fn what_a_join_waits_for_is_shown_as_it_goes() {
    let (browser, node) = (Browser::start(), node());
    page(&browser, &node);
    browser.run("document.querySelector('[value=join_cluster]').click()");
    fill(&browser, &[("nodes", "127.0.0.1:9 127.0.0.1:11"), ("username", USER), ("password", PASSWORD)]);
    browser.press(ENTER);
    browser.wait(&format!("{STATE}.includes('another in 10 s')"));
    assert!(browser.text(&format!("return {STATE}")).starts_with("Joining the cluster, step 3 of 6"));
    let notes = browser.text("return document.querySelector('#notes').textContent");
    assert!(notes.contains("127.0.0.1:9: connection refused") && notes.contains("127.0.0.1:11"), "{notes}");
    assert_eq!(browser.run("return document.querySelector('#bar').value"), json!(2));
    assert_eq!(browser.run("return document.querySelector('#boot').offsetParent"), Value::Null);
    is_accessible(&browser);
    browser.picture("waiting");
    // A page that is loaded again shows the same.
    page(&browser, &node);
    browser.wait(&format!("{STATE}.includes('another in 10 s')"));
}

#[test]
fn in_a_cluster_the_page_logs_in_and_in_the_dark_it_is_dark() {
    let (browser, node) = (Browser::start(), founder());
    browser.prefer("dark");
    page(&browser, &node);
    browser.wait("document.querySelector('#login').offsetParent");
    is_accessible(&browser);
    fill(&browser, &[("user", USER), ("word", "wrong")]);
    browser.press(ENTER);
    browser.wait("document.querySelector('#denied').textContent");
    browser.picture("login-dark");
    browser.run("document.querySelector('#user').value = ''");
    fill(&browser, &[("user", USER), ("word", PASSWORD)]);
    browser.press(ENTER);
    browser.wait(&format!("{STATE} == 'In the cluster test.cluster'"));
    assert_eq!(browser.run("return document.querySelector('#login').offsetParent"), Value::Null);
    is_accessible(&browser);
    browser.picture("completed-dark");
    let background = "return getComputedStyle(document.body).backgroundColor";
    let dark = browser.text(background);
    browser.prefer("light");
    assert_ne!(browser.text(background), dark);
    is_accessible(&browser);
}

/// A node that takes nothing without its setup token; what it is asked is recorded.
fn asks_for_token() -> (String, Asked) {
    fake(|request| {
        let page = include_str!("../../shell/src/ui.html");
        let has_token =
            request.to_lowercase().contains(&format!("authorization: {}", basic("setup", "let me in")).to_lowercase());
        match request.split(' ').nth(1) {
            Some("/ui") => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
                format!("{head} {}\r\n\r\n{page}", page.len()).into_bytes()
            }
            Some("/v1/bootstrap") => http("200 OK", &document(&json!({"state": "idle"}))),
            Some("/v1/bootstrap/progress") => http("503 Service Unavailable", "{}"),
            _ if has_token => http("409 Conflict", r#"{"error_code":"told","description":"the token was right"}"#),
            _ => http("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", ""),
        }
    })
}

#[test]
fn a_node_with_a_setup_token_is_asked_for_it() {
    let browser = Browser::start();
    let (url, asked) = asks_for_token();
    browser.open(&format!("{url}/ui"));
    browser.wait("document.querySelector('#boot').offsetParent");
    assert_eq!(browser.run("return document.querySelector('#token').offsetParent"), Value::Null);
    let failure = "document.querySelector('#failure').textContent";
    fill(&browser, &[("name", "test.cluster"), ("username", USER), ("password", PASSWORD)]);
    browser.press(ENTER);
    browser.wait(&format!("{failure}.includes('asks for its setup token')"));
    browser.wait("document.activeElement.id == 'token'");
    is_accessible(&browser);
    browser.press("wrong");
    browser.press(ENTER);
    browser.wait(&format!("{failure}.includes('That is not')"));
    browser.picture("token");
    browser.run("document.querySelector('#token').value = ''");
    browser.press("let me in");
    browser.press(ENTER);
    browser.wait(&format!("{failure}.includes('the token was right')"));
    // The administrator's password went into no head and no target, and nothing but POSTs had the token.
    for request in asked.lock().unwrap().iter() {
        let (head, _) = request.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains(PASSWORD) && !head.contains(&basic(USER, PASSWORD)), "{head}");
        assert!(head.starts_with("POST") || !head.to_lowercase().contains("authorization"), "{head}");
    }
}

#[test]
fn a_node_that_goes_and_comes_is_noticed() {
    let (browser, mut node) = (Browser::start(), node());
    page(&browser, &node);
    assert_eq!(node.terminate(), Some(0));
    browser.wait(&format!("{STATE}.startsWith('The node does not answer')"));
    node.run();
    browser.wait(&format!("{STATE} == 'Not in a cluster yet'"));
}

/// What a page of another origin tries, in the order in which it says so.
const ATTACK: &str = r#"<!doctype html><title>evil</title><p id="done"></p>
<form id="form" method="post" enctype="text/plain" target="frame" action="NODE/v1/bootstrap/create_cluster">
<input name='{"cluster":{"name":"evil.cluster"},"credentials":{"username":"evil","password":"evil"},"x":"' value='"}'></form>
<iframe name="frame"></iframe><iframe id="page" src="NODE/ui"></iframe>
<script>
const body = '{"cluster":{"name":"evil.cluster"},"credentials":{"username":"evil","password":"evil"}}'
const create = 'NODE/v1/bootstrap/create_cluster'
async function attack() {
    const said = {}
    const tried = async (name, path, options) => {
        try { const got = await fetch(path, options); said[name] = got.type + ' ' + (await got.text()).length }
        catch (error) { said[name] = error.name }
    }
    await tried('read', 'NODE/v1/bootstrap')
    await tried('json', create, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } })
    await tried('text', create, { method: 'POST', body })
    await tried('blind', create, { method: 'POST', body, mode: 'no-cors' })
    await tried('typeless', create, { method: 'POST', body: new Blob([body]), mode: 'no-cors' })
    said.beacon = navigator.sendBeacon(create, body)
    said.events = await new Promise(done => {
        const events = new EventSource('NODE/v1/bootstrap/progress')
        events.onerror = () => done(events.readyState)
        events.addEventListener('progress', () => done('told'))
    })
    document.getElementById('form').submit()
    await new Promise(done => setTimeout(done, 500))
    try { said.frame = document.getElementById('page').contentDocument?.title ?? 'closed' } catch (error) { said.frame = error.name }
    document.getElementById('done').textContent = JSON.stringify(said)
}
attack()
</script>"#;

#[test]
fn a_page_of_another_origin_gets_nowhere() {
    let (browser, node) = (Browser::start(), node());
    // By address and by name: another port of the same site, and another site.
    for host in ["127.0.0.1", "localhost"] {
        let attack = ATTACK.replace("NODE", &node.url());
        let (url, _asked) = fake(move |_| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
            format!("{head} {}\r\n\r\n{attack}", attack.len()).into_bytes()
        });
        browser.open(&url.replace("127.0.0.1", host));
        browser.wait("document.querySelector('#done').textContent");
        let said: Value =
            serde_json::from_str(&browser.text("return document.querySelector('#done').textContent")).unwrap();
        eprintln!("{host}: {said}");
        for name in ["read", "json", "text"] {
            assert_eq!(said[name], "TypeError", "{said}");
        }
        // What is sent blindly arrives, and is refused.
        assert_eq!((&said["blind"], &said["typeless"]), (&json!("opaque 0"), &json!("opaque 0")));
        // A stream that is refused is closed for good.
        assert_eq!((&said["events"], &said["frame"]), (&json!(2), &json!("closed")));
        browser.picture(&format!("other-origin-{host}"));
        assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
        assert!(!node.log().contains("attempt"), "{}", node.log());

        // A form that takes the whole window along shows what the node says to it.
        browser.run("document.querySelector('#form').target = ''; document.querySelector('#form').submit()");
        browser.wait("document.body?.textContent.includes('forbidden_origin')");
        // And so does a link, where the browser says whose it is.
        browser.open(&url.replace("127.0.0.1", host));
        browser.run(&format!("location = '{}/v1/bootstrap'", node.url()));
        browser.wait("document.body?.textContent.includes('forbidden_origin')");
        assert_eq!(node.bootstrap_status(), json!({"state": "idle"}));
    }
    assert_eq!(node.call(&Request::create(&bootstrapd_tests::body::create())).status, 200);
}

#[test]
fn an_event_source_follows_an_attempt() {
    let (browser, node) = (Browser::start(), node());
    page(&browser, &node);
    browser.run(
        "window.heard = []
         const events = window.events = new EventSource('/v1/bootstrap/progress')
         events.addEventListener('progress', event => heard.push(JSON.parse(event.data).state))",
    );
    browser.wait("heard.length == 1");
    node.create();
    browser.wait("heard.at(-1) == 'completed'");
    // Whoever does not close it now is asked for credentials.
    browser.run("events.close()");
}
