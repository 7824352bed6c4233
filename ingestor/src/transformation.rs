//! What a step is, and the registry of those that `TRANSFORMATIONS` can name.
//!
//! A new step is a file that implements [`Transformation`] and a line in [`REGISTRY`].

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use crate::hint::{Hint, Judged};
use crate::reason::Reason;
use crate::steps::{Canonical, HostOfZone, OptIn, Policy};
use crate::zones::Zones;

/// One step between decoding and writing.
///
/// Object-safe, and yet one dynamic call serves many records: the loop over them is compiled for each step.
pub trait Transformation: fmt::Debug + Send + Sync {
    /// Judges one hint, or adds to it what later steps need.
    ///
    /// # Errors
    /// The reason why the record goes no further.
    fn judge<'a>(&self, hint: &mut Hint<'a>, zones: &'a Zones) -> Result<(), Reason>;

    /// Judges all that no earlier step has stopped.
    fn judge_all<'a>(&self, records: &mut [Judged<'a>], zones: &'a Zones) {
        for record in records {
            if let Ok(hint) = &mut record.verdict
                && let Err(reason) = self.judge(hint, zones)
            {
                record.verdict = Err(reason);
            }
        }
    }
}

/// A step that can be named in `TRANSFORMATIONS`.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Its name, also the label of its histogram.
    pub name: &'static str,
    /// Makes one.
    pub build: fn() -> Box<dyn Transformation>,
    /// Without it hints would be wrong, or none of a customer's who agreed.
    pub required: bool,
    /// Steps that must come before it.
    pub after: &'static [&'static str],
}

/// Every step there is, in the order in which they run unless the setting says otherwise.
pub const REGISTRY: &[Registered] = &[
    Registered {
        name: "opt_in",
        build: || Box::new(OptIn),
        required: true,
        after: &[],
    },
    Registered {
        name: "policy",
        build: || Box::new(Policy),
        required: false,
        after: &[],
    },
    Registered {
        name: "canonical",
        build: || Box::new(Canonical),
        required: true,
        after: &[],
    },
    Registered {
        name: "host",
        build: || Box::new(HostOfZone),
        required: true,
        after: &["opt_in", "canonical"],
    },
];

/// The setting `TRANSFORMATIONS`: names of steps, separated by `|`, in the order in which they run.
#[derive(Clone, Debug)]
pub struct Transformations(Vec<Registered>);

/// Why the setting makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformationsError {
    /// No such step is registered.
    #[error("there is no step {0:?}")]
    Unknown(String),
    /// A step stands there twice.
    #[error("step {0} stands there twice")]
    Twice(&'static str),
    /// A step is missing that no pipeline may lack.
    #[error("step {0} cannot be left out")]
    Missing(&'static str),
    /// A step stands before one that it needs.
    #[error("step {step} must come after {needs}")]
    Order {
        /// The step that comes too early.
        step: &'static str,
        /// The step whose result it needs.
        needs: &'static str,
    },
}

impl Transformations {
    /// The steps in the order in which they run.
    pub fn steps(&self) -> impl Iterator<Item = Registered> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for Transformations {
    type Err = TransformationsError;

    fn from_str(setting: &str) -> Result<Self, Self::Err> {
        let mut seen = HashSet::new();
        let mut steps = Vec::new();
        for name in setting.split('|').map(str::trim) {
            let step = REGISTRY.iter().find(|step| step.name == name);
            let step = step.ok_or_else(|| TransformationsError::Unknown(name.to_owned()))?;
            if let Some(needs) = step.after.iter().find(|needs| !seen.contains(*needs)) {
                return Err(TransformationsError::Order {
                    step: step.name,
                    needs,
                });
            }
            if !seen.insert(step.name) {
                return Err(TransformationsError::Twice(step.name));
            }
            steps.push(*step);
        }
        match REGISTRY
            .iter()
            .find(|step| step.required && !seen.contains(step.name))
        {
            Some(missing) => Err(TransformationsError::Missing(missing.name)),
            None => Ok(Self(steps)),
        }
    }
}

impl fmt::Display for Transformations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.steps().map(|step| step.name).collect();
        f.write_str(&names.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_names_every_step_in_order() {
        let names: Vec<_> = REGISTRY.iter().map(|step| step.name).collect();
        let steps: Transformations = names.join("|").parse().unwrap();
        assert_eq!(steps.to_string(), "opt_in|policy|canonical|host");
    }

    #[test]
    fn steps_can_be_reordered_and_the_optional_left_out() {
        for setting in ["canonical|opt_in|host", "policy | canonical | opt_in | host"] {
            assert!(setting.parse::<Transformations>().is_ok(), "{setting}");
        }
    }

    #[test]
    fn a_setting_that_makes_no_sense_says_why() {
        for (setting, sentence) in [
            ("", "there is no step \"\""),
            ("opt_in|magic|canonical|host", "there is no step \"magic\""),
            ("opt_in|opt_in|canonical|host", "step opt_in stands there twice"),
            ("opt_in|policy|canonical", "step host cannot be left out"),
            ("policy|canonical", "step opt_in cannot be left out"),
            ("opt_in|host|canonical", "step host must come after canonical"),
            ("canonical|host", "step host must come after opt_in"),
        ] {
            let error = setting.parse::<Transformations>().unwrap_err();
            assert_eq!(error.to_string(), sentence, "{setting}");
        }
    }
}
