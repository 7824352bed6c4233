//! The report as pictures: SVG, without fonts or anything else of the machine.

use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::number::{float, whole};
use super::report::{Curve, Report, Row, Share};

const SIZE: (u32, u32) = (960, 480);
/// Height of one row of the picture of goals.
const ROW: u32 = 44;
const FONT: &str = "sans-serif";
/// Goals are drawn up to so many times their gate.
const MOST: f64 = 3.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws everything into a directory that exists; says which files.
///
/// # Errors
/// A picture cannot be written.
pub(super) fn draw(report: &Report, dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut drawn = Vec::new();
    let goals: Vec<&Row> = report.rows.iter().filter(|row| row.gate > Some(0.0)).collect();
    if !goals.is_empty() {
        let height = ROW * u32::try_from(goals.len())? + 100;
        drawn.push(picture(dir, "goals", (SIZE.0, height), |area| {
            draw_goals(area, &goals)
        })?);
    }
    if !report.cpu.is_empty() {
        drawn.push(picture(dir, "cpu", SIZE, |area| draw_cpu(area, &report.cpu))?);
    }
    for curve in report.curves.iter().filter(|curve| curve.points().count() > 0) {
        drawn.push(picture(dir, &curve.name, SIZE, |area| draw_curve(area, curve))?);
    }
    Ok(drawn)
}

fn picture(
    dir: &Path,
    name: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let path = dir.join(format!("{}.svg", name.replace(' ', "-")));
    let shown = path.display().to_string();
    let area = SVGBackend::new(&path, size).into_drawing_area();
    area.fill(&WHITE).with_context(|| format!("drawing {shown}"))?;
    draw(&area).with_context(|| format!("drawing {shown}"))?;
    area.present().with_context(|| format!("writing {shown}"))?;
    Ok(shown)
}

/// How many times better than its gate a value is.
fn against_gate(row: &Row, value: f64) -> f64 {
    let gate = row.gate.unwrap_or(1.0);
    let ratio = if row.lower_is_better {
        gate / value.max(f64::MIN_POSITIVE)
    } else {
        value / gate
    };
    ratio.clamp(0.0, MOST)
}

/// Each goal's samples and median, as multiples of its gate: right of 1 is good.
fn draw_goals(area: &Area<'_>, goals: &[&Row]) -> anyhow::Result<()> {
    let rows = float(goals.len() as u64);
    let mut chart = ChartBuilder::on(area)
        .caption(
            "Goals: samples and median as multiples of the gate, right of 1 is good",
            (FONT, 18),
        )
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(300)
        .build_cartesian_2d(0.0..MOST, -0.5..rows - 0.5)?;
    let name_of = |at: &f64| {
        let row = goals.get(usize::try_from(whole(at.round())).unwrap_or(usize::MAX));
        let is_row = (at - at.round()).abs() < 0.01;
        row.filter(|_| is_row)
            .map_or_else(String::new, |row| row.name.clone())
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(goals.len() + 1)
        .y_label_formatter(&name_of)
        .draw()?;
    chart.draw_series(LineSeries::new([(1.0, -0.5), (1.0, rows - 0.5)], &RED))?;
    for (at, row) in (0_u32..).zip(goals) {
        let y = f64::from(at);
        let samples = row.samples.iter().map(|sample| against_gate(row, *sample));
        chart.draw_series(samples.map(|x| Circle::new((x, y), 4, BLUE.mix(0.5).filled())))?;
        let median = against_gate(row, row.measured);
        chart.draw_series(LineSeries::new(
            [(median, y - 0.3), (median, y + 0.3)],
            BLACK.stroke_width(2),
        ))?;
    }
    Ok(())
}

/// A bar a process: microseconds of CPU a record.
fn draw_cpu(area: &Area<'_>, cpu: &[Share]) -> anyhow::Result<()> {
    let most = cpu.iter().map(|share| share.micros).fold(0.1, f64::max) * 1.1;
    let parts = float(cpu.len() as u64);
    let mut chart = ChartBuilder::on(area)
        .caption("Where the CPU goes: µs a record at saturation", (FONT, 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(160)
        .build_cartesian_2d(0.0..most, -0.5..parts - 0.5)?;
    let name_of = |at: &f64| {
        let share = cpu.get(usize::try_from(whole(at.round())).unwrap_or(usize::MAX));
        let is_part = (at - at.round()).abs() < 0.01;
        share
            .filter(|_| is_part)
            .map_or_else(String::new, |share| share.part.clone())
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(cpu.len() + 1)
        .y_label_formatter(&name_of)
        .draw()?;
    chart.draw_series((0_u32..).zip(cpu).map(|(at, share)| {
        let y = f64::from(at);
        Rectangle::new(
            [(0.0, y - 0.35), (share.micros, y + 0.35)],
            BLUE.mix(0.6).filled(),
        )
    }))?;
    Ok(())
}

impl Curve {
    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.lines.iter().flat_map(|line| &line.points)
    }
}

fn draw_curve(area: &Area<'_>, curve: &Curve) -> anyhow::Result<()> {
    let (mut right, mut top) = (0.0_f64, 0.0_f64);
    for (x, y) in curve.points() {
        (right, top) = (right.max(*x), top.max(*y));
    }
    let mut chart = ChartBuilder::on(area)
        .caption(&curve.name, (FONT, 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..right.max(1e-9), 0.0..(top * 1.1).max(1e-9))?;
    chart.configure_mesh().x_desc(&curve.x).y_desc(&curve.y).draw()?;
    for (at, line) in curve.lines.iter().enumerate() {
        let colour = Palette99::pick(at).to_rgba();
        chart
            .draw_series(LineSeries::new(line.points.clone(), colour.stroke_width(2)).point_size(2))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::metric::{GROWTH_TIME, VERSUS_REDIS};
    use super::super::report::Line;
    use super::*;

    #[test]
    fn every_picture_names_what_it_shows() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = Report::default();
        report.add(&VERSUS_REDIS, vec![0.6, 0.7], 0.0);
        report.add(&GROWTH_TIME, vec![1.0], 0.0);
        report.cpu.push(Share {
            part: "ingestor".to_owned(),
            micros: 1.1,
            share: 0.2,
        });
        report.curves.push(Curve {
            name: "time a record".to_owned(),
            lines: vec![Line {
                name: "ingestor".to_owned(),
                points: vec![(1.0, 2.0), (10.0, 2.1)],
            }],
            ..Curve::default()
        });
        let drawn = draw(&report, dir.path()).unwrap();
        assert_eq!(drawn.len(), 3);
        for (path, word) in drawn.iter().zip([VERSUS_REDIS.name, "ingestor", "time a record"]) {
            let picture = std::fs::read_to_string(path).unwrap();
            assert!(picture.contains("<svg") && picture.contains(word), "{path}");
        }
    }

    #[test]
    fn good_is_right_of_the_gate_whichever_way_it_counts() {
        let row = |metric, sample| Row::of(metric, vec![sample], 0.0).unwrap();
        let faster = row(&VERSUS_REDIS, 1.0);
        assert!((against_gate(&faster, 1.0) - 2.0).abs() < 1e-9);
        let slower = row(&GROWTH_TIME, 2.2);
        assert!((against_gate(&slower, 2.2) - 0.5).abs() < 1e-9);
        assert!(against_gate(&faster, 1e9) <= MOST);
    }
}
