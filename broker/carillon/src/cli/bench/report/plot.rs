//! The distribution of latencies as SVG: quantiles on a scale that gives each further nine the same room.

use std::fmt::Write as _;

use super::super::histogram::Latencies;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 60.0;

/// Nines up to the right edge: 99.999 %.
const NINES_MAX: f64 = 5.0;

/// Points of a line between two nines.
const POINTS_PER_NINE: u32 = 40;

/// Colours that are told apart also without seeing red and green.
const COLOURS: [&str; 2] = ["#0072b2", "#d55e00"];

/// Draws one line for each distribution.
pub(super) fn draw(title: &str, series: &[(String, Latencies)]) -> String {
    let lowest = series.iter().map(|(_, latencies)| latencies.min()).min().unwrap_or(1).max(1);
    let highest = series.iter().map(|(_, latencies)| latencies.max()).max().unwrap_or(1).max(lowest + 1);
    // Whole decades.
    let (bottom, top) = ((lowest as f64).log10().floor(), (highest as f64).log10().ceil());
    let x = |nines: f64| LEFT + nines / NINES_MAX * (WIDTH - LEFT - RIGHT);
    let y = |nanoseconds: f64| {
        let share = (nanoseconds.max(1.0).log10() - bottom) / (top - bottom).max(1.0);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    text(&mut svg, LEFT, 20.0, "start", &format!("Latency: {title}"));
    for nines in 0..=NINES_MAX as u32 {
        let at = x(f64::from(nines));
        line(&mut svg, (at, TOP), (at, HEIGHT - BOTTOM));
        let share = 100.0 - 100.0 * 0.1_f64.powi(nines as i32);
        text(
            &mut svg,
            at,
            HEIGHT - BOTTOM + 20.0,
            "middle",
            &format!("{share:.*} %", nines.saturating_sub(2) as usize),
        );
    }
    text(&mut svg, f64::midpoint(LEFT, WIDTH), HEIGHT - 15.0, "middle", "of messages were delivered within");
    for decade in bottom as i32..=top as i32 {
        let nanoseconds = 10_f64.powi(decade);
        line(&mut svg, (LEFT, y(nanoseconds)), (WIDTH - RIGHT, y(nanoseconds)));
        text(&mut svg, LEFT - 8.0, y(nanoseconds) + 4.0, "end", &duration(nanoseconds));
    }
    for ((name, latencies), (at, colour)) in series.iter().zip(COLOURS.iter().enumerate()) {
        let points = (0..=NINES_MAX as u32 * POINTS_PER_NINE).map(|step| {
            let nines = f64::from(step) / f64::from(POINTS_PER_NINE);
            let nanoseconds = latencies.value_at_quantile(1.0 - 10_f64.powf(-nines));
            format!("{:.1},{:.1}", x(nines), y(nanoseconds as f64))
        });
        let points: Vec<String> = points.collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        let y = 38.0 + 16.0 * at as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
            y - 6.0
        );
        text(&mut svg, LEFT + 20.0, y, "start", name);
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(svg, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.0} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.0} ms", ns / 1e6),
        ns => format!("{:.0} s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::histogram::latencies, *};

    #[test]
    fn a_line_rises_from_the_median_to_the_last_nine() {
        let mut few = latencies();
        (1..=1000).for_each(|step| few.saturating_record(step * 1000));
        let svg = draw("1 < 2", &[("one & only".to_owned(), few), ("nothing".to_owned(), latencies())]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("1 &lt; 2") && svg.contains("one &amp; only") && svg.contains("99.9 %"));
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
