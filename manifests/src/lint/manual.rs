//! The rules as a page of the manual: `docs/lint.md` is made here.

use std::fmt::Write;

use super::catalogue::GROUPS;

const HEAD: &str = "\
# Lint

<!-- Made from the rules in manifests/src/lint: `make lint-docs` writes it again. -->

    nightshift lint FILES…

looks at the Jobs and CronJobs in YAML files, whoever wrote them, and says what
will hurt at night. It asks no cluster. A folder means every `*.yaml` and
`*.yml` below it; `-` is standard input.

| flag | does |
|---|---|
| `--fix` | mends what has one right answer; comments and layout stay |
| `--fix --dry-run` | shows what that would change, as a diff |
| `--output-format json`, `sarif` | for scripts, and for GitHub's code scanning |
| `--kubernetes-version 1.34` | the Kubernetes that the files are meant for |
| `--rules` | lists the rules |

The exit code is 1 if there is an error, 0 if there are only warnings or
nothing, 64 for a wrong command line, 66 for a file that is missing.

A comment on the line of a finding, or on the lines above it, silences it. It
must say why:

```yaml
concurrencyPolicy: Allow # nightshift:ignore overlap each run has its own bucket
```

Templates of Helm or Jinja are no YAML until they are rendered. Check what comes
out: `helm template chart | nightshift lint -`.

`--fix` leaves a file alone where it has anchors, and a mapping where it is
written in braces. It reads every file again before it writes it: the new text
says what the old one said, apart from the fields that were set.
";

/// The page, in Markdown.
pub fn manual() -> String {
    let mut page = HEAD.to_owned();
    for (name, rules) in GROUPS {
        // Nobody is left to tell if a String cannot be written.
        let _ = write!(page, "\n## {name}\n");
        for rule in *rules {
            let fixable = if rule.fixable { ", `--fix`" } else { "" };
            let severity = rule.severity.name();
            let _ = write!(page, "\n### {}\n\n", rule.id);
            let _ = write!(page, "*{severity}{fixable}*: {}.\n\n", rule.what);
            let _ = write!(page, "{}\n**Fix:** {}\n", rule.why, rule.remedy);
        }
    }
    page
}
