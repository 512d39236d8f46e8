//! The table as text.

use std::fmt::Write;

use super::report::{Line, Table};
use crate::cifar2::variants::Printed;

/// The table in Markdown, with a few words about it.
pub(super) fn of(table: &Table) -> String {
    let mut text = format!("# Birds vs airplanes: the chapter's networks\n\n{}", about(table));
    let head = [
        "network",
        "parameters",
        "epochs",
        "seeds",
        "train accuracy",
        "printed",
        "validation accuracy",
        "printed",
        "last 10 epochs",
        "loss, epoch 1",
        "printed",
        "loss, last epoch",
        "printed",
        "s per epoch",
    ];
    push(&mut text, &head.map(String::from));
    text += "|---|---:|---:|---:|---|---|---|---|---|---|---|---|---|---:|\n";
    for line in &table.rows {
        push(&mut text, &cells(line));
    }
    text += "\n";
    // Each network once, whatever the ways it was trained in.
    let mut told: Vec<&str> = Vec::new();
    for line in &table.rows {
        let name = line.name.split(", ").next().unwrap_or(&line.name);
        if !told.contains(&name) {
            told.push(name);
            let _ = writeln!(text, "- **{name}**: {}.", line.what);
        }
    }
    text
}

fn push(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn cells(line: &Line) -> [String; 14] {
    let printed = |show: fn(Printed) -> String| line.printed.map_or(String::new(), show);
    [
        line.name.clone(),
        line.parameters.to_string(),
        line.epochs.to_string(),
        line.runs.len().to_string(),
        line.train_acc.to_string(),
        printed(|p| p.train_acc.to_string()),
        line.val_acc.to_string(),
        printed(|p| p.val_acc.to_string()),
        format!("{:.3}", line.last_val_acc),
        line.first_loss.to_string(),
        printed(|p| format!("{:.3}", p.first_loss)),
        line.last_loss.to_string(),
        printed(|p| format!("{:.3}", p.last_loss)),
        format!("{:.2}", line.seconds_per_epoch.mean),
    ]
}

/// What one has to know to compare the figures.
fn about(table: &Table) -> String {
    let row = |is: fn(&Line) -> bool| table.rows.iter().any(is);
    let mut text = format!("{}.", table.data);
    if !table.devices.is_empty() {
        text += &format!(" Trained on {}.", table.devices.join(", "));
    }
    if row(|line| line.runs.len() > 1) {
        text += " Where several seeds were trained: their mean, in parentheses the lowest and the highest.";
    }
    text += "\n\nPrinted: what \"Deep Learning with PyTorch\", chapter 8, shows after 100 epochs. Its accuracies \
             were measured in training mode, after a training that, but for the baseline, saw the images in \
             the same order in every epoch.";
    if row(|line| line.name.starts_with("res-deep")) {
        text += " Its res-deep has 100 blocks, which share their weights.";
    }
    if row(|line| line.as_printed) {
        text += " The rows as printed are trained and measured like that, res-deep with one block repeated.";
    }
    if row(|line| line.name == "dropout") {
        text += " The book measured dropout with dropout on, which lowers its printed accuracies: the row as \
                 printed is the one to compare with them.";
    }
    text += "\n\nThe figures are those of the last epoch. With this learning rate, which never falls, they \
             swing by some points from epoch to epoch: \"last 10 epochs\" has the lowest and the highest \
             validation accuracy in those. The loss of l2 and l1 includes the penalty, that of weight-decay \
             does not: their losses are not to be compared.";
    text + "\n\n"
}
