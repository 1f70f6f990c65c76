//! Categories, as rows of an embedding table.

use std::sync::Arc;

use arrow::array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use super::BlockRejects;
use super::source::{for_each_text, is_missing, shown, text_at};
use crate::engine::tabular::block::BLOCK_ROWS;
use crate::engine::tabular::config::{CategoricalFeature, Unknown};
use crate::engine::tabular::vocabulary::Vocabulary;
use crate::reject::RejectReason;

/// Table row of a value that has none; tables are far smaller.
const NONE: u32 = u32::MAX;

/// A categorical feature, ready to be bound.
#[derive(Debug)]
pub(super) struct Categorical {
    name: Arc<str>,
    vocabulary: Vocabulary,
    /// Table row of missing and unknown values.
    otherwise: u32,
}

/// A categorical feature with its column.
pub(super) struct BoundCategorical<'a> {
    feature: &'a Categorical,
    array: &'a ArrayRef,
    /// The table row of every row of the batch, or [`NONE`].
    codes: Vec<u32>,
}

impl Categorical {
    pub(super) fn new(name: Arc<str>, feature: &CategoricalFeature) -> Self {
        let (first, otherwise) = match feature.unknown {
            Unknown::Reject => (0, NONE),
            Unknown::Other => (1, 0),
        };
        Self { name, vocabulary: Vocabulary::new(&feature.vocabulary, first), otherwise }
    }

    pub(super) fn bind<'a>(&'a self, array: &'a ArrayRef) -> BoundCategorical<'a> {
        BoundCategorical { feature: self, array, codes: self.codes(array) }
    }

    fn codes(&self, array: &ArrayRef) -> Vec<u32> {
        if array.as_any_dictionary_opt().is_some() {
            return self.codes_of_dictionary(array);
        }
        let mut codes = Vec::with_capacity(array.len());
        let text = |text: Option<&str>| {
            let found = text.and_then(|text| self.vocabulary.of_text(text.as_bytes()));
            codes.push(found.unwrap_or(self.otherwise));
        };
        if for_each_text(array, text) {
            return codes;
        }
        match array.data_type() {
            DataType::Boolean => array
                .as_boolean()
                .iter()
                .map(|value| value.and_then(|value| self.vocabulary.of_bool(value)))
                .map(|found| found.unwrap_or(self.otherwise))
                .collect(),
            DataType::Int8 => self.codes_of_integers::<Int8Type>(array),
            DataType::Int16 => self.codes_of_integers::<Int16Type>(array),
            DataType::Int32 => self.codes_of_integers::<Int32Type>(array),
            DataType::Int64 => self.codes_of_integers::<Int64Type>(array),
            DataType::UInt8 => self.codes_of_integers::<UInt8Type>(array),
            DataType::UInt16 => self.codes_of_integers::<UInt16Type>(array),
            DataType::UInt32 => self.codes_of_integers::<UInt32Type>(array),
            DataType::UInt64 => self.codes_of_integers::<UInt64Type>(array),
            // Only columns without any value are left.
            _ => vec![self.otherwise; array.len()],
        }
    }

    fn codes_of_integers<T: ArrowPrimitiveType>(&self, array: &ArrayRef) -> Vec<u32>
    where
        T::Native: Into<i128>,
    {
        let find = |value: T::Native| self.vocabulary.of_integer(value.into());
        let integers = array.as_primitive::<T>();
        integers.iter().map(|value| value.and_then(find).unwrap_or(self.otherwise)).collect()
    }

    /// Looks up each entry of the dictionary at most once, then goes by key.
    ///
    /// Entries that no row uses are not looked at: a slice of a large column has many of them.
    /// The column is never unpacked, as one long entry may stand in every row.
    fn codes_of_dictionary(&self, array: &ArrayRef) -> Vec<u32> {
        /// Not looked up yet; tables are far smaller.
        const UNSEEN: u32 = NONE - 1;
        let Some(dictionary) = array.as_any_dictionary_opt() else { return Vec::new() };
        let values = dictionary.values();
        if values.is_empty() {
            return vec![self.otherwise; array.len()];
        }
        let mut entries = match values.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                vec![UNSEEN; values.len()]
            }
            _ => self.codes(values),
        };
        let nulls = dictionary.keys().nulls();
        let mut code = |(row, key): (usize, usize)| {
            let entry = entries.get_mut(key).filter(|_| nulls.is_none_or(|n| n.is_valid(row)));
            let Some(entry) = entry else { return self.otherwise };
            if *entry == UNSEEN {
                let text = text_at(values, key);
                let found = text.and_then(|text| self.vocabulary.of_text(text.as_bytes()));
                *entry = found.unwrap_or(self.otherwise);
            }
            *entry
        };
        dictionary.normalized_keys().into_iter().enumerate().map(&mut code).collect()
    }
}

impl BoundCategorical<'_> {
    /// Writes the table rows of the rows of a block.
    pub(super) fn block(
        &mut self,
        first: usize,
        len: usize,
        out: &mut [u32; BLOCK_ROWS],
        rejects: &mut BlockRejects,
    ) {
        let codes = self.codes.get(first..first + len).unwrap_or_default();
        let mut all_known = true;
        for (to, &code) in out.iter_mut().zip(codes) {
            *to = if code == NONE { 0 } else { code };
            all_known &= code != NONE;
        }
        if let Some(rest) = out.get_mut(len..) {
            rest.fill(0);
        }
        if all_known {
            return;
        }
        for (lane, _) in codes.iter().enumerate().filter(|&(_, &code)| code == NONE) {
            let row = first + lane;
            if is_missing(self.array, row) {
                let detail = || "no value".to_owned();
                rejects.reject(lane, RejectReason::MissingValue, Some(&self.feature.name), detail);
            } else {
                let detail = || shown(self.array, row);
                rejects.reject(
                    lane,
                    RejectReason::UnknownCategory,
                    Some(&self.feature.name),
                    detail,
                );
            }
        }
    }
}
