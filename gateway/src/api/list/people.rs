//! The endpoints of what people do: a part of the list.

use assay_answers::feedback::{Feedback, FeedbackDraft, FeedbackTold, WithdrawFeedback};
use assay_answers::told::List;
use http::Method;

use super::super::endpoint::{Body, Endpoint, Gives};
use super::super::people as f;
use super::super::queries::CUT;
use super::{LISTED, READ, WISH, of};

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
    ]
}
