//! `nightshift render`: Kubernetes YAML for a spec, on standard output.

use nightshift_core::describe::describe;
use nightshift_core::exit::Exit;
use nightshift_core::spec::Spec;
use nightshift_manifests::render::{RenderError, Request, render};
use nightshift_worker::front::failure::Failure;
use nightshift_worker::front::workspace::read_spec;

use super::print;
use crate::args::RenderArgs;

pub(crate) fn perform(args: &RenderArgs) -> Result<Exit, Failure> {
    let file = args.spec.display().to_string();
    let text = read_spec(&args.spec)?;
    let spec = Spec::parse(&file, &text)?;
    let template = match &args.job_template {
        None => None,
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::new(Exit::NoInput, format_args!("--job-template {name}: {error}"))
            })?;
            Some((name, text))
        }
    };
    let rendered = render(&Request {
        pattern: args.pattern.into(),
        file: &file,
        text: &text,
        spec: &spec,
        settings: &args.set,
        job_template: template.as_ref().map(|(name, text)| (name.as_str(), text.as_str())),
    });
    let yaml = rendered.map_err(|error| {
        let exit = match error {
            RenderError::UnknownKey { .. }
            | RenderError::InvalidValue { .. }
            | RenderError::MissingDate
            | RenderError::NoDates { .. }
            | RenderError::TemplateUnused { .. } => Exit::Usage,
            _ => Exit::Config,
        };
        Failure::new(exit, describe(&error))
    })?;
    print(&yaml)?;
    Ok(Exit::Done)
}
