//! The spec as it travels: the text of the file, where it lies, and what the flags override.

use std::path::Path;

use nightshift_core::exit::Exit;
use nightshift_core::model::is_location;
use nightshift_proto::limits::{PATH_MAX_BYTES, SPEC_MAX_BYTES};
use nightshift_proto::runs::{SpecOverrides, SpecSource};
use nightshift_worker::front::args::SpecArgs;
use nightshift_worker::front::failure::Failure;

/// Reads the spec for a coordinator. Whether it is right has been checked before; the
/// coordinator checks it again.
pub(in crate::command) fn read(args: &SpecArgs) -> Result<SpecSource, Failure> {
    let shown = args.spec.display();
    let yaml = std::fs::read_to_string(&args.spec).map_err(|error| {
        Failure::new(Exit::Io, format_args!("the spec {shown} cannot be read: {error}"))
    })?;
    if yaml.len() > SPEC_MAX_BYTES {
        return Err(Failure::new(
            Exit::Config,
            format_args!(
                "{shown} has {} bytes, but a coordinator takes specs of {SPEC_MAX_BYTES}; remove what it does not need",
                yaml.len()
            ),
        ));
    }
    let no_folder = |error| Failure::new(Exit::Io, format_args!("no current folder: {error}"));
    let here = std::env::current_dir().map_err(no_folder)?;
    let absolute = std::path::absolute(&args.spec).map_err(no_folder)?;
    let base = portable("the folder of the spec", absolute.parent().unwrap_or(&here))?;
    let here = portable("the current folder", &here)?;
    let place = |text: &Option<String>| text.as_deref().map(|text| absolute_place(&here, text));
    let overrides = SpecOverrides {
        input: place(&args.input),
        model: place(&args.model),
        output: place(&args.output),
        model_version: args.model_version.clone(),
    };
    for (flag, place) in [
        ("--input", &overrides.input),
        ("--model", &overrides.model),
        ("--output", &overrides.output),
    ] {
        if place.as_ref().is_some_and(|place| place.len() > PATH_MAX_BYTES) {
            let text = format_args!("{flag} has more than {PATH_MAX_BYTES} bytes; shorten it");
            return Err(Failure::new(Exit::Usage, text));
        }
    }
    let file_name = shown.to_string();
    let file_name = file_name[..file_name.floor_char_boundary(PATH_MAX_BYTES)].to_owned();
    Ok(SpecSource { yaml, base, file_name, overrides })
}

/// A place from the command line: relative to the current folder, unlike those in the spec.
fn absolute_place(here: &str, text: &str) -> String {
    if is_location(text) { text.to_owned() } else { format!("{here}/{text}") }
}

/// A folder as text that means the same at the other end.
fn portable(what: &str, folder: &Path) -> Result<String, Failure> {
    let text = folder.to_str().filter(|text| !text.chars().any(char::is_control));
    match text {
        Some(text) if text.len() <= PATH_MAX_BYTES => Ok(text.to_owned()),
        _ => Err(Failure::new(
            Exit::Usage,
            format_args!(
                "{what} {} has a path that cannot be sent; use one of UTF-8 without control characters, of at most {PATH_MAX_BYTES} bytes",
                folder.display()
            ),
        )),
    }
}
