//! The end of a model for labels, as `config.json` says.

use std::collections::BTreeMap;

use super::Config;
use crate::engine::text::TextError;
use crate::engine::text::family::{CLASSIFIERS, Family};
use crate::engine::text::head;
use crate::engine::text::settings::{End, unsupported, within};
use crate::engine::text::shape::{Activation, HeadShape, Pooled};

/// Most labels.
const LABELS_MAX: usize = 10_000;

impl Config {
    /// The labels, and what is done to their scores; a model for pairs has one.
    pub(in crate::engine::text) fn end(
        &self,
        family: &'static Family,
        is_of_pairs: bool,
    ) -> Result<End, TextError> {
        // What transformers takes where nothing is said.
        let count = self.id2label.as_ref().map_or(2, BTreeMap::len);
        let count = within("id2label", count, LABELS_MAX)?;
        let label = |at: usize| {
            let given = self.id2label.as_ref().map(|labels| labels.get(&at.to_string()).cloned());
            given.unwrap_or_else(|| Some(format!("LABEL_{at}")))
        };
        let labels: Option<Vec<String>> = (0..count).map(label).collect();
        let Some(labels) = labels else {
            return unsupported("id2label", "numbers with gaps", "labels 0, 1, 2 and so on");
        };
        if is_of_pairs && count != 1 {
            let expected = "1, the score of a pair".to_owned();
            return Err(TextError::Number {
                field: "the number of labels",
                found: count,
                expected,
            });
        }
        let activation =
            if is_of_pairs { self.pair_activation()? } else { self.activation(count)? };
        let head = self.head(family)?;
        Ok(End::Labels { labels, activation, head })
    }

    /// As the pipeline `text-classification` of transformers decides.
    fn activation(&self, labels: usize) -> Result<head::Activation, TextError> {
        match self.problem_type.as_deref() {
            Some("regression") => Ok(head::Activation::Identity),
            Some("multi_label_classification") => Ok(head::Activation::Sigmoid),
            // A probability among one would be 1 whatever the text.
            None | Some("single_label_classification") if labels == 1 => {
                Ok(head::Activation::Sigmoid)
            }
            None | Some("single_label_classification") => Ok(head::Activation::Softmax),
            Some(found) => unsupported(
                "problem_type",
                found,
                "`single_label_classification`, `multi_label_classification` and `regression`",
            ),
        }
    }

    /// As the cross-encoder of sentence-transformers decides.
    fn pair_activation(&self) -> Result<head::Activation, TextError> {
        let newer =
            self.sentence_transformers.as_ref().and_then(|own| own.activation_fn.as_deref());
        let named = newer.or(self.sbert_ce_default_activation_function.as_deref());
        match named.map(|name| name.rsplit('.').next().unwrap_or(name)) {
            None | Some("Sigmoid") => Ok(head::Activation::Sigmoid),
            Some("Identity") => Ok(head::Activation::Identity),
            Some(found) => unsupported("activation_fn", found, "`Sigmoid` and `Identity`"),
        }
    }

    /// What comes before the labels.
    fn head(&self, family: &'static Family) -> Result<HeadShape, TextError> {
        let Some(names) = &family.head else {
            return unsupported("architectures", "a family without labels", CLASSIFIERS);
        };
        if let Some(finish) = names.finish {
            return Ok(HeadShape { names, finish, has_bias: true, pooled: Pooled::First });
        }
        let named = self.classifier_activation.as_deref().unwrap_or("gelu");
        let Some(finish) = Activation::named(named).and_then(Activation::finish) else {
            let supported = "`gelu`, `gelu_new` and `relu`";
            return unsupported("classifier_activation", named, supported);
        };
        let pooled = match self.classifier_pooling.as_deref() {
            None | Some("cls") => Pooled::First,
            Some("mean") => Pooled::Mean,
            Some(found) => return unsupported("classifier_pooling", found, "`cls` and `mean`"),
        };
        Ok(HeadShape { names, finish, has_bias: self.classifier_bias, pooled })
    }
}
