//! The names of keys.

use nightshift_core::ids::{RunId, SpecName};

/// Keys of one spec name. The braces are a hash tag: a cluster keeps all of them together.
pub(super) struct Keys<'a> {
    name: &'a SpecName,
}

impl<'a> Keys<'a> {
    pub(super) fn new(name: &'a SpecName) -> Self {
        Self { name }
    }

    pub(super) fn meta(&self) -> String {
        self.key("meta")
    }

    pub(super) fn writers(&self) -> String {
        self.key("writers")
    }

    pub(super) fn dates(&self) -> String {
        self.key("dates")
    }

    pub(super) fn gaps(&self) -> String {
        self.key("no-input")
    }

    pub(super) fn runs(&self) -> String {
        self.key("runs")
    }

    pub(super) fn done(&self, run: &RunId) -> String {
        self.key(&format!("run:{run}:done"))
    }

    pub(super) fn progress(&self, run: &RunId) -> String {
        self.key(&format!("run:{run}:progress"))
    }

    fn key(&self, rest: &str) -> String {
        format!("nightshift:{{{}}}:{rest}", self.name)
    }
}
