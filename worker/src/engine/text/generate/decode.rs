//! Writing the texts of several rows side by side, token by token.
//!
//! A product over several rows reads the weights once for all of them. A row that ends makes room
//! for the next one; none notices the others, since no row of a product does.

use std::collections::VecDeque;

use nightshift_kernels::matmul::{Finish as Activation, TILE};
use nightshift_kernels::matrix::{Matrix, Workspace};

use super::asking::Request;
use super::sample::{Key, Memory};
use super::words::Words;
use super::writing::{Finish, Writing, Written};
use crate::engine::text::tokens::Sequence;
use crate::engine::text::transformer::{Past, Scratch, Transformer};

/// Rows that are written side by side: a product takes as long for one row as for a tile of them.
pub(super) const SLOTS: usize = TILE;
/// Tokens of prompts that are read in one pass, beyond the first prompt.
const PASS_TOKENS: usize = 512;
/// Most bytes of keys and values of the rows that are written side by side, beyond the first row.
pub(super) const PAST_BYTES_MAX: usize = 256 << 20;

/// A row that waits to be written.
pub(super) struct Asked {
    pub(super) row: usize,
    pub(super) tokens: Vec<u32>,
    pub(super) request: Request,
}

/// A row that is being written.
struct Running {
    row: usize,
    request: Request,
    key: Key,
    past: Past,
    /// Tokens for which there is memory.
    room: usize,
    writing: Writing,
    /// The token that was written last.
    last: u32,
}

/// A model and what is done with it.
pub(super) struct Decoder {
    pub(super) layers: Transformer,
    /// A score for each word.
    pub(super) head: Matrix,
    pub(super) words: Words,
    /// Tokens that end a text.
    pub(super) ends: Vec<u32>,
}

/// Memory of a thread.
struct Work {
    scratch: Scratch,
    products: Workspace,
    scores: Vec<f32>,
    draws: Memory,
}

impl Decoder {
    /// Bytes beside the weights that are taken while they are loaded, at most.
    pub(super) fn loading_bytes(&self) -> usize {
        // The matrix that scores words may come from a tensor of its own.
        self.layers.loading_bytes().max(self.layers.words_bytes())
    }

    /// Writes the text of each row, and hands it to `done`; or a score of it that is no number.
    /// Whether all of them were written: before each step `goes_on` says whether to.
    pub(super) fn write(
        &self,
        asked: Vec<Asked>,
        goes_on: &dyn Fn() -> bool,
        mut done: impl FnMut(usize, Result<Written, f32>),
    ) -> bool {
        let mut waiting: VecDeque<Asked> = asked.into();
        let mut running: Vec<Running> = Vec::new();
        let mut work = Work {
            scratch: Scratch::new(self.layers.precision()),
            products: Workspace::default(),
            scores: Vec::new(),
            draws: Memory::default(),
        };
        while !waiting.is_empty() || !running.is_empty() {
            if !goes_on() {
                return false;
            }
            let begun = self.begin(&mut waiting, &mut running, &mut work);
            self.go_on(&mut running, begun, &mut work, &mut done);
        }
        true
    }

    /// Reads the prompts of waiting rows, as many as there is room for, and scores their next
    /// token. Those are the last of `running`: their number is the result.
    fn begin(
        &self,
        waiting: &mut VecDeque<Asked>,
        running: &mut Vec<Running>,
        work: &mut Work,
    ) -> usize {
        let (mut sequences, mut tokens, first) = (Vec::new(), 0, running.len());
        let mut bytes: usize = running.iter().map(|own| self.layers.past_bytes(own.room)).sum();
        while let Some(next) = waiting.front() {
            let room = next.tokens.len() + next.request.most as usize;
            let own_bytes = self.layers.past_bytes(room);
            let is_full = running.len() >= SLOTS || bytes + own_bytes > PAST_BYTES_MAX;
            let is_long = tokens + next.tokens.len() > PASS_TOKENS;
            if !running.is_empty() && is_full || !sequences.is_empty() && is_long {
                break;
            }
            let Some(Asked { row, tokens: ids, request }) = waiting.pop_front() else { break };
            tokens += ids.len();
            bytes += own_bytes;
            let segments = vec![0; ids.len()];
            sequences.push(Sequence { ids, segments, is_cut: false });
            running.push(Running {
                row,
                key: request.sampling.key(&request.prompt),
                request,
                past: self.layers.past(room),
                room,
                writing: Writing::default(),
                last: 0,
            });
        }
        work.scores.clear();
        if sequences.is_empty() {
            return 0;
        }
        let own = running.get_mut(first..).unwrap_or_default();
        let mut pasts: Vec<&mut Past> = own.iter_mut().map(|own| &mut own.past).collect();
        let sequences: Vec<&Sequence> = sequences.iter().collect();
        let states = self.layers.begin(&mut work.scratch, &sequences, &mut pasts);
        // What follows a prompt is said by its last token alone.
        let hidden = self.layers.hidden();
        let (mut lasts, mut end) = (Vec::with_capacity(sequences.len() * hidden), 0);
        for sequence in &sequences {
            end += sequence.ids.len() * hidden;
            lasts.extend_from_slice(states.get(end - hidden..end).unwrap_or_default());
        }
        self.score(&mut work.products, &lasts, &mut work.scores);
        sequences.len()
    }

    fn score(&self, products: &mut Workspace, states: &[f32], scores: &mut Vec<f32>) {
        let isa = self.layers.isa();
        let hidden = self.layers.hidden();
        self.head.multiply(isa, products, states, hidden, Activation::Identity, scores);
    }

    /// Takes the next token of each row: of the last `begun` rows, whose scores are there, and of
    /// the others after another step.
    fn go_on(
        &self,
        running: &mut Vec<Running>,
        begun: usize,
        work: &mut Work,
        done: &mut impl FnMut(usize, Result<Written, f32>),
    ) {
        let mut fresh = running.split_off(running.len() - begun);
        self.take(&mut fresh, work, done);
        if !running.is_empty() {
            let ids: Vec<u32> = running.iter().map(|own| own.last).collect();
            let mut pasts: Vec<&mut Past> = running.iter_mut().map(|own| &mut own.past).collect();
            let Work { scratch, products, scores, .. } = work;
            let states = self.layers.go_on(scratch, &ids, &mut pasts);
            self.score(products, states, scores);
            self.take(running, work, done);
        }
        running.append(&mut fresh);
    }

    /// Chooses a token of each of `rows` by the scores of each, and lets go of those that ended.
    fn take(
        &self,
        rows: &mut Vec<Running>,
        work: &mut Work,
        done: &mut impl FnMut(usize, Result<Written, f32>),
    ) {
        let isa = self.layers.isa();
        let Work { scores, draws, .. } = work;
        let mut scores = scores.chunks_exact(self.head.columns().max(1));
        let ended = rows.extract_if(.., |own| {
            let scores = scores.next().unwrap_or_default();
            own.choose(self, isa, scores, draws, done)
        });
        ended.for_each(drop);
    }
}

impl Running {
    /// Takes the next token by its scores; whether the row has ended.
    fn choose(
        &mut self,
        decoder: &Decoder,
        isa: nightshift_kernels::Isa,
        scores: &[f32],
        draws: &mut Memory,
        done: &mut impl FnMut(usize, Result<Written, f32>),
    ) -> bool {
        if let Some(odd) = scores.iter().find(|score| !score.is_finite()) {
            done(self.row, Err(*odd));
            return true;
        }
        let Self { request, writing, .. } = self;
        let at = writing.tokens();
        self.last = request.sampling.choose(isa, self.key, at, scores, draws);
        let finish = if decoder.ends.contains(&self.last) {
            writing.end(self.last);
            Some(Finish::Stop)
        } else {
            let piece = decoder.words.piece(self.last);
            writing.add(self.last, piece, &request.stops, request.most)
        };
        let Some(finish) = finish else { return false };
        done(self.row, Ok(std::mem::take(writing).finish(finish)));
        true
    }
}
