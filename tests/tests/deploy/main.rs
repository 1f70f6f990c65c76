//! What `deploy/` holds: manifests that are valid for every supported Kubernetes, that keep to
//! the rules of an installation, and images made of static programs.

mod images;
mod policy;
mod recipes;
mod rendering;
mod schemas;
