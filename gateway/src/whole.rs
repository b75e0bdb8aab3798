//! The gateway whole: the API with its pages, behind its guard.
//!
//! Comes in: a gateway, the guard's settings, where changes are written down. Goes out: a gateway
//! that answers nobody whom the guard does not know. It must never give a reader more than the
//! guard granted.

use std::sync::Arc;

use assay_answers::{Problem, Reader, Role};
use assay_guard::principal::{Grant, Kind, Scope};
use assay_guard::queue::{Rank, Seat};
use assay_guard::{Guard, GuardSettings, Holding, Owners, Present, Principal, RouteLabel, session};
use assay_pages::seams::Seams;
use assay_pages::{Door, Pages};
use assay_store::Audit;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::header::AUTHORIZATION;

use crate::api::Api;
use crate::api::router::Route;
use crate::api::{reply, router};
use crate::memory::turns;
use crate::parts::Clock;
use crate::people::seams::over;
use crate::problem::TOO_LARGE;
use crate::serve::{Gateway, Guarded};

/// The owners of datasets that read everything.
const EVERYTHING: &str = "*";

impl Owners for Api {
    fn of(&self, dataset: &str) -> Holding {
        self.holding(dataset)
    }
}

/// Whom the guard knows, in the API's words.
#[must_use]
pub fn reader(principal: &Principal) -> Reader {
    let (mut owners, mut reads) = (Vec::new(), Vec::new());
    for grant in principal.grants.iter() {
        match grant {
            Grant::Operator => {}
            Grant::Owner(name) => owners.push(name.clone()),
            Grant::Subscriber(Some(name)) => reads.push(name.clone()),
            Grant::Subscriber(None) => reads.push(EVERYTHING.to_owned()),
        }
    }
    let role = match principal {
        known if known.is_operator() => Role::Operator,
        known if known.is_owner() => Role::Owner,
        known if known.is_known() && !reads.is_empty() => Role::Subscriber,
        _ => Role::Anonymous,
    };
    Reader {
        id: principal.id.to_string(),
        role,
        owners,
        reads,
        writes: principal.is_known() && principal.scope == Scope::Write,
    }
}

/// The pages over `api`, as a router for every path that is not the API's.
fn pages(api: &Api, seams: Seams) -> Router {
    let (facts, deeds) = (Arc::new(api.clone()), Arc::new(api.clone()));
    let rooms = Rooms {
        api: api.clone(),
        pages: Pages::new(facts, Some(deeds), over(api, seams)),
    };
    Router::new().fallback(page).with_state(rooms)
}

#[derive(Clone)]
struct Rooms {
    api: Api,
    pages: Pages,
}

async fn page(State(rooms): State<Rooms>, request: Request) -> Response {
    if !Pages::owns(request.uri().path()) {
        return router::nothing(request).await;
    }
    let who = request.extensions().get::<Reader>();
    let who = who.unwrap_or(&rooms.api.parts.nobody).clone();
    let door = door(&request);
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(door);
    // One more than a form may have, for the page to say that it is too long.
    let most = assay_pages::request::FORM_MOST + 1;
    let Ok(body) = axum::body::to_bytes(body, most).await else {
        return reply::problem(&TOO_LARGE.because("the form is too long"));
    };
    let now = (rooms.api.parts.now)();
    let request = axum::http::Request::from_parts(parts, body);
    let reply = rooms.pages.respond(&request, &who, now).await;
    let mut response = reply.map(Body::from);
    response.extensions_mut().insert(Route("pages"));
    response
}

/// By what door a request has come in.
fn door(request: &Request) -> Door {
    match request.extensions().get::<Principal>() {
        None => Door::Unsaid,
        Some(who) if who.kind == Kind::Local => Door::Machine,
        Some(who) if !who.is_known() => Door::Nobody,
        Some(_) if request.headers().contains_key(AUTHORIZATION) => Door::Credential,
        Some(_) => Door::Session,
    }
}

/// Shows a browser the guard's refusals as pages.
fn present(now: Clock) -> Present {
    Arc::new(move |problem, uri, answer| {
        let (slug, title, status) = problem.kind.words();
        let told = Problem {
            kind: format!("/problems/{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: problem.detail.clone(),
            instance: None,
            limit: problem.limit,
            retry_after_ms: problem
                .retry_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            diagnostics: Vec::new(),
            etag: None,
            trace_id: None,
        };
        // Whoever was signing in is still on their way.
        let to = match uri.path() {
            session::PATH | session::END => session::destination(uri.query()),
            _ => uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        };
        let (page, body) = assay_pages::refusal(told, &to, now()).into_parts();
        let mut answer = answer.map(|_| Body::from(body));
        for (name, value) in &page.headers {
            answer.headers_mut().insert(name, value.clone());
        }
        answer
    })
}

impl Gateway {
    /// Serves the pages, too; what `seams` leaves out they ask of this API.
    #[must_use]
    pub fn paged(self, seams: Seams) -> Self {
        self.with_pages(|api| pages(api, seams))
    }

    /// Puts the guard round everything that there is so far.
    ///
    /// # Errors
    /// In words for people: what is wrong with the settings, or a file that they name.
    pub fn guarded(
        self,
        settings: GuardSettings,
        audit: Arc<dyn Audit>,
    ) -> Result<Guarded, String> {
        let (queue, turns) = (&settings.queue, self.api().memory.turns());
        turns.set_room(queue.waiting, queue.patience());
        if let Some(places) = queue.store_turns {
            turns.set_places(places);
        }
        let parts = assay_guard::Parts {
            owners: Arc::new(self.api().clone()),
            audit,
            telemetry: self.api().parts.telemetry.clone(),
            attach: Some(Arc::new(|who, extensions| {
                extensions.insert(reader(who));
            })),
            present: self
                .has_pages()
                .then(|| present(Arc::clone(&self.api().parts.now))),
        };
        Ok(self.behind(Guard::new(settings, parts)?, labelled))
    }
}

/// Has handlers ask by the rank that the guard found, and tells its series which endpoint has
/// answered.
fn labelled(router: Router) -> Router {
    router.layer(from_fn(async |request: Request, next: Next| {
        let rank = request.extensions().get::<Rank>().copied();
        let seat = request.extensions().get::<Seat>().cloned();
        let answer = next.run(request);
        let mut response = match rank {
            Some(rank) => turns::by(rank, seat, answer).await,
            None => answer.await,
        };
        if let Some(Route(name)) = response.extensions().get::<Route>().copied() {
            let label = RouteLabel(name.to_owned());
            response.extensions_mut().insert(label);
        }
        response
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::{Action, ByRole, Rights as _};

    fn known(grants: &[&str], scope: Scope) -> Reader {
        let grants = grants.iter().map(|word| word.parse().unwrap());
        reader(&Principal::new("tok_1", Kind::Token, grants, scope))
    }

    #[test]
    fn a_reader_has_what_was_granted_and_no_more() {
        let told = known(&["subscriber:sales"], Scope::Write);
        assert_eq!(told.role, Role::Subscriber);
        assert!(ByRole.may(&told, Action::Read, Some("sales")));
        for owner in [Some("finance"), None] {
            assert!(!ByRole.may(&told, Action::Read, owner), "{owner:?}");
        }
        assert!(!ByRole.may(&told, Action::Run, Some("sales")));
        let looks = known(&["owner:sales", "subscriber:*"], Scope::Read);
        assert!(ByRole.may(&looks, Action::Read, None));
        assert!(ByRole.may(&looks, Action::Read, Some("sales")));
        assert!(!ByRole.may(&looks, Action::Define, Some("sales")));
        assert!(!ByRole.may(&known(&["operator"], Scope::Read), Action::Operate, None));
        assert!(ByRole.may(&known(&["operator"], Scope::Write), Action::Operate, None));
    }

    #[test]
    fn the_guard_and_the_handlers_say_the_same_of_every_object() {
        use assay_guard::{Action as Asked, Decision, Object, decide};
        let words = [
            "operator",
            "owner:a",
            "owner:b",
            "subscriber:a",
            "subscriber:*",
        ];
        for (one, two) in words.iter().flat_map(|w| words.iter().map(move |v| (w, v))) {
            for scope in [Scope::Read, Scope::Write] {
                let grants = [one, two].map(|word| word.parse().unwrap());
                let who = Principal::new("tok_1", Kind::Token, grants, scope);
                for owner in [Some("a"), Some("c"), None] {
                    for (ours, theirs) in [
                        (Action::Read, Asked::Read),
                        (Action::Define, Asked::Change),
                        (Action::Run, Asked::Run),
                        (Action::Answer, Asked::Answer),
                        (Action::Subscribe, Asked::Subscribe),
                        (Action::Operate, Asked::Operate),
                    ] {
                        let guard = decide(&who, theirs, Object::of(owner)) == Decision::Allowed;
                        let handlers = ByRole.may(&reader(&who), ours, owner);
                        assert_eq!(guard, handlers, "{one} {two} {scope:?} {owner:?} {ours:?}");
                    }
                }
            }
        }
    }
}
