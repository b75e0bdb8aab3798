//! The endpoints of what people do: a part of the list.

use assay_answers::feedback::{
    Feedback, FeedbackDraft, FeedbackTold, WithdrawFeedback, WithdrawalPreview,
};
use assay_answers::incident::{Incident, IncidentChange, IncidentDetail, NoteDraft};
use assay_answers::notice::{Delivery, Subscription, SubscriptionDraft};
use assay_answers::told::List;
use http::Method;

use super::super::endpoint::{Body, Endpoint, Gives};
use super::super::handlers as h;
use super::super::people as f;
use super::super::queries::{CUT, DELIVERIES, INCIDENTS, SUBSCRIPTIONS};
use super::{LISTED, READ, TOLD, WISH, of};

pub(super) fn answering_back() -> Vec<Endpoint> {
    use Gives::{Json, Told};
    vec![
        endpoint!(
            POST,
            "/api/v1/datasets/{dataset}/feedback:preview",
            "previewFeedback",
            f::preview,
            Body::Json(of::<FeedbackDraft>),
            Json(200, of::<FeedbackTold>),
            &[],
            WISH,
            "What an answer would have changed in the past; nothing is kept."
        ),
        endpoint!(
            POST,
            "/api/v1/datasets/{dataset}/feedback",
            "keepFeedback",
            f::keep,
            Body::Json(of::<FeedbackDraft>),
            Json(201, of::<FeedbackTold>),
            &[],
            WISH,
            "Answers back, in the name of who asks. Repeats under one `Idempotency-Key` are one."
        ),
        get!(
            "/api/v1/datasets/{dataset}/feedback",
            "feedback",
            f::feedback,
            Told(of::<List<Feedback>>),
            CUT,
            LISTED,
            "What was answered back, in force first, then newest first: of the newest 10,000."
        ),
        get!(
            "/api/v1/datasets/{dataset}/feedback/{feedback}",
            "feedbackOne",
            f::feedback_of,
            Told(of::<Feedback>),
            &[],
            READ,
            "One answer."
        ),
        endpoint!(
            POST,
            "/api/v1/datasets/{dataset}/feedback/{feedback}:withdraw",
            "withdrawFeedback",
            f::withdraw,
            Body::Json(of::<WithdrawFeedback>),
            Json(200, of::<FeedbackTold>),
            &[],
            WISH,
            "Takes an answer back; it stays on record."
        ),
        endpoint!(
            POST,
            "/api/v1/datasets/{dataset}/feedback/{feedback}:preview",
            "previewWithdrawal",
            f::preview_withdrawal,
            Body::Json(of::<WithdrawalPreview>),
            Json(200, of::<FeedbackTold>),
            &[],
            WISH,
            "What taking an answer back would have changed in the past; nothing is taken back."
        ),
    ]
}

pub(super) fn incidents() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        get!(
            "/api/v1/incidents",
            "incidents",
            h::incidents,
            Told(of::<List<Incident>>),
            INCIDENTS,
            LISTED,
            "Incidents by their cause, open ones first, of all time: of the newest 5,000."
        ),
        get!(
            "/api/v1/incidents/{incident}",
            "incident",
            h::incident,
            Told(of::<IncidentDetail>),
            &[],
            READ,
            "One incident, with what happened to it and its broken checks."
        ),
        endpoint!(
            PATCH,
            "/api/v1/incidents/{incident}",
            "changeIncident",
            f::change_incident,
            Body::Json(of::<IncidentChange>),
            Gives::Json(200, of::<Incident>),
            &[],
            WISH,
            "Acknowledges, mutes, resolves or assigns an incident, in the name of who asks."
        ),
        endpoint!(
            POST,
            "/api/v1/incidents/{incident}/notes",
            "noteIncident",
            f::note_incident,
            Body::Json(of::<NoteDraft>),
            Gives::Json(201, of::<Incident>),
            &[],
            WISH,
            "Adds a note to an incident, in the name of who asks: it stands among what happened to it, and nobody is told. Who may subscribe to the dataset may do so, also of an incident that is over."
        ),
    ]
}

pub(super) fn being_told() -> Vec<Endpoint> {
    use Gives::{Json, Told};
    vec![
        get!(
            "/api/v1/subscriptions",
            "subscriptions",
            f::subscriptions,
            Told(of::<List<Subscription>>),
            SUBSCRIPTIONS,
            TOLD,
            "Who is told of what: of those that who asks made, or answers for; all to operators."
        ),
        endpoint!(
            POST,
            "/api/v1/subscriptions",
            "subscribe",
            f::subscribe,
            Body::Json(of::<SubscriptionDraft>),
            Json(201, of::<Subscription>),
            &[],
            WISH,
            "Tells somebody more, in the name of who asks."
        ),
        get!(
            "/api/v1/subscriptions/{subscription}",
            "subscription",
            f::subscription,
            Told(of::<Subscription>),
            &[],
            TOLD,
            "One subscription."
        ),
        endpoint!(
            DELETE,
            "/api/v1/subscriptions/{subscription}",
            "unsubscribe",
            f::unsubscribe,
            Body::None,
            Json(200, of::<Subscription>),
            &[],
            WISH,
            "Removes a subscription; what the dataset's file goes on naming stays removed."
        ),
        endpoint!(
            POST,
            "/api/v1/subscriptions/{subscription}:pause",
            "pauseSubscription",
            f::pause,
            Body::None,
            Json(200, of::<Subscription>),
            &[],
            WISH,
            "Tells them nothing for now."
        ),
        endpoint!(
            POST,
            "/api/v1/subscriptions/{subscription}:resume",
            "resumeSubscription",
            f::resume,
            Body::None,
            Json(200, of::<Subscription>),
            &[],
            WISH,
            "Tells them again, from now on."
        ),
    ]
}

pub(super) fn messages() -> Vec<Endpoint> {
    use Gives::{Json, Told};
    vec![
        endpoint!(
            POST,
            "/api/v1/subscriptions/{subscription}:test",
            "testSubscription",
            f::test,
            Body::None,
            Json(202, of::<Delivery>),
            &[],
            WISH,
            "Sends a message that only shows that messages come; `Location` tells what becomes of it."
        ),
        get!(
            "/api/v1/subscriptions/{subscription}/deliveries",
            "deliveries",
            f::deliveries,
            Told(of::<List<Delivery>>),
            DELIVERIES,
            LISTED,
            "Messages to a subscription, newest first: of the newest 1,000."
        ),
        get!(
            "/api/v1/subscriptions/{subscription}/deliveries/{delivery}",
            "delivery",
            f::delivery,
            Told(of::<Delivery>),
            &[],
            READ,
            "One message."
        ),
        get!(
            "/api/v1/deliveries",
            "allDeliveries",
            f::all_deliveries,
            Told(of::<List<Delivery>>),
            DELIVERIES,
            LISTED,
            "Messages to all subscriptions that who asks may see, removed ones among them, newest first: of the newest 1,000."
        ),
        get!(
            "/api/v1/deliveries/{delivery}",
            "anyDelivery",
            f::any_delivery,
            Told(of::<Delivery>),
            &[],
            READ,
            "One message, whichever subscription it is to."
        ),
        endpoint!(
            POST,
            "/api/v1/subscriptions/{subscription}/deliveries/{delivery}:again",
            "sendAgain",
            f::again,
            Body::None,
            Json(202, of::<Delivery>),
            &[],
            WISH,
            "Sends a message that was given up again, under the same id."
        ),
    ]
}
