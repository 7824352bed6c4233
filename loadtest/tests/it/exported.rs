//! What the services export and which settings they know, in files that the checks of `k8s/` read.
//!
//! The files are committed and checked fresh here; `cargo test -p loadtest exported -- --ignored` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use generations::RedisMetrics;
use messagebus::metrics::{BusMetrics, Registrar};
use prometheus::Registry;

fn files() -> [(PathBuf, String); 2] {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/tests/exported");
    [
        (here.join("metrics.tsv"), metrics()),
        (here.join("settings.tsv"), settings()),
    ]
}

#[test]
fn the_committed_lists_of_metrics_and_settings_are_fresh() {
    for (path, fresh) in files() {
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == fresh,
            "{} is stale: cargo test -p loadtest exported -- --ignored",
            path.display()
        );
    }
}

/// Not a test but the command that rewrites the committed lists.
#[test]
#[ignore = "writes k8s/tests/exported"]
fn write_the_lists() {
    for (path, fresh) in files() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, fresh).unwrap();
    }
}

/// A line a family: service, name, kind, and each label with the values that exist from the start.
fn metrics() -> String {
    let mut text = String::from("service\tname\tkind\tlabels\n");
    for service in ["ingestor", "flipper", "dispatcher"] {
        let registry = Registry::new();
        let registrar = Registrar::new(&registry, service);
        let bus = BusMetrics::register(&registrar).unwrap();
        match service {
            "ingestor" => {
                RedisMetrics::register(&registrar, &bus).unwrap();
                ingestor::metrics::Metrics::register(&registrar).unwrap();
            }
            "flipper" => {
                RedisMetrics::register(&registrar, &bus).unwrap();
                flipper::metrics::Metrics::register(&registrar).unwrap();
            }
            _ => drop(dispatcher::metrics::Metrics::register(&registrar).unwrap()),
        }
        for (name, (kind, labels)) in families(&registrar) {
            let labels: Vec<_> = labels
                .into_iter()
                .map(|(label, values)| format!("{label}={}", Vec::from_iter(values).join("|")))
                .collect();
            writeln!(text, "{service}\t{name}\t{kind}\t{}", labels.join(" ")).unwrap();
        }
    }
    text
}

type Labels = BTreeMap<String, BTreeSet<String>>;

/// The families that were described, and the few that are registered without the registrar.
fn families(registrar: &Registrar) -> BTreeMap<String, (String, Labels)> {
    let mut families = BTreeMap::new();
    for family in registrar.described() {
        let labels = family.labels.into_iter().map(|label| (label, BTreeSet::new()));
        families.insert(family.name, (family.kind.to_owned(), labels.collect()));
    }
    for family in registrar.registry().gather() {
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        let entry: &mut (String, Labels) = families
            .entry(family.name().to_owned())
            .or_insert_with(|| (kind, Labels::new()));
        for label in family
            .get_metric()
            .iter()
            .flat_map(prometheus::proto::Metric::get_label)
        {
            // A version is no closed set.
            if !family.name().ends_with("build_info") {
                let values = entry.1.entry(label.name().to_owned()).or_default();
                values.insert(label.value().to_owned());
            }
        }
    }
    families
}

/// A line a setting: service, variable, default.
fn settings() -> String {
    let mut text = String::from("service\tvariable\tdefault\n");
    for (service, command) in [
        ("ingestor", ingestor::config::Config::command()),
        ("flipper", flipper::config::Config::command()),
        ("dispatcher", dispatcher::config::Config::command()),
    ] {
        for (variable, default) in variables(&command) {
            writeln!(text, "{service}\t{variable}\t{default}").unwrap();
        }
    }
    text
}

fn variables(command: &Command) -> BTreeMap<String, String> {
    let variable = |argument: &clap::Arg| {
        let name = argument.get_env()?.to_str()?.to_owned();
        let default = argument.get_default_values().iter();
        let default: Vec<_> = default.map(|value| value.to_string_lossy()).collect();
        Some((name, default.join(",")))
    };
    command.get_arguments().filter_map(variable).collect()
}
