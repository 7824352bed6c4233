#![doc = include_str!("../README.md")]

pub mod audit;
pub mod bench;
pub mod demo;
pub mod drain;
pub mod faults;
pub mod partners;
pub mod plan;
pub mod ports;
mod process;
pub mod produce;
pub mod profile;
mod progress;
pub mod proxy;
pub mod run;
pub mod scrape;
mod screen;
pub mod service;
pub mod stack;
pub mod traffic;
