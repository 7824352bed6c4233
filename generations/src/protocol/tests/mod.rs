//! The two state machines against each other, in a world that loses, delays and repeats things at random.

mod books_agree;
mod flipper_rules;
mod properties;
mod retirement;
mod world;
mod writer_rules;
