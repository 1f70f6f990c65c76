//! The ways in which stores are known to spoil requests.

use super::{Fault, Request};

/// A way to spoil a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// 409: another request is about the same object. Also where it happened.
    Conflict,
    /// 412 though the condition holds, or after the write of this very request.
    Precondition,
    /// 304 to a create.
    NotModified,
    /// 403. Nobody tries again after it, so it is no [passing](Kind::PASSING) one.
    Forbidden,
    /// 429.
    TooMany,
    /// 500. Also where it happened.
    Error,
    /// 503.
    Busy,
    /// 200, with an error in the body.
    ErrorInBody,
    /// No answer, and nothing happened.
    TimeoutBefore,
    /// No answer, and it happened.
    TimeoutAfter,
    /// The connection breaks, before or after it happened.
    Reset,
    /// Half of the answer comes.
    ShortRead,
    /// A listing without its last object.
    StaleListing,
    /// A read of one version is answered with the ETag of another.
    OtherVersion,
}

impl Kind {
    /// Those that pass: who asks again gets through.
    pub const PASSING: [Self; 13] = [
        Self::Conflict,
        Self::Precondition,
        Self::NotModified,
        Self::TooMany,
        Self::Error,
        Self::Busy,
        Self::ErrorInBody,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
        Self::Reset,
        Self::ShortRead,
        Self::StaleListing,
        Self::OtherVersion,
    ];

    /// How it can befall this request; in no way if it does not fit.
    pub fn faults(self, request: &Request) -> Vec<Fault> {
        let when = |fits: bool, faults: &[Fault]| if fits { faults.to_vec() } else { Vec::new() };
        let creates = request.is_conditional_create();
        let reads = request.method == "GET";
        match self {
            Self::Conflict => {
                let code = "ConditionalRequestConflict";
                when(creates, &[Fault::Refused(409, code), Fault::Denies(409, code)])
            }
            Self::Precondition => {
                let code = "PreconditionFailed";
                let mut faults = when(creates, &[Fault::Denies(412, code)]);
                faults.extend(when(
                    creates || request.is_pinned_read(),
                    &[Fault::Refused(412, code)],
                ));
                faults
            }
            Self::NotModified => when(creates, &[Fault::Refused(304, "NotModified")]),
            Self::Forbidden => vec![Fault::Refused(403, "AccessDenied")],
            Self::TooMany => vec![Fault::Refused(429, "SlowDown")],
            Self::Error => {
                let code = "InternalError";
                vec![Fault::Refused(500, code), Fault::Denies(500, code)]
            }
            Self::Busy => vec![Fault::Refused(503, "SlowDown")],
            Self::ErrorInBody => {
                let long = request.is_copy() || request.is_listing() || request.completes_upload();
                when(long, &[Fault::Refused(200, "InternalError")])
            }
            Self::TimeoutBefore => vec![Fault::HangsBefore],
            Self::TimeoutAfter => vec![Fault::HangsAfter],
            Self::Reset => vec![Fault::ResetBefore, Fault::ResetAfter],
            Self::ShortRead => when(reads, &[Fault::ShortRead]),
            Self::StaleListing => when(request.is_listing(), &[Fault::StaleListing]),
            Self::OtherVersion => when(request.is_pinned_read(), &[Fault::OtherVersion]),
        }
    }
}
