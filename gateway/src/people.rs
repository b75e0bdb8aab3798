//! What people do through the API: one file a noun.

mod feedback;
pub(crate) mod seams;
