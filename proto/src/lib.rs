//! The wire contracts and their translation to the model.
