//! A gateway of a test: the program, its guard, its definitions, its role in Postgres.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use assay_guard::principal::Scope;
use assay_guard::tokens::{TokenFile, mint};
use assay_store::{PostgresOptions, PostgresStore};
use assay_telemetry::http;
use assay_test_servers::etcd::Etcd;
use assay_test_servers::supervised::Supervised;
use assay_test_servers::{port, postgres};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use tempfile::TempDir;

/// How long a program may take to be there.
const READY: Duration = Duration::from_secs(60);

/// A token of these roles each.
pub type Roles<'a> = &'a [(&'a [&'a str], Scope)];

/// A program that runs.
pub struct Program {
    pub process: Supervised,
    pub telemetry: SocketAddr,
    log: PathBuf,
}

impl Program {
    /// Starts `program` with this environment; what it logs goes to `name` in `folder`.
    pub fn start(
        program: &Path,
        name: &str,
        folder: &Path,
        environment: &[(&str, String)],
    ) -> Self {
        let (log, telemetry) = (folder.join(name), local(port::free()));
        let place = telemetry.to_string();
        let mut variables = vec![("ASSAY_TELEMETRY_LISTEN", &*place), ("ASSAY_LOG", "info")];
        variables.extend(
            environment
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        let file = std::fs::File::create(&log).unwrap();
        let process = Supervised::start(program.to_str().unwrap(), &[], &variables, file).unwrap();
        Self {
            process,
            telemetry,
            log,
        }
    }

    /// Waits until it says that it is ready.
    async fn ready(&mut self) {
        let until = Instant::now() + READY;
        while http::ask(self.telemetry, "/readyz").is_err() {
            let (runs, log) = (self.process.runs(), self.log());
            assert!(runs && Instant::now() < until, "it is not ready:\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The sum of all its series of this name with all of `labels`, and how many there are.
    pub fn sum(&self, name: &str, labels: &[&str]) -> (f64, usize) {
        let page = http::ask(self.telemetry, "/metrics").unwrap();
        let found = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            let asked = own == name && labels.iter().all(|label| rest.contains(label));
            asked.then(|| value.parse::<f64>().unwrap())
        });
        found.fold((0.0, 0), |(sum, n), value| (sum + value, n + 1))
    }
}

/// A manager that leads, on a store and an etcd of its own.
pub struct Manager {
    _program: Program,
    _etcd: Etcd,
    door: String,
}

/// A gateway that runs.
pub struct Stage {
    pub program: Program,
    pub address: SocketAddr,
    pub tokens: Vec<String>,
    pub client: Client,
    url: String,
    _manager: Option<Manager>,
    _folder: TempDir,
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A program of the workspace, beside the gateway's.
fn beside(name: &str) -> PathBuf {
    let path = gateway().with_file_name(name);
    let how = "cargo build -p assay-manager --features cluster";
    assert!(path.is_file(), "{} is not there: {how}", path.display());
    path
}

pub fn gateway() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_assay-gateway"))
}

fn document(id: &str, owner: &str) -> String {
    format!(
        "apiVersion: v3.1.0
kind: DataContract
id: {id}
version: 1.0.0
status: active
servers:
  - {{ server: here, type: local, path: /nowhere/{id}, format: csv }}
team:
  name: {owner}
customProperties:
  - property: assayPartitions
    value: {{ layout: hive, sealing: immediately }}
"
    )
}

fn minted(path: &Path, roles: Roles<'_>) -> Vec<String> {
    let now = jiff::Timestamp::now();
    let later = now + jiff::SignedDuration::from_hours(1);
    let (mut file, mut texts) = (TokenFile::default(), Vec::new());
    for (words, scope) in roles {
        let grants = words.iter().map(|word| word.parse().unwrap()).collect();
        let (text, token) = mint("test", grants, *scope, now, later).unwrap();
        file.token.push(token);
        texts.push(text);
    }
    file.write(path).unwrap();
    texts
}

pub fn client() -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
}

/// Does what blocks.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// A manager that leads, and lets `role` in.
async fn manager(url: &str, role: &str, folder: &Path) -> Manager {
    let etcd = blocking(Etcd::single);
    let listen = local(port::free());
    let environment = [
        ("ASSAY_MANAGER_NAME", "manager-1".to_owned()),
        ("ASSAY_MANAGER_LISTEN", listen.to_string()),
        ("ASSAY_STORE_URL", url.to_owned()),
        ("ASSAY_STORE_GATEWAY_ROLE", role.to_owned()),
        ("ASSAY_ETCD", etcd.endpoints().join(",")),
    ];
    let program = beside("assay-manager");
    let mut program = Program::start(&program, "manager.log", folder, &environment);
    program.ready().await;
    Manager {
        _program: program,
        _etcd: etcd,
        door: format!("http://{listen}"),
    }
}

impl Stage {
    /// A gateway before a manager that leads; the dataset `orders` is of payments, `leads` of sales.
    /// `TOKENS` in its guard's settings stands for the file of tokens.
    pub async fn before_a_manager(guard: &str, roles: Roles<'_>, more: &[(&str, &str)]) -> Self {
        Self::start(true, Some(guard), roles, more).await
    }

    /// A gateway on a store alone.
    pub async fn alone(guard: Option<&str>, roles: Roles<'_>, more: &[(&str, &str)]) -> Self {
        Self::start(false, guard, roles, more).await
    }

    async fn start(
        whole: bool,
        guard: Option<&str>,
        roles: Roles<'_>,
        more: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = |name: &str| at(name).to_str().unwrap().to_owned();
        let tokens = minted(&at("tokens.toml"), roles);
        std::fs::create_dir(at("datasets")).unwrap();
        for (id, owner) in [("orders", "payments"), ("leads", "sales")] {
            let place = at("datasets").join(format!("{id}.odcs.yaml"));
            std::fs::write(place, document(id, owner)).unwrap();
        }
        let url = blocking(|| postgres::shared().create_database());
        let role = format!("gateway_{}", url.rsplit('/').next().unwrap());
        blocking(|| postgres::shared().sql(&url, &format!("CREATE ROLE {role} LOGIN")));
        let manager = if whole {
            Some(manager(&url, &role, folder.path()).await)
        } else {
            let mut options = PostgresOptions::new(&url);
            options.gateway_role = Some(role.clone());
            PostgresStore::connect(options).await.unwrap();
            None
        };
        let door = manager
            .as_ref()
            .map_or("http://127.0.0.1:1", |m| m.door.as_str());
        let address = local(port::free());
        let place = url.split_once('@').unwrap().1;
        let mut environment = vec![
            ("ASSAY_GATEWAY_LISTEN", address.to_string()),
            ("ASSAY_STORE_URL", format!("postgres://{role}@{place}")),
            ("ASSAY_MANAGERS", door.to_owned()),
            ("ASSAY_REGISTRY_DIR", text("datasets")),
        ];
        if let Some(guard) = guard {
            let settings = guard.replace("TOKENS", &text("tokens.toml"));
            std::fs::write(at("guard.toml"), settings).unwrap();
            environment.push(("ASSAY_GUARD", text("guard.toml")));
        }
        environment.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let mut program = Program::start(&gateway(), "gateway.log", folder.path(), &environment);
        program.ready().await;
        Self {
            program,
            address,
            tokens,
            client: client().build().unwrap(),
            url,
            _manager: manager,
            _folder: folder,
        }
    }

    /// What its database answers.
    pub fn sql(&self, query: &str) -> String {
        blocking(|| postgres::shared().sql(&self.url, query))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks with the token of this number, or without one.
    pub async fn get(&self, path: &str, token: Option<usize>) -> Response {
        self.with(self.client.get(self.url(path)), token).await
    }

    /// Sends a body of JSON.
    pub async fn post(&self, path: &str, token: Option<usize>, body: &'static str) -> Response {
        let asked = self.client.post(self.url(path)).body(body);
        let asked = asked.header("content-type", "application/json");
        self.with(asked, token).await
    }

    async fn with(&self, asked: RequestBuilder, token: Option<usize>) -> Response {
        let asked = match token {
            Some(token) => asked.bearer_auth(&self.tokens[token]),
            None => asked,
        };
        let answer = asked.send().await;
        answer.unwrap_or_else(|why| panic!("{why:?}\n{}", self.program.log()))
    }
}

/// The body of an answer as JSON.
pub async fn json(answer: Response) -> serde_json::Value {
    let bytes = answer.bytes().await.unwrap();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{bytes:?}"))
}
