//! Boots of growing size, by sshpm, raw ssh and other tools, and their plot.

use std::path::Path;

use plotters::prelude::*;

use crate::args::Args;
use crate::floor;
use crate::plan::{Extent, Plan};
use crate::repeat::{attempt, session};
use crate::rig::Rig;
use crate::samples::{Samples, with_prefix, without_clients};
use crate::tools::TOOLS;

/// Width and height in pixels.
const SIZE: (u32, u32) = (900, 600);

const FONT: (&str, u32) = ("sans-serif", 15);

/// One for each curve. Readers who do not see all colours can tell these apart (Okabe and Ito).
const COLORS: [RGBColor; CURVES.len() + TOOLS.len()] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    BLACK,
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// What is drawn beside the tools: the label, and the name of the sample at each size.
const CURVES: [(&str, &str); 3] = [
    ("sshpm", "boot_s"),
    ("sshpm without ssh clients", "boot_no_client_s"),
    ("raw ssh -S with its masters", "floor_mux_s"),
];

fn sizes(args: &Args) -> &'static [usize] {
    if args.smoke { &[1, 2] } else { &[1, 10, 25, 50, 100, 200] }
}

fn prefix(size: usize) -> String {
    format!("at_{size}_")
}

/// Measures the boots of all sizes. The names of their samples begin with `at_N_`.
pub fn measure(args: &Args, rig: &Rig, samples: &mut Samples) -> Result<(), String> {
    for &size in sizes(args) {
        let mut at = Samples::default();
        let plan = rig.plan(Extent::Boot, size);
        session(rig, &plan, str::to_owned, &mut at)?;
        if args.shared {
            session(rig, &Plan { clients: false, ..plan }, without_clients, &mut at)?;
        }
        let logins = at.last("logins").unwrap_or(0.0) as usize;
        attempt(rig, &mut at, |at| floor::mux(rig, size, logins, at).map(drop))?;
        for tool in TOOLS.iter().filter(|_| args.tools) {
            attempt(rig, &mut at, |at| tool.measure(rig, size, at))?;
        }
        samples.merge(at, with_prefix(prefix(size)));
    }
    Ok(())
}

/// Draws the medians as an SVG.
pub fn draw(file: &Path, args: &Args, samples: &Samples) -> Result<(), String> {
    let names = CURVES.into_iter().chain(TOOLS.iter().map(|tool| (tool.name, tool.key)));
    let curves: Vec<_> = names.map(|(label, name)| (label, points(args, samples, name))).collect();
    draw_curves(file, &curves).map_err(|error| format!("cannot draw {}: {error}", file.display()))
}

/// Returns the median of a sample at each size at which it was measured.
fn points(args: &Args, samples: &Samples, name: &str) -> Vec<(f64, f64)> {
    let at = |size: &usize| Some((*size as f64, samples.median(&format!("{}{name}", prefix(*size)))?));
    sizes(args).iter().filter_map(at).collect()
}

fn draw_curves(file: &Path, curves: &[(&str, Vec<(f64, f64)>)]) -> Result<(), Box<dyn std::error::Error>> {
    let all = || curves.iter().flat_map(|(_, points)| points);
    let most_processes = all().map(|(size, _)| *size).fold(0.0, f64::max);
    let most_time = all().map(|(_, time)| *time).fold(0.0, f64::max);

    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(20)
        .x_label_area_size(50)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..most_processes * 1.02, 0.0..most_time * 1.05)?;
    chart
        .configure_mesh()
        .max_light_lines(1)
        .x_desc("processes")
        .y_desc("time of a boot, logins included, in s")
        .x_label_formatter(&|size| format!("{size:.0}"))
        .label_style(FONT)
        .draw()?;
    for ((label, points), color) in curves.iter().zip(COLORS).filter(|((_, points), _)| !points.is_empty()) {
        let style = color.stroke_width(2);
        let sample = move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style);
        chart.draw_series(LineSeries::new(points.iter().copied(), style).point_size(3))?.label(*label).legend(sample);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(FONT)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}
