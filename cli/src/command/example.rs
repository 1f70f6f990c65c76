//! `nightshift example`: the flights example, out of this program into a folder.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use nightshift_core::exit::Exit;
use nightshift_worker::front::failure::Failure;

use super::print;
use crate::args::ExampleArgs;
use crate::table::thousands;

mod files;
mod place;
mod rows;

use place::{Folder, Placed};

pub(crate) fn perform(args: &ExampleArgs) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let dates = match args.dates {
        Some(dates) => dates.at(now, &TimeZone::UTC)?,
        None => files::real_dates(),
    };
    let today = now.to_zoned(TimeZone::UTC).date();
    let recent = args.recent.map_or_else(Vec::new, |days| files::recent_dates(today, days));
    let all: BTreeSet<Date> = dates.iter().chain(&recent).copied().collect();
    let folder = Folder::new(&args.folder, args.force);
    let mut count = Placed::default();
    let model = files::MODEL.iter().map(|(path, bytes)| ((*path).to_owned(), *bytes));
    let days = all.into_iter().map(|date| (files::day(date), files::data_of(date)));
    let large = args.rows.map(files::large_spec);
    let small: Vec<(String, &[u8])> = model
        .chain(days)
        .chain([("spec.yaml".to_owned(), files::SPEC.as_bytes())])
        .chain(large.iter().map(|spec| ("large.yaml".to_owned(), spec.as_bytes())))
        .collect();
    // Nothing is written before everything that is in the way is known.
    for (path, bytes) in &small {
        folder.check(path, bytes)?;
    }
    if let Some(rows) = args.rows {
        let table = rows::Table::new(rows)?;
        for part in table.parts() {
            let path = files::part(rows, part.index);
            count.add(folder.place(&path, |file| table.write(&part, file))?);
        }
    }
    // The specs last: who finds one finds what it names.
    for (path, bytes) in &small {
        count.add(folder.place(path, |file| Ok(file.write_all(bytes)?))?);
    }
    print(&told(args, &dates, count))?;
    Ok(Exit::Done)
}

/// What was done, and what to type next.
fn told(args: &ExampleArgs, dates: &[Date], count: Placed) -> String {
    let folder = &args.folder;
    let shown = folder.display();
    let mut text = match count {
        Placed { written: 0, .. } => format!("{shown} has the example already\n"),
        Placed { written, same: 0 } => format!("wrote {written} files into {shown}\n"),
        Placed { written, same } => {
            format!("wrote {written} files into {shown}, {same} were there already\n")
        }
    };
    text.push_str("\nnext:\n");
    let spec = folder.join("spec.yaml");
    // Writing into a String cannot fail.
    if let [first, .., last] = dates {
        let _ = writeln!(text, "  nightshift run {} --dates {first}..{last}", spec.display());
    } else if let [date] = dates {
        let _ = writeln!(text, "  nightshift run {} --date {date}", spec.display());
    }
    if let Some(days) = args.recent {
        let _ = writeln!(text, "  nightshift backfill {} --window {days}d", spec.display());
    }
    if let Some(rows) = args.rows {
        let spec = folder.join("large.yaml");
        let rows = thousands(rows);
        let _ = writeln!(text, "  nightshift run {}   # {rows} rows", spec.display());
    }
    text
}
