//! Every kept input and every seed, held against its property: what fuzzing found once stays found.

use fuzz::{TARGETS, corpus};

#[test]
fn every_kept_input_keeps_the_promises() {
    for target in &TARGETS {
        let inputs = corpus::kept(target).unwrap();
        assert!(!inputs.is_empty(), "{} has no kept inputs", target.name);
        for input in inputs.iter().chain(&(target.seeds)()) {
            (target.check)(input);
        }
    }
}
