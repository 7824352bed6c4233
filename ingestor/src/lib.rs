#![doc = include_str!("../README.md")]

pub mod canonical;
pub mod hint;
pub mod pipeline;
pub mod policy;
pub mod reason;
pub mod recent;
pub mod steps;
pub mod stop;
pub mod transformation;
pub mod zones;

#[cfg(test)]
mod test_data;
