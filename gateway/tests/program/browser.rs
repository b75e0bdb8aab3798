//! A browser before the program: it signs in by a form and out again, without a script.

use std::time::Duration;

use assay_guard::principal::Scope;
use reqwest::{Response, header};

use crate::stage::{Program, Stage, blocking, gateway};

const GUARD: &str = "[identity]\nmode = 'credentials'\ntokens = 'TOKENS'\n";
/// What browsers send with a page that is asked for.
const PAGE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

struct Browser<'a> {
    stage: &'a Stage,
    cookie: Option<String>,
}

impl Browser<'_> {
    async fn open(&self, path: &str) -> Response {
        let asked = self.stage.client.get(self.stage.url(path));
        self.send(asked).await
    }

    /// Sends a form of a page of the gateway itself.
    async fn submit(&self, path: &str, form: String) -> Response {
        let asked = self.stage.client.post(self.stage.url(path));
        let asked = asked.header(header::ORIGIN, format!("http://{}", self.stage.address));
        let kind = "application/x-www-form-urlencoded";
        self.send(asked.header(header::CONTENT_TYPE, kind).body(form))
            .await
    }

    async fn send(&self, mut asked: reqwest::RequestBuilder) -> Response {
        if let Some(cookie) = &self.cookie {
            asked = asked.header(header::COOKIE, cookie);
        }
        asked.header(header::ACCEPT, PAGE).send().await.unwrap()
    }
}

fn text<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers()[name].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_by_a_form_and_out_again_without_a_script() {
    let roles: crate::stage::Roles<'_> = &[(&["owner:payments"], Scope::Write)];
    let stage = Stage::alone(Some(GUARD), roles, &[]).await;
    let mut browser = Browser {
        stage: &stage,
        cookie: None,
    };
    let refused = browser.open("/datasets/orders?tab=a").await;
    assert_eq!(refused.status(), 401);
    assert!(text(&refused, "content-type").starts_with("text/html"));
    let policy = text(&refused, "content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(text(&refused, "cache-control"), "no-store");
    let page = refused.text().await.unwrap();
    assert!(!page.contains("<script"), "{page}");
    let action = page.split_once("method=\"post\" action=\"").unwrap().1;
    let action = action.split_once('"').unwrap().0.to_owned();
    // What the page needs is for everybody, and a program is told in JSON.
    let style = page.split_once("rel=\"stylesheet\" href=\"").unwrap().1;
    let style = browser.open(style.split_once('"').unwrap().0).await;
    assert_eq!(style.status(), 200);
    let program = stage.get("/datasets/orders", None).await;
    assert!(text(&program, "content-type").contains("json"));

    let wrong = browser.submit(&action, "token=assay_0_1".to_owned()).await;
    assert_eq!(wrong.status(), 401);
    let wrong = wrong.text().await.unwrap();
    assert!(
        wrong.contains("the token is not known here") && wrong.contains(&action),
        "{wrong}"
    );
    let entered = browser
        .submit(&action, format!("token={}", stage.tokens[0]))
        .await;
    assert_eq!(entered.status(), 303);
    assert_eq!(text(&entered, "location"), "/datasets/orders?tab=a");
    let cookie = text(&entered, "set-cookie");
    for part in ["HttpOnly", "Secure", "Path=/", "SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    browser.cookie = cookie.split(';').next().map(str::to_owned);

    let own = browser.open("/datasets/orders").await;
    assert_eq!(own.status(), 200);
    let own = own.text().await.unwrap();
    let id = stage.tokens[0].split('_').nth(1).unwrap();
    assert!(
        own.contains(&format!("tok_{id}")) && own.contains("Sign out"),
        "{own}"
    );
    assert!(!own.contains(&stage.tokens[0]), "the token is on the page");
    assert!(own.contains("action=\"/session/end\""));
    let rights = browser.open("/session").await.text().await.unwrap();
    assert!(rights.contains(">payments<"), "{rights}");
    assert_eq!(browser.open("/datasets/leads").await.status(), 404);

    let foreign = stage.client.post(stage.url("/session/end"));
    let foreign = foreign
        .header(header::ORIGIN, "https://evil.example")
        .send()
        .await;
    assert_eq!(foreign.unwrap().status(), 403);
    let left = browser.submit("/session/end", String::new()).await;
    assert_eq!(
        (left.status().as_u16(), text(&left, "location")),
        (303, "/")
    );
    assert!(text(&left, "set-cookie").contains("Max-Age=0"));
    browser.cookie = None;
    assert_eq!(browser.open("/").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_may_read_unnamed_finds_where_to_sign_in() {
    let guard = format!("{GUARD}anonymous = ['subscriber:*']\n");
    let stage = Stage::alone(Some(&guard), &[], &[]).await;
    let browser = Browser {
        stage: &stage,
        cookie: None,
    };
    let front = browser.open("/").await;
    assert_eq!(front.status(), 200);
    assert!(
        front
            .text()
            .await
            .unwrap()
            .contains("href=\"/session\">Sign in</a>")
    );
    let form = browser.open("/session").await;
    assert_eq!(form.status(), 200);
    assert!(form.text().await.unwrap().contains("name=\"token\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_settings_of_a_guard_it_is_open_to_this_machine_and_says_so() {
    let stage = Stage::alone(None, &[], &[]).await;
    let log = stage.program.log();
    assert!(log.contains("open to everybody on this machine"), "{log}");
    let browser = Browser {
        stage: &stage,
        cookie: None,
    };
    let page = browser.open("/").await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Open to this machine only") && !page.contains("Sign"),
        "{page}"
    );
    let elsewhere = stage
        .client
        .get(stage.url("/"))
        .header("host", "evil.example");
    assert_eq!(elsewhere.send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_start_where_others_would_be_asked_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("ASSAY_GATEWAY_LISTEN", "0.0.0.0:0"),
        ("ASSAY_STORE_URL", "postgres://a@127.0.0.1:1/a"),
        ("ASSAY_MANAGERS", "http://127.0.0.1:1"),
        ("ASSAY_REGISTRY_DIR", "/nowhere"),
    ];
    let environment = environment.map(|(name, value)| (name, value.to_owned()));
    let mut program = Program::start(&gateway(), "gateway.log", folder.path(), &environment);
    let code = blocking(|| program.process.code_within(Duration::from_secs(30)));
    let log = program.log();
    assert_eq!(code, Some(2), "{log}");
    assert!(
        log.contains("--guard") && log.contains("did not start"),
        "{log}"
    );
}
