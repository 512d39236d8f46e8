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
        "loss, epoch 1",
        "printed",
        "loss, last epoch",
        "printed",
        "s per epoch",
    ];
    push(&mut text, &head.map(String::from));
    text += "|---|---:|---:|---:|---|---|---|---|---|---|---|---|---:|\n";
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

fn cells(line: &Line) -> [String; 13] {
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
        line.first_loss.to_string(),
        printed(|p| format!("{:.3}", p.first_loss)),
        line.last_loss.to_string(),
        printed(|p| format!("{:.3}", p.last_loss)),
        format!("{:.2}", line.seconds_per_epoch.mean),
    ]
}

fn about(table: &Table) -> String {
    let mut text = format!("{}.", table.data);
    if !table.devices.is_empty() {
        text += &format!(" Trained on {}.", table.devices.join(", "));
    }
    if table.rows.iter().any(|line| line.runs.len() > 1) {
        text += " Where several seeds were trained: their mean, in parentheses the lowest and the highest.";
    }
    text += " Printed: what \"Deep Learning with PyTorch\", chapter 8, shows after 100 epochs.";
    if table.rows.iter().any(|line| line.name.starts_with("res-deep")) {
        text += " Its res-deep has 100 blocks, which share their weights.";
    }
    if table.rows.iter().any(|line| line.as_printed) {
        text += " As printed: like the book's runs, with the images in the same order in every epoch, \
                 measured in training mode, and with one residual block repeated.";
    }
    text + "\n\n"
}
