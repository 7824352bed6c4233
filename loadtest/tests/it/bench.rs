//! The benchmark end to end, as small as it can be: that it measures everything, not what.

use loadtest::bench::{BenchArgs, GOALS, Size, bench};
use loadtest::plan::{Costs, Load, size};
use tokio::runtime::Runtime;

#[test]
fn every_goal_has_a_row_and_every_cost_is_known() {
    // What it starts ends with this thread, as it should.
    Runtime::new().unwrap().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let args = BenchArgs {
            size: Size::Smoke,
            only: Vec::new(),
            growth_records: None,
            dir: dir.path().to_owned(),
        };
        let report = bench(&args).await.unwrap();
        assert!(report.failures.is_empty(), "{report}");
        for goal in GOALS {
            let row = report
                .row(&goal)
                .unwrap_or_else(|| panic!("no row {:?}: {report}", goal.name));
            assert!(!row.samples.is_empty() && row.measured.is_finite(), "{row:?}");
        }
        let parts: Vec<_> = report.cpu.iter().map(|share| share.part.as_str()).collect();
        for part in [
            "generator",
            "Kafka",
            "Redis",
            "ingestor",
            "flipper",
            "dispatcher",
            "partners",
        ] {
            assert!(parts.contains(&part), "{part} is not in {parts:?}");
        }
        for picture in [
            "goals",
            "cpu",
            "time-a-record",
            "resident-memory",
            "requests-a-partner",
        ] {
            let path = dir.path().join(format!("{picture}.svg"));
            assert!(path.is_file(), "{} was not drawn", path.display());
        }
        let costs = Costs::of(&report).unwrap();
        assert!(size(&Load::default(), &costs).ingestors >= 2.0);
    });
}
