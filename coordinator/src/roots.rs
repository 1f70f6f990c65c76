//! The output roots that this coordinator serves, and its home, where it notes them.
//!
//! A run is named by spec, date and generation, so one name has one root here. The home is a
//! small output root of its own: it says where to look for runs after a restart, and nothing
//! else. Whatever is decided about a run lies in the run's root.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use nightshift_core::document::Document;
use nightshift_core::ids::SpecName;
use nightshift_core::layout::{Object, Prefix};
use nightshift_core::root::{RootId, Served};
use nightshift_storage::deciding::Deciding;
use nightshift_storage::documents::Settled;
use nightshift_storage::error::StoreError;
use nightshift_storage::root::{OutputRoot, Probed};
use nightshift_storage::sync::Durability;
use thiserror::Error;

/// Most roots that one coordinator serves.
pub const ROOTS_MAX: usize = 1_000;

/// One output root that is served.
#[derive(Debug)]
pub struct ServedRoot {
    /// The spec whose output it is.
    pub name: SpecName,
    /// Where it is, as specs name it.
    pub output: String,
    /// Its identity.
    pub root_id: RootId,
    /// The root.
    pub root: Probed,
    /// Held while a run of this root is planned and opened, so that two requests for one date
    /// do not plan it twice.
    pub opening: tokio::sync::Mutex<()>,
}

/// The roots that are served.
#[derive(Debug)]
pub struct Roots {
    home: Probed,
    deciding: Deciding,
    by_name: Mutex<BTreeMap<SpecName, Arc<ServedRoot>>>,
}

/// Why a root cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name has another output.
    #[error(
        "this coordinator serves {name} in {serves}, not in {asked}; give the spec another metadata.name, or stop the coordinator and remove {note}"
    )]
    OtherOutput {
        /// The spec's name.
        name: SpecName,
        /// The output that it serves.
        serves: String,
        /// The output that was asked for.
        asked: String,
        /// The note in its home.
        note: String,
    },
    /// Too many roots.
    #[error("this coordinator serves {ROOTS_MAX} outputs, which is the limit; start another one")]
    TooMany,
}

impl Roots {
    /// Opens the home of a coordinator, and makes it if it is missing; `deciding` says who decides
    /// in it and in every root.
    ///
    /// # Errors
    /// If the home cannot be written, or does not keep the promises of a store.
    pub async fn open(home: &str, deciding: Deciding) -> Result<Self, StoreError> {
        let home = OutputRoot::open(home, Durability::Full).await?.probe_for(&deciding).await?;
        Ok(Self { home, deciding, by_name: Mutex::default() })
    }

    /// The root of a name, if it is served.
    pub fn get(&self, name: &SpecName) -> Option<Arc<ServedRoot>> {
        self.lock().get(name).cloned()
    }

    /// Every root that is served.
    pub fn all(&self) -> Vec<Arc<ServedRoot>> {
        self.lock().values().cloned().collect()
    }

    /// What the home says that was served before.
    ///
    /// # Errors
    /// If the home cannot be read.
    pub async fn noted(&self) -> Result<Vec<Served>, StoreError> {
        let mut noted = Vec::new();
        let mut objects = self.home.list(&Prefix::AllServed);
        while let Some(listed) = objects.try_next().await? {
            let Some(object @ Object::Served { .. }) = listed.object else { continue };
            noted.extend(self.home.read::<Served>(&object).await?);
        }
        Ok(noted)
    }

    /// Who decides in the roots.
    pub fn deciding(&self) -> &Deciding {
        &self.deciding
    }

    /// Another process decides in a root that this coordinator has noted as its own: it must not
    /// go on beside that one.
    pub fn refuse(&self, why: String) {
        self.deciding.give_up(why);
    }

    /// Serves the output of a name from now on, also after a restart.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve(
        &self,
        name: &SpecName,
        output: &str,
    ) -> Result<Arc<ServedRoot>, ServeError> {
        if let Some(served) = self.get(name) {
            return self.same(served, output);
        }
        if self.lock().len() >= ROOTS_MAX {
            return Err(ServeError::TooMany);
        }
        let root = OutputRoot::open(output, Durability::Full).await?;
        let root = root.probe_for(&self.deciding).await?;
        let identity = root.identify(name).await?;
        let note =
            Served { version: Served::VERSION, name: name.clone(), output: output.to_owned() };
        let object = Object::Served { name: name.clone() };
        if let Settled::Existing(other) = self.home.create_once(&object, &note).await?
            && other.output != output
        {
            return Err(self.other_output(name, &other.output, output));
        }
        let served = Arc::new(ServedRoot {
            name: name.clone(),
            output: output.to_owned(),
            root_id: identity.root_id,
            root,
            opening: tokio::sync::Mutex::new(()),
        });
        // Another request may have been faster; one value serves all.
        let served = Arc::clone(self.lock().entry(name.clone()).or_insert(served));
        self.same(served, output)
    }

    fn same(&self, served: Arc<ServedRoot>, output: &str) -> Result<Arc<ServedRoot>, ServeError> {
        if served.output == output {
            return Ok(served);
        }
        Err(self.other_output(&served.name, &served.output, output))
    }

    fn other_output(&self, name: &SpecName, serves: &str, asked: &str) -> ServeError {
        let note = self.home.path_of(&Object::Served { name: name.clone() });
        ServeError::OtherOutput {
            name: name.clone(),
            serves: serves.to_owned(),
            asked: asked.to_owned(),
            note: note.display().to_string(),
        }
    }

    /// The map is whole between calls, so a panic elsewhere cannot break it.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<SpecName, Arc<ServedRoot>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
