//! The guard around a router.
//!
//! Comes in: a router, settings, and what the guard asks: the audit log, the owners of datasets. Goes
//! out: a router that answers those who may ask. It must never pass a request on whose principal it
//! has not attached.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use assay_store::{Audit, AuditRecord, AuditStage};
use assay_telemetry::Telemetry;
use assay_telemetry::series::SHORT_S;
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::{CONNECTION, HeaderValue, LOCATION, SET_COOKIE};
use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::address::{Encrypted, Peer, client, group};
use crate::body::Bounds;
use crate::identity::Identity;
use crate::principal::Principal;
use crate::problem::{Kind, Problem, REASONS};
use crate::queue::{Place, Queue, Rank, Seat};
use crate::quota::{Bucket, Quotas, Uptime};
use crate::refusals::{
    BUSY, broke, draining, forbidden, foreign, full, not_identified, unidentified,
};
use crate::rights::{Decision, Object, decide};
use crate::route::{Asked, asked, is_read};
use crate::settings::GuardSettings;
use crate::streams::{self, Streams};
use crate::{body, changes, load, loopback, session};

/// To whom a dataset belongs, as the gateway knows it at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// To this owner.
    Owner(String),
    /// To nobody.
    Unowned,
    /// That is not known: there is no such dataset, or it was not looked at yet.
    Unknown,
}

/// Where the guard learns who owns a dataset, for the order of the queue alone. Asked for every
/// request: it answers from memory.
pub trait Owners: Send + Sync {
    /// Who owns this dataset.
    fn of(&self, dataset: &str) -> Holding;
}

/// Attaches a principal to a request in the handlers' own words.
pub type Attach = Arc<dyn Fn(&Principal, &mut Extensions) + Send + Sync>;

/// Shows a refusal to people: the problem, the address that was asked for, and the answer to
/// programs, whose head is kept as far as the page has no other.
pub type Present = Arc<dyn Fn(&Problem, &Uri, Response) -> Response + Send + Sync>;

/// What a guard is made of.
pub struct Parts {
    /// Who owns what.
    pub owners: Arc<dyn Owners>,
    /// Where changes are written down.
    pub audit: Arc<dyn Audit>,
    /// The series.
    pub telemetry: Telemetry,
    /// What handlers find among the extensions of a request besides the [`Principal`].
    pub attach: Option<Attach>,
    /// How browsers that ask for a page are refused; without it, as programs are.
    pub present: Option<Present>,
}

/// The route of an answer for the series, among its extensions, where the router's own pattern does
/// not tell: of a verb, or of a router within another. There must be few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLabel(pub String);

/// The id of a request that asks for a change: the same as in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub Uuid);

/// What stands before the handlers. Clones share it.
#[derive(Clone)]
pub struct Guard {
    inner: Arc<Inner>,
}

struct Inner {
    settings: GuardSettings,
    identity: Identity,
    quotas: Quotas<Uptime>,
    queue: Queue,
    bodies: tokio::sync::Semaphore,
    streams: Streams,
    parts: Parts,
    stage: watch::Sender<Stage>,
    active: AtomicUsize,
}

/// What a gateway is doing; it goes through these in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It serves.
    Serving,
    /// It says that it leaves, and serves on.
    Announced,
    /// It refuses what is new, and ends what it has begun.
    Refusing,
}

/// One request among the active ones.
struct Active<'a>(&'a Inner);

impl<'a> Active<'a> {
    fn begin(inner: &'a Inner) -> Self {
        let active = inner.active.fetch_add(1, Ordering::AcqRel) + 1;
        inner.show_active(active);
        Self(inner)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        let active = self.0.active.fetch_sub(1, Ordering::AcqRel) - 1;
        self.0.show_active(active);
    }
}

impl Guard {
    /// A guard of these settings.
    ///
    /// # Errors
    /// In words for people: what is wrong with the settings, or a file that they name.
    pub fn new(settings: GuardSettings, parts: Parts) -> Result<Self, String> {
        let faults = settings.faults();
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let (queue, limits) = (&settings.queue, &settings.limits);
        let telemetry = parts.telemetry.clone();
        let inner = Inner {
            identity: Identity::new(&settings.identity)?,
            quotas: Quotas::new(&settings.quotas, &Uptime::begin()),
            queue: Queue::new(queue.in_flight, queue.waiting, queue.patience(), telemetry),
            bodies: tokio::sync::Semaphore::new(limits.bodies),
            streams: Streams::new(limits.streams_each, limits.streams),
            parts,
            stage: watch::Sender::new(Stage::Serving),
            active: AtomicUsize::new(0),
            settings,
        };
        for reason in REASONS {
            let labels = [("reason", reason)];
            let telemetry = &inner.parts.telemetry;
            telemetry.count(load::REJECTED, &labels, 0);
        }
        inner.parts.telemetry.count(load::ALLOWED, &[], 0);
        inner.show_active(0);
        if inner.identity.is_local() {
            tracing::info!("the gateway is {}", loopback::OPEN);
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Puts the guard around a router. Handlers find a [`Principal`] among the extensions of each
    /// request, and a [`RequestId`] where a change is asked for.
    pub fn wrap(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), pass))
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &GuardSettings {
        &self.inner.settings
    }

    /// Counts a connection that was closed because its address has as many as it may.
    pub(crate) fn count_closed(&self) {
        let reason = [("reason", "rate_limited")];
        let telemetry = &self.inner.parts.telemetry;
        telemetry.count(load::REJECTED, &reason, 1);
    }

    /// Whether requests are sent here: not once a stop was announced.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.inner.stage() == Stage::Serving
    }

    /// Returns when requests are refused because a stop was announced long enough ago: from here on
    /// answers without an end have to end.
    pub async fn refuses(&self) {
        let mut stage = self.inner.stage.subscribe();
        // The sender lives as long as this guard does.
        let _ = stage.wait_for(|stage| *stage == Stage::Refusing).await;
    }

    /// Stops by and by: `/readyz` says so at once, for balancers to send requests elsewhere; after
    /// `announce` requests are refused as `draining`; it returns when those at work have ended, at
    /// the latest `finish` after that.
    pub async fn drain(&self, announce: Duration, finish: Duration) {
        self.inner.reach(Stage::Announced);
        tokio::time::sleep(announce).await;
        self.inner.reach(Stage::Refusing);
        let end = Instant::now() + finish;
        while self.inner.active.load(Ordering::Acquire) > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The middleware: an answer of the handlers or a problem, counted either way.
async fn pass(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let inner = &*guard.inner;
    let began = Instant::now();
    let _active = Active::begin(inner);
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let encrypted = request.extensions().get::<Encrypted>();
    let scheme = encrypted.map_or("http", |_| "https");
    let method = request.method().clone();
    let (uri, wants_page) = (
        request.uri().clone(),
        session::wants_page(request.headers()),
    );
    let trace = trace(&request).map(str::to_owned);
    let mut answer = match inner.handle(request, next, &route).await {
        Ok(answer) => answer,
        Err(problem) => {
            let reason = [("reason", problem.kind.reason())];
            let telemetry = &inner.parts.telemetry;
            telemetry.count(load::REJECTED, &reason, 1);
            if problem.kind == Kind::RateLimited {
                let labels = [("scope", "client"), ("route", route.as_str())];
                telemetry.count(load::EXCEEDED, &labels, 1);
            }
            let answer = problem.answer(uri.path(), trace.as_deref());
            match &inner.parts.present {
                Some(present) if wants_page => present(&problem, &uri, answer),
                _ => answer,
            }
        }
    };
    let label = answer.extensions_mut().remove::<RouteLabel>();
    let route = label.map_or(route, |label| label.0);
    if inner.stage() != Stage::Serving {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    inner.parts.telemetry.observe_duration(
        "http_server_request_duration_seconds",
        &[
            ("http_request_method", word(&method)),
            ("http_route", &route),
            ("http_response_status_code", answer.status().as_str()),
            ("url_scheme", scheme),
        ],
        SHORT_S,
        began.elapsed(),
    );
    answer
}

/// A method as a label: there are few.
fn word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// The trace that a request says it belongs to (W3C `traceparent`).
fn trace(request: &Request) -> Option<&str> {
    let said = request.headers().get("traceparent")?.to_str().ok()?;
    let trace = said.split('-').nth(1)?;
    let plain = trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then_some(trace)
}

impl Inner {
    fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Goes on to a stage, and never back.
    fn reach(&self, next: Stage) {
        self.stage.send_if_modified(|stage| {
            let further = next > *stage;
            *stage = next.max(*stage);
            further
        });
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "requests at once are far fewer than 2^53"
    )]
    fn show_active(&self, active: usize) {
        let telemetry = &self.parts.telemetry;
        telemetry.set(load::ACTIVE, &[], active as f64);
    }

    async fn handle(
        &self,
        mut request: Request,
        next: Next,
        route: &str,
    ) -> Result<Response, Problem> {
        match (request.uri().path(), self.stage()) {
            ("/livez", _) | ("/readyz", Stage::Serving) => {
                // Supervisors ask without a credential, and are told nothing of anybody's.
                let nobody = Principal::anonymous(&std::collections::BTreeSet::new());
                self.attach(nobody, &mut request);
                return Ok(next.run(request).await);
            }
            ("/readyz", _) | (_, Stage::Refusing) => return Err(draining()),
            _ => {}
        }
        let peer = request.extensions().get::<Peer>().copied();
        let peer = peer.map(|peer| peer.0.ip());
        if request.method() == Method::POST && !self.identity.is_local() {
            match request.uri().path() {
                session::PATH => return self.log_in(request, peer).await,
                session::END if !session::is_own(&Method::POST, request.headers()) => {
                    return Err(foreign());
                }
                session::END => return Ok(sent_on("/", session::forget())),
                _ => {}
            }
        }
        let (method, headers) = (request.method(), request.headers());
        let (who, address) = self.who(method, headers, peer).await?;
        let asked = asked(request.method(), request.uri().path());
        match decide(&who, asked.action, Object::General) {
            Decision::Allowed => {}
            Decision::Unidentified => return Err(unidentified()),
            Decision::Hidden | Decision::Forbidden => return Err(forbidden(&who)),
        }
        let rank = self.rank(&who, &asked);
        // An operator's look at the series or at the audit log changes nothing, either.
        let reads = asked.action.reads() || is_read(request.method());
        let change = (!reads).then(|| {
            let id = RequestId(Uuid::now_v7());
            (id, record(&request, &who, route, address, id))
        });
        let mut request = self.whole(request).await?;
        let place = self.queue.enter(rank).await.map_err(full)?;
        self.parts.telemetry.count(load::ALLOWED, &[], 1);
        self.attach(who.clone(), &mut request);
        // What handlers put in line themselves goes by the same rank.
        request.extensions_mut().insert(rank);
        let answer = match change {
            None => self.read(request, next, place).await,
            Some((id, record)) => {
                request.extensions_mut().insert(id);
                let audit = Arc::clone(&self.parts.audit);
                changes::make(audit, record, request, next, place).await?
            }
        };
        self.stream(answer, &who, address)
    }

    fn attach(&self, who: Principal, request: &mut Request) {
        let extensions = request.extensions_mut();
        if let Some(attach) = &self.parts.attach {
            attach(&who, extensions);
        }
        extensions.insert(who);
    }

    /// A handler that reads; its place is free when its answer begins, or when the handler leaves its
    /// [`Seat`].
    async fn read(&self, mut request: Request, next: Next, place: Place) -> Response {
        let seat = Seat::of(place);
        request.extensions_mut().insert(seat.clone());
        let answer = next.run(request).await;
        seat.leave();
        answer
    }

    /// Who asks, from where; one request is taken out of its quota.
    async fn who(
        &self,
        method: &Method,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<(Principal, Option<IpAddr>), Problem> {
        if self.identity.is_local() {
            // Without a peer the server is not ours to vouch for.
            let refused = peer.map_or(Some("the connection has no address".to_owned()), |peer| {
                loopback::refusal(peer, method, headers)
            });
            return match refused {
                Some(why) => Err(Problem::new(Kind::LoopbackOnly, why)),
                None => Ok((Principal::local(), peer)),
            };
        }
        let address = self.address(headers, peer);
        let who = match self.identity.of(method, headers, Timestamp::now()).await {
            Ok(who) => who,
            Err(refusal) => {
                self.charge_address(address)?;
                return Err(not_identified(refusal));
            }
        };
        self.charge(&who, address)?;
        Ok((who, address))
    }

    fn address(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let proxies = &self.settings.identity.trusted_proxies;
        peer.map(|peer| client(peer, headers, proxies))
    }

    /// A browser that brings a token by a form, and is given a cookie with it.
    async fn log_in(&self, request: Request, peer: Option<IpAddr>) -> Result<Response, Problem> {
        if !session::is_own(request.method(), request.headers()) {
            return Err(foreign());
        }
        let address = self.address(request.headers(), peer);
        // Each attempt counts as a guess until it holds.
        self.charge_address(address)?;
        let to = session::destination(request.uri().query());
        let form = self.whole(request).await?.into_body();
        let form = axum::body::to_bytes(form, self.settings.limits.body_bytes).await;
        let form = form.map_err(|_| Problem::new(Kind::BodyCut, "the form broke off"))?;
        let token = session::field(&form).unwrap_or_default();
        let checked = self.identity.check(token, Timestamp::now()).await;
        checked.map_err(not_identified)?;
        let cookie = session::keep(token).ok_or_else(unidentified)?;
        Ok(sent_on(&to, cookie))
    }

    /// Guesses are charged to whoever guesses.
    fn charge_address(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        let nobody = Principal::anonymous(&self.settings.identity.anonymous);
        self.charge(&nobody, address)
    }

    fn charge(&self, who: &Principal, address: Option<IpAddr>) -> Result<(), Problem> {
        let bucket = if who.is_known() {
            Bucket::Principal(Arc::clone(&who.id))
        } else {
            let nowhere = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
            Bucket::Address(group(address.unwrap_or(nowhere)))
        };
        self.quotas.take(&bucket).map_err(|exceeded| {
            let of = match &bucket {
                Bucket::Principal(id) => id.to_string(),
                Bucket::Address(address) => format!("requests without a credential from {address}"),
            };
            let gateways = match self.settings.quotas.gateways.get() {
                1 => String::new(),
                n => format!(", shared out among {n} gateways"),
            };
            let detail = format!(
                "{} requests per second for {of}{gateways}; ask again in {} ms",
                exceeded.limit,
                exceeded.retry_after.as_micros().div_ceil(1_000)
            );
            Problem::new(Kind::RateLimited, detail)
                .limit(exceeded.limit.into())
                .retry_after(exceeded.retry_after)
        })
    }

    /// Whose turn it is before whose.
    fn rank(&self, who: &Principal, asked: &Asked<'_>) -> Rank {
        if !who.is_known() {
            return Rank::Anonymous;
        }
        let owns = match asked.dataset.map(|dataset| self.parts.owners.of(dataset)) {
            Some(Holding::Owner(owner)) => who.owns(&owner),
            Some(Holding::Unowned) => false,
            Some(Holding::Unknown) | None => who.is_owner(),
        };
        if owns || who.is_operator() {
            Rank::Owner
        } else {
            Rank::Subscriber
        }
    }

    /// The request with its body read, before it takes a place.
    async fn whole(&self, request: Request) -> Result<Request, Problem> {
        if !body::has_body(request.headers()) {
            return Ok(request);
        }
        let limits = &self.settings.limits;
        let Ok(_turn) = self.bodies.try_acquire() else {
            return Err(Problem::new(
                Kind::Overloaded,
                format!(
                    "{} bodies are being read at the moment; ask again",
                    limits.bodies
                ),
            )
            .retry_after(BUSY));
        };
        let bounds = Bounds {
            bytes: limits.body_bytes,
            idle: Duration::from_secs(limits.body_idle_seconds),
            whole: Duration::from_secs(limits.body_seconds),
        };
        let (head, body) = request.into_parts();
        match body::read(body, &head.headers, bounds).await {
            Ok(bytes) => Ok(Request::from_parts(head, Body::from(bytes))),
            Err(broken) => Err(broke(broken, bounds)),
        }
    }

    /// Counts an answer that does not end.
    fn stream(
        &self,
        answer: Response,
        who: &Principal,
        address: Option<IpAddr>,
    ) -> Result<Response, Problem> {
        if !streams::is_stream(answer.headers()) {
            return Ok(answer);
        }
        let of = match (who.is_known(), address) {
            (false, Some(address)) => Arc::from(group(address).to_string()),
            _ => Arc::clone(&who.id),
        };
        let limits = &self.settings.limits;
        match self.streams.open(&of) {
            Ok(stream) => Ok(answer.map(|body| streams::held(body, stream))),
            Err(streams::Refused::Yours) => Err(Problem::new(
                Kind::TooManyStreams,
                format!("{of} has {} streams open; close one", limits.streams_each),
            )
            .limit(u64::try_from(limits.streams_each).unwrap_or(u64::MAX))
            .retry_after(BUSY)),
            Err(streams::Refused::All) => Err(Problem::new(
                Kind::Overloaded,
                "this gateway has as many streams open as it may; ask again",
            )
            .retry_after(BUSY)),
        }
    }
}

/// What is written down of a request for a change before it is made.
fn record(
    request: &Request,
    who: &Principal,
    route: &str,
    address: Option<IpAddr>,
    id: RequestId,
) -> AuditRecord {
    let detail = json!({
        "from": address.map(|address| address.to_string()),
        "query": request.uri().query(),
        "trace": trace(request),
    });
    AuditRecord {
        request: id.0,
        stage: AuditStage::Asked,
        who: who.id.to_string(),
        rights: who.rights(),
        action: format!("{} {route}", word(request.method())),
        object: request.uri().path().to_owned(),
        detail: detail.to_string(),
    }
}

/// To another page, with a cookie.
fn sent_on(to: &str, cookie: HeaderValue) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let headers = answer.headers_mut();
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    headers.insert(LOCATION, to);
    headers.insert(SET_COOKIE, cookie);
    answer
}
