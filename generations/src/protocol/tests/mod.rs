//! The rules of both machines, one by one. All of them at once are explored by the crate `flip-model`.

mod books_agree;
mod flipper_rules;
mod history_rules;
mod retirement;
mod writer_rules;
