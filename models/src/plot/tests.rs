use std::path::PathBuf;

use super::{Bar, BarChart, HeatMap, HistogramChart, ImageGrid, LineChart, Picture};
use crate::Error;
use crate::curves::{Histogram, unit_edges};
use crate::metrics::ConfusionMatrix;

/// Where the pictures go: a temporary directory, or `$VOXGRAD_PICTURES` to look at them.
fn directory() -> (PathBuf, Option<tempfile::TempDir>) {
    match std::env::var_os("VOXGRAD_PICTURES") {
        Some(path) => (path.into(), None),
        None => {
            let temporary = tempfile::tempdir().unwrap();
            (temporary.path().into(), Some(temporary))
        }
    }
}

/// The pixels of a PNG file.
fn read(path: &std::path::Path) -> image::RgbImage {
    image::load_from_memory_with_format(&std::fs::read(path).unwrap(), image::ImageFormat::Png)
        .unwrap()
        .into_rgb8()
}

fn count(image: &image::RgbImage, rgb: [u8; 3]) -> usize {
    image.pixels().filter(|p| p.0 == rgb).count()
}

const FIRST: [u8; 3] = [0, 114, 178];
const SECOND: [u8; 3] = [213, 94, 0];
const ALARM: [u8; 3] = [204, 32, 38];

fn curve(from: f64, to: f64, epochs: usize) -> Vec<(f64, f64)> {
    let at = |e: usize| to + (from - to) * (-(e as f64) / 25.0).exp() + 0.004 * (e as f64 * 1.7).sin();
    (1..=epochs).map(|e| (e as f64, at(e))).collect()
}

/// Of two curves with the same points the first is seen too, on both sides of the second.
#[test]
fn a_curve_that_another_covers_looks_out() {
    let (dir, _keep) = directory();
    let path = dir.join("same.png");
    let points = || (1..=5).map(|epoch| (f64::from(epoch), 0.85));
    let chart = |n: usize| {
        let chart = LineChart::new("Accuracy").series("training", points());
        let chart = if n == 2 { chart.series("validation", points()) } else { chart };
        chart.save(&path).unwrap();
        read(&path)
    };
    let alone = count(&chart(1), FIRST);
    let both = chart(2);
    assert!(count(&both, FIRST) > alone && count(&both, SECOND) > alone / 2, "{alone}");
}

#[test]
fn curves_show_every_series() {
    let (dir, _keep) = directory();
    let draw = |name: &str, epochs| {
        let path = dir.join(name);
        let chart = LineChart::new("Loss").x_label("epoch").y_label("cross-entropy").from_zero();
        let chart = chart.series("training", curve(0.58, 0.15, epochs));
        chart.series("validation", curve(0.52, 0.27, epochs)).save(&path).unwrap();
        read(&path)
    };
    let legend = draw("loss0.png", 0);
    for (name, epochs) in [("loss100.png", 100), ("loss3.png", 3), ("loss1.png", 1)] {
        let image = draw(name, epochs);
        for color in [FIRST, SECOND] {
            assert!(count(&image, color) > count(&legend, color) + 20, "{name}: no curve in {color:?}");
        }
    }
    let path = dir.join("accuracy.png");
    let chart = LineChart::new("Accuracy").x_label("epoch").y_label("accuracy");
    let chart = chart.series("training", curve(0.7, 0.94, 100)).series("validation", curve(0.75, 0.9, 100));
    chart.save(&path).unwrap();
}

#[test]
fn axes_of_their_own_a_guide_and_a_mark() {
    let (dir, _keep) = directory();
    let curve = |i: usize| (i as f64 / 100.0, (i as f64 / 100.0).powf(0.2));
    let chart = || {
        let chart =
            LineChart::new("ROC curve").x_range(0.0..1.0).y_range(0.0..1.02).x_label("false positive rate");
        chart.y_label("true positive rate").series("area 0.8333", (0..=100).map(curve))
    };
    chart().save(dir.join("roc_plain.png")).unwrap();
    let guided = chart().guide("chance", [(0.0, 0.0), (1.0, 1.0)]).marks("at 0.5", [curve(10)]);
    guided.save(dir.join("roc.png")).unwrap();
    let [plain, guided] = ["roc_plain.png", "roc.png"].map(|name| read(&dir.join(name)));
    // The column of x = 0.1 and the row of y = 0.1 ** 0.2.
    let (x, y) = (100 + (928 - 100) / 10, 84 + ((516.0 - 70.0) * (1.02 - 0.631) / 1.02) as u32);
    let dark = |image: &image::RgbImage| {
        let near = (x - 12..x + 12).flat_map(|x| (y - 12..y + 12).map(move |y| (x, y)));
        near.filter(|(x, y)| image.get_pixel(*x, *y).0 == [40, 40, 40]).count()
    };
    assert!(dark(&plain) == 0 && dark(&guided) > 40, "a diamond at its point: {}", dark(&guided));
    assert!(count(&guided, [110, 110, 110]) > 100, "a dashed line");
}

#[test]
fn histograms_show_small_classes_beside_large_ones() {
    let (dir, _keep) = directory();
    let draw = |name: &str, few: &[f64]| {
        let many: Vec<f64> = (0..5000).map(|i| (f64::from(i) / 5000.0).powi(3)).collect();
        let counted = |values: &[f64]| Histogram::new(values, &unit_edges(20)).unwrap();
        let chart = HistogramChart::new("Probabilities").x_label("probability of being a nodule");
        let chart = chart.series("not a nodule", counted(&many)).series("nodule", counted(few));
        chart.save(dir.join(name)).unwrap();
        read(&dir.join(name))
    };
    let image = draw("histogram.png", &[0.1, 0.62, 0.91, 0.93, 0.97]);
    // 35 of 100 parts of the colour over white: a fifth of the class is as tall as one of five bars.
    let pale = |image| count(image, [240, 199, 166]);
    assert!(pale(&image) > 5000, "{}", pale(&image));
    assert_eq!(pale(&draw("histogram_none.png", &[])), 0);
    HistogramChart::new("").save(dir.join("histogram_empty.png")).unwrap();
}

#[test]
fn a_chart_of_nothing_or_of_nan_is_empty_axes() {
    let (dir, _keep) = directory();
    let path = dir.join("empty.png");
    LineChart::new("Loss").save(&path).unwrap();
    let points = [(1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 0.5)];
    LineChart::new("Loss").series("training", points).save(&path).unwrap();
    LineChart::new("Loss").series("training", [(1.0, 1e300), (2.0, -1e300)]).save(&path).unwrap();
}

#[test]
fn bars_are_as_tall_as_their_values() {
    let (dir, _keep) = directory();
    let draw = |name: &str, bars: [Bar; 2]| {
        let path = dir.join(name);
        let chart =
            BarChart::new("Accuracy", 0.7..1.0).y_label("accuracy").series(["training", "validation"]);
        let chart = chart.spread_name("lowest to highest seed").mark_name("printed in the book");
        chart.group("res-deep, 10 blocks", bars).save(&path).unwrap();
        read(&path)
    };
    let none = draw("bars0.png", [Bar::new(f64::NAN), Bar::new(f64::NAN)]);
    let area = |name: &str, training, validation| {
        let image = draw(name, [Bar::new(training), Bar::new(validation)]);
        [FIRST, SECOND].map(|color| (count(&image, color) - count(&none, color)) as f64)
    };
    let [tall, low] = area("bars.png", 1.0, 0.8);
    assert!(low > 1000.0 && (tall / low - 3.0).abs() < 0.1, "three times as far above 0.7: {tall}, {low}");
    let [cut, below] = area("bars_cut.png", 1.5, 0.1);
    // The numbers written on the bars differ.
    assert!((cut - tall).abs() < 100.0 && below == 0.0, "nothing leaves the axes: {cut}, {tall}, {below}");

    let plain = draw("bars_plain.png", [Bar::new(0.9), Bar::new(0.8)]);
    let signs = [Bar::new(0.9).marks([0.93, 0.94]), Bar::new(0.8).spread(0.75, 0.85).marks([0.1])];
    let signs = draw("bars_signs.png", signs);
    let ink = |image| count(image, [40, 40, 40]);
    assert!(ink(&signs) > ink(&plain) + 200, "two diamonds, a whisker and their legend");
}

#[test]
fn a_chart_of_many_groups_is_wider() {
    let (dir, _keep) = directory();
    let path = dir.join("table.png");
    let mut chart =
        BarChart::new("Birds vs airplanes", 0.7..1.0).y_label("accuracy").series(["training", "validation"]);
    chart = chart.spread_name("lowest to highest of 3 seeds").mark_name("printed in the book");
    for (i, name) in
        "baseline,width,l2,l1,weight-decay,dropout,batch-norm,depth,res,res-deep".split(',').enumerate()
    {
        let (train, val) = (0.99 - 0.013 * i as f64, 0.9 - 0.011 * i as f64);
        let training = Bar::new(train).spread(train - 0.01, train + 0.004).marks([train - 0.008]);
        chart = chart.group(name, [training, Bar::new(val).marks([val + 0.01, val + 0.02])]);
    }
    chart = chart.group("res-deep, 10 blocks", [Bar::new(0.71), Bar::new(0.65)]);
    chart.save(&path).unwrap();
    assert!(read(&path).width() > 960);
}

#[test]
fn wrong_pictures_stand_in_a_frame() {
    let (dir, _keep) = directory();
    let path = dir.join("predictions.png");
    let sky = |i: usize| {
        let planes: Vec<u8> = (0..3 * 32 * 32).map(|p| (p / 32 * 3 + i * 40 + p % 32 * 2) as u8).collect();
        Picture::from_planes(&planes, 3, 32, 32)
    };
    let mut grid =
        ImageGrid::new("Validation images", 8, 4).subtitle("true label and prediction; wrong ones in red");
    for i in 0..40 {
        let wrong = i % 11 == 3;
        let said = if wrong { "pred: airplane 57%" } else { "pred: bird 98%" };
        grid.push(sky(i), ["true: bird".to_string(), said.to_string()], wrong);
    }
    grid.save(&path).unwrap();
    let image = read(&path);
    // Four frames of 128 + 2 * 5 pixels a side, 5 wide, and the red letters beneath them.
    let red = count(&image, ALARM);
    let frames = 4 * (138 * 138 - 128 * 128);
    assert!(
        (frames * 95 / 100..frames * 120 / 100).contains(&red),
        "{red} red pixels, {frames} in the frames"
    );
}

#[test]
fn a_confusion_matrix_is_shaded_by_row() {
    let (dir, _keep) = directory();
    let draw = |name: &str, counts: &[(u32, u32, usize)], names: &[&str]| {
        let mut matrix = ConfusionMatrix::new(names.len());
        for &(truth, said, times) in counts {
            (0..times).for_each(|_| matrix.add(truth, said).unwrap());
        }
        let path = dir.join(name);
        HeatMap::confusion("Validation", &matrix, names).save(&path).unwrap();
        read(&path)
    };
    let names = ["not a nodule", "nodule"];
    // Everything is called negative: one blue cell and one orange one.
    let image = draw("confusion_useless.png", &[(0, 0, 55), (1, 0, 13)], &names);
    let cell = 120 * 64;
    for color in [FIRST, SECOND] {
        let area = count(&image, color);
        assert!((cell * 85 / 100..cell).contains(&area), "{area} of {cell} pixels are {color:?}");
    }
    let image = draw("confusion_none.png", &[], &names);
    assert_eq!((count(&image, FIRST), count(&image, SECOND)), (0, 0), "no predictions");

    let names = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck";
    let names: Vec<&str> = names.split(',').collect();
    let ten: Vec<(u32, u32, usize)> = (0..100)
        .map(|i| (i / 10, i % 10, if i % 11 == 0 { 700 + i as usize } else { (i * i % 37) as usize }))
        .collect();
    draw("confusion.png", &ten, &names);
}

#[test]
fn a_table_of_numbers_has_a_cell_for_each() {
    let (dir, _keep) = directory();
    let path = dir.join("heat_map.png");
    let map =
        HeatMap::new("Accuracy").rows("batch size", ["16", "32"]).columns("learning rate", ["0.01", "0.1"]);
    map.values([0.5, 1.0, f64::NAN, -3.0], 2).save(&path).unwrap();
    assert!(count(&read(&path), FIRST) > 64 * 64 * 8 / 10, "the largest is darkest");
    HeatMap::new("").values([1.0], 0).save(dir.join("heat_map_empty.png")).unwrap();
}

#[test]
fn a_picture_that_cant_be_written_names_its_file() {
    let (dir, _keep) = directory();
    let path = dir.join("no/such/directory/loss.png");
    let error = LineChart::new("Loss").save(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Engine(voxgrad_engine::Error::Io { path: p, .. }) if *p == path),
        "{error}"
    );
}
