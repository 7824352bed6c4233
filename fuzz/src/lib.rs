#![doc = include_str!("../README.md")]

pub mod canonical;
pub mod control_record;
pub mod corpus;
pub mod hint_batch;
pub mod partner_answer;
pub mod record;
mod seeds;

/// One property with the inputs that try it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the program, of the module here and of the file of kept inputs.
    pub name: &'static str,
    /// Panics when the input breaks what must hold.
    pub check: fn(&[u8]),
    /// Inputs to start from, beside the kept ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "record",
        check: record::check,
        seeds: seeds::records,
    },
    Target {
        name: "canonical",
        check: canonical::check,
        seeds: seeds::urls,
    },
    Target {
        name: "hint_batch",
        check: hint_batch::check,
        seeds: seeds::batches,
    },
    Target {
        name: "control_record",
        check: control_record::check,
        seeds: seeds::control_records,
    },
    Target {
        name: "partner_answer",
        check: partner_answer::check,
        seeds: seeds::answers,
    },
];
