//! The recipes of docs/recipes.md that need no cluster, run as they are.

use std::path::Path;

use nightshift_tests::binaries::{example, nightshift, nightshift_worker, repository};
use nightshift_tests::process::Program;

/// The blocks that say that they are tried.
fn tried(text: &str) -> Vec<&str> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.starts_with("# tried\n")).collect()
}

fn copy(from: &Path, to: &Path) {
    let done = Program::new("/bin/cp").arg("-r").arg(from).arg(to).run();
    done.expect(0);
}

#[test]
fn every_recipe_that_is_said_to_be_tried_works() {
    let text = std::fs::read_to_string(repository().join("docs/recipes.md")).unwrap();
    let recipes = tried(&text);
    assert!(recipes.len() >= 3, "only {} recipes are tried", recipes.len());
    let programs = nightshift().parent().unwrap().to_owned();
    assert_eq!(nightshift_worker().parent(), Some(programs.as_path()));
    for recipe in recipes {
        let folder = tempfile::tempdir().unwrap();
        let flights = folder.path().join("flights");
        std::fs::create_dir(&flights).unwrap();
        for part in ["spec.yaml", "data", "models"] {
            copy(&example().join(part), &flights);
        }
        let script = format!(
            "set -eu\nPATH={}:$PATH\ncd {}\n{recipe}",
            programs.display(),
            folder.path().display()
        );
        Program::new("/bin/sh").args(["-c", &script]).run().expect(0);
    }
}
