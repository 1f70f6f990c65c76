//! What the caller is told when a message is refused.

use std::error::Error;

use tonic::Status;

/// Longest answer in bytes: statuses travel in HTTP/2 headers, which are small.
const ANSWER_MAX_BYTES: usize = 1_024;

/// An invalid request as `INVALID_ARGUMENT`, with the whole chain of reasons in one line.
pub fn invalid_request(error: &(dyn Error + 'static)) -> Status {
    Status::invalid_argument(chain(error))
}

/// An invalid reply as `INTERNAL`, for a client whose server does not keep to the protocol.
pub fn invalid_reply(error: &(dyn Error + 'static)) -> Status {
    Status::internal(chain(error))
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text.truncate(text.floor_char_boundary(ANSWER_MAX_BYTES));
    text
}
