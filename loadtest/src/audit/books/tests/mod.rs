//! The books on logs made by hand.

mod generations;
mod lanes;
mod logs;
mod partners;
mod urls;
